"""Rules of the modules in `templating`."""
