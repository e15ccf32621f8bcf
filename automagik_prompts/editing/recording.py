"""Writing a change: the lock, what becomes active, and the event that tells of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from automagik_prompts.domain.edits import EditResult, Intent
from automagik_prompts.domain.records import Action, AgentInfo, EventCreate, Prompt
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


async def lock_agent(db: Client, agent: AgentInfo, intent: Intent) -> AgentInfo:
    """Raise the agent's revision, which is the lock, and compare it with what the caller expects."""
    locked = await repository.lock_agent(db, agent.id)
    if locked is None:
        raise PromptNotFoundError(f"The agent {agent.name!r} was deleted meanwhile.", agent=agent.name)
    expected, actual = intent.expected_revision, locked.revision - 1
    if expected is not None and expected != actual:
        raise ConflictError(
            f"The agent {agent.name!r} has revision {actual}, not {expected}: somebody else wrote to it. Look at the "
            "present state and decide again.",
            expected=expected,
            actual=actual,
            agent=agent.name,
        )
    return locked


async def set_active(
    db: Client,
    agent: AgentInfo,
    prompt: Prompt,
    action: Action,
    intent: Intent,
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
    await record(db, agent, active.status_key, action, intent, to=active, from_version=before)
    if agent.default_status_key == active.status_key:
        agent = replace(agent, active_default_prompt_id=active.id)
    return EditResult(agent, active.status_key, active, active.version, before)


def withdrawn_error(agent: str, prompt: Prompt) -> InvalidPromptError:
    """Return what to do about a version that is withdrawn."""
    where = f"{agent} {prompt.status_key} {prompt.version}"
    return InvalidPromptError(
        f"Version {prompt.version} of {agent}/{prompt.status_key} is withdrawn. Use another one, or take that back: "
        f"automagik-prompts withdraw {where} --undo",
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
    to: Prompt,
    from_version: int | None = None,
) -> None:
    """Append an event."""
    event = EventCreate(
        agent_id=agent.id,
        status_key=status_key,
        action=action,
        revision=agent.revision,
        prompt_id=to.id,
        version=to.version,
        from_version=from_version,
        author=intent.author,
        note=intent.note,
    )
    await repository.add_events(db, [event])


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
