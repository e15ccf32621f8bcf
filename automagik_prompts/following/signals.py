"""How a process learns that something was written: a wait that ends early when there may be news.

Polling is the truth and always goes on; what ends a wait early only makes it faster. So a source of signals may lose
any number of them and the process still follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import SystemRandom
from typing import Protocol

CHANCE = SystemRandom()
"""Spreads the waits. Of its own, as the state of `random` is the application's, which may have set it to a seed."""

HEARTBEAT = 8.0
"""Seconds after which an idle connection is asked for a sign of life, which is no statement: one may be lost without a
word."""


def backoff(attempt: int, first: float, longest: float) -> float:
    """Return how many seconds to wait before the next attempt: twice as long each time, up to a limit, with jitter."""
    # Bounded before it is raised: after a thousand attempts the number would be too large.
    return min(first * 2.0 ** min(attempt, 30), longest) * CHANCE.uniform(0.5, 1.0)


class ChangeSignals(Protocol):
    """A source of signals that something may have been written."""

    @property
    def interval(self) -> float:
        """Seconds after which to look at the database in any case."""
        ...

    @property
    def listening(self) -> bool:
        """Whether notifications are known to arrive."""
        ...

    @property
    def unheard(self) -> str | None:
        """Why notifications do not arrive, and what helps; `None` while they do, or while that is not known."""
        ...

    @property
    def near_connection_limit(self) -> bool:
        """Whether the server is short of connections, so that none should be kept between two looks."""
        ...

    async def wait(self, seconds: float) -> bool:
        """Return when there may be news, and after so many seconds in any case; whether a signal ended the wait."""
        ...

    def wake(self) -> None:
        """End the present wait, or the next one if there is none; call it on the loop's own thread."""
        ...

    def reached(self) -> None:
        """Take note that the database was read, so that listening is worth a try."""
        ...

    def failed(self, error: BaseException) -> bool:
        """Take note of what keeps the database from being read; until `reached`, listening is not worth a try.

        Returns:
            Whether the server refused because it has too many connections.
        """
        ...

    async def close(self) -> None:
        """Release what the source holds."""
        ...


async def wait_watchfully(signals: ChangeSignals, seconds: float, check: Callable[[], Awaitable[None]]) -> bool:
    """Wait as a source of signals does, and make sure meanwhile that the connection for the next look is alive.

    Args:
        signals: The source.
        seconds: How long to wait at most.
        check: Raises an error where the connection has died.

    Returns:
        Whether a signal ended the wait.
    """
    now = asyncio.get_running_loop().time
    until = now() + seconds
    while (left := until - now()) > HEARTBEAT:
        if await signals.wait(HEARTBEAT):
            return True
        await check()
    return await signals.wait(max(0.0, left))


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

    @property
    def listening(self) -> bool:
        """There are no notifications."""
        return False

    @property
    def unheard(self) -> str | None:
        """A file has no notifications that could fail to arrive."""
        return None

    @property
    def near_connection_limit(self) -> bool:
        """A file has no connections to be short of."""
        return False

    async def wait(self, seconds: float) -> bool:
        """Return after so many seconds, or when woken."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        # Asked, not concluded from the timeout: in a process that was stopped for a while both come at once.
        is_woken = self._woken.is_set()
        self._woken.clear()
        return is_woken

    def wake(self) -> None:
        """End the present wait, or the next one if there is none."""
        self._woken.set()

    def reached(self) -> None:
        """Looking goes on as before."""

    def failed(self, error: BaseException) -> bool:  # noqa: ARG002  # the protocol's argument
        """Looking goes on as before."""
        return False

    async def close(self) -> None:
        """Nothing is held."""
