"""Rules of the modules in `following.memory`."""
