"""The schema up and down, under a lock."""
