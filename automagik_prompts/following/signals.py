"""How a process learns that something was written: a wait that ends early when there may be news.

Polling is the truth and always goes on; what ends a wait early only makes it faster. So a source of changes may lose
any number of signals and the process still follows.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from automagik_prompts.runtime import pressure
from automagik_prompts.settings import Settings, redacted
from automagik_prompts.storage.dialects.postgres import connect_parameters
from automagik_prompts.storage.repository import CHANNEL

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it has no types

logger = logging.getLogger("automagik_prompts")

SAFETY_INTERVAL = 60.0
"""Seconds between two looks at the database while notifications arrive; also, at least, between two proofs that they
do. So an idle process asks two statements a minute."""

SPREAD = 0.02
"""Seconds over which processes spread their reading after a notification that reaches all of them at once."""

PROOF_TIMEOUT = 5.0
"""Seconds within which a notification to oneself must arrive."""

CROWDED = 0.7
"""The share of a server's connections in use from which on a process does not keep one for listening."""

CROWD_INTERVAL = 5.0
"""Seconds after which a process that begins to listen looks again at how many connections are in use, as does one that
is told that they are short; later it looks ever more seldom."""

RETRY = (0.5, 30.0)
"""The first and the longest wait between two attempts to listen, in seconds."""


_SELDOM = 10
"""The number of failed attempts to listen after which the wait is the longest one."""


def backoff(attempt: int, first: float, longest: float) -> float:
    """Return how many seconds to wait before the next attempt: twice as long each time, up to a limit, with jitter."""
    # Bounded before it is raised: after a thousand attempts the number would be too large.
    return min(first * 2.0 ** min(attempt, 30), longest) * random.uniform(0.5, 1.0)


def spacing(looks: int) -> float:
    """Return how many seconds to rest between two looks at a server, after so many: ever longer, up to a minute or so.

    Processes that start together may crowd a server only a while after each has begun; later that is rare, and whoever
    finds it near_connection_limit tells the others.
    """
    return min(CROWD_INTERVAL * 4.0 ** min(looks, 30), SAFETY_INTERVAL) * random.uniform(1.0, 1.25)


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
    def near_connection_limit(self) -> bool:
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

    def reached(self) -> None:
        """Looking goes on as before."""

    def failed(self, error: BaseException) -> bool:  # noqa: ARG002  # the protocol's argument
        """Looking goes on as before."""
        return False

    async def close(self) -> None:
        """Nothing is held."""


class Listening(Polling):
    """Notifications of PostgreSQL, on a connection of its own; a connection from a pool would lose its listeners.

    What is sent while nobody listens is never delivered, so each new connection ends a wait: read again. Whether
    notifications arrive is proved, not assumed: a connection pooler may swallow them without a word. Where connections
    are short, none is kept: those who cannot even read need them more.

    Args:
        settings: The plugin's settings.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.interval)
        self._url = settings.database_url
        self._proved = False
        self._near_limit = False
        self._reached = asyncio.Event()
        self._stirred = asyncio.Event()
        self._due = 0.0
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
    def near_connection_limit(self) -> bool:
        """Whether the server is short of connections."""
        return self._near_limit

    async def wait(self, seconds: float) -> bool:
        """Return when notified, a little spread over the processes, and after so many seconds in any case."""
        notified = await super().wait(seconds)
        if notified:
            await asyncio.sleep(random.uniform(0, SPREAD))
        return notified

    def reached(self) -> None:
        """Let listening begin."""
        self._reached.set()

    def failed(self, error: BaseException) -> bool:
        """Let nobody try to listen to a database that cannot be read; say whether it is short of connections."""
        self._reached.clear()
        refused = pressure.is_refused_for_crowd(error)
        self._near_limit = self._near_limit or refused
        return refused

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
            await self._reached.wait()
            # Where connections are short, try as seldom as after many failures.
            if self._near_limit:
                await asyncio.sleep(backoff(_SELDOM, *RETRY))
            try:
                await self._listen_once()
                attempt = 0
            except Exception as error:  # noqa: BLE001  # polling goes on whatever happens here; the doctor tells
                logger.debug("Listening failed: %s", redacted(f"{type(error).__name__}: {error}", self._url))
                self._near_limit = self._near_limit or pressure.is_refused_for_crowd(error)
                attempt += 1
            if self._proved or self._near_limit:
                # The refresher waits for the long safety interval; from now on it must look more often.
                self._proved = False
                self.wake()
            await asyncio.sleep(backoff(attempt, *RETRY))

    async def _listen_once(self) -> None:
        """Listen on one connection until it is lost or no longer delivers."""
        import asyncpg  # an optional dependency, needed for servers only

        async with asyncio.timeout(PROOF_TIMEOUT * 2):
            connection = await asyncpg.connect(
                **connect_parameters(self._url), server_settings={"application_name": "automagik-prompts listener"}
            )
        try:
            connection.add_termination_listener(lambda _connection: self._look_within(0.0))
            async with asyncio.timeout(PROOF_TIMEOUT):
                await connection.add_listener(CHANNEL, self._notified)
            now, looks = asyncio.get_running_loop().time, 0
            while not connection.is_closed():
                # Before the look: what is told meanwhile may bring the next one forward.
                self._due = now() + spacing(looks)
                self._near_limit = await self._look(connection)
                if self._near_limit:
                    return
                if not self._proved:
                    self._proved = True
                    self.wake()
                while (left := self._due - now()) > 0:
                    self._stirred.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stirred.wait(), left)
                looks += 1
        finally:
            connection.terminate()

    async def _look(self, connection: asyncpg.Connection[Any]) -> bool:
        """Send a notification to oneself and wait for it; say whether connections are short.

        Raises:
            TimeoutError: It did not arrive.
        """
        proof = uuid.uuid4().hex
        arrived = self._proofs[proof] = asyncio.Event()
        try:
            async with asyncio.timeout(PROOF_TIMEOUT):
                near_connection_limit = await pressure.prove_and_look(connection, CHANNEL, proof, CROWDED)
                await arrived.wait()
        finally:
            del self._proofs[proof]
        return near_connection_limit

    def _look_within(self, seconds: float) -> None:
        """Bring the next look forward, if it was to come later."""
        self._due = min(self._due, asyncio.get_running_loop().time() + seconds)
        self._stirred.set()

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == "":
            self.wake()
        elif (proof := self._proofs.get(str(payload))) is not None:
            proof.set()
        elif payload == pressure.NOTICE:
            self._look_within(CROWD_INTERVAL * random.uniform(0.5, 1.5))
