"""Rules of the modules in `cli`."""
