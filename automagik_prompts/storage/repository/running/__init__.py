"""The queries of what runs: processes, and how often versions were sent."""
