"""What changes the active version: activating, going back, and leaving a status without one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.api.segments import AgentName, StatusName
from automagik_prompts.console.forms import Form
from automagik_prompts.console.forms import Sent as SentForm
from automagik_prompts.console.pages.deciding.activate import Sent, activate_page, operation_for
from automagik_prompts.console.pages.deciding.conflict import Wanted, conflict
from automagik_prompts.console.pages.deciding.situation import Situation, situation, version_of
from automagik_prompts.console.routes.statuses import STATUS, Number, revision_of
from automagik_prompts.console.visitor import Visitor, Who
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.policy import Operation, TextState
from automagik_prompts.domain.records import SWITCHING
from automagik_prompts.domain.validation import MAX_VERSION, is_blank
from automagik_prompts.exceptions import ConflictError, InvalidPromptError

router = APIRouter()


@router.get(f"{STATUS}/activate")
async def ask(
    who: Who,
    agent: AgentName,
    status: StatusName,
    version: Number = None,
    deactivate: Annotated[str | None, Query()] = None,
) -> Response:
    """Show what changes, for whom, and ask for the reason."""
    if (version is None) == (deactivate is None):
        raise ProblemError(422, "invalid-request", "The address does not say which version is to be active.")
    at = await situation(who.service, agent, status)
    if version is not None and at.active is not None and version == at.active.version:
        return who.go("agents", agent, status)  # it is active already
    page = await activate_page(who, at, version)
    return await who.page("activate.html", at="agents", page=page)


@router.post(f"{STATUS}/activate")
async def activate(who: Who, agent: AgentName, status: StatusName, form: SentForm) -> Response:
    """Make a version the active one, or none; or ask for it where another person has to approve."""
    version, note = _wanted(form), form.text("note").strip()
    at = await situation(who.service, agent, status)
    if form.text("look") == "again":
        page = await activate_page(who, at, version, Sent(note))
        return await who.page("activate.html", at="agents", page=page)
    if is_blank(note):
        return await _again(who, at, version, Sent(note, {"note": "Say why. The reason is kept for good."}))
    revision = revision_of(form)
    try:
        done = await _switch(who, at, version, note, revision)
    except ConflictError:
        (newest,) = (await who.service.events(agent, status, limit=1)).items
        if newest.action in SWITCHING and (newest.version, newest.actor_id) == (version, who.actor.id):
            return who.go("agents", agent, status, done=newest.revision)  # the form was sent twice
        wanted = await _lost(who, at, version, note)
        return await conflict(who, agent, status, since=revision, seen=form.number("seen"), wanted=wanted)
    except InvalidPromptError as error:
        return await _again(who, at, version, Sent(note, {"": error.message}))
    if done.is_waiting and done.request is not None:
        return who.go("requests", done.request.id, done="asked")
    return who.go("agents", agent, status, done=done.agent.revision)


def _wanted(form: Form) -> int | None:
    """Return the version that is to be active; `None` for none.

    Raises:
        ProblemError: The form does not say.
    """
    version = form.number("version")
    if version is None and "version" not in form and form.text("deactivate") != "yes":
        raise ProblemError(422, "invalid-request", "The form does not say which version is to be active.")
    if version is not None and not 0 < version <= MAX_VERSION:
        raise ProblemError(422, "invalid-request", "There is no version of that number.")
    return version


async def _switch(who: Visitor, at: Situation, version: int | None, note: str, revision: int) -> EditResult:
    """Do it, or ask for it where the visitor may only ask."""
    service, agent, status = who.service, at.agent.name, at.status_key
    operation = await operation_for(who, at, version)
    after = TextState.of(await version_of(service, at, version)) if version is not None else None
    may, may_request = [await who.may(one, agent, status, after) for one in (operation, Operation.REQUEST)]
    if may_request and not may:
        return await service.request(agent, status, version, note=note, expected_revision=revision)
    if version is None:
        return await service.deactivate(agent, status, note=note, expected_revision=revision)
    if operation is Operation.ROLLBACK:
        return await service.rollback(agent, status, note=note, expected_revision=revision)
    return await service.activate(agent, status, version, note=note, expected_revision=revision)


async def _lost(who: Visitor, at: Situation, version: int | None, note: str) -> Wanted:
    if version is None:
        return Wanted("a deactivation", None, deactivate=True, note=note)
    target = await version_of(who.service, at, version)
    return Wanted(f"version {version}", target.prompt_text, version, note=note)


async def _again(who: Visitor, at: Situation, version: int | None, sent: Sent) -> Response:
    page = await activate_page(who, at, version, sent)
    return await who.page("activate.html", status=422, at="agents", page=page)
