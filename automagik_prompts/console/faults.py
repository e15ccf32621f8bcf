"""What went wrong, as pages: what happened, what still works, and what one can do next."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from automagik_prompts.api.methods import allowed
from automagik_prompts.api.problems import ProblemError, kind_of, told
from automagik_prompts.console.forms import Form, form_of
from automagik_prompts.console.guard import too_large
from automagik_prompts.console.visitor import Console, show
from automagik_prompts.exceptions import PromptsError

logger = logging.getLogger("automagik_prompts")

_AWAY = "Agents go on with what they served last. Nothing can be seen or changed here until it is back."

_HEADINGS = {
    "conflict": "Somebody else was faster",
    "cross-site": "This came from another site",
    "database-unavailable": "The database does not answer",
    "not-allowed": "You may not do this",
    "not-found": "There is no such page",
    "not-identified": "Nobody is signed in",
    "schema": "The database needs another schema",
    "too-large": "This is too long",
    "too-many": "Too much at once",
    "internal": "Something unexpected happened",
    "configuration": "The console cannot work as it is set up",
}
_AGAIN = frozenset(
    {"not-identified", "not-allowed", "too-many", "database-unavailable", "schema", "configuration", "internal"}
)
"""What may be over when the same form is sent again."""

_OTHERWISE = "This cannot be done as it was asked"


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong.

    Attributes:
        status: The status code.
        kind: What kind of problem it is.
        heading: What happened, in a few words.
        detail: What happened and what to do next.
        is_known: Whether it is known who asks, so that there are other pages to go to.
        sent: The form that could not be taken, which can be sent again.
    """

    status: int
    kind: str
    heading: str
    detail: str
    is_known: bool
    sent: Form | None


async def fault_page(request: Request, error: ProblemError) -> Response:
    """Return the page about a problem; nothing is looked up for it, and what was typed stands there.

    Args:
        request: What was asked for.
        error: The problem.
    """
    console: Console = request.app.state.console
    visitor = getattr(request.state, "visitor", None)
    actor = visitor.actor if visitor is not None else None
    heading = _HEADINGS.get(error.kind, _OTHERWISE)
    detail = error.detail if error.kind != "not-identified" else _how_to_come_in(console)
    # A page of another site is given nothing back.
    sent = await form_of(request) if error.kind in _AGAIN else None
    fault = Fault(error.status, error.kind, heading, detail, actor is not None, sent)
    frame = console.frame(request, actor)
    response = show(request, frame, "fault.html", error.status, {"at": "", "fault": fault})
    response.headers.update(error.headers)
    return response


def _how_to_come_in(console: Console) -> str:
    if console.entrance is None:
        return "Sign in to the application that has this console, then come back."
    console.entrance.offer()
    return "Open the link that the terminal shows in which the console was started. Each link works once."


async def refused(request: Request, error: Exception) -> Response:
    """Return the page about one of the library's errors."""
    assert isinstance(error, PromptsError)  # noqa: S101  # it is registered for these
    status, kind = kind_of(error)
    detail = _AWAY if kind == "database-unavailable" else told(error)
    return await fault_page(request, ProblemError(409 if kind == "conflict" else status, kind, detail))


async def invalid(request: Request, error: Exception) -> Response:
    """Return the page about an address that leads nowhere."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # as above
    places = {str(one["loc"][0]) for one in error.errors()}
    if "path" in places:
        return await fault_page(request, ProblemError(404, "not-found", "The address leads nowhere."))
    names = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors()}))
    return await fault_page(
        request, ProblemError(422, "invalid-request", f"The address holds something that is not understood: {names}.")
    )


async def of_http(request: Request, error: Exception) -> Response:
    """Return the page about what the framework refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101  # as above
    if error.status_code == 413:
        return await fault_page(request, too_large())
    if error.status_code == 405:
        headers = {"Allow": allowed(request)}
        return await fault_page(request, ProblemError(405, "method-not-allowed", "This cannot be done here.", headers))
    return await fault_page(request, ProblemError(error.status_code, "not-found", "The address leads nowhere."))


async def problem(request: Request, error: Exception) -> Response:
    """Return the page about a problem of the request itself."""
    assert isinstance(error, ProblemError)  # noqa: S101  # as above
    return await fault_page(request, error)


async def unexpected(request: Request, error: Exception) -> Response:
    """Return the page about what nobody has foreseen."""
    logger.error("A page of the console failed: %s", type(error).__name__)
    return await fault_page(
        request, ProblemError(500, "internal", f"Unexpected {type(error).__name__}; the server's log has more.")
    )
