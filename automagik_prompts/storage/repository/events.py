"""The queries of `prompt_events`, the history that is only appended to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import Q

from automagik_prompts.domain.edits import EventHorizon
from automagik_prompts.domain.records import SWITCHING, Action, Approval, Event, EventCreate
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import EventRow
from automagik_prompts.storage.repository.mapping import chunks, current_time, event_value, numbers

_FACTS = tuple(name for name in EventCreate.__slots__ if name != "action")
_APPEND = f"INSERT INTO prompt_events (created_at, action, {', '.join(_FACTS)}) VALUES (?, ?{', ?' * len(_FACTS)})"

SWITCHED = ", ".join(f"'{action.value}'" for action in SWITCHING)
"""What changes the active version, as a statement has it."""


async def add_events(db: BaseDBAsyncClient, events: Sequence[EventCreate]) -> None:
    """Append to the history."""
    connection = Connection(db)
    now = engine_of(connection).written_time(current_time())
    rows = [(now, event.action.value, *(getattr(event, name) for name in _FACTS)) for event in events]
    # Not by the ORM, which would name `db_user`: that is the database's own to write.
    if len(rows) == 1:
        await connection.run(_APPEND, *rows[0])
    else:
        await connection.run_many(_APPEND, rows)


async def get_events(
    db: BaseDBAsyncClient,
    agent_id: int | None,
    status_key: str | None = None,
    *,
    actions: Iterable[Action] | None = None,
    prompt_id: int | None = None,
    request_id: int | None = None,
    author: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    approval: Approval | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> list[Event]:
    """Return events, newest first.

    Args:
        db: The connection.
        agent_id: The agent's id; `None` for the events of all agents.
        status_key: Only this status.
        actions: Only these.
        prompt_id: Only those about this version.
        request_id: Only those of this request for approval.
        author: Only those by somebody of this name or id.
        since: Only those that are not older.
        until: Only those that are older.
        approval: Only changes that this has let through.
        before: Only those with lower ids.
        limit: At most this many.
    """
    wanted = {
        "agent_id": agent_id,
        "status_key": status_key,
        "action__in": [action.value for action in actions] if actions is not None else None,
        "prompt_id": prompt_id,
        "request_id": request_id,
        "created_at__gte": since,
        "created_at__lt": until,
        "approval": approval,
        "id__lt": before,
    }
    query = EventRow.filter(**{name: value for name, value in wanted.items() if value is not None})
    if author is not None:
        query = query.filter(Q(author=author) | Q(actor_id=author))
    query = query.order_by("-id")
    if limit is not None:
        query = query.limit(limit)
    return [event_value(row) for row in await query.using_db(db)]


async def get_events_after(db: BaseDBAsyncClient, last: int, until: int, limit: int) -> list[Event]:
    """Return events in their order.

    Args:
        db: The connection.
        last: The number of the event after which to begin.
        until: The highest number.
        limit: At most this many.
    """
    query = EventRow.filter(id__gt=last, id__lte=until).order_by("id").limit(limit)
    return [event_value(row) for row in await query.using_db(db)]


async def get_event_horizon(db: BaseDBAsyncClient, known: int) -> EventHorizon:
    """Return how far the events go, and which transactions go on, in one look.

    Args:
        db: The connection.
        known: How far they went before.
    """
    connection = Connection(db)
    rows = await connection.rows(f"SELECT {engine_of(connection).event_horizon} FROM prompt_events", known)
    return EventHorizon(rows[0]["newest"], rows[0]["oldest"], rows[0]["next"])


async def get_status_revision(db: BaseDBAsyncClient, agent_id: int, status_key: str) -> int:
    """Return the highest revision among the events of a status and of its agent's facts; 0 where there is none."""
    rows = await Connection(db).rows(
        "SELECT MAX(revision) AS revision FROM prompt_events WHERE agent_id = ? AND status_key IN (?, '')",
        agent_id,
        status_key,
    )
    return rows[0]["revision"] or 0


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
    found: dict[tuple[int, str], Action] = {}
    for chunk in chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT agent_id, status_key, action FROM prompt_events WHERE id IN (SELECT MAX(id) FROM prompt_events "
            f"WHERE action IN ({SWITCHED}) AND agent_id IN ({numbers(chunk)}) GROUP BY agent_id, status_key)"
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
