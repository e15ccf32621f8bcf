"""Rules of the modules in `agent`."""
