"""The API as an ASGI application: it mounts at any prefix, and lives off the plugin's thread alone."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from automagik_prompts._version import __version__
from automagik_prompts.api.door import Door
from automagik_prompts.api.guards import Guard
from automagik_prompts.api.limits import Limiter
from automagik_prompts.api.present import present_state
from automagik_prompts.api.problems import MEDIA_TYPE, Problem, ProblemError, problem, problem_of
from automagik_prompts.api.routes import looking, review, writing
from automagik_prompts.api.segments import Segments
from automagik_prompts.api.stream import Feed
from automagik_prompts.exceptions import ConflictError, PromptsError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.doors import Identify

logger = logging.getLogger("automagik_prompts")

_DESCRIPTIONS = {
    401: "Nobody is known.",
    403: "The policy does not allow it, or the request came from another site.",
    404: "There is no such thing.",
    412: "Somebody else wrote first; `present` says how it stands now.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    422: "The request, a text or a name is refused.",
    428: "It is not said what the write rests on.",
    429: "Too many requests; `Retry-After` says when to come again.",
    503: "The database cannot be used now; what is served is not affected.",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": words,
        "model": Problem,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, words in _DESCRIPTIONS.items()
}


def create_api(plugin: PromptPlugin, identify: Identify) -> ASGIApp:
    """Return the API of a plugin.

    Args:
        plugin: Whose prompts it is about.
        identify: Tells who asks.
    """
    app = FastAPI(
        title="automagik-prompts",
        version=__version__,
        description="Prompts of agents: see, change, compare, check, approve and undo.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        responses=_RESPONSES,
    )
    app.state.door = Door(plugin, identify, Limiter(), Feed(plugin))
    for module in (looking, writing, review):
        app.include_router(module.router, prefix="/api/v1")
    app.add_exception_handler(PromptsError, _refused)
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    return Guard(Segments(app))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, PromptsError)  # noqa: S101  # it is registered for these
    if not isinstance(error, ConflictError):
        return problem_of(error)
    present, tag = await present_state(request)
    response = problem_of(error, present=present)
    if tag is not None:
        response.headers["ETag"] = tag
    return response


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101  # as above
    return problem(error.status, error.kind, error.detail, error.headers, **error.facts)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # as above
    faults = [
        {"at": ".".join(map(str, one["loc"])), "message": one["msg"]}  # not what it held: that may be a text
        for one in error.errors()
    ]
    return problem(422, "invalid-request", "The request is not as the API describes it: see faults.", faults=faults)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # as above
    headers = dict(error.headers or {})
    if error.status_code == 405:
        return problem(405, "method-not-allowed", "This cannot be done here.", headers)
    if error.status_code == 404:
        return problem(404, "not-found", "There is no such resource.", headers)
    return problem(error.status_code, "invalid-request", str(error.detail), headers)


async def _unexpected(_request: Request, error: Exception) -> Response:
    logger.error("A request to the API failed: %s", type(error).__name__)
    return problem(500, "internal", f"Unexpected {type(error).__name__}; the server's log has more.")
