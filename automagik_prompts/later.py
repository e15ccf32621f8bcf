"""Modules that are imported when something of them is first used: what reaches the database takes long to import.

The plugin's thread uses them first, so that an application's event loop does not wait for the import.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """A module that is not imported yet.

    Args:
        name: Its full name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
