"""The commands that change what is served or kept."""
