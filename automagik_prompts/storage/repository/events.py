"""The queries of `prompt_events`, the history that is only appended to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.records import Action, Event, EventCreate
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import EventRow
from automagik_prompts.storage.repository.mapping import chunks, current_time, event_value, numbers


async def add_events(db: BaseDBAsyncClient, events: Sequence[EventCreate]) -> None:
    """Append to the history."""
    if not events:
        return
    now = current_time()
    if len(events) == 1:
        one, connection = events[0], Connection(db)
        values = (one.status_key, one.action.value, one.prompt_id, one.version, one.from_version, one.author, one.note)
        await connection.run(
            "INSERT INTO prompt_events (agent_id, revision, created_at, status_key, action, prompt_id, version, "
            "from_version, author, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(one.agent_id, one.revision, engine_of(connection).written_time(now), *values),
        )
        return
    rows = [
        EventRow(
            agent_id=event.agent_id,
            status_key=event.status_key,
            action=event.action.value,
            prompt_id=event.prompt_id,
            version=event.version,
            from_version=event.from_version,
            author=event.author,
            note=event.note,
            revision=event.revision,
            created_at=now,
        )
        for event in events
    ]
    await EventRow.bulk_create(rows, batch_size=80, using_db=db)


async def get_events(
    db: BaseDBAsyncClient,
    agent_id: int | None,
    status_key: str | None = None,
    *,
    actions: Iterable[Action] | None = None,
    prompt_id: int | None = None,
    limit: int | None = None,
) -> list[Event]:
    """Return events, newest first.

    Args:
        db: The connection.
        agent_id: The agent's id; `None` for the events of all agents.
        status_key: Only this status.
        actions: Only these.
        prompt_id: Only those about this version.
        limit: At most this many.
    """
    query = EventRow.all() if agent_id is None else EventRow.filter(agent_id=agent_id)
    if status_key is not None:
        query = query.filter(status_key=status_key)
    if actions is not None:
        query = query.filter(action__in=[action.value for action in actions])
    if prompt_id is not None:
        query = query.filter(prompt_id=prompt_id)
    query = query.order_by("-id")
    if limit is not None:
        query = query.limit(limit)
    return [event_value(row) for row in await query.using_db(db)]


async def get_activated_versions(
    db: BaseDBAsyncClient, agent_id: int, *, version: int | None = None
) -> set[tuple[str, int]]:
    """Return the versions of an agent that were active once, by status and number, as far as its history says.

    Args:
        db: The connection.
        agent_id: The agent's id.
        version: Only versions with this number.
    """
    actions = ", ".join(f"'{action.value}'" for action in (Action.ACTIVATED, Action.ROLLED_BACK))
    found: set[tuple[str, int]] = set()
    # What took the place of a version says so, too: an adopted one has no event of its own.
    for column, condition in (("version", f"action IN ({actions})"), ("from_version", "true")):
        only = f"{column} = {int(version)}" if version is not None else f"{column} IS NOT NULL"
        _, rows = await db.execute_query(
            f"SELECT DISTINCT status_key, {column} AS version FROM prompt_events "
            f"WHERE agent_id = {int(agent_id)} AND {condition} AND {only}"
        )
        found |= {(row["status_key"], row["version"]) for row in map(dict, rows)}
    return found


async def get_last_actions(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> dict[tuple[int, str], Action]:
    """Return what was done last about the active version of each status of some agents, by agent id and status key.

    A status that is not there never had an active version.
    """
    actions = ", ".join(f"'{action.value}'" for action in (Action.ACTIVATED, Action.ROLLED_BACK, Action.DEACTIVATED))
    found: dict[tuple[int, str], Action] = {}
    for chunk in chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT agent_id, status_key, action FROM prompt_events WHERE id IN (SELECT MAX(id) FROM prompt_events "
            f"WHERE action IN ({actions}) AND agent_id IN ({numbers(chunk)}) GROUP BY agent_id, status_key)"
        )
        found |= {(row["agent_id"], row["status_key"]): Action(row["action"]) for row in map(dict, rows)}
    return found


async def get_deleted_versions(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> dict[tuple[int, str], int]:
    """Return the highest version number that was deleted, by agent id and status key."""
    found: dict[tuple[int, str], int] = {}
    for chunk in chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT agent_id, status_key, MAX(version) AS version FROM prompt_events "
            f"WHERE action = '{Action.DELETED.value}' AND agent_id IN ({numbers(chunk)}) GROUP BY agent_id, status_key"
        )
        found |= {(row["agent_id"], row["status_key"]): row["version"] for row in map(dict, rows)}
    return found
