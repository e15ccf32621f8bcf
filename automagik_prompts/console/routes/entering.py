"""Coming in and leaving, where the console stands alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.console.entrance import SESSION, Entrance
from automagik_prompts.console.links import Links
from automagik_prompts.console.visitor import Console

router = APIRouter()


def _entrance(request: Request) -> Entrance:
    console: Console = request.app.state.console
    if console.entrance is None:
        raise ProblemError(404, "not-found", "The address leads nowhere.")
    return console.entrance


@router.get("/enter")
async def enter(request: Request, code: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Take a link that works once, and let its browser in."""
    entrance = _entrance(request)
    if getattr(request.state, "is_head", False):
        return Response()  # who only asks what there is uses nothing up
    if entrance.identify(request) is None:
        session = entrance.enter(code)
        if session is None:
            raise ProblemError(401, "not-identified", "This link was used already, or is too old.")
        response = RedirectResponse(Links(request)(), 303)
        response.set_cookie(entrance.cookie, session, max_age=int(SESSION), httponly=True, samesite="strict")
        return response
    return RedirectResponse(Links(request)(), 303)


@router.post("/leave")
async def leave(request: Request) -> Response:
    """Let this browser in no more."""
    entrance = _entrance(request)
    entrance.leave(request)
    response = RedirectResponse(Links(request)(), 303)
    response.delete_cookie(entrance.cookie, httponly=True, samesite="strict")
    return response
