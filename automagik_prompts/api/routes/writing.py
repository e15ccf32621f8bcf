"""Routes that write: versions, what is active, drafts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from automagik_prompts.api.conditions import IfMatch, IfNoneMatch, draft_tag, expected_counter, expected_revision
from automagik_prompts.api.document import TAGGED
from automagik_prompts.api.door import Caller, Key, Who
from automagik_prompts.api.models.base import items
from automagik_prompts.api.models.bodies import Activation, Change, DraftBody, Keeping, NewVersion, Withdrawal
from automagik_prompts.api.models.pages import DraftList
from automagik_prompts.api.models.views import DraftView, EditView
from automagik_prompts.api.problems import ProblemError
from automagik_prompts.api.routes.looking import STATUS
from automagik_prompts.api.segments import AgentName, StatusName, VersionNumber
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import ConflictError, PromptNotFoundError

router = APIRouter()
VERSION = f"{STATUS}/versions/{{version}}"
WAITS: dict[int | str, dict[str, Any]] = {202: {"model": EditView, "description": "It waits for approval."}}


@router.post(f"{STATUS}/versions", status_code=201, operation_id="createVersion", tags=["versions"], responses=WAITS)
async def create(
    who: Who,
    agent: AgentName,
    status: StatusName,
    body: NewVersion,
    key: Key = None,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> EditView:
    """Write a new version; `If-None-Match: *` for the first one of a status that is not there yet."""
    revision = expected_revision(if_match, if_none_match)
    given = body.model_dump()
    return await who.write(  # type: ignore[return-value]  # the response itself; the model is its description
        key,
        lambda service: service.create(agent, status, **given, expected_revision=revision),
        created=True,
        unless=(lambda: _absent(who, agent, status)) if if_match is None else None,
    )


async def _absent(who: Caller, agent: str, status: str) -> None:
    if not await who.service.may_see(agent):
        return  # the write itself is refused
    try:
        key, revision = await who.service.look(lambda database: queries.status_revision(database, agent, status))
    except PromptNotFoundError:
        return
    raise ConflictError(
        f"{key.agent}/{key.status_key} is there already. Look at it and write to it with If-Match.",
        expected=0,
        actual=revision,
        agent=key.agent,
    )


@router.delete(VERSION, operation_id="deleteVersion", tags=["versions"])
async def delete(
    who: Who,
    agent: AgentName,
    status: StatusName,
    version: VersionNumber,
    key: Key = None,
    if_match: IfMatch = None,
) -> EditView:
    """Delete a version that a person wrote and that is not active; its text is lost."""
    revision = expected_revision(if_match)
    return await who.write(  # type: ignore[return-value]  # as above
        key, lambda service: service.delete(agent, status, version, expected_revision=revision)
    )


@router.post(f"{VERSION}/withdrawal", operation_id="withdrawVersion", tags=["versions"], responses=WAITS)
async def withdraw(
    who: Who,
    agent: AgentName,
    status: StatusName,
    version: VersionNumber,
    body: Withdrawal,
    key: Key = None,
    if_match: IfMatch = None,
) -> EditView:
    """Withdraw a version: nobody is sent it any more."""
    revision, given = expected_revision(if_match), body.model_dump()
    return await who.write(  # type: ignore[return-value]  # as above
        key, lambda service: service.withdraw(agent, status, version, **given, expected_revision=revision)
    )


@router.delete(f"{VERSION}/withdrawal", operation_id="reinstateVersion", tags=["versions"])
async def reinstate(
    who: Who,
    agent: AgentName,
    status: StatusName,
    version: VersionNumber,
    key: Key = None,
    if_match: IfMatch = None,
) -> EditView:
    """Take a withdrawal back; nothing is activated."""
    revision = expected_revision(if_match)
    return await who.write(  # type: ignore[return-value]  # as above
        key, lambda service: service.withdraw(agent, status, version, undo=True, expected_revision=revision)
    )


@router.post(f"{STATUS}/activate", operation_id="activate", tags=["statuses"], responses=WAITS)
async def activate(
    who: Who, agent: AgentName, status: StatusName, body: Activation, key: Key = None, if_match: IfMatch = None
) -> EditView:
    """Make a version the active one; every process follows."""
    revision, given = expected_revision(if_match), body.model_dump(exclude={"wait"})
    return await who.write(  # type: ignore[return-value]  # as above
        key, lambda service: service.activate(agent, status, **given, expected_revision=revision), wait=body.wait
    )


@router.post(f"{STATUS}/rollback", operation_id="rollback", tags=["statuses"], responses=WAITS)
async def rollback(
    who: Who, agent: AgentName, status: StatusName, body: Change, key: Key = None, if_match: IfMatch = None
) -> EditView:
    """Go back to the version that was active before."""
    revision, given = expected_revision(if_match), body.model_dump(exclude={"wait"})
    return await who.write(  # type: ignore[return-value]  # as above
        key, lambda service: service.rollback(agent, status, **given, expected_revision=revision), wait=body.wait
    )


@router.post(f"{STATUS}/deactivate", operation_id="deactivate", tags=["statuses"], responses=WAITS)
async def deactivate(
    who: Who, agent: AgentName, status: StatusName, body: Change, key: Key = None, if_match: IfMatch = None
) -> EditView:
    """Leave a status without an active version of its own."""
    revision, given = expected_revision(if_match), body.model_dump(exclude={"wait"})
    return await who.write(  # type: ignore[return-value]  # as above
        key, lambda service: service.deactivate(agent, status, **given, expected_revision=revision), wait=body.wait
    )


@router.post(f"{STATUS}/keep", operation_id="keep", tags=["statuses"])
async def keep(
    who: Who, agent: AgentName, status: StatusName, body: Keeping, key: Key = None, if_match: IfMatch = None
) -> EditView:
    """Keep a person's version although the code has changed."""
    revision, given = expected_revision(if_match), body.model_dump()
    return await who.write(  # type: ignore[return-value]  # as above
        key, lambda service: service.keep(agent, status, **given, expected_revision=revision)
    )


@router.get("/drafts", operation_id="listDrafts", tags=["drafts"])
async def drafts(who: Who) -> DraftList:
    """List one's own drafts, the one that was saved last first."""
    return DraftList(items=items(DraftView, await who.service.drafts()))


@router.get(f"{STATUS}/draft", operation_id="getDraft", tags=["drafts"], responses=TAGGED)
async def get_draft(who: Who, agent: AgentName, status: StatusName, response: Response) -> DraftView:
    """Return one's own draft for a status."""
    found = await who.service.get_draft(agent, status)
    if found is None:
        raise ProblemError(404, "not-found", f"You have no draft for {agent}/{status}.")
    response.headers["ETag"] = draft_tag(found)
    return DraftView.of(found)


@router.put(f"{STATUS}/draft", operation_id="saveDraft", tags=["drafts"], responses=TAGGED)
async def save_draft(
    who: Who,
    agent: AgentName,
    status: StatusName,
    body: DraftBody,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> DraftView:
    """Save one's own draft; `If-None-Match: *` for the first time."""
    if if_match == "*":
        before = await who.service.get_draft(agent, status)
        counter = before.counter if before is not None else None
    else:
        counter = expected_counter(if_match, if_none_match)
    try:
        found = await who.service.save_draft(agent, status, counter=counter, **body.model_dump())
    except ConflictError as error:
        facts: dict[str, Any] = {"agent": error.agent, "expected": error.expected, "actual": error.actual}
        tag = {}
        if (now := await who.service.get_draft(agent, status)) is not None:
            facts["present"] = DraftView.of(now).model_dump(mode="json")
            tag["ETag"] = draft_tag(now)
        raise ProblemError(412, "conflict", error.message, tag, **facts) from error
    response.headers["ETag"] = draft_tag(found)
    return DraftView.of(found)


@router.delete(
    f"{STATUS}/draft", status_code=204, operation_id="discardDraft", tags=["drafts"], response_class=Response
)
async def discard_draft(who: Who, agent: AgentName, status: StatusName, if_match: IfMatch = None) -> Response:
    """Delete one's own draft; its text is lost."""
    if if_match != "*":
        counter = expected_counter(if_match, None)
        found = await who.service.get_draft(agent, status)
        if found is None or found.counter != counter:
            raise ProblemError(412, "conflict", "The draft was saved or discarded since. Look at it and decide again.")
    await who.service.discard_draft(agent, status)
    return Response(status_code=204)
