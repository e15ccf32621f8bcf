"""The API as an ASGI application: it mounts at any prefix, and lives off the plugin's thread alone."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from automagik_prompts._version import __version__
from automagik_prompts.api.admission import Admission
from automagik_prompts.api.document import PROBLEMS, describe
from automagik_prompts.api.door import Door
from automagik_prompts.api.guards import Guard, too_large
from automagik_prompts.api.limits import Limiter
from automagik_prompts.api.methods import Heads, allowed
from automagik_prompts.api.present import present_state
from automagik_prompts.api.problems import ProblemError, problem, problem_of
from automagik_prompts.api.routes import looking, review, running, writing
from automagik_prompts.api.segments import Segments
from automagik_prompts.api.stream import Feed
from automagik_prompts.exceptions import ConflictError, PromptsError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.doors import Identify

logger = logging.getLogger("automagik_prompts")


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
        openapi_url=None,
        redirect_slashes=False,
        responses=PROBLEMS,
    )
    app.state.door = door = Door(plugin, identify, Limiter(), Feed(plugin))
    for module in (looking, writing, review, running):
        app.include_router(module.router, prefix="/api/v1")
    app.add_exception_handler(PromptsError, _refused)
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    describe(app, "/api/v1/openapi.json")
    app.add_middleware(Admission, identify=identify, limiter=door.limiter)
    return Guard(Heads(Segments(app)))


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


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # as above
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = allowed(request)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        return problem(405, "method-not-allowed", f"This cannot be done here: it takes {headers['Allow']}.", headers)
    if error.status_code == 404:
        return problem(404, "not-found", "There is no such resource.", headers)
    if error.status_code == 413:
        return await _problem(request, too_large())
    # What remains is a body that is no text.
    return problem(422, "invalid-request", str(error.detail), headers)


async def _unexpected(_request: Request, error: Exception) -> Response:
    logger.error("A request to the API failed: %s", type(error).__name__)
    return problem(500, "internal", f"Unexpected {type(error).__name__}; the server's log has more.")
