"""What a process holds in memory: agents in little room, the texts that are served, and why these."""
