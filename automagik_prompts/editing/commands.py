"""What people do: create, activate, roll back, deactivate, look back and compare; for the command line, web and API.

Everything is checked before anything is written, and each change is one transaction that leaves its event.
"""

from __future__ import annotations

from collections.abc import Collection

from automagik_prompts.domain.edits import NO_INTENT, EditResult, Intent
from automagik_prompts.domain.keys import Status, StatusKeys
from automagik_prompts.domain.records import Action, AgentInfo, EventCreate, Prompt, PromptCreate
from automagik_prompts.domain.validation import (
    Format,
    check_format,
    check_optional,
    check_text,
)
from automagik_prompts.editing.finding import Target, find_agent, find_status, find_target, find_version
from automagik_prompts.editing.history import version_before
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database
from automagik_prompts.templating.template import check_exposed, compile_template


async def create(
    database: Database,
    agent: str,
    status: Status,
    text: str,
    *,
    format: Format = "handlebars",
    name: str | None = None,
    activate: bool = False,
    new_agent: bool = False,
    new_status: bool = False,
    statuses: Collection[str] = (),
    exposed: Collection[str] | None = None,
    intent: Intent = NO_INTENT,
) -> EditResult:
    """Write a new version of an agent's text for a status.

    Args:
        database: An open database.
        agent: The agent's name.
        status: The status, a string or an enum member.
        text: The text, kept byte for byte.
        format: `"handlebars"`, or `"text"` to serve it verbatim.
        name: A name for people.
        activate: Whether to activate it at once.
        new_agent: Whether an unknown agent may be added; otherwise a misspelt name would make one.
        new_status: Whether a status may be added that neither the code nor the database knows, likewise.
        statuses: The statuses that the code declares, as far as it is here.
        exposed: The variables that the text may use; `None` for the ones stored with the agent.
        intent: Who writes, why, and on what assumption.

    Raises:
        InvalidPromptError: The text, a name or the template is refused.
        PromptNotFoundError: There is no such agent or status, and none is to be added.
        ConflictError: Somebody else wrote first.
        DatabaseUnavailableError: The database cannot be written now.
    """
    target = await check(
        database,
        agent,
        status,
        text,
        format=format,
        name=name,
        new_agent=new_agent,
        new_status=new_status,
        statuses=statuses,
        exposed=exposed,
    )

    async def write(db: Client) -> EditResult:
        locked = await _lock(db, target.agent or await _added(db, target.name, target.status_key), intent)
        # Looked up again under the lock: somebody may have added the status meanwhile, in another spelling.
        keys = StatusKeys(await repository.get_status_keys(db, locked.id))
        status_key = keys.find(target.status_key) or target.status_key
        before = await repository.get_active_prompt(db, locked.id, status_key)
        data = PromptCreate(
            agent_id=locked.id,
            status_key=status_key,
            prompt_text=text,
            format=format,
            name=name,
            author=intent.author,
            note=intent.note,
        )
        written = await repository.create_prompt(db, data)
        await _record(db, locked, status_key, Action.CREATED, intent, to=written, before=None)
        if not activate:
            return _result(locked, status_key, written, before, before)
        active = await _set_active(db, locked, status_key, written, before, Action.ACTIVATED, intent)
        return _result(locked, status_key, active, active, before)

    return await database.transaction(write)


async def activate(
    database: Database,
    agent: str,
    status: Status,
    version: int,
    *,
    exposed: Collection[str] | None = None,
    intent: Intent = NO_INTENT,
) -> EditResult:
    """Make a version the active one of its agent and status; every process follows.

    Args:
        database: An open database.
        agent: The agent's name.
        status: The status, a string or an enum member.
        version: The version's number.
        exposed: The variables that the text may use; `None` for the ones stored with the agent.
        intent: Who writes, why, and on what assumption.

    Raises:
        InvalidPromptError: The version could not be served: it is blank, no template, or uses unexposed variables.
        PromptNotFoundError: There is no such agent, status or version.
        ConflictError: Somebody else wrote first.
        DatabaseUnavailableError: The database cannot be written now.
    """
    known = await find_agent(database, agent)
    wanted = await find_version(database, known, status, version)
    status_key = wanted.status_key
    _check_servable(wanted, known, exposed)

    async def write(db: Client) -> EditResult:
        locked = await _lock(db, known, intent)
        before = await repository.get_active_prompt(db, locked.id, status_key)
        active = await _set_active(db, locked, status_key, wanted, before, Action.ACTIVATED, intent)
        return _result(locked, status_key, active, active, before)

    return await database.transaction(write)


async def rollback(
    database: Database,
    agent: str,
    status: Status,
    *,
    exposed: Collection[str] | None = None,
    intent: Intent = NO_INTENT,
) -> EditResult:
    """Activate the version that was active before the present one; said again, it goes back further.

    After a deactivation it brings back the version that was deactivated.

    Args:
        database: An open database.
        agent: The agent's name.
        status: The status, a string or an enum member.
        exposed: The variables that the text may use; `None` for the ones stored with the agent.
        intent: Who writes, why, and on what assumption.

    Raises:
        InvalidPromptError: The earlier version could not be served.
        PromptNotFoundError: There is no such agent or status, or no version was active before.
        ConflictError: Somebody else wrote first.
        DatabaseUnavailableError: The database cannot be written now.
    """
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)

    async def write(db: Client) -> EditResult:
        locked = await _lock(db, known, intent)
        before = await repository.get_active_prompt(db, locked.id, status_key)
        earlier = await version_before(db, locked, status_key, before)
        _check_servable(earlier, locked, exposed)
        active = await _set_active(db, locked, status_key, earlier, before, Action.ROLLED_BACK, intent)
        return _result(locked, status_key, active, active, before)

    return await database.transaction(write)


async def deactivate(database: Database, agent: str, status: Status, *, intent: Intent = NO_INTENT) -> EditResult:
    """Leave a status without an active version; its agents are served the primary status' text instead.

    Args:
        database: An open database.
        agent: The agent's name.
        status: The status, a string or an enum member.
        intent: Who writes, why, and on what assumption.

    Raises:
        PromptNotFoundError: There is no such agent or status, or no active version.
        ConflictError: Somebody else wrote first.
        DatabaseUnavailableError: The database cannot be written now.
    """
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)

    async def write(db: Client) -> EditResult:
        locked = await _lock(db, known, intent)
        before = await repository.get_active_prompt(db, locked.id, status_key)
        if before is None:
            message = f"{agent}/{status_key} has no active version; there is nothing to deactivate."
            raise PromptNotFoundError(message, agent=agent, status_key=status_key)
        await repository.set_prompt_active(db, locked.id, None, status_key)
        await _record(db, locked, status_key, Action.DEACTIVATED, intent, to=before, before=before)
        return _result(locked, status_key, None, None, before)

    return await database.transaction(write)


async def check(
    database: Database,
    agent: str,
    status: Status,
    text: str,
    *,
    format: Format = "handlebars",
    name: str | None = None,
    new_agent: bool = False,
    new_status: bool = False,
    statuses: Collection[str] = (),
    exposed: Collection[str] | None = None,
) -> Target:
    """Check a text as `create` does, and write nothing.

    Args:
        database: An open database.
        agent: The agent's name.
        status: The status, a string or an enum member.
        text: The text.
        format: How it is read.
        name: A name for people.
        new_agent: Whether the agent may be unknown.
        new_status: Whether the status may be unknown.
        statuses: The statuses that the code declares, as far as it is here.
        exposed: The variables that the text may use; `None` for the ones stored with the agent.

    Returns:
        What would be written to.

    Raises:
        InvalidPromptError: The text, a name or the template is refused.
        PromptNotFoundError: There is no such agent or status, and none is to be added.
        DatabaseUnavailableError: The database cannot be read now.
    """
    target = await find_target(database, agent, status, new_agent=new_agent, new_status=new_status, statuses=statuses)
    where = {"agent": target.name, "status_key": target.status_key}
    check_text(text, **where)
    check_optional(name, "prompt name")
    template = compile_template(text, check_format(format), **where)
    stored = target.agent.variables if target.agent is not None else ()
    check_exposed(template, stored if exposed is None else exposed, **where)
    return target


async def delete(
    database: Database, agent: str, status: Status, version: int, *, intent: Intent = NO_INTENT
) -> EditResult:
    """Delete a version that a person wrote and that is not active; what was done to it stays in the events.

    Its number is never given again, so that no event can mean another text.

    Args:
        database: An open database.
        agent: The agent's name.
        status: The status, a string or an enum member.
        version: The version's number.
        intent: Who deletes, why, and on what assumption.

    Raises:
        InvalidPromptError: The version is active or came from code.
        PromptNotFoundError: There is no such agent, status or version.
        ConflictError: Somebody else wrote first.
        DatabaseUnavailableError: The database cannot be written now.
    """
    known = await find_agent(database, agent)
    status_key = (await find_version(database, known, status, version)).status_key

    async def write(db: Client) -> EditResult:
        locked = await _lock(db, known, intent)
        active = await repository.get_active_prompt(db, locked.id, status_key)
        wanted = await repository.get_version(db, locked.id, status_key, version)
        if wanted is None:
            raise PromptNotFoundError(
                f"Version {version} of {agent}/{status_key} was deleted meanwhile.", agent=agent, status_key=status_key
            )
        _check_deletable(wanted, agent)
        await repository.delete_prompt(db, wanted.id)
        await _record(db, locked, status_key, Action.DELETED, intent, to=wanted, before=None)
        return _result(locked, status_key, wanted, active, active)

    return await database.transaction(write)


def _check_deletable(prompt: Prompt, agent: str) -> None:
    """Refuse to delete what is served, and what the code would not write again because it was seen before."""
    where = f"Version {prompt.version} of {agent}/{prompt.status_key}"
    if prompt.is_active:
        raise InvalidPromptError(
            f"{where} is active. Activate another one, or deactivate it, before you delete it.",
            agent=agent,
            status_key=prompt.status_key,
        )
    if prompt.is_default_from_code:
        raise InvalidPromptError(
            f"{where} came from code and stays: it is how a text of the code is known again. Leave it inactive.",
            agent=agent,
            status_key=prompt.status_key,
        )


def _check_servable(prompt: Prompt, agent: AgentInfo, exposed: Collection[str] | None) -> None:
    """Refuse a version that could not be served; it may have been written by plain SQL or for another release."""
    where = {"agent": agent.name, "status_key": prompt.status_key}
    try:
        check_text(prompt.prompt_text, **where)
        template = compile_template(prompt.prompt_text, check_format(prompt.format), **where)
        check_exposed(template, agent.variables if exposed is None else exposed, **where)
    except InvalidPromptError as error:
        error.message = f"Version {prompt.version} cannot be activated. {error.message}"
        error.args = (error.message,)
        raise


async def _added(db: Client, name: str, status_key: str) -> AgentInfo:
    """Add an agent whose primary status is its first one; one that somebody else added meanwhile is that one."""
    await repository.add_agents(db, [AgentInfo(0, name, default_status_key=status_key)])
    added = await repository.get_agent(db, name)
    if added is None:
        raise PromptNotFoundError(f"The agent {name!r} was deleted meanwhile.", agent=name)
    return added


async def _lock(db: Client, agent: AgentInfo, intent: Intent) -> AgentInfo:
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


async def _set_active(
    db: Client,
    agent: AgentInfo,
    status_key: str,
    prompt: Prompt,
    before: Prompt | None,
    action: Action,
    intent: Intent,
) -> Prompt:
    active = await repository.set_prompt_active(db, agent.id, prompt.id, status_key)
    if active is None:
        raise PromptNotFoundError(
            f"Version {prompt.version} of {agent.name}/{status_key} was deleted meanwhile.",
            agent=agent.name,
            status_key=status_key,
        )
    await _record(db, agent, status_key, action, intent, to=active, before=before)
    return active


async def _record(
    db: Client,
    agent: AgentInfo,
    status_key: str,
    action: Action,
    intent: Intent,
    *,
    to: Prompt,
    before: Prompt | None,
) -> None:
    event = EventCreate(
        agent_id=agent.id,
        status_key=status_key,
        action=action,
        revision=agent.revision,
        prompt_id=to.id,
        version=to.version,
        from_version=before.version if before is not None else None,
        author=intent.author,
        note=intent.note,
    )
    await repository.add_events(db, [event])


def _result(
    agent: AgentInfo, status_key: str, prompt: Prompt | None, active: Prompt | None, before: Prompt | None
) -> EditResult:
    return EditResult(
        agent=agent,
        status_key=status_key,
        prompt=prompt,
        active_version=active.version if active is not None else None,
        previous_version=before.version if before is not None else None,
    )
