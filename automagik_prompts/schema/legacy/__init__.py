"""Databases from before this library: looking at them, adopting them, giving them back."""
