"""What a process logs once: things that do no harm to a run and that a developer did not mean."""

from __future__ import annotations

from collections.abc import Hashable

from automagik_prompts.domain.log import logger

MAX_NOTICES = 1000
"""Notices that a process keeps, at most: a status function can return anything."""


class Notices:
    """Notices, each logged once per process: in the log, and in `health().problems`."""

    def __init__(self) -> None:
        self._logged: dict[Hashable, str] = {}

    def note(self, key: Hashable) -> bool:
        """Return whether a key is new, and keep it; without words, it was looked at and is as it should be."""
        if key in self._logged or len(self._logged) >= MAX_NOTICES:
            return False
        self._logged[key] = ""
        return True

    def log(self, key: Hashable, words: str) -> None:
        """Log a sentence and keep it."""
        if self._logged.get(key) != words:
            self._logged[key] = words
            logger.warning("%s", words)

    def drop(self, key: Hashable) -> None:
        """Forget a notice that is true no more."""
        self._logged.pop(key, None)

    @property
    def problems(self) -> tuple[str, ...]:
        """What was logged."""
        return tuple(words for words in tuple(self._logged.values()) if words)
