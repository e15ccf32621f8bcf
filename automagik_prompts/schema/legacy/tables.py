"""The tables that were there before this library: reading them.

Both a migration and a preview read through here, whatever shape the tables have.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from automagik_prompts.schema.legacy.frozen import Format
from automagik_prompts.schema.legacy.planned import LegacyAgent, PlannedVersion, SourceText
from automagik_prompts.storage.dialects.base import DatabaseReader, quoted
from automagik_prompts.storage.introspection import columns

TEXT_COLUMN = "system_prompt"
"""The column of `agents` that held one text per agent."""

POINTER = "active_default_prompt_id"
"""The column of `agents` that names the active version of the primary status."""

ARCHIVED_AGENTS = "automagik_prompts_archive_agents"
"""Where a downgrade puts what `agents` said besides the application's own columns."""

_SHOWN = 20
"""How many agents or rows a message names, at most."""


async def read_agents(db: DatabaseReader) -> list[LegacyAgent]:
    """Return the agents with what stands in their text column, and what a downgrade had left there."""
    present = await columns(db, "agents")
    text = _bytes(db, TEXT_COLUMN) if TEXT_COLUMN in present else "NULL"
    pointer = POINTER if POINTER in present else "NULL"
    rows = await db.rows(f'SELECT "id", "name", {text} AS text, {pointer} AS pointer FROM "agents" ORDER BY "id"')
    encoding = await _encoding(db)
    archived: dict[str, str | None] = {}
    if await columns(db, ARCHIVED_AGENTS):
        found = await db.rows(f'SELECT "name", {_bytes(db, TEXT_COLUMN)} AS text FROM "{ARCHIVED_AGENTS}"')
        archived = {row["name"]: decoded(row["text"], encoding) for row in found}
    return [
        LegacyAgent(
            id=row["id"],
            name=row["name"],
            text=decoded(row["text"], encoding),
            pointer=row["pointer"],
            archived=row["name"] in archived,
            archived_text=archived.get(row["name"]),
        )
        for row in rows
    ]


async def read_versions(db: DatabaseReader, agent_ids: Collection[int] | None = None) -> list[PlannedVersion]:
    """Return the versions in `prompts`, be it of the first shape or ours; none if there is no such table.

    Args:
        db: The connection.
        agent_ids: Only those of these agents.
    """
    present = await columns(db, "prompts")
    if not present:
        return []
    active = '"is_active"' if "is_active" in present else "NULL"
    hashed = '"content_hash"' if "content_hash" in present else "''"
    where = f'WHERE "agent_id" IN ({", ".join(map(str, map(int, agent_ids)))})' if agent_ids is not None else ""
    kind = '"format"' if "format" in present else "NULL"
    rows = await db.rows(
        f'SELECT "id", "agent_id", "status_key", "version", {_bytes(db, "prompt_text")} AS text, {active} AS active, '
        f'{kind} AS format, {hashed} AS hash FROM "prompts" {where} ORDER BY "id"'
    )
    encoding = await _encoding(db)
    return [
        PlannedVersion(
            id=row["id"],
            agent_id=row["agent_id"],
            status_key=row["status_key"],
            version=row["version"],
            text=decoded(row["text"], encoding) or "",
            is_active=bool(row["active"]),
            # A row without a hash is one of the first shape, whatever the default of the format says.
            format=cast("Format", row["format"]) if row["hash"] else None,
        )
        for row in rows
    ]


async def read_texts(db: DatabaseReader, table: str, name: str, text: str) -> list[tuple[str | None, str | None]]:
    """Return two columns of a table, names and texts, in the order of the names."""
    rows = await db.rows(
        f"SELECT {_bytes(db, name)} AS name, {_bytes(db, text)} AS text FROM {quoted(table)} ORDER BY {quoted(name)}"
    )
    encoding = await _encoding(db)
    return [(decoded(row["name"], encoding), decoded(row["text"], encoding)) for row in rows]


async def read_source_versions(db: DatabaseReader) -> list[SourceText]:
    """Return the versions of the tables `agents` and `prompts`, by agent, status and number; none without `prompts`."""
    present = await columns(db, "prompts")
    if not {"agent_id", "prompt_text", "status_key", "version"} <= present:
        return []
    extra = {
        name: name if name in present else "NULL" for name in ("name", "created_at", "updated_at", "author", "note")
    }
    rows = await db.rows(
        f'SELECT "id", {", ".join(f"{column} AS {name}" for name, column in extra.items())} FROM "prompts"'
    )
    facts = {row["id"]: row for row in rows}
    agents = {row["id"]: row["name"] for row in await db.rows('SELECT "id", "name" FROM "agents"')}
    return [
        SourceText(
            name=agents.get(version.agent_id),
            text=version.text,
            status_key=version.status_key,
            is_active=version.is_active,
            format=version.format,
            title=facts[version.id]["name"],
            author=facts[version.id]["author"],
            note=facts[version.id]["note"],
            created_at=_moment(facts[version.id]["created_at"]),
            updated_at=_moment(facts[version.id]["updated_at"]),
            where=f"version {version.version} of {version.status_key} (row {version.id} of prompts)",
        )
        for version in sorted(
            await read_versions(db), key=lambda one: (str(agents.get(one.agent_id)), one.status_key, one.version)
        )
    ]


def _moment(value: Any) -> datetime | None:
    """Return a time as a host keeps it; without a zone it is UTC, and what is no time is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def shown(names: Sequence[object]) -> str:
    """Name things in a message: the first ones, and how many more there are."""
    listed = ", ".join(str(name) for name in names[:_SHOWN])
    return listed if len(names) <= _SHOWN else f"{listed} and {len(names) - _SHOWN} more"


def decoded(value: Any, encoding: str) -> str | None:
    """Return a text as SQLite holds it; bytes that are no text stay visible as lone surrogates."""
    if isinstance(value, bytes):
        return value.decode(encoding, errors="surrogateescape" if encoding == "utf-8" else "surrogatepass")
    return cast("str | None", value)


def _bytes(db: DatabaseReader, column: str) -> str:
    """Return the expression that reads a text whatever its bytes are: the driver refuses what is not UTF-8."""
    return f"CAST({quoted(column)} AS BLOB)" if db.dialect == "sqlite" else quoted(column)


async def _encoding(db: DatabaseReader) -> str:
    if db.dialect != "sqlite":
        return "utf-8"
    return str((await db.rows("PRAGMA encoding"))[0]["encoding"]).lower()
