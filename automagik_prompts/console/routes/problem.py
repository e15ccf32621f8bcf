"""The page about a version that cannot be served."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from automagik_prompts.api.segments import AgentName, StatusName
from automagik_prompts.console.pages.problem import problem_page
from automagik_prompts.console.visitor import Who

router = APIRouter()


@router.get("/agents/{agent}/{status}/problem")
async def problem(who: Who, agent: AgentName, status: StatusName) -> Response:
    """Show why the active version cannot be served, and what one can do."""
    page = await problem_page(who, agent, status)
    return await who.page("problem.html", at="agents", page=page)
