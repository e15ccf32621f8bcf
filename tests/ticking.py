"""Seeing whether something keeps an event loop from going on."""

from __future__ import annotations

import asyncio
from typing import Self

TICK = 0.05
"""Seconds between two ticks."""


class Ticker:
    """Ticks in the present event loop, and notes how late the latest tick came.

    Attributes:
        worst: The longest that a tick was late, in seconds; from `TICK` on, one was missed.
        ticks: How many there were.
    """

    def __init__(self) -> None:
        self.worst = 0.0
        self.ticks = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._task is not None
        # One more tick: what blocked the loop to the very end is late too.
        await asyncio.sleep(TICK)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            self.worst = max(self.worst, loop.time() - due)
            self.ticks += 1
