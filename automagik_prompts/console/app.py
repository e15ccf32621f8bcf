"""The console as an ASGI application: it mounts at any prefix, and lives off the plugin's thread alone."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from automagik_prompts.api.limits import Limiter
from automagik_prompts.api.methods import Heads
from automagik_prompts.api.problems import ProblemError
from automagik_prompts.api.segments import Segments
from automagik_prompts.console import faults
from automagik_prompts.console.entrance import Entrance
from automagik_prompts.console.guard import Guard
from automagik_prompts.console.routes import (
    activating,
    around,
    comparing,
    editing,
    entering,
    fleet,
    history,
    home,
    problem,
    requests,
    statuses,
)
from automagik_prompts.console.visitor import Console
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.doors import Identify

ROUTES = (around, entering, home, history, fleet, problem, statuses, comparing, editing, activating, requests)
"""The families of pages, each with its `router`."""


def create_console(
    plugin: PromptPlugin, identify: Identify, label: str | None = None, entrance: Entrance | None = None
) -> ASGIApp:
    """Return the console of a plugin.

    Args:
        plugin: Whose prompts it shows.
        identify: Tells who asks.
        label: What it is the console of, such as `Production`.
        entrance: What lets people in, where the console stands alone.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.console = Console(plugin, identify, Limiter(), label, entrance)
    for module in ROUTES:
        app.include_router(module.router)
    app.add_exception_handler(PromptsError, faults.refused)
    app.add_exception_handler(ProblemError, faults.problem)
    app.add_exception_handler(RequestValidationError, faults.invalid)
    app.add_exception_handler(HTTPException, faults.of_http)
    app.add_exception_handler(Exception, faults.unexpected)

    async def refuse(request: Request, error: ProblemError) -> Response:
        request.scope["app"] = app
        return await faults.fault_page(request, error)

    return Guard(Heads(Segments(app)), refuse)
