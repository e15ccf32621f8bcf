"""Finding an agent, a status, a version by its name, or saying which ones there are."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain import keys
from automagik_prompts.domain.keys import Status, status_value
from automagik_prompts.domain.records import AgentInfo, Prompt
from automagik_prompts.domain.text import closest
from automagik_prompts.exceptions import PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database


async def find_agent(database: Database, agent: str) -> AgentInfo:
    """Return an agent.

    Raises:
        PromptNotFoundError: There is none of that name; the message names the nearest ones.
    """
    for name in dict.fromkeys((agent, normalize("NFC", agent))):
        if (known := await database.run(repository.get_agent, name)) is not None:
            return known
    names = [info.name for info in await database.run(repository.get_agents)]
    raise PromptNotFoundError(
        f"There is no agent {agent!r} in the database. {nearest(agent, names, 'agents')} Declare it in code and start "
        "the application, or run: automagik-prompts sync",
        agent=agent,
    )


async def status_of(database: Database, agent: AgentInfo, status: Status) -> str:
    """Return the status key that is meant: of those with versions, else what it is called itself.

    Raises:
        InvalidPromptError: It is neither a string nor an enum member.
    """
    return str(status_value(status, await database.run(repository.get_status_keys, agent.id)))


async def find_version(database: Database, agent: AgentInfo, status: Status, version: int) -> Prompt:
    """Return a version of a known agent.

    Raises:
        PromptNotFoundError: There is none; the message says which there are.
    """
    status_key = await status_of(database, agent, status)
    found = await database.run(repository.get_version, agent.id, status_key, version)
    if found is not None:
        return found
    latest = await database.run(repository.get_latest_version_for_status, agent.id, status_key)
    if latest is not None:
        message = f"{agent.name}/{status_key} has no version {version}; its versions go from 1 to {latest}."
    else:
        message = await database.run(no_such_status, agent, status_key)
    raise PromptNotFoundError(message, agent=agent.name, status_key=status_key)


async def find_status(database: Database, agent: AgentInfo, status: Status) -> str:
    """Return the key of a status that an agent has versions for.

    Raises:
        PromptNotFoundError: It has none; the message names the nearest statuses.
    """
    known = await database.run(repository.get_status_keys, agent.id)
    if (found := keys.find_status(status, known)) is None:
        status_key = str(status_value(status))
        message = f"{agent.name} has no prompts for the status {status_key!r}. {nearest(status_key, known, 'statuses')}"
        raise PromptNotFoundError(message, agent=agent.name, status_key=status_key)
    return found


async def no_such_status(db: BaseDBAsyncClient, agent: AgentInfo, status_key: str) -> str:
    """Say that an agent has no prompts for a status, and for which ones it has."""
    known = await repository.get_status_keys(db, agent.id)
    return f"{agent.name} has no prompts for the status {status_key!r}. {nearest(status_key, known, 'statuses')}"


def nearest(name: str, known: Sequence[str], what: str) -> str:
    """Say which names exist, the nearest first."""
    if not known:
        return f"There are no {what} yet."
    if close := closest(name, known):
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Known {what}: {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}."
