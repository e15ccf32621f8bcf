"""How a process learns that something was written: a wait that ends early when there may be news.

Polling is the truth and always goes on; what ends a wait early only makes it faster. So a source of changes may lose
any number of signals and the process still follows.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from automagik_prompts.db import connect_parameters
from automagik_prompts.repository import CHANNEL
from automagik_prompts.settings import Settings, redacted

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it has no types

logger = logging.getLogger("automagik_prompts")

SAFETY_INTERVAL = 60.0
"""Seconds between two looks at the database while notifications arrive; also between two proofs that they do."""

SPREAD = 0.02
"""Seconds over which processes spread their reading after a notification that reaches all of them at once."""

PROOF_TIMEOUT = 5.0
"""Seconds within which a notification to oneself must arrive."""

CROWDED = 0.7
"""The share of a server's connections in use from which on a process does not keep one for listening."""

RETRY = (0.5, 30.0)
"""The first and the longest wait between two attempts to listen, in seconds."""


class Changes(Protocol):
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
    def crowded(self) -> bool:
        """Whether the server is short of connections, so that none should be kept between two looks."""
        ...

    async def wait(self, seconds: float) -> bool:
        """Return when there may be news, and after so many seconds in any case; whether a signal ended the wait."""
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

    @property
    def listening(self) -> bool:
        """There are no notifications."""
        return False

    @property
    def crowded(self) -> bool:
        """A file has no connections to be short of."""
        return False

    async def wait(self, seconds: float) -> bool:
        """Return after so many seconds, or when woken."""
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            self._woken.clear()
        return True

    def wake(self) -> None:
        """End the present wait, or the next one if there is none."""
        self._woken.set()

    async def close(self) -> None:
        """Nothing is held."""


class Listening(Polling):
    """Notifications of PostgreSQL, on a connection of its own; a connection from a pool would lose its listeners.

    What is sent while nobody listens is never delivered, so each new connection ends a wait: read again. Whether
    notifications arrive is proved, not assumed: a connection pooler may swallow them without a word.

    Args:
        settings: The plugin's settings.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.interval)
        self._url = settings.database_url
        self._proved = False
        self._crowded = False
        self._lost = asyncio.Event()
        self._proofs: dict[str, asyncio.Event] = {}
        self._task = asyncio.get_running_loop().create_task(self._listen())

    @property
    def interval(self) -> float:
        """Seconds after which to look at the database in any case."""
        return SAFETY_INTERVAL if self._proved else self._interval

    @property
    def listening(self) -> bool:
        """Whether notifications are known to arrive."""
        return self._proved

    @property
    def crowded(self) -> bool:
        """Whether the server is short of connections."""
        return self._crowded

    async def wait(self, seconds: float) -> bool:
        """Return when notified, a little spread over the processes, and after so many seconds in any case."""
        notified = await super().wait(seconds)
        if notified:
            await asyncio.sleep(random.uniform(0, SPREAD))
        return notified

    async def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            self._proved = False

    async def _listen(self) -> None:
        """Listen for ever: connect, prove, and begin again when the connection is lost."""
        attempt = 0
        while True:
            try:
                await self._listen_once()
                # Where connections are short, others need them more: look again as seldom as after many failures.
                attempt = 6 if self._crowded else 0
            except Exception as error:  # noqa: BLE001  # polling goes on whatever happens here; the doctor tells
                logger.debug("Listening failed: %s", redacted(f"{type(error).__name__}: {error}", self._url))
                attempt += 1
            self._proved = False
            # The refresher waits for the long safety interval; from now on it must look more often.
            self.wake()
            first, longest = RETRY
            await asyncio.sleep(min(first * 2**attempt, longest) * random.uniform(0.5, 1.0))

    async def _listen_once(self) -> None:
        """Listen on one connection until it is lost or no longer delivers."""
        import asyncpg  # an optional dependency, needed for servers only

        async with asyncio.timeout(PROOF_TIMEOUT * 2):
            connection = await asyncpg.connect(**connect_parameters(self._url))
        try:
            async with asyncio.timeout(PROOF_TIMEOUT):
                self._crowded = await _is_crowded(connection)
            if self._crowded:
                return
            self._lost.clear()
            connection.add_termination_listener(lambda _connection: self._lost.set())
            async with asyncio.timeout(PROOF_TIMEOUT):
                await connection.add_listener(CHANNEL, self._notified)
            while True:
                await self._prove(connection)
                if not self._proved:
                    self._proved = True
                    self.wake()
                if await self._is_lost_within(SAFETY_INTERVAL):
                    return
        finally:
            connection.terminate()

    async def _prove(self, connection: asyncpg.Connection[Any]) -> None:
        """Send a notification to oneself and wait for it.

        Raises:
            TimeoutError: It did not arrive.
        """
        proof = uuid.uuid4().hex
        arrived = self._proofs[proof] = asyncio.Event()
        try:
            async with asyncio.timeout(PROOF_TIMEOUT):
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, proof)
                await arrived.wait()
        finally:
            del self._proofs[proof]

    async def _is_lost_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._lost.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == "":
            self.wake()
        elif (proof := self._proofs.get(str(payload))) is not None:
            proof.set()


async def _is_crowded(connection: asyncpg.Connection[Any]) -> bool:
    """Say whether the server is short of connections; a process that only listens leaves them to others."""
    row = await connection.fetchrow(
        "SELECT (SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,"
        " current_setting('max_connections')::int AS allowed"
    )
    return bool(row is not None and row["used"] > CROWDED * row["allowed"])
