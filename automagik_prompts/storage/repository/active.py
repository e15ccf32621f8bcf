"""What is active: all of it in pages, some agents by themselves, and which of them were written to since."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.running.fleet import Beat
from automagik_prompts.domain.summaries import AgentState, Changes, Position, WithdrawnVersion
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.repository.mapping import (
    chunks,
    numbers,
    read_label,
    read_names,
    read_number,
    read_text,
)

T = TypeVar("T")

SLICE = 100
"""Agents that a look compares with what was read, where nobody says that something was written."""

_COLUMNS = "id, name, default_status_key, active_default_prompt_id, variables, revision"

_STATES = (
    "SELECT a.id, a.name, a.default_status_key, a.active_default_prompt_id, a.variables, a.revision, "
    "p.id AS prompt_id, p.status_key, p.version, {text} AS prompt_text, p.format, p.content_hash, "
    "{withdrawn} AS withdrawn FROM {agents} a {active}"
)


async def get_states(db: BaseDBAsyncClient, ids: Iterable[int]) -> list[AgentState]:
    """Return some agents with their active versions; those that do not exist are left out."""
    found: list[AgentState] = []
    for chunk in chunks(sorted(set(ids))):
        found += await _states(db, f"(SELECT {_COLUMNS} FROM agents WHERE id IN ({numbers(chunk)}))")
    return found


async def get_states_named(db: BaseDBAsyncClient, names: Iterable[str]) -> list[AgentState]:
    """Return the same by the agents' names."""
    found: list[AgentState] = []
    for chunk in chunks(sorted(set(names))):
        marks = ", ".join("?" * len(chunk))
        found += await _states(db, f"(SELECT {_COLUMNS} FROM agents WHERE name IN ({marks}))", *chunk)
    return found


async def get_states_after(db: BaseDBAsyncClient, agent_id: int, limit: int) -> list[AgentState]:
    """Return the agents with the next ids, in the order of these, with their active versions."""
    return await _states(db, _after(agent_id, limit))


async def get_heads_after(db: BaseDBAsyncClient, agent_id: int, limit: int) -> list[AgentState]:
    """Return the same without the texts: enough to see which ones were written to."""
    return await _states(db, _after(agent_id, limit), text="''")


async def get_data_version(db: BaseDBAsyncClient) -> int | None:
    """Return a number that differs after every write of another connection; `None` where there is none so cheap."""
    return await engine_of(db).data_version(Connection(db))


async def get_changes(
    db: BaseDBAsyncClient,
    since: Position | None,
    slice_after: int = 0,
    slice_size: int = 0,
    beat: Beat | None = None,
) -> Changes:
    """Return which agents were written to since a position, and a slice of all of them to be compared.

    Args:
        db: The connection.
        since: Up to where the changes are known; `None` to learn only where the log stands.
        slice_after: The slice begins with the next id.
        slice_size: How many agents it has at most.
        beat: What this process says of itself in the same statement, where the engine can have that.
    """
    agents, text = _after(slice_after, slice_size), engine_of(db).digest("p.prompt_text")
    found = await _with_withdrawn(
        db, agents, text, lambda statement: engine_of(db).changes(Connection(db), since, statement, beat)
    )
    return Changes(
        found.position,
        found.agents,
        found.is_replica,
        states_of(found.rows),
        found.is_filtered,
        found.is_seen,
        found.unable,
        found.is_uncounted,
        found.last_beat,
    )


def states_of(rows: Iterable[Mapping[str, Any]]) -> tuple[AgentState, ...]:
    """Return rows of an agent and a version each as agents with their versions."""
    agents: dict[int, AgentInfo] = {}
    active: dict[int, list[ActiveVersion]] = {}
    withdrawn: dict[int, tuple[WithdrawnVersion, ...]] = {}
    for row in rows:
        number = row["id"]
        if number not in agents:
            agents[number] = AgentInfo(
                id=number,
                name=read_label(row["name"]),
                default_status_key=read_label(row["default_status_key"]),
                active_default_prompt_id=row["active_default_prompt_id"],
                variables=read_names(row["variables"]),
                revision=read_number(row["revision"]),
            )
            active[number] = []
            withdrawn[number] = _withdrawn(row["withdrawn"])
        if row["prompt_id"] is not None:
            version = ActiveVersion(
                agent=agents[number].name,
                prompt_id=row["prompt_id"],
                status_key=read_label(row["status_key"]),
                version=read_number(row["version"]),
                prompt_text=read_text(row["prompt_text"]),
                format=read_label(row["format"]),
                content_hash=read_label(row["content_hash"]),
            )
            active[number].append(version)
    return tuple(
        AgentState(agent, tuple(sorted(active[number], key=_by_status)), withdrawn[number])
        for number, agent in sorted(agents.items())
    )


def _withdrawn(value: str | None) -> tuple[WithdrawnVersion, ...]:
    """Return the withdrawn versions of a row, mostly none."""
    if value is None or value == "[]":
        return ()
    return tuple(sorted(WithdrawnVersion(*one) for one in json.loads(value)))


def _by_status(version: ActiveVersion) -> tuple[str, int]:
    return version.status_key, version.prompt_id


async def _states(db: BaseDBAsyncClient, agents: str, *values: object, text: str = "p.prompt_text") -> list[AgentState]:
    rows = await _with_withdrawn(db, agents, text, lambda statement: Connection(db).rows(statement, *values))
    return list(states_of(rows))


async def _with_withdrawn(db: BaseDBAsyncClient, agents: str, text: str, run: Callable[[str], Awaitable[T]]) -> T:
    """Run the statement that reads agents; a database of an older release knows of no withdrawn versions."""
    engine = engine_of(db)
    statement = partial(_STATES.format, text=text, agents=agents, active=engine.active)
    try:
        return await run(statement(withdrawn=engine.withdrawn))
    except OperationalError as error:
        if "prompt_withdrawals" not in str(error):
            raise
        return await run(statement(withdrawn="NULL"))


def _after(agent_id: int, limit: int) -> str:
    return f"(SELECT {_COLUMNS} FROM agents WHERE id > {int(agent_id)} ORDER BY id LIMIT {int(limit)})"
