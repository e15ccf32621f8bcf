"""The web console: the edit service as pages that people use in a browser."""
