"""Prompts as the code declares them: constants, classes, files and installed packages."""
