"""Texts as templates: compiling, checking against the allow-list, reading values and filling."""
