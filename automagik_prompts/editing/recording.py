"""Writing a change: the lock, what becomes active, and the event that tells of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from automagik_prompts.domain.edits import EditResult, Intent
from automagik_prompts.domain.keys import StatusKeys
from automagik_prompts.domain.records import Action, AgentInfo, Approval, EventCreate, Prompt
from automagik_prompts.domain.text import word
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.templating.content import PromptContent


async def ensure_agent(db: Client, name: str, status_key: str) -> AgentInfo:
    """Add an agent whose primary status is its first one; one that somebody else added meanwhile is that one."""
    await repository.add_agents(db, [AgentInfo(0, name, default_status_key=status_key)])
    added = await repository.get_agent(db, name)
    if added is None:
        raise PromptNotFoundError(f"The agent {name!r} was deleted meanwhile.", agent=name)
    return added


async def lock_agent(db: Client, agent: AgentInfo, intent: Intent, status_key: str) -> AgentInfo:
    """Raise the agent's revision, which is the lock, and see whether a status still is what the caller has seen.

    Raises:
        ConflictError: The status or the agent's facts were written to since the expected revision, or the active
            version is not the one that the policy saw.
        PromptNotFoundError: The agent was deleted meanwhile.
    """
    locked = await repository.lock_agent(db, agent.id)
    if locked is None:
        raise PromptNotFoundError(f"The agent {agent.name!r} was deleted meanwhile.", agent=agent.name)
    await check_unchanged(db, locked, status_key, intent)
    return locked


async def check_unchanged(db: Client, locked: AgentInfo, status_key: str, intent: Intent) -> None:
    """See whether a status of an agent that this transaction has locked still is what the caller has seen.

    Raises:
        ConflictError: As `lock_agent` raises.
    """
    expected, actual = intent.expected_revision, locked.revision - 1
    if expected == 0 and StatusKeys(await repository.get_status_keys(db, locked.id)).find(status_key) is None:
        expected = None  # the first version of a status rests on nothing, and not on the agent's facts either
    if expected is not None and expected != actual:
        newest = await repository.get_status_revision(db, locked.id, status_key)
        # A revision from the future is one of another database, or of one that was restored since.
        if newest > expected or expected > actual:
            who = "that one is not of this database" if expected > actual else "somebody else wrote to it"
            raise ConflictError(
                f"{locked.name}/{status_key} has revision {actual if expected > actual else newest}, not {expected}: "
                f"{who}. Look at the present state and decide again.",
                expected=expected,
                actual=actual,
                agent=locked.name,
            )
    await check_seen(db, locked, status_key, intent)


async def check_seen(db: Client, agent: AgentInfo, status_key: str, intent: Intent) -> None:
    """See whether the active version still is the one that the policy saw.

    Raises:
        ConflictError: It is another one.
    """
    if not intent.clearance.is_asked:
        return
    active = await repository.get_active_prompt(db, agent.id, status_key)
    if (active.id if active is not None else None) != intent.clearance.before:
        now = f"version {active.version} is active now" if active is not None else "none is active now"
        raise ConflictError(
            f"The active version of {agent.name}/{status_key} changed while it was decided whether this may be done: "
            f"{now}. Look at the present state and decide again.",
            expected=max(agent.revision - 1, 0),
            actual=agent.revision,
            agent=agent.name,
        )


async def set_active(
    db: Client,
    agent: AgentInfo,
    prompt: Prompt,
    action: Action,
    intent: Intent,
    *,
    approval: Approval | None = None,
    request_id: int | None = None,
) -> EditResult:
    """Make a version the active one, and append the event that tells of it; return what that did.

    Raises:
        InvalidPromptError: It is withdrawn.
        PromptNotFoundError: It was deleted meanwhile.
    """
    active, before = await repository.activate_prompt(db, prompt)
    if active is None:
        if prompt.id in await repository.get_withdrawn(db, [agent.id]):
            raise withdrawn_error(agent.name, prompt)
        raise PromptNotFoundError(
            f"Version {prompt.version} of {agent.name}/{prompt.status_key} was deleted meanwhile.",
            agent=agent.name,
            status_key=prompt.status_key,
        )
    passed: dict[str, Any] = {"approval": approval, "request_id": request_id}
    await record(db, agent, active.status_key, action, intent, to=active, from_version=before, **passed)
    if agent.default_status_key == active.status_key:
        agent = replace(agent, active_default_prompt_id=active.id)
    return EditResult(agent, active.status_key, active, active.version, before)


def withdrawn_error(agent: str, prompt: Prompt) -> InvalidPromptError:
    """Return what to do about a version that is withdrawn."""
    where = f"{word(agent)} {word(prompt.status_key)} {prompt.version}"
    return InvalidPromptError(
        f"Version {prompt.version} of {agent}/{prompt.status_key} is withdrawn. Use another one, or take that back: "
        f"automagik-prompts withdraw --undo {where}",
        agent=agent,
        status_key=prompt.status_key,
    )


async def record(
    db: Client,
    agent: AgentInfo,
    status_key: str,
    action: Action,
    intent: Intent,
    *,
    to: Prompt | None,
    from_version: int | None = None,
    approval: Approval | None = None,
    request_id: int | None = None,
    revision: int | None = None,
) -> None:
    """Append an event.

    Args:
        db: The connection of a transaction.
        agent: The agent, locked.
        status_key: The status.
        action: What was done.
        intent: By whom and why.
        to: The version concerned.
        from_version: The version that was active before.
        approval: What let a protected status change.
        request_id: The request for approval that it belongs to.
        revision: The agent's revision; one that the status had already, for what changes nothing that is served.
    """
    event = EventCreate(
        agent_id=agent.id,
        status_key=status_key,
        action=action,
        revision=agent.revision if revision is None else revision,
        prompt_id=to.id if to is not None else None,
        version=to.version if to is not None else None,
        from_version=from_version,
        author=intent.author,
        note=intent.note,
        actor_id=intent.actor_id,
        request_id=request_id,
        approval=approval,
    )
    await repository.add_events(db, [event])


async def remark(
    db: Client,
    agent: AgentInfo,
    status_key: str,
    action: Action,
    intent: Intent,
    *,
    to: Prompt | None,
    from_version: int | None = None,
    request_id: int | None = None,
) -> None:
    """Append an event that changes nothing of what is served, so that nobody's expected revision is passed by it."""
    revision = await repository.get_status_revision(db, agent.id, status_key)
    facts: dict[str, Any] = {"from_version": from_version, "request_id": request_id, "revision": revision}
    await record(db, agent, status_key, action, intent, to=to, **facts)


def result_of(
    agent: AgentInfo, status_key: str, prompt: Prompt | None, active: Prompt | None, previous: Prompt | None
) -> EditResult:
    """Return what an edit did."""
    return EditResult(
        agent=agent,
        status_key=status_key,
        prompt=prompt,
        active_version=active.version if active is not None else None,
        previous_version=previous.version if previous is not None else None,
    )


def check_servable(prompt: Prompt, agent: AgentInfo, exposed: Collection[str] | None) -> None:
    """Refuse a version that could not be served; it may have been written by plain SQL or for another release."""
    content = PromptContent(prompt.prompt_text, prompt.format)
    where = {"agent": agent.name, "status_key": prompt.status_key}
    try:
        content.validate(agent.variables if exposed is None else exposed, **where)
        content.check_unchanged(prompt.content_hash, **where, version=prompt.version)
    except InvalidPromptError as error:
        error.message = f"Version {prompt.version} cannot be activated. {error.message}"
        error.args = (error.message,)
        raise
