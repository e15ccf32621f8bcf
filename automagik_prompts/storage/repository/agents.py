"""The queries of `agents`: adding, locking, and what the code says of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import IntegrityError
from tortoise.expressions import F
from tortoise.queryset import QuerySet

from automagik_prompts.domain.records import AgentInfo, Protection
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.introspection import required_columns
from automagik_prompts.storage.models import AgentRow
from automagik_prompts.storage.repository.mapping import (
    AGENT_COLUMNS,
    agent_from,
    agent_value,
    chunks,
    numbers,
    written_protected,
)
from automagik_prompts.storage.repository.versions import get_active_prompt

CHANNEL = "automagik_prompts"
"""The channel on which PostgreSQL notifies; an empty payload means that there is news."""

_NOW = "CURRENT_TIMESTAMP"
"""The time in `agents`: the database's own, which fits an application's column whatever its type is."""

_RAISE = f"UPDATE agents SET revision = revision + 1, updated_at = {_NOW} WHERE id = ?"

_AGENT_COLUMNS = frozenset({"name", "default_status_key", "variables", "revision", "created_at", "updated_at"})
"""The columns of `agents` that are written when an agent is added."""


async def get_agent(db: BaseDBAsyncClient, name: str) -> AgentInfo | None:
    """Return an agent by its name, or `None`."""
    rows = await Connection(db).rows(f"SELECT {', '.join(AGENT_COLUMNS)} FROM agents WHERE name = ?", name)
    return agent_from(rows[0]) if rows else None


async def get_agents(db: BaseDBAsyncClient, names: Iterable[str] | None = None) -> list[AgentInfo]:
    """Return agents by name, sorted; all of them where no names are given."""
    if names is None:
        return [agent_value(row) for row in await _agents().order_by("name").using_db(db)]
    found: list[AgentInfo] = []
    for chunk in chunks(sorted(set(names))):
        found += [agent_value(row) for row in await _agents().filter(name__in=chunk).order_by("name").using_db(db)]
    return found


async def add_agents(db: BaseDBAsyncClient, agents: Sequence[AgentInfo]) -> None:
    """Write agents that do not exist yet; one that somebody else wrote meanwhile stays as it is.

    Raises:
        SchemaError: The table is an application's, and its own columns do not let a row be added without them.
    """
    connection, engine = Connection(db), engine_of(db)
    if not engine.fails_softly:
        # First, as after an error this transaction could not ask any more; on SQLite the first statement is a write.
        await _check_required(connection, agents)
    try:
        await connection.run_many(
            "INSERT INTO agents (name, default_status_key, variables, revision, created_at, updated_at) "
            f"VALUES (?, ?, ?, 0, {_NOW}, {_NOW}) ON CONFLICT DO NOTHING",
            [(agent.name, agent.default_status_key, json.dumps(agent.variables)) for agent in agents],
        )
    except IntegrityError as error:
        if engine.fails_softly:
            await _check_required(connection, agents)
        raise SchemaError(
            f"The {_named(agents)} cannot be added to the table agents, which another application has "
            f"made: {error}. Add them with that application."
        ) from error
    known = {agent.name for agent in await get_agents(db, [agent.name for agent in agents])}
    if left := [agent for agent in agents if agent.name not in known]:
        raise SchemaError(
            f"The {_named(left)} cannot be added to the table agents, which another application has made "
            "and which takes something else of them for a duplicate. Add them with that application."
        )


async def lock_agent(db: BaseDBAsyncClient, agent_id: int) -> AgentInfo | None:
    """Raise an agent's revision and return the agent: the first statement of every transaction that writes.

    Until the transaction ends no other process can write to this agent. The database's triggers note the change, and
    on PostgreSQL notify those who listen when it is committed.

    Args:
        db: The connection of a transaction.
        agent_id: The agent's id.
    """
    connection = Connection(db)
    rows = await connection.written(_RAISE, agent_id, columns=AGENT_COLUMNS)
    if rows is None:
        await connection.run(_RAISE, agent_id)
        rows = await connection.rows(f"SELECT {', '.join(AGENT_COLUMNS)} FROM agents WHERE id = ?", agent_id)
    return agent_from(rows[0]) if rows else None


async def hold_agent(db: BaseDBAsyncClient, agent_id: int) -> AgentInfo | None:
    """Lock an agent and return it, without raising its revision: for events that change nothing of what is served.

    Args:
        db: The connection of a transaction.
        agent_id: The agent's id.
    """
    if not await AgentRow.filter(id=agent_id).using_db(db).update(revision=F("revision")):
        return None
    row = await _agents().filter(id=agent_id).using_db(db).first()
    return agent_value(row) if row is not None else None


async def lock_agents(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> list[AgentInfo]:
    """Do the same as `lock_agent` for many agents at once; one that was deleted is left out.

    The locks are taken in the order of the ids, as whoever locks several agents does, so that nobody waits in a circle.
    """
    found: list[AgentInfo] = []
    for chunk in chunks(sorted(set(agent_ids))):
        ids = numbers(chunk)
        await engine_of(db).lock_rows(db, ids)
        await db.execute_query(f"UPDATE agents SET revision = revision + 1, updated_at = {_NOW} WHERE id IN ({ids})")
        found += [agent_value(row) for row in await _agents().filter(id__in=chunk).order_by("id").using_db(db)]
    return found


async def point_to_active(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> None:
    """Make `active_default_prompt_id` of some agents the active version of their primary status."""
    for chunk in chunks(sorted(set(agent_ids))):
        await db.execute_query(
            "UPDATE agents SET active_default_prompt_id = (SELECT p.id FROM prompts p WHERE p.agent_id = agents.id "
            "AND p.status_key = agents.default_status_key AND p.is_active = true) "
            f"WHERE id IN ({numbers(chunk)})"
        )


async def set_agent_facts(
    db: BaseDBAsyncClient,
    agent_id: int,
    *,
    default_status_key: str,
    variables: Sequence[str],
    protected: Sequence[Protection],
) -> None:
    """Write what the code says of an agent besides its texts; `active_default_prompt_id` follows the primary status."""
    active = await get_active_prompt(db, agent_id, default_status_key)
    await (
        AgentRow.filter(id=agent_id)
        .using_db(db)
        .update(
            default_status_key=default_status_key,
            variables=list(variables),
            protected_statuses=written_protected(protected),
            active_default_prompt_id=active.id if active is not None else None,
        )
    )


async def _check_required(db: Connection, agents: Sequence[AgentInfo]) -> None:
    """Make sure that a row of `agents` needs no value that this library does not know."""
    missing = [name for name in await required_columns(db, "agents") if name not in _AGENT_COLUMNS]
    if not missing:
        return
    example = ", ".join("..." for _ in missing)
    raise SchemaError(
        f"The {_named(agents)} cannot be added: the table agents is another application's, and its "
        f"columns {', '.join(missing)} must have a value in each row. Add such rows with that application, or with "
        f"INSERT INTO agents (name, {', '.join(missing)}) VALUES (..., {example}), or give the columns a "
        "default. Nothing else is needed; until then their texts are served from code."
    )


def _named(agents: Sequence[AgentInfo]) -> str:
    shown = ", ".join(repr(agent.name) for agent in agents[:10])
    more = f" and {len(agents) - 10} more" if len(agents) > 10 else ""
    return f"agent{'s' if len(agents) > 1 else ''} {shown}{more}"


def _agents() -> QuerySet[AgentRow]:
    """Return the query of agents without their times: an application's table may keep these in a form of its own."""
    return AgentRow.all().only(*AGENT_COLUMNS)
