"""Routes around the pages: files that browsers keep, and the colours."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.console.forms import Sent
from automagik_prompts.console.frame import THEME, THEMES
from automagik_prompts.console.links import Links
from automagik_prompts.console.rendering import KINDS, edition, files

router = APIRouter()

FOREVER = "public, max-age=31536000, immutable"
"""How long a browser keeps a file: its address changes with it."""

YEAR = 31_536_000


@router.get("/static/{edition_asked}/{name:path}")
async def static(edition_asked: str, name: str) -> Response:
    """Return a file that browsers keep."""
    content = files().get(name)
    if content is None:
        raise ProblemError(404, "not-found", "The address leads nowhere.")
    kept = FOREVER if edition_asked == edition() else "no-store"  # of another release, under way
    return Response(content, media_type=KINDS[name[name.rindex(".") :]], headers={"Cache-Control": kept})


@router.post("/theme")
async def theme(request: Request, form: Sent) -> Response:
    """Keep the colours that somebody has chosen, in their browser alone."""
    response = RedirectResponse(Links(request).to(form.text("back")), 303)
    chosen = form.text("theme")
    # Without a path it holds for the folder that this is in: the console, wherever it is mounted.
    if chosen in THEMES:
        response.set_cookie(THEME, chosen, max_age=YEAR, path=None, httponly=True, samesite="strict")
    else:
        response.delete_cookie(THEME, path=None)  # type: ignore[arg-type]  # as `set_cookie` takes it
    return response
