"""The commands, a module for each group; each is imported when its command is used."""
