"""Agent runs: which prompt is chosen, how it is filled and put into each request; memory only."""
