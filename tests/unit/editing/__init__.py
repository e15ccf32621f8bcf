"""Rules of the modules in `editing`."""
