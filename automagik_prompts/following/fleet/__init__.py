"""What a process tells the fleet: that it is there, what it serves, and what it has sent."""
