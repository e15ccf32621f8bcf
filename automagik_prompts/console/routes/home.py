"""The first page: what all agents say now, and the search in all that they say."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from automagik_prompts.console.pages.home import home_page
from automagik_prompts.console.pages.search import search_page
from automagik_prompts.console.visitor import Who
from automagik_prompts.domain.summaries import Meant

router = APIRouter()


@router.get("/")
async def home(
    who: Who,
    q: Annotated[str, Query(max_length=1000)] = "",
    every: Annotated[bool, Query(alias="all")] = False,
    case: bool = False,
    chip: Meant = Meant.ALL,
    after: Annotated[str | None, Query(max_length=1200)] = None,
) -> Response:
    """Show what all agents say now, or where a text stands in it."""
    if q.strip():
        found = await search_page(who.service, q, every_version=every, match_case=case, after=after)
        return await who.page("search.html", at="agents", page=found)
    page = await home_page(who.service, who.actor, who.console.counts, chip, after)
    return await who.page("home.html", at="agents", page=page)
