"""What runs: which processes follow, and to how many runs each version was sent."""
