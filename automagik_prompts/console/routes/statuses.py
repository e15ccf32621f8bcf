"""One status: what is said, and that a person's version is kept although the code has changed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.api.segments import AgentName, StatusName
from automagik_prompts.console.forms import Form, Sent
from automagik_prompts.console.pages.deciding.conflict import conflict
from automagik_prompts.console.pages.deciding.situation import situation
from automagik_prompts.console.pages.deciding.status import status_page
from automagik_prompts.console.visitor import Who
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.validation import MAX_VERSION
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import ConflictError, PromptNotFoundError

router = APIRouter()

STATUS = "/agents/{agent}/{status}"

Number = Annotated[int | None, Query(ge=1, le=MAX_VERSION)]
"""The number of a version, or of a revision."""


def revision_of(form: Form) -> int:
    """Return the revision that a form was made for.

    Raises:
        ProblemError: It does not say: every page of the console does.
    """
    revision = form.number("expected_revision")
    if revision is None:
        raise ProblemError(422, "invalid-request", "The form does not say on what state the decision rests.")
    return revision


@router.get("/agents/{agent}")
async def primary(who: Who, agent: AgentName) -> Response:
    """Lead to an agent's primary status."""
    await who.service.authorize(Operation.VIEW, agent)
    found = await who.service.look(lambda database: queries.get_agent(database, agent))
    if found is None:
        raise PromptNotFoundError(f"There is no agent {agent!r}.", agent=agent)
    return who.go("agents", found.name, found.default_status_key)


@router.get(STATUS)
async def status(
    who: Who,
    agent: AgentName,
    status: StatusName,
    version: Number = None,
    after: Annotated[str | None, Query(max_length=1200)] = None,
    done: Number = None,
) -> Response:
    """Show one status."""
    at = await situation(who.service, agent, status)
    page = await status_page(who, at, version=version, after=after, done=done)
    return await who.page("status.html", at="agents", page=page)


@router.post(f"{STATUS}/keep")
async def keep(who: Who, agent: AgentName, status: StatusName, form: Sent) -> Response:
    """Keep a person's version although the code has changed."""
    revision = revision_of(form)
    try:
        done = await who.service.keep(
            agent,
            status,
            code_version=form.number("code_version"),
            note=form.optional("note"),
            expected_revision=revision,
        )
    except ConflictError:
        return await conflict(who, agent, status, since=revision, seen=form.number("seen"))
    return who.go("agents", agent, status, done=done.agent.revision)
