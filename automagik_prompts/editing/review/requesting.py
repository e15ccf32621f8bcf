"""Requests for approval: asked for by one person, decided by another; and what people say about versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import NO_INTENT, EditResult, Intent
from automagik_prompts.domain.keys import Status, StatusKeys
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Action, AgentInfo, Prompt
from automagik_prompts.domain.review import WAITING, ApprovalRequest, RequestState
from automagik_prompts.domain.text import word
from automagik_prompts.domain.validation import is_blank, is_number, normalized
from automagik_prompts.editing.finding import find_agent, find_status, find_version
from automagik_prompts.editing.recording import (
    check_seen,
    check_servable,
    lock_agent,
    remark,
    result_of,
    withdrawn_error,
)
from automagik_prompts.editing.review.switching import ask, find_waiting, finish
from automagik_prompts.exceptions import InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database

_OVER = {
    RequestState.DONE: "was carried out",
    RequestState.DECLINED: "was declined",
    RequestState.WITHDRAWN: "was withdrawn",
    RequestState.EMERGENCY: "went through as an emergency",
}


async def find_request(database: Database, request_id: int) -> ApprovalRequest:
    """Return a request.

    Raises:
        PromptNotFoundError: There is none with this number.
        DatabaseUnavailableError: The database cannot be read now.
    """
    found = await database.run(repository.get_request, request_id) if is_number(request_id) else None
    if found is None:
        raise PromptNotFoundError(f"There is no request {request_id!r:.40}. See: automagik-prompts requests")
    return found


def check_about(found: ApprovalRequest, agent: str | None, status: Status | None) -> None:
    """Refuse a request that is about something else than what is named beside it.

    Raises:
        InvalidPromptError: It is.
    """
    is_agent = agent is None or normalized(agent) == found.agent
    if not is_agent or (status is not None and StatusKeys([found.status_key]).find(status) is None):
        raise InvalidPromptError(
            f"Request {found.id} is about {found.agent}/{found.status_key}, not about {agent}/{status}.",
            agent=found.agent,
            status_key=found.status_key,
        )


async def request(
    database: Database,
    agent: str,
    status: Status,
    version: int | None,
    *,
    declared: Mapping[str, DeclaredAgent],
    intent: Intent = NO_INTENT,
) -> EditResult:
    """Ask for a version to be activated, or for a status to be deactivated, whether or not the status is protected."""
    known = await find_agent(database, agent)
    target: Prompt | None = None
    if version is not None:
        target = await find_version(database, known, status, version)
        check_servable(target, known, _exposed(declared, known.name))
    status_key = target.status_key if target is not None else await find_status(database, known, status)
    operation = Operation.ACTIVATE if target is not None else Operation.DEACTIVATE

    async def write(db: Client) -> EditResult:
        locked = await lock_agent(db, known, intent, status_key)
        active = await repository.get_active_prompt(db, locked.id, status_key)
        if target is not None and active is not None and target.id == active.id:
            raise InvalidPromptError(
                f"Version {target.version} of {agent}/{status_key} is active already; there is nothing to request.",
                agent=agent,
                status_key=status_key,
            )
        found = await find_waiting(db, locked, status_key, operation, target)
        is_new = found is None
        if target is not None and target.id in await repository.get_withdrawn(db, [locked.id]):
            raise withdrawn_error(locked.name, target)
        if found is None:
            found = await ask(db, locked, status_key, operation, target, active, intent)
        elif intent.note:
            await remark(db, locked, status_key, Action.COMMENTED, intent, to=target, request_id=found.id)
        waiting = result_of(locked, status_key, target, active, active)
        return replace(waiting, request=found, is_new_request=is_new)

    return await database.transaction(write)


async def approve(
    database: Database,
    request_id: int,
    *,
    activate: bool = True,
    declared: Mapping[str, DeclaredAgent],
    intent: Intent = NO_INTENT,
) -> EditResult:
    """Approve a request; with the last approval that it needs, it is carried out."""
    agent = await find_agent(database, (await find_request(database, request_id)).agent)

    async def write(db: Client) -> EditResult:
        locked, found, target = await _waiting(db, agent, request_id, intent)
        if intent.actor_id is None or intent.actor_id == found.actor_id:
            raise NotAllowedError(
                f"Request {found.id} is by {found.author}, and another person has to approve it.",
                actor=intent.actor_id,
                operation=Operation.APPROVE,
                agent=found.agent,
                status_key=found.status_key,
            )
        if not activate and locked.protection(found.status_key) is None:
            raise InvalidPromptError(
                f"{found.agent}/{found.status_key} is not protected, so nobody need wait to carry this out: to approve "
                "it is to do it. Leave --only (activate=False) out.",
                agent=found.agent,
                status_key=found.status_key,
            )
        if target is not None:
            check_servable(target, locked, _exposed(declared, found.agent))
        if intent.actor_id not in await repository.get_approvers(db, found.id):
            await remark(db, locked, found.status_key, Action.APPROVED, intent, to=target, request_id=found.id)
            found = await _again(db, found.id)
        elif found.state is not RequestState.APPROVED or not activate:
            raise InvalidPromptError(
                f"You have approved request {found.id} already. It takes {found.approvals} approvals.",
                agent=found.agent,
                status_key=found.status_key,
            )
        if activate and found.state is RequestState.APPROVED:
            raised = await lock_agent(db, locked, intent, found.status_key)
            return await finish(db, raised, found, target, intent)
        return await _result(db, locked, found, target)

    return await database.transaction(write)


async def decline(database: Database, request_id: int, *, intent: Intent = NO_INTENT) -> EditResult:
    """Decline a request; a reason is needed."""
    agent = await find_agent(database, (await find_request(database, request_id)).agent)
    if is_blank(intent.note or ""):
        raise InvalidPromptError("Say why it is declined, with a note (--note): who asked has to know.")

    async def write(db: Client) -> EditResult:
        locked, found, target = await _waiting(db, agent, request_id, intent)
        if intent.actor_id is None or intent.actor_id == found.actor_id:
            raise NotAllowedError(
                f"Request {found.id} is by {found.author}; another person declines it, and {found.author} can withdraw "
                f"it: automagik-prompts request --withdraw {found.id}",
                actor=intent.actor_id,
                operation=Operation.DECLINE,
                agent=found.agent,
                status_key=found.status_key,
            )
        return await _close(db, locked, found, target, RequestState.DECLINED, Action.DECLINED, intent)

    return await database.transaction(write)


async def withdraw_request(database: Database, request_id: int, *, intent: Intent = NO_INTENT) -> EditResult:
    """Withdraw one's own request."""
    agent = await find_agent(database, (await find_request(database, request_id)).agent)

    async def write(db: Client) -> EditResult:
        locked, found, target = await _waiting(db, agent, request_id, intent)
        if intent.actor_id is None or intent.actor_id != found.actor_id:
            raise NotAllowedError(
                f"Request {found.id} is by {found.author}, and nobody else can withdraw it. It can be declined: "
                f"automagik-prompts decline {found.id} --note ...",
                actor=intent.actor_id,
                operation=Operation.REQUEST,
                agent=found.agent,
                status_key=found.status_key,
            )
        return await _close(db, locked, found, target, RequestState.WITHDRAWN, Action.REQUEST_WITHDRAWN, intent)

    return await database.transaction(write)


async def comment(
    database: Database,
    agent: str,
    status: Status,
    version: int | None,
    *,
    request_id: int | None = None,
    intent: Intent = NO_INTENT,
) -> EditResult:
    """Say something about a version, a status or a request; it is an event like any other."""
    if is_blank(intent.note or ""):
        raise InvalidPromptError("A comment needs words.")
    known = await find_agent(database, agent)
    target = await find_version(database, known, status, version) if version is not None else None
    status_key = target.status_key if target is not None else await find_status(database, known, status)

    async def write(db: Client) -> EditResult:
        held = await _hold(db, known, status_key, intent)
        await remark(db, held, status_key, Action.COMMENTED, intent, to=target, request_id=request_id)
        active = await repository.get_active_prompt(db, held.id, status_key)
        found = await repository.get_request(db, request_id) if request_id is not None else None
        return replace(result_of(held, status_key, target, active, active), request=found)

    return await database.transaction(write)


async def _waiting(
    db: Client, agent: AgentInfo, request_id: int, intent: Intent
) -> tuple[AgentInfo, ApprovalRequest, Prompt | None]:
    """Return the agent, held, with a request that still can be decided, and the version that it is about.

    Raises:
        InvalidPromptError: It was decided, or has lapsed.
    """
    # The first statement writes, as SQLite wants it.
    held = await repository.hold_agent(db, agent.id)
    found = await repository.get_request(db, request_id)
    if held is None or found is None:
        raise PromptNotFoundError(f"There is no request {request_id} any more.", agent=agent.name)
    await check_seen(db, held, found.status_key, intent)
    if found.state is RequestState.LAPSED:
        raise InvalidPromptError(
            f"Request {found.id}, to {found.what}, has lapsed: another version was activated since, or the version is "
            f"not there any more. Look at the present state and ask again: automagik-prompts request "
            f"{word(found.agent)} {word(found.status_key)} {found.version or ''}".rstrip(),
            agent=found.agent,
            status_key=found.status_key,
        )
    if found.state not in WAITING:
        by = f" by {found.decided_by}" if found.decided_by else ""
        raise InvalidPromptError(
            f"Request {found.id}, to {found.what}, {_OVER[found.state]}{by}; there is nothing to decide.",
            agent=found.agent,
            status_key=found.status_key,
        )
    target = None
    if found.version is not None:
        target = await repository.get_version(db, held.id, found.status_key, found.version)
    return held, found, target


async def _hold(db: Client, agent: AgentInfo, status_key: str, intent: Intent) -> AgentInfo:
    held = await repository.hold_agent(db, agent.id)
    if held is None:
        raise PromptNotFoundError(f"The agent {agent.name!r} was deleted meanwhile.", agent=agent.name)
    await check_seen(db, held, status_key, intent)
    return held


async def _again(db: Client, request_id: int) -> ApprovalRequest:
    found = await repository.get_request(db, request_id)
    assert found is not None  # noqa: S101  # its agent is held
    return found


async def _close(
    db: Client,
    agent: AgentInfo,
    found: ApprovalRequest,
    target: Prompt | None,
    state: RequestState,
    action: Action,
    intent: Intent,
) -> EditResult:
    await repository.decide_request(db, found.id, state, intent.author)
    await remark(db, agent, found.status_key, action, intent, to=target, request_id=found.id)
    return await _result(db, agent, await _again(db, found.id), target)


async def _result(db: Client, agent: AgentInfo, found: ApprovalRequest, target: Prompt | None) -> EditResult:
    active = await repository.get_active_prompt(db, agent.id, found.status_key)
    return replace(result_of(agent, found.status_key, target, active, active), request=found)


def _exposed(declared: Mapping[str, DeclaredAgent], agent: str) -> frozenset[str] | None:
    found = declared.get(agent)
    return found.exposed if found is not None else None
