"""Writing and looking up: what people do, what code brings, and files."""
