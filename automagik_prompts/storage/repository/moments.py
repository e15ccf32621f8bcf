"""Queries of what was active at a moment, as the events tell."""

from __future__ import annotations

from datetime import datetime

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.records import Action
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import UtcField
from automagik_prompts.storage.repository.events import SWITCHED

_TIME = UtcField()


async def get_active_at(
    db: BaseDBAsyncClient, moment: datetime, agent_id: int | None = None
) -> dict[tuple[int, str], int | None]:
    """Return which version was active then, by agent id and status, of each status that was switched since.

    Where the history does not reach back so far, the first switch since then tells what it took the place of.

    Args:
        db: The connection.
        moment: The moment.
        agent_id: Only of this agent.
    """
    connection = Connection(db)
    then = engine_of(connection).written_time(moment)
    mine = f"action IN ({SWITCHED})" + (f" AND agent_id = {int(agent_id)}" if agent_id is not None else "")
    since = await connection.rows(
        "SELECT agent_id, status_key, from_version AS version FROM prompt_events WHERE id IN (SELECT MIN(id) "
        f"FROM prompt_events WHERE {mine} AND created_at > ? GROUP BY agent_id, status_key)",
        then,
    )
    found: dict[tuple[int, str], int | None] = {(row["agent_id"], row["status_key"]): row["version"] for row in since}
    before = await connection.rows(
        "SELECT agent_id, status_key, action, version FROM prompt_events WHERE id IN (SELECT MAX(id) "
        f"FROM prompt_events WHERE {mine} AND created_at <= ? GROUP BY agent_id, status_key)",
        then,
    )
    for row in before:
        if (key := (row["agent_id"], row["status_key"])) in found:
            found[key] = None if row["action"] == Action.DEACTIVATED.value else row["version"]
    return found


async def get_active_numbers(db: BaseDBAsyncClient, agent_id: int | None = None) -> dict[tuple[int, str], int]:
    """Return the number of each active version, by agent id and status.

    Args:
        db: The connection.
        agent_id: Only of this agent.
    """
    mine = f" AND agent_id = {int(agent_id)}" if agent_id is not None else ""
    rows = await Connection(db).rows(f"SELECT agent_id, status_key, version FROM prompts WHERE is_active = true{mine}")
    return {(row["agent_id"], row["status_key"]): row["version"] for row in rows}


async def get_agents_added_since(db: BaseDBAsyncClient, moment: datetime) -> set[int]:
    """Return the ids of the agents that were not there yet at a moment; SQLite knows that to the second."""
    # Compared here: a table that another application has made may keep times in another type.
    rows = await Connection(db).rows("SELECT id, created_at FROM agents")
    added = {row["id"]: _TIME.to_python_value(row["created_at"]) for row in rows}
    return {agent_id for agent_id, time in added.items() if time is not None and time > moment}
