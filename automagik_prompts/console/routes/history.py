"""The history: everything that was done, one event, and files of them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response, StreamingResponse

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.console.pages.history import CHOICES, Asked, exported, find_event, history_page, line_of
from automagik_prompts.console.visitor import Who
from automagik_prompts.domain.validation import MAX_NAME_LENGTH, MAX_VERSION

router = APIRouter()
Name = Annotated[str, Query(max_length=MAX_NAME_LENGTH)]
Day = Annotated[str, Query(max_length=10)]

_KINDS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}


def asked(
    person: Name = "",
    agent: Name = "",
    status: Name = "",
    action: Name = "",
    begin: Annotated[Day, Query(alias="from")] = "",
    end: Annotated[Day, Query(alias="to")] = "",
) -> Asked:
    """Return which events an address means; a form sends its empty fields as well."""
    if action not in {one.key for one in CHOICES}:
        raise ProblemError(404, "not-found", "Nothing of that name is ever done.")
    return Asked(person.strip(), agent.strip(), status.strip(), action, _day(begin), _day(end))


def _day(given: str) -> date | None:
    """Return a day.

    Raises:
        ProblemError: It is none.
    """
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise ProblemError(422, "invalid-request", f"{given} is no day. Write it as 2026-11-24.") from None


@router.get("/events")
async def events(
    who: Who,
    asked: Annotated[Asked, Depends(asked)],
    format: Literal["", "csv", "jsonl"] = "",
    after: Annotated[str | None, Query(max_length=20)] = None,
) -> Response:
    """Show what was done, newest first, or hand it out as a file."""
    if format:
        await history_page(who.service, asked, None)  # what is refused is refused before anything is sent
        return StreamingResponse(
            exported(who.service, asked, format),
            media_type=_KINDS[format],
            headers={"Content-Disposition": f'attachment; filename="prompt-events.{format}"'},
        )
    page = await history_page(who.service, asked, after)
    return await who.page("history.html", at="history", page=page, choices=CHOICES)


@router.get("/events/{number}")
async def event(who: Who, number: Annotated[int, Path(ge=1, le=MAX_VERSION)]) -> Response:
    """Show one event."""
    found = await find_event(who.service, number)
    if found is None:
        raise ProblemError(404, "not-found", f"There is no event {number} that you may see.")
    return await who.page("event.html", at="history", line=line_of(found))
