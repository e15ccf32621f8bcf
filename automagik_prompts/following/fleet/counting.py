"""To how many runs each version was sent by this process: counted in memory, and said as totals."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from datetime import date, timedelta

from automagik_prompts.domain.running.usage import DayCount
from automagik_prompts.storage.repository.running.usage import TOLD_DAYS

TOLD_AT_ONCE = 1_000
"""Totals that are said at once, at most."""


class RunCounts:
    """Counts the runs of one process.

    Args:
        sent: The ids of versions that runs were sent, as runs add them: at no cost, and without a lock.
    """

    def __init__(self, sent: deque[int]) -> None:
        self._sent = sent
        self._totals: Counter[tuple[date, int]] = Counter()
        # What was said, whether or not it arrived; and what is known to have arrived.
        self._said: dict[tuple[date, int], int] = {}
        self._written: dict[tuple[date, int], int] = {}
        # What was said before the last word.
        self._before: dict[tuple[date, int], int] = {}

    def count(self, today: date) -> None:
        """Count what was sent since the last time, as sent today; forget what is too old to be said."""
        for _ in range(len(self._sent)):
            self._totals[today, self._sent.popleft()] += 1
        last = today - timedelta(days=TOLD_DAYS - 1)
        for key in [key for key in self._totals if key[0] < last]:
            self._drop(key)

    def unwritten(self) -> tuple[DayCount, ...]:
        """Return the totals that are not known to be written."""
        new = ((key, runs) for key, runs in self._totals.items() if self._written.get(key) != runs)
        return tuple(DayCount(key[1], key[0], runs) for key, runs in _first(new))

    def say(self, counts: Iterable[DayCount]) -> None:
        """Take note that totals are about to be written."""
        totals = {(one.day, one.prompt_id): one.runs for one in counts}
        self._before = {key: self._said.get(key, 0) for key in totals}
        self._said.update(totals)

    def unsay(self) -> None:
        """Take note that the last word has certainly not arrived: there was no row for it."""
        self._said.update(self._before)

    def written(self, counts: Iterable[DayCount], today: date) -> None:
        """Take note that they are; those of a day that is over are final."""
        for one in counts:
            key = one.day, one.prompt_id
            self._written[key] = one.runs
            if one.day < today and self._totals[key] == one.runs:
                self._drop(key)

    def begin_anew(self) -> None:
        """Count from here on for another process' row: what was said already counts there, if it has arrived at all."""
        self._totals = Counter(
            {key: left for key, runs in self._totals.items() if (left := runs - self._said.get(key, 0))}
        )
        self._said.clear()
        self._written.clear()
        self._before.clear()

    def _drop(self, key: tuple[date, int]) -> None:
        del self._totals[key]
        self._said.pop(key, None)
        self._written.pop(key, None)


def _first(counts: Iterable[tuple[tuple[date, int], int]]) -> list[tuple[tuple[date, int], int]]:
    return [one for one, _ in zip(counts, range(TOLD_AT_ONCE), strict=False)]
