"""The command `automagik-prompts`: see, change, compare, check and undo, from a terminal or a script."""

from automagik_prompts.cli.app import main

__all__ = ["main"]
