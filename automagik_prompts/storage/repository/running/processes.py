"""The queries of `prompt_processes`: which processes follow, and how far."""

from __future__ import annotations

import json
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.running.fleet import Beat, FleetProcess, Unserved
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.dialects.beats import row_statement
from automagik_prompts.storage.models import UtcField
from automagik_prompts.storage.repository.running.usage import add_runs, sum_up

GONE = 3600.0
"""Seconds for which a process that is dead is still shown; a living one that comes back later begins anew."""

PATIENCE = 50
"""Milliseconds that a sign of life may wait for a lock: meanwhile its process follows nothing."""

_TIME = UtcField()

_READ = """\
SELECT p.*, p.due_at > {now} AS alive, CASE WHEN p.server = {log} THEN
    (SELECT COUNT(*) FROM prompt_changes c WHERE {unread}{agent}) END AS behind
FROM prompt_processes p ORDER BY p.host, p.pid, p.started_at, p.id"""


async def write_beat(db: BaseDBAsyncClient, beat: Beat) -> bool:
    """Write what a process says of itself; `False` if it was taken for dead. Within a transaction of its own."""
    async with engine_of(db).impatient(Connection(db), PATIENCE):
        return await _write(db, beat)


async def leave(db: BaseDBAsyncClient, beat: Beat) -> None:
    """Take a process off, as it ends, and sum up what it has sent. Within a transaction of its own."""
    async with engine_of(db).impatient(Connection(db), PATIENCE):
        if await _write(db, beat):
            await Connection(db).run("DELETE FROM prompt_processes WHERE id = ?", beat.id)
            await sum_up(db, beat.id)


async def forget_dead(db: BaseDBAsyncClient) -> None:
    """Take those off that have been dead for long, and sum up what is theirs, or old. In a transaction of its own."""
    async with engine_of(db).impatient(Connection(db), PATIENCE):
        await Connection(db).run(f"DELETE FROM prompt_processes WHERE due_at < {engine_of(db).moment(-GONE)}")
        await sum_up(db)


async def _write(db: BaseDBAsyncClient, beat: Beat) -> bool:
    statement, values = row_statement(beat, engine_of(db))
    count, _ = await db.execute_query(engine_of(db).marked(statement), values)
    if not count and not beat.is_first:
        return False
    await add_runs(Connection(db), beat)
    return True


async def get_processes(db: BaseDBAsyncClient, agent_id: int | None = None) -> list[FleetProcess]:
    """Return the processes, the living first.

    Args:
        db: The connection.
        agent_id: Look only at changes of this agent.
    """
    engine = engine_of(db)
    agent = "" if agent_id is None else f" AND c.agent_id = {int(agent_id)}"
    rows = await Connection(db).rows(
        _READ.format(now=engine.moment(), log=engine.log, unread=engine.unread, agent=agent)
    )
    return sorted(map(_process, rows), key=lambda one: not one.is_alive)


async def count_listeners(db: BaseDBAsyncClient) -> int:
    """Return how many processes listen for notifications, whether or not they say that they are there."""
    return await engine_of(db).listeners(Connection(db))


def _process(row: dict[str, Any]) -> FleetProcess:
    follows = _json(row["follows"])
    return FleetProcess(
        id=row["id"],
        host=row["host"],
        pid=row["pid"],
        release=row["release"],
        code_hash=row["code_hash"],
        state=row["state"],
        is_alive=bool(row["alive"]),
        behind=row["behind"],
        follows=tuple(follows) if follows is not None else None,
        problems=tuple(Unserved(*one) for one in _json(row["problems"]) or ()),
        started_at=_TIME.to_python_value(row["started_at"]),  # type: ignore[arg-type]  # the column is never empty
        seen_at=_TIME.to_python_value(row["seen_at"]),  # type: ignore[arg-type]  # as above
    )


def _json(value: object) -> Any:
    """Return what a column with JSON holds; a driver may have read it already."""
    return json.loads(value) if isinstance(value, str) else value
