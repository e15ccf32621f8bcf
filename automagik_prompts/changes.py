"""How a process learns that something was written: a wait that ends early when there may be news.

Polling is the truth and always goes on; what ends a wait early only makes it faster. So a source of changes may lose
any number of signals and the process still follows.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Changes(Protocol):
    """A source of signals that something may have been written."""

    @property
    def interval(self) -> float:
        """Seconds after which to look at the database in any case."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when there may be news, and after so many seconds in any case."""
        ...

    def wake(self) -> None:
        """End the present wait, or the next one if there is none; call it on the loop's own thread."""
        ...

    async def close(self) -> None:
        """Release what the source holds."""
        ...


class Polling:
    """A source without signals of its own: only this process' own writes end a wait early.

    Args:
        interval: Seconds between two looks at the database.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._woken = asyncio.Event()

    @property
    def interval(self) -> float:
        """Seconds after which to look at the database in any case."""
        return self._interval

    async def wait(self, seconds: float) -> None:
        """Return after so many seconds, or when woken."""
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    def wake(self) -> None:
        """End the present wait, or the next one if there is none."""
        self._woken.set()

    async def close(self) -> None:
        """Nothing is held."""
