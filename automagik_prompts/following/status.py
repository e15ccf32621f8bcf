"""How a follower fares: what `health` and `explain` say of the database."""

from __future__ import annotations

from dataclasses import dataclass

from automagik_prompts.domain.keys import SpellingClash
from automagik_prompts.domain.served import State


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """How a follower fares.

    Attributes:
        state: How fresh what is served is.
        since: When that state began, on the monotonic clock.
        error: What keeps the database from being read, without secrets; `None` while it is read.
        read_at: When the database was last read, on the monotonic clock; `None` if it never was.
        listening: Whether notifications are known to arrive.
        unwritten: What stands against writing what the code declares, without secrets; `None` if it is written.
        due: When the next report is due at the latest, on the monotonic clock; `None` if there is no telling.
        clashes: The statuses whose texts were not written, as the database spells them otherwise.
    """

    state: State
    since: float
    error: str | None = None
    read_at: float | None = None
    listening: bool = False
    unwritten: str | None = None
    due: float | None = None
    clashes: tuple[SpellingClash, ...] = ()
