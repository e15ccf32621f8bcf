"""Withdrawing a version: nobody is sent it any more, also no conversation that began with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from automagik_prompts.domain.edits import NO_INTENT, EditResult, Intent
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Action, AgentInfo, Prompt
from automagik_prompts.domain.text import content_hash, word
from automagik_prompts.editing.finding import find_agent, find_version
from automagik_prompts.editing.recording import (
    check_servable,
    lock_agent,
    record,
    result_of,
    withdrawn_error,
)
from automagik_prompts.editing.review.switching import refuse_unapproved, switch
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database

WITHDRAWN_TEXT = "This text is withdrawn for this status, and the new version with it."

FORGOTTEN = (
    "The version was withdrawn. With its last version a text is forgotten, and whoever writes it again may activate "
    "it; as long as a withdrawn version is kept, its text cannot come back."
)

STILL_IN_CODE = (
    "The code has this text, as far as is known here: it still stands in where nothing else is active, such as while "
    "the database has not been read. Take it out of the code, too."
)


async def withdraw(
    database: Database,
    agent: str,
    status: Status,
    version: int,
    *,
    activate: int | None = None,
    exposed: Collection[str] | None = None,
    code: Collection[str] = (),
    intent: Intent = NO_INTENT,
) -> EditResult:
    """Withdraw a version, and activate another one in its place if it is the active one.

    What is withdrawn is its text: versions of the status that have the same text are withdrawn with it.

    Args:
        database: An open database.
        agent: The agent's name.
        status: The status.
        version: The version's number.
        activate: The version that is activated with it.
        exposed: The variables that the agent's code exposes.
        code: The hashes of the agent's texts in code, as far as it is here.
        intent: Who writes, and why.
    """
    known = await find_agent(database, agent)
    wanted = await find_version(database, known, status, version)
    instead = await _find_instead(database, known, wanted, activate, exposed) if activate is not None else None
    if instead is None and (done := await database.run(_is_done, known, wanted)) is not None:
        return done

    async def write(db: Client) -> EditResult:
        locked = await lock_agent(db, known, intent, wanted.status_key)
        present, others = await _present(db, locked, wanted)
        active = await repository.get_active_prompt(db, locked.id, wanted.status_key)
        if active is not None and active.content_hash == present.content_hash and instead is None:
            same = "" if active.version == version else f", which has the same text as version {version},"
            raise InvalidPromptError(
                f"Version {active.version} of {agent}/{wanted.status_key}{same} is active. Say which one takes its "
                f"place: --activate N (activate=N); automagik-prompts history "
                f"{word(known.name)} {word(wanted.status_key)} lists them.",
                agent=agent,
                status_key=wanted.status_key,
            )
        now, switched = active, None
        if instead is not None:
            if active is None or active.id != instead.id:
                refuse_unapproved(locked, wanted.status_key, instead.version, intent)
            switched = await switch(db, locked, wanted.status_key, Operation.ACTIVATE, instead, intent)
            now = switched.prompt
        for one in (present, *others):
            if await repository.withdraw(db, locked.id, one.id, one.version):
                await record(db, locked, wanted.status_key, Action.WITHDRAWN, intent, to=one)
        await repository.lapse_requests(db, locked.id, prompt_ids=[one.id for one in (present, *others)])
        newest = await repository.find_code_default_prompt(db, locked.id, wanted.status_key)
        in_code = present.content_hash in code or (newest is not None and newest.content_hash == present.content_hash)
        hints = (*_same_text(others, "withdrawn with it"), *((STILL_IN_CODE,) if in_code else ()))
        withdrawn = replace(present, is_active=False, is_withdrawn=True)
        done = replace(result_of(locked, wanted.status_key, withdrawn, now, active), hints=hints)
        if switched is None:
            return done
        return replace(done, request=switched.request, is_new_request=switched.is_new_request)

    return await database.transaction(write)


async def reinstate(
    database: Database, agent: str, status: Status, version: int, *, intent: Intent = NO_INTENT
) -> EditResult:
    """Take a withdrawal back, for all versions of the status that have the text; nothing is activated."""
    known = await find_agent(database, agent)
    wanted = await find_version(database, known, status, version)

    async def write(db: Client) -> EditResult:
        locked = await lock_agent(db, known, intent, wanted.status_key)
        present, others = await _present(db, locked, wanted)
        active = await repository.get_active_prompt(db, locked.id, wanted.status_key)
        back = [one for one in (present, *others) if await repository.reinstate(db, locked.id, one.id)]
        if not back:
            raise InvalidPromptError(
                f"Version {version} of {agent}/{wanted.status_key} is not withdrawn; there is nothing to take back.",
                agent=agent,
                status_key=wanted.status_key,
            )
        for one in back:
            await record(db, locked, wanted.status_key, Action.REINSTATED, intent, to=one)
        hints = _same_text(others, "withdrawn no more either")
        return replace(result_of(locked, wanted.status_key, present, active, active), hints=hints)

    return await database.transaction(write)


async def check_not_withdrawn(db: Client, agent: AgentInfo, prompt: Prompt) -> None:
    """Refuse a version that is withdrawn."""
    if prompt.id in await repository.get_withdrawn(db, [agent.id]):
        raise withdrawn_error(agent.name, prompt)


async def is_text_withdrawn(db: Client, agent: AgentInfo, status_key: str, text: str) -> bool:
    """Return whether a status has a withdrawn version with a text; one that is written anew is withdrawn, too."""
    return (agent.id, status_key, content_hash(text)) in await repository.get_withdrawn_texts(db, [agent.id])


def withdrawn_text_error(agent: str, status_key: str) -> InvalidPromptError:
    """Return what to do about a new text that is withdrawn."""
    return InvalidPromptError(
        f"This text is withdrawn for {agent}/{status_key}, so it cannot be activated. Write another one, or take "
        f"the withdrawal back: automagik-prompts history {word(agent)} {word(status_key)} says of which version.",
        agent=agent,
        status_key=status_key,
    )


async def _find_instead(
    database: Database, agent: AgentInfo, wanted: Prompt, activate: int, exposed: Collection[str] | None
) -> Prompt:
    """Return the version that takes the place of one that is withdrawn."""
    found = await find_version(database, agent, wanted.status_key, activate)
    if found.content_hash == wanted.content_hash:
        raise InvalidPromptError(
            f"Version {found.version} of {agent.name}/{wanted.status_key} has the text that is to be withdrawn. Name "
            "another one to take its place.",
            agent=agent.name,
            status_key=wanted.status_key,
        )
    check_servable(found, agent, exposed)
    return found


async def _is_done(db: Client, agent: AgentInfo, wanted: Prompt) -> EditResult | None:
    """Return how it stands where a version is withdrawn already: nothing is written then."""
    same = await repository.get_same_text(db, wanted)
    if not {one.id for one in same} <= set(await repository.get_withdrawn(db, [agent.id])):
        return None
    active = await repository.get_active_prompt(db, agent.id, wanted.status_key)
    done = result_of(agent, wanted.status_key, replace(wanted, is_withdrawn=True), active, active)
    return replace(done, hints=("It was withdrawn already: nothing was changed, and no note is kept.",))


async def _present(db: Client, agent: AgentInfo, wanted: Prompt) -> tuple[Prompt, list[Prompt]]:
    """Return a version as it is under the lock, and the others that have its text."""
    same = await repository.get_same_text(db, wanted)
    for found in same:
        if found.id == wanted.id:
            return found, [one for one in same if one.id != wanted.id]
    raise PromptNotFoundError(
        f"Version {wanted.version} of {agent.name}/{wanted.status_key} was deleted meanwhile.",
        agent=agent.name,
        status_key=wanted.status_key,
    )


def _same_text(others: list[Prompt], what: str) -> tuple[str, ...]:
    if not others:
        return ()
    numbers = ", ".join(str(one.version) for one in others)
    return (f"The same text is in version {numbers}, {what}.",)
