"""The commands about what runs."""
