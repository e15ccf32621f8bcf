"""Histories: where a prompt stands in one, what it says was sent, and what of that can be believed."""
