"""What the events tell of the past, and going back to it."""
