"""The events in their order, as server-sent events: who comes back goes on where they were."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.requests import Request

from automagik_prompts.api.admission import identified
from automagik_prompts.api.models.views import EventView
from automagik_prompts.api.problems import ProblemError
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.records import Event
from automagik_prompts.editing.access import feeding
from automagik_prompts.editing.access.feeding import Horizon
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import DatabaseUnavailableError, PromptsError
from automagik_prompts.runtime.doors import Identify

LOOK = 0.5
"""Seconds between two looks while somebody listens; one look serves all of them."""

SILENCE = 15.0
"""Seconds after which a comment is sent, so that nobody takes the stream for dead."""

PATIENCE = 3.0
"""Seconds that a stream waits for transactions under way before it begins."""

AGAIN = 0.5
"""Seconds after which it is asked again who listens: a stream ends with the token, the session or their rights."""

LONGEST = 600.0
"""Seconds after which a stream ends in any case."""

PAGE = 200
"""Events that are read at once."""

MOST = 200
"""Streams of one process, at most."""

MOST_EACH = 10
"""Streams of one actor, at most."""


class Feed:
    """Knows up to which event everything is there; looks only when somebody asks.

    Args:
        service: What reads the database.
    """

    def __init__(self, service: EditService) -> None:
        self._service = service
        self._horizon = Horizon()
        self._looked = 0.0
        self._lock: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._open: Counter[str] = Counter()

    async def settled(self, fresh: float = 0.0) -> int:
        """Return the number up to which nothing can come to be any more.

        Args:
            fresh: How many seconds old the answer may be.
        """
        loop = asyncio.get_running_loop()
        if self._lock is None or self._lock[0] is not loop:
            self._lock = loop, asyncio.Lock()
        async with self._lock[1]:
            if loop.time() - self._looked >= fresh:
                await self._service.look(self._horizon.look)
                self._looked = loop.time()
            return self._horizon.settled

    async def now(self) -> int:
        """Return the number after which a stream begins that is to tell what is done from now on.

        While it is not known what transactions under way will bring, it waits for them, and not for long.
        """
        until = asyncio.get_running_loop().time() + PATIENCE
        while await self.settled() < self._horizon.newest and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110  # nothing tells when a transaction ends
            await asyncio.sleep(LOOK)
        return max(self._horizon.settled, self._horizon.newest)

    def is_lost(self, last: int) -> bool:
        """Return whether an event that somebody has is not there, as far as was looked."""
        return last > self._horizon.newest

    async def follow(self, last: int) -> int:
        """Return the number up to which everything is there, for somebody who has an event.

        A standby may not have it yet: it is waited for, and not for long.

        Args:
            last: The number of the event.

        Raises:
            ProblemError: There is no such event: the database was restored, or is another one.
        """
        until = asyncio.get_running_loop().time() + PATIENCE
        settled = await self.settled()
        while self.is_lost(last):
            if asyncio.get_running_loop().time() >= until:
                raise ProblemError(
                    410,
                    "gone",
                    f"There is no event {last}: the newest is {self._horizon.newest}. The database was restored, or is "
                    "another one. Look at the present state and begin anew.",
                )
            await asyncio.sleep(LOOK)
            settled = await self.settled()
        return settled

    @contextmanager
    def listening(self, actor: str) -> Iterator[None]:
        """Count a stream while it is open.

        Raises:
            ProblemError: There are too many.
        """
        if self._open[actor] >= MOST_EACH or self._open.total() >= MOST:
            raise ProblemError(429, "too-many", "Too many streams are open. Close one first.", {"Retry-After": "5"})
        self._open[actor] += 1
        try:
            yield
        finally:
            self._open[actor] -= 1
            self._open += Counter()  # forgets those at none


async def read(service: EditService, last: int, until: int, limit: int) -> tuple[list[Event], int]:
    """Return the events after one that the policy shows, and how far was read."""
    shown: list[Event] = []
    seen: dict[str, bool] = {}
    while last < until and len(shown) < limit:
        place = last
        found = await service.look(lambda db: feeding.events_after(db, place, until=until, limit=PAGE))  # noqa: B023
        for event in found:
            if event.agent not in seen:
                seen[event.agent] = await service.may_see(event.agent)
            last = event.id
            if seen[event.agent]:
                shown.append(event)
                if len(shown) == limit:
                    return shown, last
        if len(found) < PAGE:
            return shown, until
    return shown, last


@dataclass(slots=True)
class Listener:
    """Somebody who listens to a stream.

    Attributes:
        actor: Who they are.
        service: What they may see.
        request: What they have sent.
        identify: Tells who sends that.
    """

    actor: Actor
    service: EditService
    request: Request
    identify: Identify
    _asked: float = field(default_factory=time.monotonic)

    async def is_there(self) -> bool:
        """Return whether they still listen, and are who they were, with the same rights."""
        if await self.request.is_disconnected():
            return False
        if time.monotonic() - self._asked < AGAIN:
            return True
        try:
            is_same = (await identified(self.request, self.identify)).actor == self.actor
        except ProblemError:
            return False
        except DatabaseUnavailableError:
            return True  # it cannot be known now, and there is nothing to tell either
        self._asked = time.monotonic()
        return is_same


async def stream(feed: Feed, listener: Listener, last: int) -> AsyncGenerator[str]:
    """Yield the events after one for as long as somebody listens, as text/event-stream; first of all nothing.

    Args:
        feed: What knows how far everything is there.
        listener: Who listens.
        last: The event that they have.
    """
    with feed.listening(listener.actor.id):
        yield ""
        async for piece in _pieces(feed, listener, last):
            yield piece


async def _pieces(feed: Feed, listener: Listener, last: int) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    said = loop.time()
    end = said + LONGEST
    yield f"retry: 2000\nid: {last}\n\n"
    while loop.time() < end and await listener.is_there():
        try:
            until = await feed.settled(LOOK)
            if feed.is_lost(last):
                return  # who comes back is told
            events, reached = await read(listener.service, last, until, PAGE) if until > last else ([], last)
        except PromptsError:
            events, reached = [], last  # it is tried again; who listens learns nothing new meanwhile
        if events:
            # At once: between two pieces nobody would notice that the listener has gone.
            yield "".join(map(_told, events))
            said = loop.time()
        elif loop.time() - said > SILENCE:
            said = loop.time()
            yield f": nothing new\nid: {reached}\n\n"
        last = reached
        if not events:
            await asyncio.sleep(LOOK)


def _told(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.action.value}\ndata: {EventView.of(event).model_dump_json()}\n\n"
