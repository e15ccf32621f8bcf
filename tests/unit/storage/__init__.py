"""Rules of the modules in `storage`."""
