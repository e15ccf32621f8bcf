"""Which version was active before, as the events tell: what a rollback goes back to."""

from __future__ import annotations

from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.records import Action, AgentInfo, Prompt
from automagik_prompts.domain.text import word
from automagik_prompts.editing.finding import find_agent, find_status
from automagik_prompts.exceptions import PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database

_HISTORY_LIMIT = 10_000
"""Events that a rollback looks back over, at most."""


async def find_earlier(database: Database, agent: str, status: Status) -> Prompt:
    """Return the version to which `rollback` would go back now.

    Raises:
        PromptNotFoundError: There is no such agent or status, or no version was active before.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)

    async def read(db: Client) -> Prompt:
        present = await repository.get_active_prompt(db, known.id, status_key)
        return await version_before(db, known, status_key, present)

    return await database.run(read)


async def version_before(db: Client, agent: AgentInfo, status_key: str, present: Prompt | None) -> Prompt:
    """Replay the events and return the version that was active before the present one.

    Raises:
        PromptNotFoundError: None was, or it is deleted or withdrawn.
    """
    actions = (Action.ACTIVATED, Action.ROLLED_BACK, Action.DEACTIVATED)
    found = await repository.get_events(db, agent.id, status_key, actions=actions, limit=_HISTORY_LIMIT)
    trail: list[int | None] = []
    for event in reversed(found):
        if event.action is Action.ROLLED_BACK and event.version in trail:
            while trail[-1] != event.version:
                trail.pop()
            continue
        active = None if event.action is Action.DEACTIVATED else event.version
        if not trail or trail[-1] != active:
            trail.append(active)
    withdrawn = await repository.get_withdrawn(db, [agent.id])
    now = present.version if present is not None else None
    if trail and trail[-1] == now:
        trail.pop()
    for version in reversed(trail):
        if version is not None and version != now:
            earlier = await repository.get_version(db, agent.id, status_key, version)
            if earlier is not None and earlier.id not in withdrawn:
                return earlier
    raise PromptNotFoundError(
        f"{agent.name}/{status_key} has no version that was active before. Activate one by its number: "
        f"automagik-prompts activate {word(agent.name)} {word(status_key)} VERSION",
        agent=agent.name,
        status_key=status_key,
    )
