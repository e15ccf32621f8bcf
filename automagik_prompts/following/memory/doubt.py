"""How far all agents have been compared with the database, a few with each look: the log may not tell everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from automagik_prompts.domain.summaries import AgentState, Changes
from automagik_prompts.storage.repository import SLICE

BEFORE_ALL = 1 - 2**63
"""An id that no agent has: an application may have numbered its own from 0, or below."""

COMPARE_ANYWAY = 600.0
"""Seconds after which all agents of a file are compared again, where it seems that only signs of life were written."""


class Doubt:
    """Whether something was written to a file that its log does not tell, and how far the agents were compared since.

    Args:
        now: Returns the present time.

    Attributes:
        after: The id after which the next slice begins.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.after = BEFORE_ALL
        self._now = now
        self._since = now()
        self._last_beat = ""
        # How often slices must still come to the end until all was compared since somebody else wrote.
        self._rounds = 0

    @property
    def is_raised(self) -> bool:
        """Whether all agents are to be compared, slice by slice."""
        return self._rounds > 0

    def settle(self) -> None:
        """Take note that all is compared anyway."""
        self._since = self._now()

    def looked(self, found: Changes, *, is_written: bool) -> None:
        """Take note of what a look has found.

        Args:
            found: What it has found.
            is_written: Whether somebody has written since the last one. Where the log does not know what, it was
                another application, or a restore; or a process has only said that it is there. Then all are compared
                but now and then, as both may come between two looks. A restore does not bring a later word.
        """
        is_beat = (found.last_beat or "") > self._last_beat
        self._last_beat = found.last_beat or ""
        if is_written and found.agents == () and (not is_beat or self._now() - self._since >= COMPARE_ANYWAY):
            self._rounds = 1 if self.after == BEFORE_ALL else 2
            self.settle()

    def compared(self, states: Sequence[AgentState]) -> int | None:
        """Take note of a slice that is compared, and return the last id in it; `None` if it was the last slice."""
        last = states[-1].info.id if len(states) >= SLICE else None
        self.after = BEFORE_ALL if last is None else last
        self._rounds -= last is None
        return last
