"""How two texts of a status differ."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.api.segments import AgentName, StatusName
from automagik_prompts.console.pages.deciding.compare import compare_page
from automagik_prompts.console.pages.deciding.situation import situation
from automagik_prompts.console.routes.statuses import STATUS
from automagik_prompts.console.visitor import Who
from automagik_prompts.domain.text import unified_diff

router = APIRouter()

_KEY = re.compile(r"[1-9][0-9]{0,9}|draft", re.ASCII)

Key = Annotated[str, Query(pattern=f"^(?:{_KEY.pattern})$")]


@router.get(f"{STATUS}/diff")
async def choose(who: Who, agent: AgentName, status: StatusName, a: Key, b: Key) -> Response:
    """Lead to the address of the comparison that was chosen from the lists."""
    return who.go("agents", agent, status, "diff", f"{a}..{b}")


@router.get(f"{STATUS}/diff/{{pair}}")
async def compare(
    who: Who,
    agent: AgentName,
    status: StatusName,
    pair: str,
    whole: Annotated[str | None, Query()] = None,
    plain: Annotated[str | None, Query()] = None,
) -> Response:
    """Show how two versions differ, or a version and one's own draft."""
    old, dots, new = pair.partition("..")
    if not dots or not _KEY.fullmatch(old) or not _KEY.fullmatch(new):
        raise ProblemError(404, "not-found", "The address leads nowhere: it has two versions, as in diff/7..8.")
    at = await situation(who.service, agent, status)
    page = await compare_page(who, at, old, new, whole=whole is not None)
    if plain is not None:
        return PlainTextResponse(unified_diff(page.old.text, page.new.text, page.old.label, page.new.label))
    return await who.page("compare.html", at="agents", page=page)
