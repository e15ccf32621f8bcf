"""To how many runs versions were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple


class DayCount(NamedTuple):
    """To how many runs a version was sent on a day (UTC), by one process: its total."""

    prompt_id: int
    day: date
    runs: int


@dataclass(frozen=True, slots=True)
class Usage:
    """To how many runs a version was sent.

    Attributes:
        runs: As long as that is counted.
        recent: In the last seven days (UTC), today included.
        last_day: The last day on which it was sent to one; `None` if it never was, or long ago.
    """

    runs: int
    recent: int
    last_day: date | None


NEVER = Usage(0, 0, None)
"""It was never sent, as far as that was counted."""

RECENT_DAYS = 7
"""Days that count as recent."""

UsageByVersion = Mapping[int, Usage]
"""Usage by the ids of versions; those that were never sent are left out."""
