"""Changing the active version: at once or, where that needs approval, as a request, an approved one or an emergency."""

from __future__ import annotations

from dataclasses import replace

from automagik_prompts.domain.edits import EditResult, Intent
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Action, AgentInfo, Approval, Prompt
from automagik_prompts.domain.review import WAITING, ApprovalRequest, RequestState
from automagik_prompts.domain.text import word
from automagik_prompts.editing.recording import record, remark, result_of, set_active, withdrawn_error
from automagik_prompts.exceptions import InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client

_ACTIONS = {Operation.ACTIVATE: Action.ACTIVATED, Operation.ROLLBACK: Action.ROLLED_BACK}


async def switch(
    db: Client, agent: AgentInfo, status_key: str, operation: Operation, target: Prompt | None, intent: Intent
) -> EditResult:
    """Change the active version of a status, or ask for approval where it needs that.

    Args:
        db: The connection of a transaction.
        agent: The agent, locked.
        status_key: The status.
        operation: `activate`, `rollback` or `deactivate`.
        target: The version that is to be active; `None` to leave the status without one.
        intent: By whom, and why.

    Raises:
        InvalidPromptError: The version is withdrawn.
        NotAllowedError: It needs approval, and nobody said who asks.
        PromptNotFoundError: The version was deleted meanwhile, or none is active that could be deactivated.
    """
    if agent.protection(status_key) is None and not intent.clearance.needs_approval:
        return await carry_out(db, agent, status_key, operation, target, intent)
    active = await repository.get_active_prompt(db, agent.id, status_key)
    if target is not None and active is not None and target.id == active.id:
        return result_of(agent, status_key, active, active, active)  # nothing would change
    check_known(agent, status_key, intent)
    if target is not None and target.id in await repository.get_withdrawn(db, [agent.id]):
        raise withdrawn_error(agent.name, target)
    if intent.emergency:
        number = await add_request(db, agent, status_key, operation, target, active, intent, RequestState.EMERGENCY)
        done = await carry_out(
            db, agent, status_key, operation, target, intent, approval="emergency", request_id=number
        )
        return replace(done, request=await repository.get_request(db, number), is_new_request=True)
    request = await find_waiting(db, agent, status_key, operation, target)
    if request is not None and request.state is RequestState.APPROVED:
        return await finish(db, agent, request, target, intent)
    is_new = request is None
    if request is None:
        request = await ask(db, agent, status_key, operation, target, active, intent)
    elif intent.note and intent.actor_id != request.actor_id:
        # Why somebody else wants the same belongs to it, too.
        await remark(db, agent, status_key, Action.COMMENTED, intent, to=target, request_id=request.id)
    waiting = result_of(agent, status_key, target, active, active)
    return replace(waiting, request=request, is_new_request=is_new)


async def carry_out(
    db: Client,
    agent: AgentInfo,
    status_key: str,
    operation: Operation,
    target: Prompt | None,
    intent: Intent,
    *,
    approval: Approval | None = None,
    request_id: int | None = None,
) -> EditResult:
    """Change the active version, whatever it needs."""
    if target is not None:
        action = _ACTIONS[operation]
        return await set_active(db, agent, target, action, intent, approval=approval, request_id=request_id)
    previous = await repository.get_active_prompt(db, agent.id, status_key)
    if previous is None:
        raise nothing_active(agent.name, status_key)
    await repository.set_prompt_active(db, agent.id, None, status_key)
    await record(
        db,
        agent,
        status_key,
        Action.DEACTIVATED,
        intent,
        to=previous,
        from_version=previous.version,
        approval=approval,
        request_id=request_id,
    )
    return result_of(agent, status_key, None, None, previous)


async def finish(
    db: Client, agent: AgentInfo, request: ApprovalRequest, target: Prompt | None, intent: Intent
) -> EditResult:
    """Carry out a request that is approved; its reason becomes that of the change."""
    because = replace(intent, note=request.note)
    done = await carry_out(
        db,
        agent,
        request.status_key,
        request.operation,
        target,
        because,
        approval="approved",
        request_id=request.id,
    )
    await repository.decide_request(db, request.id, RequestState.DONE, intent.author)
    return replace(done, request=await repository.get_request(db, request.id))


async def ask(
    db: Client,
    agent: AgentInfo,
    status_key: str,
    operation: Operation,
    target: Prompt | None,
    active: Prompt | None,
    intent: Intent,
) -> ApprovalRequest:
    """Write a request, with its event."""
    check_known(agent, status_key, intent)
    if target is None and active is None:
        raise nothing_active(agent.name, status_key)
    number = await add_request(db, agent, status_key, operation, target, active, intent, RequestState.OPEN)
    before = active.version if active is not None else None
    await remark(db, agent, status_key, Action.REQUESTED, intent, to=target, from_version=before, request_id=number)
    request = await repository.get_request(db, number)
    assert request is not None  # noqa: S101  # it was just written
    return request


def check_known(agent: AgentInfo, status_key: str, intent: Intent) -> None:
    """Refuse to change what needs approval on behalf of nobody in particular.

    Raises:
        NotAllowedError: It is not known who acts.
    """
    if intent.actor_id is None:
        raise NotAllowedError(
            f"{agent.name}/{status_key} changes only with another person's approval, so it must be known who asks. Say "
            "it: author=..., --author, or AUTOMAGIK_PROMPTS_AUTHOR.",
            actor=None,
            operation=Operation.REQUEST,
            agent=agent.name,
            status_key=status_key,
        )


async def add_request(
    db: Client,
    agent: AgentInfo,
    status_key: str,
    operation: Operation,
    target: Prompt | None,
    active: Prompt | None,
    intent: Intent,
    state: RequestState,
) -> int:
    """Write a request, and return its number."""
    return await repository.add_request(
        db,
        agent,
        status_key,
        operation,
        target=target,
        active=active,
        state=state,
        author=intent.author,
        actor_id=intent.actor_id,
        note=intent.note,
    )


async def find_waiting(
    db: Client, agent: AgentInfo, status_key: str, operation: Operation, target: Prompt | None
) -> ApprovalRequest | None:
    """Return the request for the same change that waits already."""
    for request in await repository.get_requests(db, agent.id, status_key):
        is_same = request.prompt_id == (target.id if target is not None else None)
        if is_same and (target is not None or request.operation is operation) and request.state in WAITING:
            return request
    return None


def nothing_active(agent: str, status_key: str) -> PromptNotFoundError:
    """Return that there is nothing to deactivate."""
    return PromptNotFoundError(
        f"{agent}/{status_key} has no active version; there is nothing to deactivate.",
        agent=agent,
        status_key=status_key,
    )


def refuse_unapproved(agent: AgentInfo, status_key: str, version: int, intent: Intent) -> None:
    """Refuse to change a protected status on the way to something else.

    Raises:
        InvalidPromptError: It is protected, and this is no emergency.
    """
    if intent.emergency or (agent.protection(status_key) is None and not intent.clearance.needs_approval):
        return
    raise InvalidPromptError(
        f"{agent.name}/{status_key} changes only with approval. Have version {version} activated first: "
        f"automagik-prompts activate {word(agent.name)} {word(status_key)} {version}. Then do this; where it cannot "
        "wait, say so: --emergency (emergency=True).",
        agent=agent.name,
        status_key=status_key,
    )
