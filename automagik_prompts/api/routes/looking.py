"""Routes that look: agents, statuses, versions, differences, previews, searches."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from automagik_prompts.api.conditions import agent_tag, status_tag
from automagik_prompts.api.document import TAGGED
from automagik_prompts.api.door import After, Limit, Who
from automagik_prompts.api.models.base import items
from automagik_prompts.api.models.bodies import CheckBody, PreviewBody
from automagik_prompts.api.models.pages import AgentPage, MatchPage, StatusPage, VersionPage
from automagik_prompts.api.models.texts import CheckView, DiffView, LineView, MatchView, PreviewView
from automagik_prompts.api.models.views import AgentView, StatusView, VersionText, VersionView
from automagik_prompts.api.segments import AgentName, Flag, Number, StatusName, VersionNumber
from automagik_prompts.domain.differences import compare
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.validation import MAX_VERSION
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError

router = APIRouter()
STATUS = "/agents/{agent}/statuses/{status}"


@router.get("/agents", operation_id="listAgents", tags=["agents"])
async def agents(who: Who, after: After = None, limit: Limit = 100) -> AgentPage:
    """List the agents, by name."""
    page = await who.service.agents(after=after, limit=limit)
    return AgentPage(items=items(AgentView, page.items), next=page.next)


@router.get("/agents/{agent}", operation_id="getAgent", tags=["agents"], responses=TAGGED)
async def agent(who: Who, agent: AgentName, response: Response) -> AgentView:
    """Return an agent; its `ETag` is its revision."""
    await who.service.authorize(Operation.VIEW, agent)
    found = await who.service.look(lambda database: queries.get_agent(database, agent))
    if found is None:
        raise PromptNotFoundError(f"There is no agent {agent!r}.", agent=agent)
    response.headers["ETag"] = agent_tag(found.revision)
    return AgentView.of(found)


@router.get("/statuses", operation_id="listAllStatuses", tags=["statuses"])
async def all_statuses(who: Who, after: After = None, limit: Limit = 100) -> StatusPage:
    """List where each status of all agents stands."""
    page = await who.service.statuses(after=after, limit=limit)
    return StatusPage(items=items(StatusView, page.items), next=page.next)


@router.get("/agents/{agent}/statuses", operation_id="listStatuses", tags=["statuses"])
async def statuses(who: Who, agent: AgentName, after: After = None, limit: Limit = 100) -> StatusPage:
    """List where each status of an agent stands."""
    page = await who.service.statuses(agent, after=after, limit=limit)
    return StatusPage(items=items(StatusView, page.items), next=page.next)


@router.get(STATUS, operation_id="getStatus", tags=["statuses"], responses=TAGGED)
async def status(who: Who, agent: AgentName, status: StatusName, response: Response) -> StatusView:
    """Return where a status stands; its `ETag` is what a write to it rests on."""
    await who.service.authorize(Operation.VIEW, agent)
    key, revision = await who.service.look(lambda database: queries.status_revision(database, agent, status))
    found = await who.service.look(lambda database: queries.summaries(database, key.agent))
    response.headers["ETag"] = status_tag(revision)
    return StatusView.of(next(one for one in found if one.status_key == key.status_key))


@router.get("/agents/{agent}/versions", operation_id="listAllVersions", tags=["versions"])
async def all_versions(who: Who, agent: AgentName, after: After = None, limit: Limit = 100) -> VersionPage:
    """List the versions of an agent, by status and then newest first."""
    page = await who.service.versions(agent, after=after, limit=limit)
    return VersionPage(items=items(VersionView, page.items), next=page.next)


@router.get(f"{STATUS}/versions", operation_id="listVersions", tags=["versions"])
async def versions(
    who: Who, agent: AgentName, status: StatusName, after: After = None, limit: Limit = 100
) -> VersionPage:
    """List the versions of a status, newest first."""
    page = await who.service.versions(agent, status, after=after, limit=limit)
    return VersionPage(items=items(VersionView, page.items), next=page.next)


@router.get(f"{STATUS}/versions/{{version}}", operation_id="getVersion", tags=["versions"])
async def version(who: Who, agent: AgentName, status: StatusName, version: VersionNumber) -> VersionText:
    """Return a version with its text."""
    await who.service.authorize(Operation.VIEW, agent)
    found = await who.service.look(lambda database: queries.get(database, agent, status, version))
    return VersionText.of(found, text=found.prompt_text)


@router.get(f"{STATUS}/diff", operation_id="diffVersions", tags=["versions"])
async def diff(
    who: Who,
    agent: AgentName,
    status: StatusName,
    old: Annotated[Number, Query(ge=1, le=MAX_VERSION)],
    new: Annotated[Number, Query(ge=1, le=MAX_VERSION)],
) -> DiffView:
    """Return how two versions differ: as a unified diff, and as people read it."""
    unified = await who.service.diff(agent, status, old, new)
    before = await who.service.look(lambda database: queries.get(database, agent, status, old))
    after = await who.service.look(lambda database: queries.get(database, agent, status, new))
    lines = compare(before.prompt_text, after.prompt_text)
    return DiffView(old=old, new=new, equal=not unified, unified=unified, lines=items(LineView, lines))


@router.post(f"{STATUS}/check", operation_id="checkText", tags=["versions"])
async def check(who: Who, agent: AgentName, status: StatusName, body: CheckBody) -> CheckView:
    """Check a text as writing it would, and write nothing."""
    target = await who.service.check(agent, status, **body.model_dump())
    return CheckView(agent=target.name, status_key=target.status_key, hints=list(target.hints))


@router.post(f"{STATUS}/preview", operation_id="previewText", tags=["versions"])
async def preview(who: Who, agent: AgentName, status: StatusName, body: PreviewBody) -> PreviewView:
    """Fill a version, or a text that is none yet, with values; nothing is written."""
    if body.text is not None and body.version is not None:
        raise InvalidPromptError("Give a text or the number of a version, not both.")
    found = await who.service.preview(
        agent, status, body.values, version=body.version, text=body.text, format=body.format
    )
    return PreviewView.of(found)


@router.get("/search", operation_id="search", tags=["versions"])
async def search(
    who: Who,
    text: Annotated[str, Query(description="What to look for.", min_length=1, max_length=1000)],
    agent: Annotated[str | None, Query(description="Only this agent.")] = None,
    every_version: Annotated[Flag, Query(description="Whether to look at every version.")] = False,
    match_case: Annotated[Flag, Query(description="Whether upper and lower case are told apart.")] = False,
    after: After = None,
    limit: Limit = 100,
) -> MatchPage:
    """Find lines of active versions that contain a text."""
    page = await who.service.search(
        text, agent=agent, every_version=every_version, match_case=match_case, after=after, limit=limit
    )
    return MatchPage(items=items(MatchView, page.items), next=page.next)
