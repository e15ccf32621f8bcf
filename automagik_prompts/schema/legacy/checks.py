"""What keeps an application's tables from being adopted: looked at before the first change, and told all at once.

Everything that could fail later is looked at here, so that an upgrade that cannot work changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial

from automagik_prompts.schema.legacy.frozen import MAX_NAME_LENGTH
from automagik_prompts.schema.legacy.plan import refusal
from automagik_prompts.schema.legacy.privileges import hidden_tables, kept_away, missing_rights
from automagik_prompts.schema.legacy.tables import POINTER, TEXT_COLUMN, read_agents, read_versions, shown
from automagik_prompts.storage.dialects.base import Column, DatabaseReader
from automagik_prompts.storage.introspection import (
    dependents,
    foreign_keys,
    is_unique,
    kind_of,
    required_columns,
    table_columns,
)

_DROP_COLUMN = (3, 35)
"""The SQLite that can drop a column."""

_MAX_ID = 2**31 - 1

_OURS = ("default_status_key", "variables", "revision")

_FLAGS = ("is_active", "is_default_from_code")

_TIMES = ("created_at", "updated_at")

_FIRST_SHAPE = ("id", "agent_id", "prompt_text", "status_key", "version")

_AGENT_COLUMNS = frozenset({"id", "name", TEXT_COLUMN, POINTER, *_OURS, *_TIMES})
"""The columns of `agents` that this library reads or writes."""

_WRITTEN = frozenset(
    {"agent_id", "prompt_text", "status_key", "version", "name", "format", "content_hash", "author", "note"}
    | {*_FLAGS, *_TIMES}
)
"""The columns of `prompts` that every new row has a value for."""


async def find_blockers(db: DatabaseReader) -> tuple[str, ...]:
    """Return what keeps the application's tables from being adopted, each with what to do."""
    found = [*await missing_rights(db), *await hidden_tables(db)]
    if await kind_of(db, "prompt_events") is not None:
        found.append("there is a table prompt_events already, which is not this library's: rename it")
    if await kind_of(db, "agents") is None:
        if await kind_of(db, "prompts") is not None:
            found.append("there is a table prompts, but no table agents that it could belong to: rename it")
        return tuple(found)
    if await kind_of(db, "agents") != "table":
        return (*found, "agents is not a table: adoption in place needs one, import the texts with --from instead")
    shape = await _blockers_of_agents(db)
    found += shape
    if not shape:
        found += await _blockers_of_rows(db)
    if (kind := await kind_of(db, "prompts")) == "table":
        found += await _blockers_of_prompts(db)
    elif kind is not None:
        found.append("prompts is not a table: rename it")
    return tuple(found)


async def _blockers_of_agents(db: DatabaseReader) -> list[str]:
    """Look at the shape of `agents`."""
    found: list[str] = []
    present = {column.name: column for column in await table_columns(db, "agents")}
    if missing := [name for name in ("id", "name") if name not in present]:
        return [f"the table agents has no column {' and no column '.join(missing)}: rename it, as it is another table"]
    found += _misfits(
        "agents", present, ["id"], _is_integer, "an integer is needed: import the texts with --from instead"
    )
    if "id" in await required_columns(db, "agents") and not present["id"].not_null:
        found.append(
            f"agents.id has the type {present['id'].type}, which SQLite neither numbers nor keeps from being NULL: "
            "import the texts with --from instead"
        )
    found += await _spellings(db, "agents", _AGENT_COLUMNS)
    found += [
        f"agents.{name} is not unique: CREATE UNIQUE INDEX agents_{name}_key ON agents ({name})"
        for name in ("id", "name")
        if not await is_unique(db, "agents", [name])
    ]
    found += [
        f"agents.{name} exists already, and this library needs a column of that name: rename it"
        for name in _OURS
        if name in present
    ]
    found += _misfits("agents", present, [POINTER], _is_integer, "an integer is needed: rename it")
    is_time = partial(_is_time, db)
    found += _misfits("agents", present, _TIMES, is_time, "in which no time can be written: rename it")
    found += _misfits("agents", present, [TEXT_COLUMN], partial(_is_text, db), "which is no text: convert it")
    if TEXT_COLUMN in present:
        if db.dialect == "sqlite" and sqlite3.sqlite_version_info < _DROP_COLUMN:
            found.append(f"SQLite {sqlite3.sqlite_version} cannot drop a column: use Python with SQLite 3.35 or newer")
        else:
            found += [
                f"{what} uses agents.{TEXT_COLUMN}, which the upgrade drops: drop it first, or let it do without"
                for what in await dependents(db, "agents", TEXT_COLUMN)
            ]
        if any(TEXT_COLUMN in key.columns for key in await foreign_keys(db, "agents")):
            found.append(f"agents.{TEXT_COLUMN} has a foreign key, which would be dropped along with it: drop it first")
    return found + await kept_away(db, "agents")


async def _blockers_of_rows(db: DatabaseReader) -> list[str]:
    """Look at what stands in `agents`."""
    agents = await read_agents(db)
    found: list[str] = []
    if nameless := [agent.id for agent in agents if not agent.name]:
        found.append(f"there are agents without a name, with the ids {shown(nameless)}: give them one")
    if odd := [agent.id for agent in agents if agent.name and not _is_name(agent.name)]:
        found.append(f"agents.name is no text in the rows with the ids {shown(odd)}: correct it")
    if too_high := [agent.id for agent in agents if agent.id > _MAX_ID]:
        found.append(f"agents.id goes beyond {_MAX_ID}: {shown(too_high)}: import the texts with --from instead")
    return found + [
        f"the text of the agent {agent.name!r} cannot be kept: {reason}"
        for agent in agents
        if agent.text is not None and agent.text.strip() and (reason := refusal(agent.text))
    ]


async def _blockers_of_prompts(db: DatabaseReader) -> list[str]:
    """Look at a table `prompts` that is there already: only the first shape of this library's can be adopted."""
    present = {column.name: column for column in await table_columns(db, "prompts")}
    if missing := [name for name in _FIRST_SHAPE if name not in present]:
        missed = ", ".join(missing)
        return [f"there is a table prompts, but not the one of an earlier version, as it has no {missed}: rename it"]
    found = await _spellings(db, "prompts", {"id", *_WRITTEN})
    numbers = ("id", "agent_id", "version")
    found += _misfits("prompts", present, numbers, _is_integer, "an integer is needed: rename the table prompts")
    if extra := [name for name in await required_columns(db, "prompts") if name not in _WRITTEN]:
        found.append(f"prompts.{', prompts.'.join(extra)} must have a value in each new row: give it a default")
    if db.dialect == "postgres":
        found += _misfits(
            "prompts", present, _FLAGS, lambda one: one.type == "boolean", "a boolean is needed: convert it"
        )
        found += _misfits(
            "prompts", present, _TIMES, lambda one: one.type.startswith("timestamp"), "which is no time: convert it"
        )
    if not found:
        found += await _blockers_of_versions(db, present)
    return found + await kept_away(db, "prompts")


async def _blockers_of_versions(db: DatabaseReader, present: dict[str, Column]) -> list[str]:
    """Look at the rows of a table `prompts` of the first shape."""
    where = " OR ".join(f'"{name}" IS NULL' for name in _FIRST_SHAPE)
    if empty := [row["id"] for row in await db.rows(f'SELECT "id" FROM "prompts" WHERE {where} ORDER BY "id"')]:
        needed = " or ".join(_FIRST_SHAPE[1:])
        return [f"prompts has rows without {needed}, with the ids {shown(empty)}: fill or delete them"]
    versions = await read_versions(db)
    agents = {agent.id for agent in await read_agents(db)}
    found: list[str] = []
    if orphans := [version.id for version in versions if version.agent_id not in agents]:
        found.append(f"prompts has rows of agents that do not exist, with the ids {shown(orphans)}: delete them")
    count = Counter((version.agent_id, version.status_key, version.version) for version in versions)
    if doubled := [key for key, number in count.items() if number > 1]:
        named = [f"{agent}/{status}/{number}" for agent, status, number in doubled]
        found.append(f"prompts has the same agent, status and version twice: {shown(named)}: give one another number")
    if long := [version.id for version in versions if len(version.status_key) > MAX_NAME_LENGTH]:
        found.append(
            f"prompts.status_key is longer than {MAX_NAME_LENGTH} characters in the rows with the ids {shown(long)}: "
            "shorten it"
        )
    found += [
        f"the text of the row {version.id} of prompts cannot be kept: {reason}"
        for version in versions
        if version.text.strip() and (reason := refusal(version.text))
    ]
    if db.dialect == "sqlite":
        found += await _blockers_of_values(db, present)
    return found


async def _blockers_of_values(db: DatabaseReader, present: dict[str, Column]) -> list[str]:
    """Look for values that SQLite lets any column have."""
    found: list[str] = []
    for name in (name for name in _TIMES if name in present):
        rows = await db.rows(f'SELECT "id", "{name}" AS value FROM "prompts" WHERE "{name}" IS NOT NULL')
        if odd := [row["id"] for row in rows if not _is_moment(row["value"])]:
            found.append(f"prompts.{name} holds what is no ISO time, in the rows with the ids {shown(odd)}: correct it")
    for name in (name for name in _FLAGS if name in present):
        rows = await db.rows(f'SELECT "id" FROM "prompts" WHERE "{name}" NOT IN (0, 1)')
        if odd := [row["id"] for row in rows]:
            found.append(f"prompts.{name} is neither 0 nor 1 in the rows with the ids {shown(odd)}: correct it")
    return found


def _is_name(name: object) -> bool:
    # SQLite keeps numbers and bytes in a text column, too.
    return isinstance(name, str) and name == name.encode(errors="replace").decode()


async def _spellings(db: DatabaseReader, table: str, names: Collection[str]) -> list[str]:
    """Look for columns that are the ones in question for SQLite alone, as they are spelled in another way."""
    if db.dialect != "sqlite":
        return []
    rows = await db.rows("SELECT name FROM pragma_table_xinfo(?)", table)
    return [
        f'{table}.{name} is not spelled in lower case: ALTER TABLE {table} RENAME COLUMN "{name}" TO {name.lower()}'
        for name in (row["name"] for row in rows)
        if name != name.lower() and name.lower() in names
    ]


def _misfits(
    table: str, present: Mapping[str, Column], names: Iterable[str], fits: Callable[[Column], bool], words: str
) -> list[str]:
    """Return which columns, of those that are there, have a type that does not fit."""
    return [
        f"{table}.{name} has the type {present[name].type}, {words}"
        for name in names
        if name in present and not fits(present[name])
    ]


def _is_integer(column: Column) -> bool:
    kind = column.type.lower()
    return "int" in kind and not kind.startswith(("interval", "point"))


def _is_text(db: DatabaseReader, column: Column) -> bool:
    # SQLite keeps what it is given, whatever the type is called; what stands there is looked at, row by row.
    return db.dialect == "sqlite" or column.type.startswith(("text", "character", "citext"))


def _is_time(db: DatabaseReader, column: Column) -> bool:
    kind = column.type.lower()
    if db.dialect == "sqlite":
        return kind.startswith(("timestamp", "datetime", "text", "varchar", "date")) or not kind
    return kind.startswith(("timestamp", "text", "character varying"))


def _is_moment(value: object) -> bool:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return isinstance(value, str)
