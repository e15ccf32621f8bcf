"""Rules of the modules in `declaring`."""
