"""Versions that are active no more and that somebody may go on with: few, in memory, read without a lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from automagik_prompts.domain.served import ServedPrompt

MAX_VERSIONS = 500
"""Versions kept, at most; the ones that came first go first."""

MAX_CHARACTERS = 20_000_000
"""Characters of text kept, at most."""


class KeptVersions:
    """Versions by agent, status and number; a version's text never changes, so nothing here ever gets old.

    One thread adds, the plugin's; any thread reads.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, int], ServedPrompt] = {}

    def find(self, agent: str, status_key: str, version: int) -> ServedPrompt | None:
        """Return a version, or `None` if it is not here."""
        return self._kept.get((agent, status_key, version))

    def add(self, prompts: Iterable[ServedPrompt]) -> None:
        """Keep versions, and forget the oldest ones if there are too many."""
        new = {(one.agent, one.status_key, one.version): one for one in prompts if one.version is not None}
        kept = {**self._kept, **new}
        characters = sum(len(prompt.text) for prompt in kept.values())
        for key in tuple(kept):
            if len(kept) <= MAX_VERSIONS and characters <= MAX_CHARACTERS:
                break
            characters -= len(kept.pop(key).text)
        self._kept = kept

    def __iter__(self) -> Iterator[ServedPrompt]:
        return iter(self._kept.values())
