"""What can be asked for, by family of pages."""
