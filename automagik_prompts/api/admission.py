"""Who asks: the application says so for each request, before a body is read; no default lets anyone in."""

from __future__ import annotations

import inspect
import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automagik_prompts.api.limits import Limiter
from automagik_prompts.api.problems import ProblemError
from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.runtime.doors import Identify

logger = logging.getLogger("automagik_prompts")

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing."""


async def identified(request: Request, identify: Identify) -> Identity:
    """Return who sends a request.

    Raises:
        ProblemError: Nobody is known.
    """
    if inspect.iscoroutinefunction(identify) or inspect.iscoroutinefunction(getattr(identify, "__call__", None)):  # noqa: B004  # an object with an async call
        found = identify(request)
    else:
        found = await run_in_threadpool(identify, request)
    who = await found if inspect.isawaitable(found) else found
    if isinstance(who, Identity):
        return who
    if who is not None:  # by mistake; it lets nobody in
        logger.error(
            "identify returned a %s, which lets nobody in: it returns Identity(Actor(...)), or None", type(who).__name__
        )
    raise ProblemError(
        401,
        "not-identified",
        "Nobody is signed in. Sign in, or send a token that is still good.",
        {"WWW-Authenticate": "Bearer"},
    )


async def admitted(request: Request, identify: Identify, limiter: Limiter) -> Actor:
    """Return who asks, and count that they did.

    Args:
        request: The request.
        identify: Tells who asks.
        limiter: How much each may ask.

    Raises:
        ProblemError: Nobody is known, or they ask too much.
    """
    try:
        actor = (await identified(request, identify)).actor
    except InvalidPromptError as error:
        raise ProblemError(401, "not-identified", error.message) from error
    if (wait := limiter.take(actor.id)) > 0:
        raise ProblemError(
            429, "too-many", "You ask too much at once. Wait a little.", {"Retry-After": str(max(1, round(wait)))}
        )
    return actor


class Admission:
    """Admits whoever sends a body before that is read; of anybody else it is never read.

    Args:
        app: What answers; it asks `actor_of`.
        identify: Tells who asks.
        limiter: How much each may ask.
    """

    def __init__(self, app: ASGIApp, identify: Identify, limiter: Limiter) -> None:
        self._app = app
        self._identify = identify
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, with who asks, or with why nobody is let in."""
        if scope["type"] != "http" or scope["method"] in SAFE:
            await self._app(scope, receive, send)
            return
        found: Actor | Exception
        try:
            found = await admitted(Request(scope), self._identify, self._limiter)
        except Exception as error:  # noqa: BLE001  # the application tells it as any other of a request
            found, receive = error, _nothing
        await self._app({**scope, "state": {**scope.get("state", {}), "admitted": found}}, receive, send)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def actor_of(request: Request, identify: Identify, limiter: Limiter) -> Actor:
    """Return who asks, as it was found out before the body was read, or now.

    Args:
        request: The request.
        identify: Tells who asks.
        limiter: How much each may ask.

    Raises:
        ProblemError: Nobody is known, or they ask too much.
    """
    found = getattr(request.state, "admitted", None)
    if isinstance(found, Exception):
        raise found
    return found if isinstance(found, Actor) else await admitted(request, identify, limiter)
