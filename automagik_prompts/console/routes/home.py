"""The first page: what all agents say now."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from automagik_prompts.console.pages.home import home_page
from automagik_prompts.console.visitor import Who

router = APIRouter()


@router.get("/")
async def home(who: Who) -> Response:
    """Show what all agents say now."""
    return await who.page("home.html", at="agents", page=await home_page(who.service))
