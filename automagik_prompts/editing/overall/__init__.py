"""What goes over all agents: the overview, and the search in all texts."""
