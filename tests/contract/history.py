"""Reading what the database holds, and checking that it is what it must always be."""

from __future__ import annotations

from collections import defaultdict

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.records import Action, AgentInfo, Event
from automagik_prompts.editing import finding, queries
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

Versions = list[tuple[int, bool]]
"""Number and whether active, oldest first."""


async def rows(db: BaseDBAsyncClient, statement: str) -> list[dict[str, object]]:
    """Run a statement past the library and return its rows."""
    _, found = await db.execute_query(statement)
    return [dict(row) for row in found]


async def standing(database: Database, agent: str, status_key: str = "default") -> Versions:
    """Return the versions of a status."""
    found = await queries.versions(database, agent, status_key)
    return sorted((prompt.version, prompt.is_active) for prompt in found)


async def events_of(
    database: Database, agent: str, status_key: str | None = None, *, limit: int | None = None
) -> list[Event]:
    """Return what was done to an agent's prompts, newest first."""
    return await queries.events(database, agent, status_key, limit=limit)


REMARKS = frozenset(
    {
        *(Action.REQUESTED, Action.APPROVED, Action.DECLINED, Action.REQUEST_WITHDRAWN, Action.COMMENTED),
        Action.RENDER_FAILED,
    }
)
"""What is said and changes nothing: it has the revision that the status had already."""


async def active_text(database: Database, agent: str, status_key: str = "default") -> str | None:
    """Return the active version's text."""
    info = await finding.find_agent(database, agent)
    found = await database.run(repository.get_active_prompt, info.id, status_key)
    return found.prompt_text if found is not None else None


async def told(
    database: Database, agent: str, status_key: str | None = None
) -> list[tuple[str, int | None, int | None]]:
    """Return the events as (action, version, version before), oldest first."""
    found = await events_of(database, agent, status_key)
    return [(event.action.value, event.version, event.from_version) for event in reversed(found)]


async def check_history(database: Database, agent: str) -> None:
    """Check everything that must hold for an agent, whoever wrote to it in whatever order.

    Versions have no gap and no double; at most one of a status is active; the agent points to the active version of its
    primary status; and who replays the events comes to the same state.
    """
    info = await finding.find_agent(database, agent)
    versions: dict[str, list[int]] = defaultdict(list)
    active: dict[str, int] = {}
    ids: dict[int, tuple[str, int]] = {}
    for prompt in await queries.versions(database, agent):
        versions[prompt.status_key].append(prompt.version)
        ids[prompt.id] = (prompt.status_key, prompt.version)
        if prompt.is_active:
            assert prompt.status_key not in active, f"two active versions of {prompt.status_key}"
            active[prompt.status_key] = prompt.version
    for status_key, numbers in versions.items():
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), f"a gap or a double in {status_key}: {numbers}"
    primary = active.get(info.default_status_key)
    pointed = ids[info.active_default_prompt_id] if info.active_default_prompt_id is not None else None
    assert pointed == ((info.default_status_key, primary) if primary is not None else None)
    replayed_versions, replayed_active = await _replay(database, agent, info, ids)
    assert replayed_versions == {status_key: set(numbers) for status_key, numbers in versions.items()}
    assert replayed_active == active


async def _replay(
    database: Database, agent: str, info: AgentInfo, ids: dict[int, tuple[str, int]]
) -> tuple[dict[str, set[int]], dict[str, int]]:
    """Do again what the events say, checking that each one fits the ones before."""
    versions: dict[str, set[int]] = defaultdict(set)
    active: dict[str, int] = {}
    revision = 0
    for event in reversed(await events_of(database, agent)):
        assert event.revision <= info.revision
        if event.action in REMARKS:
            continue
        assert revision <= event.revision, "the events are not in the order of the writes"
        revision = event.revision
        if event.action is Action.FACTS:
            assert (event.status_key, event.version) == ("", None)
            continue
        assert event.version is not None
        assert event.prompt_id is not None
        assert ids[event.prompt_id] == (event.status_key, event.version)
        if event.action is Action.CREATED:
            assert event.version == len(versions[event.status_key]) + 1
            versions[event.status_key].add(event.version)
            continue
        assert event.version in versions[event.status_key]
        if event.action is Action.KEPT:
            assert active[event.status_key] == event.version
            continue
        assert event.from_version == active.get(event.status_key)
        if event.action in {Action.ACTIVATED, Action.ROLLED_BACK}:
            active[event.status_key] = event.version
        elif event.action is Action.DEACTIVATED:
            assert active.pop(event.status_key) == event.version
    return dict(versions), active
