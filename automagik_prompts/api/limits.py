"""How much one actor may ask: a bucket of tokens for each, in memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

RATE = 50.0
"""Requests in a second that one actor may go on sending."""

BURST = 500.0
"""Requests that one actor may send at once."""

ACTORS = 10_000
"""Actors that are remembered; who was not seen for longest is forgotten, and begins anew."""


class Limiter:
    """Counts requests of actors.

    Args:
        rate: Requests in a second.
        burst: Requests at once.
        clock: The time, in seconds.
    """

    def __init__(self, rate: float = RATE, burst: float = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, actor: str) -> float:
        """Count a request, and return after how many seconds the next one may come; 0 where this one may."""
        now = self._clock()
        left, at = self._left.pop(actor, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        self._left[actor] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > ACTORS:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self._rate
