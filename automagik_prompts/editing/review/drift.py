"""Drift: the code has changed under a person's version, until somebody decides between the two."""

from __future__ import annotations

from dataclasses import replace

from automagik_prompts.domain.edits import NO_INTENT, EditResult, Intent
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.records import Action, AgentInfo
from automagik_prompts.domain.review import Drift
from automagik_prompts.domain.text import word
from automagik_prompts.domain.validation import MAX_NOTE_LENGTH, is_number
from automagik_prompts.editing.finding import find_agent, find_status
from automagik_prompts.editing.recording import lock_agent, record, result_of
from automagik_prompts.exceptions import ConflictError, InvalidPromptError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database


async def find_drift(database: Database, agent: str, status: Status) -> Drift | None:
    """Return how a status has drifted; `None` if it has not.

    Raises:
        PromptNotFoundError: There is no such agent or status.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)
    return await database.run(lambda db: _drift(db, known, status_key))


async def keep(
    database: Database, agent: str, status: Status, *, code_version: int | None = None, intent: Intent = NO_INTENT
) -> EditResult:
    """Keep a person's version although the code has changed, until it changes again."""
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)

    async def write(db: Client) -> EditResult:
        locked = await lock_agent(db, known, intent, status_key)
        drift = await _drift(db, locked, status_key)
        if drift is None:
            raise InvalidPromptError(
                f"{agent}/{status_key} has not drifted: there is nothing to decide.", agent=agent, status_key=status_key
            )
        if code_version is not None and code_version != drift.code.version:
            raise ConflictError(
                f"The code's newest version of {agent}/{status_key} is {drift.code.version}, not {code_version}. Look "
                "at it and decide again.",
                expected=code_version,
                actual=drift.code.version,
                agent=agent,
            )
        await repository.set_base(db, drift.person.id, drift.code.version)
        kept = f"kept, although the code has version {drift.code.version}"
        because = replace(intent, note=f"{intent.note} ({kept})"[:MAX_NOTE_LENGTH] if intent.note else kept)
        await record(db, locked, status_key, Action.KEPT, because, to=drift.person)
        return result_of(locked, status_key, drift.person, drift.person, drift.person)

    return await database.transaction(write)


async def base_of(db: Client, agent: AgentInfo, status_key: str, wanted: int | None) -> int | None:
    """Return the version of the code that a new version takes into account; `None` where the code has none.

    Args:
        db: The connection of a transaction.
        agent: The agent, locked.
        status_key: The status.
        wanted: The one that the text was merged with; by default the one that the active version has, as that is what
            people go on from: a drift that nobody has decided stays one.

    Raises:
        InvalidPromptError: What is wanted is no version of the code.
    """
    if wanted is not None:
        version = await repository.get_version(db, agent.id, status_key, wanted) if is_number(wanted) else None
        if version is None or not version.is_default_from_code:
            raise InvalidPromptError(
                f"Version {wanted!r:.40} of {agent.name}/{status_key} is no version of the code, so no text can be "
                f"based on it. See: automagik-prompts history {word(agent.name)} {word(status_key)}",
                agent=agent.name,
                status_key=status_key,
            )
        return wanted
    states = await repository.get_drift_states(db, [agent.id], status_key)
    state = states.get((agent.id, status_key))
    if state is None or state.code_version is None:
        return None
    if not state.drift:
        protection = agent.protection(status_key)
        if state.active is not None and state.from_code and protection is not None and protection.approve_code:
            return state.active  # the newest one may still wait for approval
        return state.code_version
    return await _base_version(db, agent, status_key, state.based_on, state.active or 0)


async def _base_version(db: Client, agent: AgentInfo, status_key: str, based_on: int | None, active: int) -> int:
    """Return the code's version that a person's version has taken into account; 0 for none."""
    if based_on is not None:
        return based_on
    seen = await repository.get_code_versions(db, [agent.id])
    return max((one.version for one in seen if one.status_key == status_key and one.version < active), default=0)


async def _drift(db: Client, agent: AgentInfo, status_key: str) -> Drift | None:
    state = (await repository.get_drift_states(db, [agent.id], status_key)).get((agent.id, status_key))
    if state is None or not state.drift or state.active is None or state.code_version is None:
        return None
    number = await _base_version(db, agent, status_key, state.based_on, state.active)
    base = await repository.get_version(db, agent.id, status_key, number) if number else None
    code = await repository.get_version(db, agent.id, status_key, state.code_version)
    person = await repository.get_version(db, agent.id, status_key, state.active)
    if code is None or person is None:
        return None
    return Drift(agent.name, status_key, base, code, person)
