"""Who asks: the application says so for each request; there is no default that lets anyone in."""

from __future__ import annotations

import inspect
import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.domain.policy import Identity
from automagik_prompts.runtime.doors import Identify

logger = logging.getLogger("automagik_prompts")


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
