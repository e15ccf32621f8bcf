"""Who is let in over the network."""
