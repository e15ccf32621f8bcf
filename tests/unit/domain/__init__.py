"""Rules of the modules in `domain`."""
