"""What runs, as values: processes, and to how many runs each version was sent."""
