"""How far all agents were compared with what was read, a few with each look: for what the log does not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from automagik_prompts.domain.summaries import AgentState
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
        # How often slices must still come to the end until all was compared since somebody else wrote.
        self._rounds = 0

    @property
    def is_raised(self) -> bool:
        """Whether all agents are to be compared, slice by slice."""
        return self._rounds > 0

    def settle(self) -> None:
        """Take note that all is compared anyway."""
        self._since = self._now()

    def raise_by_write(self, *, is_beat: bool) -> None:
        """Take note that somebody has written, and that the log does not know what: another application, or a restore.

        Args:
            is_beat: Whether a process has said that it is there. Then that is all, but now and then: both may come
                between two looks.
        """
        if not is_beat or self._now() - self._since >= COMPARE_ANYWAY:
            self._rounds = 1 if self.after == BEFORE_ALL else 2
            self.settle()

    def compared(self, states: Sequence[AgentState]) -> int | None:
        """Take note of a slice that is compared, and return the last id in it; `None` if it was the last slice."""
        last = states[-1].info.id if len(states) >= SLICE else None
        self.after = BEFORE_ALL if last is None else last
        self._rounds -= last is None
        return last
