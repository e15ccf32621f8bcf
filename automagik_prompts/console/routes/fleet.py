"""The page of the processes that follow."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from automagik_prompts.console.pages.fleet import fleet_page, newest_write
from automagik_prompts.console.visitor import Who

router = APIRouter()


@router.get("/fleet")
async def fleet(
    who: Who,
    state: Literal["all", "late", "dead"] = "all",
    release: Annotated[str | None, Query(max_length=255)] = None,
    start: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """Show which processes follow, and how far."""
    page = fleet_page(await who.service.fleet(), await newest_write(who.service), state, release, start)
    return await who.page("fleet.html", at="fleet", page=page)
