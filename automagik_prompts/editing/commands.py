"""The transactions behind the verbs of `service`, where their arguments and errors are described.

Everything is checked before anything is written, and each change is one transaction that leaves its event.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from automagik_prompts.domain.edits import NO_INTENT, EditResult, Intent, Target
from automagik_prompts.domain.invisible import described, suspicious
from automagik_prompts.domain.keys import Status, StatusKeys
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Action, Prompt, PromptCreate
from automagik_prompts.domain.validation import (
    Format,
    check_optional,
)
from automagik_prompts.editing.finding import find_agent, find_named, find_status, find_target, find_version
from automagik_prompts.editing.past.earlier import version_before
from automagik_prompts.editing.recording import (
    check_servable,
    ensure_agent,
    lock_agent,
    record,
    result_of,
)
from automagik_prompts.editing.review.drift import base_of
from automagik_prompts.editing.review.switching import switch
from automagik_prompts.editing.withdrawing import (
    FORGOTTEN,
    WITHDRAWN_TEXT,
    is_text_withdrawn,
    withdrawn_text_error,
)
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database
from automagik_prompts.templating.content import PromptContent
from automagik_prompts.templating.lint import lint


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
    allow_invisible: bool = False,
    based_on: int | None = None,
    draft: int | None = None,
    intent: Intent = NO_INTENT,
) -> EditResult:
    """Write a new version of an agent's text for a status."""
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
        allow_invisible=allow_invisible,
    )

    async def write(db: Client) -> EditResult:
        known = target.agent or await ensure_agent(db, target.name, target.status_key)
        locked = await lock_agent(db, known, intent, target.status_key)
        # Looked up again under the lock: somebody may have added the status meanwhile, in another spelling.
        keys = StatusKeys(await repository.get_status_keys(db, locked.id))
        status_key = keys.find(target.status_key) or target.status_key
        if status_key != target.status_key and (intent.expected_revision is not None or intent.clearance.is_asked):
            raise ConflictError(
                f"Somebody has just added the status {status_key!r} to {locked.name}. Look at it and decide again.",
                expected=locked.revision - 1,
                actual=locked.revision,
                agent=locked.name,
            )
        is_withdrawn = await is_text_withdrawn(db, locked, status_key, text)
        if is_withdrawn and activate:
            raise withdrawn_text_error(locked.name, status_key)
        data = PromptCreate(
            agent_id=locked.id,
            status_key=status_key,
            prompt_text=text,
            format=format,
            name=name,
            author=intent.author,
            note=intent.note,
        )
        base = await base_of(db, locked, status_key, based_on)
        written = await repository.create_prompt(db, data)
        if base is not None:
            await repository.set_base(db, written.id, base)
        await record(db, locked, status_key, Action.CREATED, intent, to=written)
        if draft is not None and intent.actor_id is not None:
            await repository.discard_draft(db, locked.id, status_key, intent.actor_id, draft)
        hints = target.hints
        if is_withdrawn:
            await repository.withdraw(db, locked.id, written.id, written.version)
            await record(db, locked, status_key, Action.WITHDRAWN, intent, to=written)
            hints = (*hints, WITHDRAWN_TEXT)
        if activate:
            done = await switch(db, locked, status_key, Operation.ACTIVATE, written, intent)
            return replace(done, hints=(*hints, *done.hints))
        present = await repository.get_active_prompt(db, locked.id, status_key)
        return replace(result_of(locked, status_key, written, present, present), hints=hints)

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
    """Make a version the active one of its agent and status; every process follows."""
    known, wanted = await find_named(database, agent, status, version)
    check_servable(wanted, known, exposed)

    async def write(db: Client) -> EditResult:
        locked = await lock_agent(db, known, intent, wanted.status_key)
        return await switch(db, locked, wanted.status_key, Operation.ACTIVATE, wanted, intent)

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
    """
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)

    async def write(db: Client) -> EditResult:
        locked = await lock_agent(db, known, intent, status_key)
        previous = await repository.get_active_prompt(db, locked.id, status_key)
        earlier = await version_before(db, locked, status_key, previous)
        if intent.clearance.after not in {None, earlier.id}:
            raise ConflictError(
                f"Somebody wrote to {agent}/{status_key} while it was decided whether this may be done: it would go "
                f"back to version {earlier.version} now. Look at the present state and decide again.",
                expected=locked.revision - 1,
                actual=locked.revision,
                agent=agent,
            )
        check_servable(earlier, locked, exposed)
        return await switch(db, locked, status_key, Operation.ROLLBACK, earlier, intent)

    return await database.transaction(write)


async def deactivate(database: Database, agent: str, status: Status, *, intent: Intent = NO_INTENT) -> EditResult:
    """Leave a status without an active version; its agents are served the primary status' text instead."""
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)

    async def write(db: Client) -> EditResult:
        locked = await lock_agent(db, known, intent, status_key)
        return await switch(db, locked, status_key, Operation.DEACTIVATE, None, intent)

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
    allow_invisible: bool = False,
) -> Target:
    """Check a text as `create` does, and write nothing."""
    target = await find_target(database, agent, status, new_agent=new_agent, new_status=new_status, statuses=statuses)
    check_optional(name, "prompt name")
    if exposed is None:
        exposed = target.agent.variables if target.agent is not None else ()
    template = PromptContent(text, format).validate(exposed, agent=target.name, status_key=target.status_key)
    if not allow_invisible and (found := list(suspicious(text))):
        raise InvalidPromptError(
            f"The prompt for {target.name}/{target.status_key} contains invisible characters: {described(found)}. "
            "Remove them, or say that they are meant: --allow-invisible (allow_invisible=True).",
            agent=target.name,
            status_key=target.status_key,
        )
    lost = await _lost(database, target, exposed, template.variables)
    hints = lint(text, format, exposed, used=template.variables, lost=lost)
    return replace(target, hints=tuple(map(str, hints)))


async def _lost(database: Database, target: Target, exposed: Collection[str], used: Collection[str]) -> set[str]:
    """Return the variables that the active version uses and a text for it does not."""
    if target.agent is None:
        return set()
    active = await database.run(repository.get_active_prompt, target.agent.id, target.status_key)
    if active is None:
        return set()
    try:
        before = PromptContent(active.prompt_text, active.format).validate(exposed).variables
    except InvalidPromptError:
        return set()  # what could not be served is no text to compare with
    return {name.removesuffix("?") for name in before} - {name.removesuffix("?") for name in used}


async def delete(
    database: Database, agent: str, status: Status, version: int, *, intent: Intent = NO_INTENT
) -> EditResult:
    """Delete a version that a person wrote and that is not active; what was done to it stays in the events.

    Its number is never given again, so that no event can mean another text.
    """
    known = await find_agent(database, agent)
    status_key = (await find_version(database, known, status, version)).status_key

    async def write(db: Client) -> EditResult:
        locked = await lock_agent(db, known, intent, status_key)
        active = await repository.get_active_prompt(db, locked.id, status_key)
        wanted = await repository.get_version(db, locked.id, status_key, version)
        if wanted is None:
            raise PromptNotFoundError(
                f"Version {version} of {agent}/{status_key} was deleted meanwhile.", agent=agent, status_key=status_key
            )
        _check_deletable(wanted, agent)
        was_withdrawn = wanted.id in await repository.get_withdrawn(db, [locked.id])
        once = await repository.get_activated_versions(db, locked.id, version=version)
        if (status_key, version) in once:
            # Conversations that began with it leave it.
            await repository.withdraw(db, locked.id, wanted.id, version)
        await repository.delete_prompt(db, wanted.id)
        await repository.lapse_requests(db, locked.id, prompt_ids=[wanted.id])
        await record(db, locked, status_key, Action.DELETED, intent, to=wanted)
        is_forgotten = was_withdrawn and not await is_text_withdrawn(db, locked, status_key, wanted.prompt_text)
        hints = (FORGOTTEN,) if is_forgotten else ()
        return replace(result_of(locked, status_key, wanted, active, active), hints=hints)

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
