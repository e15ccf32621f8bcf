"""What the plugin costs, beside what people would use instead: `make bench`."""
