"""Finding an agent, a status, a version by its name, or saying which ones there are."""

from __future__ import annotations

from collections.abc import Collection

from automagik_prompts.domain.edits import Target
from automagik_prompts.domain.keys import Status, StatusKeys, new_key
from automagik_prompts.domain.records import AgentInfo, Prompt
from automagik_prompts.domain.text import nearest
from automagik_prompts.domain.validation import check_name, is_number, normalized
from automagik_prompts.exceptions import PromptNotFoundError, UnknownAgentError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database


async def find_agent(database: Database, agent: str) -> AgentInfo:
    """Return an agent.

    Raises:
        UnknownAgentError: There is none of that name; the message names the nearest ones.
    """
    if (known := await get_agent(database, agent)) is not None:
        return known
    names = [info.name for info in await database.run(repository.get_agents)]
    raise UnknownAgentError(
        f"There is no agent {agent!r} in the database. {nearest(agent, names, 'agents')} Declare it in code and start "
        "the application, or run: automagik-prompts sync",
        agent=agent,
    )


async def get_agent(database: Database, agent: str) -> AgentInfo | None:
    """Return an agent, or `None`; a name that was typed in another Unicode form is the same name."""
    for name in dict.fromkeys((agent, normalized(agent))):
        if (known := await database.run(repository.get_agent, name)) is not None:
            return known
    return None


async def find_status(database: Database, agent: AgentInfo, status: Status) -> str:
    """Return the key of a status that an agent has versions for.

    Raises:
        InvalidPromptError: It is neither a string nor an enum member.
        PromptNotFoundError: It has none; the message names the nearest statuses.
    """
    keys = StatusKeys(await database.run(repository.get_status_keys, agent.id))
    if (found := keys.find(status)) is None:
        status_key = new_key(status)
        message = f"{agent.name} has no prompts for the status {status_key!r}. {nearest(status_key, keys, 'statuses')}"
        raise PromptNotFoundError(message, agent=agent.name, status_key=status_key)
    return found


async def find_version(database: Database, agent: AgentInfo, status: Status, version: int) -> Prompt:
    """Return a version of a known agent.

    Raises:
        PromptNotFoundError: There is none; the message says which there are.
    """
    status_key = await find_status(database, agent, status)
    found = None
    if is_number(version):  # what is beyond is none, and more than a database takes
        found = await database.run(repository.get_version, agent.id, status_key, version)
    if found is None:
        latest = await database.run(repository.get_latest_version_for_status, agent.id, status_key)
        message = f"{agent.name}/{status_key} has no version {version!r:.40}; its versions go from 1 to {latest}."
        raise PromptNotFoundError(message, agent=agent.name, status_key=status_key)
    return found


async def find_named(database: Database, agent: str, status: Status, version: int) -> tuple[AgentInfo, Prompt]:
    """Return a version and its agent, in one look where both are spelt as they are stored.

    Raises:
        PromptNotFoundError: There is none; the message says which there are.
    """
    if type(status) is str and is_number(version):
        found = await database.run(repository.find_named, agent, status, version)
        if found is not None:
            return found
    known = await find_agent(database, agent)
    return known, await find_version(database, known, status, version)


async def find_target(
    database: Database,
    agent: str,
    status: Status,
    *,
    new_agent: bool = False,
    new_status: bool = False,
    statuses: Collection[str] = (),
) -> Target:
    """Return what a text for an agent and status would be written to; a name that is misspelt would add another one.

    Args:
        database: An open database.
        agent: The agent's name.
        status: The status, a string or an enum member.
        new_agent: Whether the agent may be unknown.
        new_status: Whether the status may be unknown; the first one of an agent always may.
        statuses: The statuses that the code declares, as far as it is here.

    Raises:
        InvalidPromptError: A name is refused.
        PromptNotFoundError: There is no such agent or status, and none is to be added; the message names the nearest.
        DatabaseUnavailableError: The database cannot be read now.
    """
    agent = check_name(agent, "agent name")
    status_key = check_name(new_key(status), "status key")
    known = await get_agent(database, agent) if new_agent else await find_agent(database, agent)
    stored = await database.run(repository.get_status_keys, known.id) if known is not None else []
    # What is stored comes first: a spelling that only the code has is reported by `check`, and makes no second status
    # here.
    keys = StatusKeys(stored, [*statuses, *([known.default_status_key] if known is not None else [])])
    found = keys.find(status)
    if found is None and (stored or statuses) and not new_status:
        raise PromptNotFoundError(
            f"{agent} has no status {status_key!r}. {nearest(status_key, keys, 'statuses')} To add a status that is "
            "not declared in code yet, say so: --new-status (new_status=True).",
            agent=agent,
            status_key=status_key,
        )
    return Target(known, known.name if known is not None else agent, found or status_key)
