"""What a process tells once: things that do no harm to a run and that a developer did not mean."""

from __future__ import annotations

import logging
from collections.abc import Hashable

logger = logging.getLogger("automagik_prompts")

MAX_NOTICES = 1000
"""Notices that a process keeps, at most: a status function can return anything."""


class Notices:
    """Notices, each told once per process: in the log, and in `health().problems`."""

    def __init__(self) -> None:
        self._told: dict[Hashable, str] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._told or len(self._told) >= MAX_NOTICES

    def note(self, key: Hashable) -> bool:
        """Return whether a key is new, and keep it; without words, it was looked at and is as it should be."""
        if key in self:
            return False
        self._told[key] = ""
        return True

    def tell(self, key: Hashable, words: str) -> None:
        """Log a sentence and keep it."""
        if self._told.get(key) != words:
            self._told[key] = words
            logger.warning("%s", words)

    def drop(self, key: Hashable) -> None:
        """Forget a notice that is true no more."""
        self._told.pop(key, None)

    @property
    def problems(self) -> tuple[str, ...]:
        """What was told."""
        return tuple(words for words in tuple(self._told.values()) if words)
