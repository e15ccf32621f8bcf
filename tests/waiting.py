"""Waiting for something to happen, with a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

DEADLINE = 30.0
"""Seconds that a test waits for what must happen; generous, as machines are noisy."""

_PAUSE = 0.005


async def until(holds: Callable[[], object], what: str, seconds: float = DEADLINE) -> float:
    """Wait, on an event loop that goes on, until something holds, and return how long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"within {seconds} s it did not happen that {what}"
        await asyncio.sleep(_PAUSE)
    return time.monotonic() - began


def wait_until(holds: Callable[[], object], what: str, seconds: float = DEADLINE) -> float:
    """Wait, in a thread without an event loop, until something holds, and return how long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"within {seconds} s it did not happen that {what}"
        time.sleep(_PAUSE)
    return time.monotonic() - began
