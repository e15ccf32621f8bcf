"""What people look up: overviews, single versions, what was done, and where words stand; nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from automagik_prompts.domain.keys import PromptKey, Status, StatusKeys, new_key
from automagik_prompts.domain.records import Action, AgentInfo, Approval, Event, Prompt
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.summaries import StatusSummary
from automagik_prompts.domain.text import unified_diff
from automagik_prompts.editing.access import tokens
from automagik_prompts.editing.finding import find_agent, find_status, find_version
from automagik_prompts.editing.finding import find_target as find_target
from automagik_prompts.editing.finding import get_agent as get_agent
from automagik_prompts.editing.overall.searching import search as search
from automagik_prompts.editing.past.earlier import find_earlier as find_earlier
from automagik_prompts.editing.sync import foresee as foresee
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database


async def agents(database: Database) -> list[AgentInfo]:
    """Return all agents, sorted by name.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    return await database.run(repository.get_agents)


async def has_usable_token(database: Database) -> bool:
    """Return whether there is a token that lets somebody in.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    now = datetime.now(UTC)
    return any(one.is_usable(now) for one in await tokens.find_all(database))


async def summaries(database: Database, agent: str | None = None) -> list[StatusSummary]:
    """Return where each status stands, of one agent or of all.

    Raises:
        PromptNotFoundError: There is no such agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent) if agent is not None else None
    return await database.run(repository.get_summaries, [known.id] if known is not None else None)


async def find_key(database: Database, agent: str, status: Status) -> PromptKey:
    """Return the key of a prompt that has versions, in whatever way it is given.

    Raises:
        PromptNotFoundError: There is no such agent or status; the message says which there are.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    return PromptKey(known.name, await find_status(database, known, status))


async def get(database: Database, agent: str, status: Status, version: int) -> Prompt:
    """Return a version by its number.

    Raises:
        PromptNotFoundError: There is no such agent, status or version; the message says which there are.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    return (await _marked(database, known, [await find_version(database, known, status, version)]))[0]


async def _marked(database: Database, agent: AgentInfo, prompts: list[Prompt]) -> list[Prompt]:
    """Return versions of an agent with whether they are withdrawn, and what they are based on."""
    withdrawn = await database.run(repository.get_withdrawn, [agent.id])
    bases = await database.run(repository.get_bases, [one.id for one in prompts])
    return [replace(one, is_withdrawn=one.id in withdrawn, based_on=bases.get(one.id)) for one in prompts]


async def get_active(database: Database, agent: str, status: Status) -> Prompt | None:
    """Return the active version, or `None` where the status has versions and none of them is active.

    Raises:
        PromptNotFoundError: There is no such agent or status; the message says which there are.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    return await database.run(repository.get_active_prompt, known.id, await find_status(database, known, status))


async def get_code_default(database: Database, agent: str, status: Status) -> Prompt | None:
    """Return the newest version that came from code, or `None` where all of the status' versions are people's.

    Raises:
        PromptNotFoundError: There is no such agent or status; the message says which there are.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    return await database.run(repository.find_code_default_prompt, known.id, await find_status(database, known, status))


async def versions(
    database: Database,
    agent: str,
    status: Status | None = None,
    *,
    after: tuple[str, int] | None = None,
    limit: int | None = None,
) -> list[Prompt]:
    """Return an agent's versions, by status and then newest first.

    Args:
        database: An open database.
        agent: The agent's name.
        status: Only of this status.
        after: The status and number after which to begin.
        limit: How many, at most.

    Raises:
        PromptNotFoundError: There is no such agent, or it has no versions for this status.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status) if status is not None else None
    found = await database.run(repository.get_prompts_by_agent_id, known.id, status_key, after=after, limit=limit)
    return await _marked(database, known, found)


async def status_revision(database: Database, agent: str, status: Status) -> tuple[PromptKey, int]:
    """Return a status as it is kept, and the highest revision among its events and those of its agent's facts.

    Raises:
        PromptNotFoundError: There is no such agent or status; the message says which there are.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)
    return PromptKey(known.name, status_key), await database.run(repository.get_status_revision, known.id, status_key)


async def events(
    database: Database,
    agent: str | None = None,
    status: Status | None = None,
    *,
    request_id: int | None = None,
    actions: Collection[Action] | None = None,
    author: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    approval: Approval | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> list[Event]:
    """Return what was done, newest first, to one agent's prompts or to all.

    Args:
        database: An open database.
        agent: Only to this agent's prompts.
        status: Only to this status.
        request_id: Only about this request for approval.
        actions: Only these.
        author: Only by somebody of this name or id.
        since: Only what is not older.
        until: Only what is older.
        approval: Only changes that this has let through.
        before: Only events with lower numbers.
        limit: How many, at most.

    Raises:
        PromptNotFoundError: There is no such agent, or no such status and nothing was ever done to it.
        DatabaseUnavailableError: The database cannot be read now.
    """
    # The statuses of which all versions are deleted still have their events.
    status_key = new_key(status) if status is not None else None
    agent_id = None
    if agent is not None:
        known = await find_agent(database, agent)
        agent_id = known.id
        if status is not None:
            keys = StatusKeys(await database.run(repository.get_status_keys, known.id))
            status_key = keys.find(status) or status_key
    found = await database.run(
        repository.get_events,
        agent_id,
        status_key,
        actions=actions,
        request_id=request_id,
        author=author,
        since=since,
        until=until,
        approval=approval,
        before=before,
        limit=limit,
    )
    if agent is not None and status is not None and not found and before is None:
        await find_status(database, known, status)  # a misspelt one is no status to which nothing was done
    names = await database.run(repository.get_agent_names, {event.agent_id for event in found})
    return [replace(event, agent=names[event.agent_id]) for event in found if event.agent_id in names]


async def requests(
    database: Database,
    agent: str | None = None,
    status: Status | None = None,
    *,
    waiting: bool = True,
    before: int | None = None,
    limit: int | None = None,
) -> list[ApprovalRequest]:
    """Return requests for approval, newest first.

    Args:
        database: An open database.
        agent: Only of this agent.
        status: Only of this status.
        waiting: Only those that nobody has decided; some of them may have lapsed.
        before: Only those with lower numbers.
        limit: How many, at most.

    Raises:
        PromptNotFoundError: There is no such agent or status.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent) if agent is not None else None
    key = await find_status(database, known, status) if known is not None and status is not None else None
    agent_id = known.id if known is not None else None
    return await database.run(repository.get_requests, agent_id, key, waiting=waiting, before=before, limit=limit)


async def diff(database: Database, agent: str, status: Status, old: int, new: int) -> str:
    """Return the difference between two versions as a unified diff; empty if their texts are equal.

    Raises:
        PromptNotFoundError: There is no such agent, status or version.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await find_agent(database, agent)
    first = await find_version(database, known, status, old)
    second = await find_version(database, known, status, new)
    return unified_diff(first.prompt_text, second.prompt_text, f"version {old}", f"version {new}")


async def active_prompts(database: Database, names: Sequence[str] | None = None) -> list[tuple[AgentInfo, Prompt]]:
    """Return every active version with its agent, sorted by agent and status.

    Args:
        database: An open database.
        names: Only these agents.

    Raises:
        PromptNotFoundError: There is no such agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = await agents(database) if names is None else [await find_agent(database, name) for name in sorted({*names})]
    return [
        (info, prompt)
        for info in known
        for prompt in await database.run(repository.get_texts, info.id, active_only=True)
    ]
