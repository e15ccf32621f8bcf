"""Notifications of PostgreSQL as a source of signals: proved to arrive, and given up where connections are short."""

from __future__ import annotations

import asyncio

from automagik_prompts.database_url import redacted
from automagik_prompts.domain.log import logger
from automagik_prompts.following import signals
from automagik_prompts.following.signals import CHANCE, Polling, backoff
from automagik_prompts.settings import ENVIRONMENT_PREFIX, Settings
from automagik_prompts.storage.driver_errors import is_refused_for_crowd
from automagik_prompts.storage.listener import NOTICE, Listener, UndeliveredError

SAFETY_INTERVAL = 60.0
"""Seconds between two looks at the database while notifications arrive; also, at least, between two proofs that they
do. So an idle process asks two statements a minute."""

SPREAD = 0.02
"""Seconds over which processes spread their reading after a notification that reaches all of them at once."""

PROOF_TIMEOUT = 5.0
"""Seconds within which a notification must arrive that this process has sent."""

CROWDED = 0.7
"""The share of a server's connections in use from which on a process does not keep one for listening."""

CROWD_INTERVAL = 5.0
"""Seconds after which a process that begins to listen looks again at how many connections are in use, as does one that
is notified that they are short; later it looks ever more seldom."""

RETRY = (0.5, 30.0)
"""The first and the longest wait between two attempts to listen, in seconds."""

_LISTEN_URL = f"{ENVIRONMENT_PREFIX}LISTEN_URL"

_SELDOM = 10
"""The number of failed attempts to listen after which the wait is the longest one."""


def spacing(looks: int) -> float:
    """Return how many seconds to rest between two looks at a server, after so many: ever longer, up to a minute or so.

    Processes that start together may crowd a server only a while after each has begun; later that is rare, and whoever
    finds it crowded notifies the others.
    """
    return min(CROWD_INTERVAL * 4.0 ** min(looks, 30), SAFETY_INTERVAL) * CHANCE.uniform(1.0, 1.25)


class Listening(Polling):
    """Notifications of PostgreSQL, on a connection of its own; a connection from a pool would lose its listeners.

    What is sent while nobody listens is never delivered, so each new connection ends a wait: read again. Whether
    notifications arrive is proved, not assumed: a connection pooler may deliver one's own and swallow all others'
    without a word. So the first proof comes from another connection, and every one behind a pooler. Where connections
    are short, none is kept: those who cannot even read need them more.

    Args:
        settings: The plugin's settings.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.interval)
        self._sender = settings.database_url
        self._url = settings.listen_url or settings.database_url
        self._apart = settings.listen_url is not None
        self._unheard: str | None = None
        self._told: str | None = None
        self._proved = False
        self._near_limit = False
        self._reached = asyncio.Event()
        self._stirred = asyncio.Event()
        self._due = 0.0
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
    def unheard(self) -> str | None:
        """Why notifications do not arrive, and what helps; `None` while they do, or while that is not known."""
        return self._unheard

    @property
    def near_connection_limit(self) -> bool:
        """Whether the server is short of connections."""
        return self._near_limit

    async def wait(self, seconds: float) -> bool:
        """Return when notified, a little spread over the processes, and after so many seconds in any case."""
        notified = await super().wait(seconds)
        if notified:
            await asyncio.sleep(CHANCE.uniform(0, SPREAD))
        return notified

    def reached(self) -> None:
        """Let listening begin."""
        self._reached.set()

    def failed(self, error: BaseException) -> bool:
        """Let nobody try to listen to a database that cannot be read; say whether it is short of connections."""
        self._reached.clear()
        refused = is_refused_for_crowd(error)
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
            pause = 0.0
            try:
                await self._listen_once()
                attempt = 0
            except UndeliveredError as error:
                attempt += 1
                if not self._proved:
                    # What was delivered before may only be late; what never was will not be soon.
                    self._hear_nothing(self._undelivered(direct=error.direct))
                    pause = spacing(_SELDOM)
            except Exception as error:  # noqa: BLE001  # polling goes on whatever happens here; `doctor` reports it
                words = redacted(redacted(f"{type(error).__name__}: {error}", self._url), self._sender)
                logger.debug("Listening failed: %s", words)
                self._near_limit = self._near_limit or is_refused_for_crowd(error)
                attempt += 1
                if self._apart and not self._near_limit:
                    self._hear_nothing(f"{_LISTEN_URL} cannot be listened at ({words}). {self._polling}. Correct it.")
            if self._proved or self._near_limit:
                # The follower waits for the long safety interval; from now on it must look more often.
                self._proved = False
                self.wake()
            await asyncio.sleep(pause or backoff(attempt, *RETRY))

    async def _listen_once(self) -> None:
        """Listen on one connection until it is lost or no longer delivers."""
        connection = await Listener.connect(
            self._url, PROOF_TIMEOUT, notified=self._notified, lost=lambda: self._look_within(0.0)
        )
        try:
            now, looks = asyncio.get_running_loop().time, 0
            while not connection.is_closed:
                # Before the look: a notification meanwhile may bring the next one forward.
                self._due = now() + spacing(looks)
                sender = None if connection.is_direct and looks > 0 else self._sender
                self._near_limit = await connection.prove(PROOF_TIMEOUT, CROWDED, sender)
                self._unheard = None
                if self._near_limit:
                    return
                if not self._proved:
                    self._proved = True
                    self.wake()
                while (left := self._due - now()) > 0:
                    self._stirred.clear()
                    try:
                        await asyncio.wait_for(self._stirred.wait(), min(left, signals.HEARTBEAT))
                    except TimeoutError:
                        await connection.check_alive(PROOF_TIMEOUT)
                looks += 1
        finally:
            connection.terminate()

    @property
    def _polling(self) -> str:
        return f"Changes are found by polling every {self._interval:g} s"

    def _undelivered(self, *, direct: bool) -> str:
        """Return why notifications do not arrive that were sent, and what helps."""
        if direct and self._apart:
            return (
                f"Notifications do not arrive at {_LISTEN_URL}. {self._polling}. It must name the same database of the "
                "same server as the database URL."
            )
        if direct:
            return f"Notifications do not arrive, although the server sends them. {self._polling}."
        if self._apart:
            return (
                f"A pooler stands between {_LISTEN_URL} and the server, and notifications do not arrive. "
                f"{self._polling}. Name the server itself there, or use the pooler in session mode."
            )
        return (
            f"A pooler stands between this process and the server, and notifications do not arrive. {self._polling}. "
            f"Give {_LISTEN_URL} a direct way to the server, or use the pooler in session mode."
        )

    def _hear_nothing(self, why: str) -> None:
        """Say, once for as long as it is the same, why notifications do not arrive."""
        if why != self._told:
            self._told = why
            logger.warning("%s", why)
        self._unheard = why
        self.wake()

    def _look_within(self, seconds: float) -> None:
        """Bring the next look forward, if it was to come later."""
        self._due = min(self._due, asyncio.get_running_loop().time() + seconds)
        self._stirred.set()

    def _notified(self, payload: str) -> None:
        if payload == "":
            self.wake()
        elif payload == NOTICE:
            self._look_within(CROWD_INTERVAL * CHANCE.uniform(0.5, 1.5))
