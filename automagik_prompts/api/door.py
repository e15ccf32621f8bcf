"""What every route has: the service on behalf of who asks, their limits, and writes that may be repeated."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response

from automagik_prompts.api.admission import actor_of
from automagik_prompts.api.conditions import status_tag
from automagik_prompts.api.limits import Limiter
from automagik_prompts.api.models.views import EditView
from automagik_prompts.api.problems import ProblemError
from automagik_prompts.api.segments import Number, named
from automagik_prompts.api.stream import Feed
from automagik_prompts.domain.edits import Answer, EditResult, RepeatKey
from automagik_prompts.domain.policy import Actor
from automagik_prompts.editing.access import repeating
from automagik_prompts.editing.pages import MAX_PAGE
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.doors import Identify

TIDY = 3600.0
"""Seconds between two times that old answers are removed."""


@dataclass(slots=True)
class Door:
    """One API in one process.

    Attributes:
        plugin: Whose prompts it is about.
        identify: Tells who asks.
        limiter: How much each may ask.
        feed: The events in their order.
    """

    plugin: PromptPlugin
    identify: Identify
    limiter: Limiter
    feed: Feed
    _tidied: float = field(default_factory=time.monotonic)

    async def tidy(self) -> None:
        """Remove the answers that nobody will ask for any more, from time to time."""
        if time.monotonic() - self._tidied > TIDY:
            self._tidied = time.monotonic()
            await self.plugin.write(repeating.forget)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what does it for them.

    Attributes:
        actor: Who they are.
        service: Does what they may do.
        door: The API.
        request: What they have sent.
    """

    actor: Actor
    service: EditService
    door: Door
    request: Request

    async def write(
        self,
        key: str | None,
        write: Callable[[EditService], Awaitable[EditResult]],
        *,
        created: bool = False,
        waits: bool = True,
        wait: float | None = None,
        unless: Callable[[], Awaitable[None]] | None = None,
    ) -> Response:
        """Carry out a write, or give again what it was answered when it was sent with the same key before.

        Args:
            key: The key.
            write: What to do.
            created: Whether something new comes to be.
            waits: Whether it is what waits where a request for approval does.
            wait: Seconds to wait until all processes follow, at most.
            unless: Raises where the write rests on something that is not so any more; not asked of a repeated one.
        """

        def answer(change: EditResult) -> Answer:
            status = 202 if waits and change.is_waiting else 201 if created else 200
            headers = {"ETag": status_tag(change.agent.revision)}
            if created and change.prompt is not None and self.request.url.path.endswith("/versions"):
                headers["Location"] = f"versions/{change.prompt.version}"
            return Answer(status, headers, EditView.of(change).model_dump_json())

        if key is None:
            if unless is not None:
                await unless()
            return _response(answer(await self._followed(await write(self.service), wait)))
        known = RepeatKey(self.actor.id, key, await self._fingerprint())
        if (before := await self._before(known)) is not None:
            return _response(before, repeated=True)
        try:
            if unless is not None:
                await unless()
            done = await write(self.service.around(repeating.keeping(known, answer)))
        except (repeating.AnsweredMeanwhileError, PromptsError, ProblemError) as error:
            # Of two at once, what refuses one may be what the other one has just done.
            if (before := await self._before(known)) is not None:
                return _response(before, repeated=True)
            if isinstance(error, repeating.AnsweredMeanwhileError):
                raise ProblemError(409, "conflict", "The same write is under way. Send it again.") from None
            raise
        await self.door.tidy()
        return _response(answer(await self._followed(done, wait)))

    async def _followed(self, done: EditResult, wait: float | None) -> EditResult:
        """Wait until all processes follow; what is done is said also where the server ends or the client goes."""
        try:
            return await self.service.follow(done, wait, is_over=self.request.is_disconnected)
        except asyncio.CancelledError:
            return done

    async def _before(self, known: RepeatKey) -> Answer | None:
        """Return what a write was answered that is repeated.

        Raises:
            ProblemError: The key was used for another write.
        """
        try:
            return await self.service.look(lambda database: repeating.find_answer(database, known))
        except repeating.KeyReusedError as error:
            raise ProblemError(422, "key-reused", error.message) from None

    async def _fingerprint(self) -> str:
        """Return what tells one write from another: what is done to what, wherever the API is mounted."""
        route, given = self.request.scope["route"].path, self.request.path_params
        # A status has one spelling, in whatever case it is asked for.
        names = [named(value).casefold() if name == "status" else named(value) for name, value in given.items()]
        asked = json.dumps([self.request.method, route, *names]).encode()
        return hashlib.sha256(asked + await self.request.body()).hexdigest()


def _response(answer: Answer, *, repeated: bool = False) -> Response:
    headers = {**answer.headers, **({"Idempotency-Replayed": "true"} if repeated else {})}
    return Response(answer.body, answer.status, headers, "application/json")


async def caller(request: Request) -> Caller:
    """Return who asks.

    Raises:
        ProblemError: Nobody is known, they ask too much, or for what there is not.
    """
    door: Door = request.app.state.door
    actor = await actor_of(request, door.identify, door.limiter)
    _check_query(request)
    return Caller(actor, door.plugin.acting_as(actor), door, request)


def _check_query(request: Request) -> None:
    """Refuse what an address asks for and nobody would answer: a filter that is spelled wrong would show everything.

    Raises:
        ProblemError: There is such a parameter.
    """
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    if unknown := sorted(set(request.query_params) - set(known)):
        takes = f"It takes {', '.join(known)}." if known else "It takes none."
        raise ProblemError(422, "invalid-request", f"There is no parameter {unknown[0]:.40} here. {takes}")


Who = Annotated[Caller, Depends(caller)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="What you call this write: sent again with the same key, it is done once and answered the same.",
    ),
]
After = Annotated[str | None, Query(description="The `next` of the page before.", max_length=1200)]
Limit = Annotated[Number, Query(description="How many, at most.", ge=1, le=MAX_PAGE)]
