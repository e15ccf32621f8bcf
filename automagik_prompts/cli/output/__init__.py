"""What the command line prints: texts, tables, differences, JSON and reports."""
