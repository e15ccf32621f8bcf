"""Prompts as Markdown files: exporting, importing, and comparing them with code and database."""
