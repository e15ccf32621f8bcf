"""The queries of `prompt_drafts`: texts that people are still writing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.review import Draft
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import UtcField
from automagik_prompts.storage.repository.mapping import current_time

_TIME = UtcField()
_READ = (
    "SELECT d.*, a.name AS agent FROM prompt_drafts d JOIN agents a ON a.id = d.agent_id WHERE d.is_discarded = false"
)
_MINE = "agent_id = ? AND status_key = ? AND actor_id = ? AND is_discarded = false"


async def get_draft(db: BaseDBAsyncClient, agent_id: int, status_key: str, actor_id: str) -> Draft | None:
    """Return somebody's draft for a status, or `None`."""
    rows = await Connection(db).rows(
        f"{_READ} AND d.agent_id = ? AND d.status_key = ? AND d.actor_id = ?", agent_id, status_key, actor_id
    )
    return _draft(rows[0]) if rows else None


async def get_drafts(db: BaseDBAsyncClient, actor_id: str) -> list[Draft]:
    """Return somebody's drafts, the one that was saved last first."""
    rows = await Connection(db).rows(f"{_READ} AND d.actor_id = ? ORDER BY d.updated_at DESC, d.id DESC", actor_id)
    return [_draft(row) for row in rows]


async def add_draft(db: BaseDBAsyncClient, agent_id: int, status_key: str, draft: Draft) -> None:
    """Write somebody's first draft for a status; one that is there stays."""
    connection = Connection(db)
    now = engine_of(connection).written_time(current_time())
    await connection.run(
        "INSERT INTO prompt_drafts (agent_id, status_key, actor_id, prompt_text, format, note, base_version, counter, "
        "is_discarded, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, 1, false, ?) "
        "ON CONFLICT (agent_id, status_key, actor_id) DO UPDATE SET prompt_text = excluded.prompt_text, "
        "format = excluded.format, note = excluded.note, base_version = excluded.base_version, "
        "counter = prompt_drafts.counter + 1, is_discarded = false, updated_at = excluded.updated_at "
        "WHERE prompt_drafts.is_discarded = true",
        *(agent_id, status_key, draft.actor_id, draft.text, draft.format, draft.note, draft.base_version, now),
    )


async def save_draft(db: BaseDBAsyncClient, agent_id: int, status_key: str, draft: Draft) -> None:
    """Write a draft over the one with its counter; one that was saved meanwhile, and has another one, stays."""
    connection = Connection(db)
    now = engine_of(connection).written_time(current_time())
    await connection.run(
        "UPDATE prompt_drafts SET prompt_text = ?, format = ?, note = ?, base_version = ?, counter = counter + 1, "
        f"updated_at = ? WHERE {_MINE} AND counter = ?",
        *(draft.text, draft.format, draft.note, draft.base_version, now),
        *(agent_id, status_key, draft.actor_id, draft.counter),
    )


async def discard_draft(
    db: BaseDBAsyncClient, agent_id: int, status_key: str, actor_id: str, counter: int | None = None
) -> None:
    """Empty somebody's draft for a status, or only the one with a counter."""
    only = "" if counter is None else f" AND counter = {int(counter)}"
    await Connection(db).run(
        "UPDATE prompt_drafts SET prompt_text = '', note = NULL, base_version = NULL, is_discarded = true "
        f"WHERE {_MINE}{only}",
        *(agent_id, status_key, actor_id),
    )


def _draft(row: Mapping[str, Any]) -> Draft:
    return Draft(
        agent=row["agent"],
        status_key=row["status_key"],
        actor_id=row["actor_id"],
        text=row["prompt_text"],
        format=row["format"],
        note=row["note"],
        base_version=row["base_version"],
        counter=row["counter"],
        updated_at=_TIME.to_python_value(row["updated_at"]),  # type: ignore[arg-type]  # the column has no NULL
    )
