"""What those who come over the network need: tokens, writes that may be repeated, and the events in their order."""
