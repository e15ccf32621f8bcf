"""What is put aside, so that both ways of a migration lead back to exactly what was there.

An upgrade of a host's tables notes what it is about to change (`automagik_prompts_legacy_*`); the downgrade gives it
back. A downgrade puts aside what the older schema has no place for (`automagik_prompts_archive_*`): versions, events
and facts of agents. The next upgrade takes these back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from automagik_prompts.catalogue import Column, Connection, Reader, columns, quoted, table_columns
from automagik_prompts.host import ARCHIVED_AGENTS, POINTER, TEXT_COLUMN
from automagik_prompts.plans import Version

LEGACY_COLUMNS = "automagik_prompts_legacy_columns"
"""The columns that the host's tables had; there is no such table where this library made all tables itself."""

LEGACY_PROMPTS = "automagik_prompts_legacy_prompts"
"""The host's table `prompts` as it was."""

LEGACY_POINTERS = "automagik_prompts_legacy_pointers"
"""What stood in the host's own `active_default_prompt_id`, stale or not."""

LEGACY_TEXTS = "automagik_prompts_legacy_texts"
"""What stood in `system_prompt` when it was dropped: texts, NULL, empty and blank."""

ARCHIVED_VERSIONS = "automagik_prompts_archive_prompts"
ARCHIVED_EVENTS = "automagik_prompts_archive_events"

TYPES = {
    "sqlite": {"bool": "INT", "time": "TIMESTAMP", "json": "JSON"},
    "postgres": {"bool": "BOOL", "time": "TIMESTAMPTZ", "json": "JSONB"},
}

_VERSION = (
    *("id", "status_key", "version", "prompt_text", "format", "is_active", "is_default_from_code", "name"),
    *("content_hash", "author", "note", "created_at", "updated_at"),
)
_EVENT = (
    *("id", "status_key", "action", "prompt_id", "version", "from_version", "author", "note", "revision"),
    "created_at",
)
_FACTS = ("default_status_key", "variables", "revision")
_TIMES = ("created_at", "updated_at")

_STRICT = re.compile(r"\)[^)]*\bSTRICT\b[^)]*$", re.IGNORECASE)
_LIMITED = re.compile(r"character varying\((\d+)\)")


# The columns of the host's tables.


async def note_host_columns(db: Connection) -> None:
    """Note the columns of the tables that are the host's, before anything is changed; an empty note means none."""
    await db.run(
        f'CREATE TABLE "{LEGACY_COLUMNS}" ("table_name" VARCHAR(16) NOT NULL, "column_name" VARCHAR(255) '
        f'NOT NULL, "type" TEXT NOT NULL, "not_null" {TYPES[db.dialect]["bool"]} NOT NULL, "preset" TEXT, '
        'PRIMARY KEY ("table_name", "column_name"))'
    )
    for table in ("agents", "prompts"):
        await db.run_many(
            f'INSERT INTO "{LEGACY_COLUMNS}" ("table_name", "column_name", "type", "not_null", "preset") '
            "VALUES (?, ?, ?, ?, ?)",
            [
                (table, column.name.lower(), column.type, column.not_null, column.default)
                for column in await table_columns(db, table)
            ],
        )


async def forget_empty_note(db: Connection) -> None:
    """Drop the note where it says that no table was the host's."""
    if await columns(db, LEGACY_COLUMNS) and not await host_columns(db, "agents"):
        await db.run(f'DROP TABLE "{LEGACY_COLUMNS}"')


async def host_columns(db: Reader, table: str) -> dict[str, Column]:
    """Return the columns that a table had before the first upgrade; none if the host had no such table."""
    if not await columns(db, LEGACY_COLUMNS):
        return {}
    found = await db.rows(
        f'SELECT "column_name", "type", "not_null", "preset" FROM "{LEGACY_COLUMNS}" WHERE "table_name" = ?', table
    )
    return {
        row["column_name"]: Column(
            name=row["column_name"],
            type=row["type"],
            not_null=bool(row["not_null"]),
            default=row["preset"],
            filled=row["preset"] is not None,
        )
        for row in found
    }


async def add_columns(db: Connection, table: str, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Add the columns that a table does not have yet, and return their names."""
    present = await columns(db, table)
    strict = False
    if db.dialect == "sqlite":
        found = await db.rows("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", table)
        strict = bool(found) and _STRICT.search(found[0]["sql"]) is not None
    added = tuple(name for name in wanted if name not in present)
    for name in added:
        # A strict table knows five types only.
        definition = re.sub(r"^(VARCHAR\(\d+\)|JSON|TIMESTAMP)", "TEXT", wanted[name]) if strict else wanted[name]
        await db.run(f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(name)} {definition}")
    return added


async def drop_columns(db: Connection, table: str, names: Iterable[str]) -> None:
    """Drop those of some columns that are not the host's own."""
    present, kept = await columns(db, table), await host_columns(db, table)
    for name in names:
        if name in present and name not in kept:
            await db.run(f"ALTER TABLE {quoted(table)} DROP COLUMN {quoted(name)}")


# The host's own rows.


async def copy_host_prompts(db: Connection) -> None:
    """Copy the host's table `prompts` as it is."""
    if not await columns(db, LEGACY_PROMPTS):
        await db.run(f'CREATE TABLE "{LEGACY_PROMPTS}" AS SELECT * FROM "prompts"')
        await db.run(f'CREATE UNIQUE INDEX "{LEGACY_PROMPTS}_id" ON "{LEGACY_PROMPTS}" ("id")')


async def give_host_prompts_back(db: Connection) -> None:
    """Make the rows of `prompts` what they were: later versions go, flags and times are the old ones."""
    await db.run(f'DELETE FROM "prompts" WHERE "id" NOT IN (SELECT "id" FROM "{LEGACY_PROMPTS}")')
    host = await host_columns(db, "prompts")
    for name in ("is_active", "is_default_from_code", *_TIMES):
        if name in host:
            await db.run(
                f'UPDATE "prompts" SET {quoted(name)} = (SELECT "was".{quoted(name)} FROM "{LEGACY_PROMPTS}" AS "was" '
                'WHERE "was"."id" = "prompts"."id")'
            )
    await db.run(f'DROP TABLE "{LEGACY_PROMPTS}"')


async def note_pointers(db: Connection) -> None:
    """Note what stands in the host's own `active_default_prompt_id`."""
    if POINTER in await host_columns(db, "agents") and not await columns(db, LEGACY_POINTERS):
        await db.run(f'CREATE TABLE "{LEGACY_POINTERS}" ("agent_id" INT PRIMARY KEY, "name" TEXT, "{POINTER}" BIGINT)')
        await db.run(f'INSERT INTO "{LEGACY_POINTERS}" SELECT "id", "name", "{POINTER}" FROM "agents"')


async def give_pointers_back(db: Connection) -> None:
    """Put back what stood in the host's own `active_default_prompt_id`; agents that came later have NULL."""
    if await columns(db, LEGACY_POINTERS):
        await db.run(
            f'UPDATE "agents" SET "{POINTER}" = (SELECT "was"."{POINTER}" FROM "{LEGACY_POINTERS}" AS "was" '
            'WHERE "was"."agent_id" = "agents"."id" AND "was"."name" = "agents"."name")'
        )
        await db.run(f'DROP TABLE "{LEGACY_POINTERS}"')


async def note_texts(db: Connection) -> None:
    """Note what stands in `system_prompt`, as it is: the column is about to be dropped."""
    host = (await host_columns(db, "agents"))[TEXT_COLUMN]
    await db.run(
        f'CREATE TABLE "{LEGACY_TEXTS}" ("agent_id" INT PRIMARY KEY, "name" TEXT NOT NULL, "{TEXT_COLUMN}" {host.type})'
    )
    await db.run(f'INSERT INTO "{LEGACY_TEXTS}" SELECT "id", "name", "{TEXT_COLUMN}" FROM "agents"')


async def give_texts_back(db: Connection) -> None:
    """Put `system_prompt` back as it was; an agent that came later gets its active text, which is all it has."""
    host = (await host_columns(db, "agents")).get(TEXT_COLUMN)
    if host is None or TEXT_COLUMN in await columns(db, "agents"):
        return
    preset = f" DEFAULT {host.default}" if host.default is not None else ""
    if db.dialect == "sqlite" and host.not_null:
        # SQLite adds such a column with a default only.
        preset = f"{preset or ' DEFAULT ' + chr(39) * 2} NOT NULL"
    await db.run(f'ALTER TABLE "agents" ADD COLUMN "{TEXT_COLUMN}" {host.type}{preset}')
    empty = "''" if host.not_null else "NULL"
    limit = _LIMITED.fullmatch(host.type)
    fits = f'AND char_length(p."prompt_text") <= {limit[1]}' if limit else ""
    later = f'(SELECT p."prompt_text" FROM "prompts" AS p WHERE p."id" = "agents"."{POINTER}" {fits})'
    if await columns(db, LEGACY_TEXTS):
        same = '"was"."agent_id" = "agents"."id" AND "was"."name" = "agents"."name"'
        was = f'(SELECT "was"."{TEXT_COLUMN}" FROM "{LEGACY_TEXTS}" AS "was" WHERE {same})'
        known = f'EXISTS (SELECT 1 FROM "{LEGACY_TEXTS}" AS "was" WHERE {same})'
        value = f"CASE WHEN {known} THEN {was} ELSE COALESCE({later}, {empty}) END"
        await db.run(f'UPDATE "agents" SET "{TEXT_COLUMN}" = {value}')
        await db.run(f'DROP TABLE "{LEGACY_TEXTS}"')
    else:
        await db.run(f'UPDATE "agents" SET "{TEXT_COLUMN}" = COALESCE({later}, {empty})')
    if db.dialect == "postgres" and host.not_null:
        await db.run(f'ALTER TABLE "agents" ALTER COLUMN "{TEXT_COLUMN}" SET NOT NULL')


# Facts of agents: put aside by a downgrade, taken back by an upgrade.


async def archive_agents(db: Connection) -> None:
    """Put aside what `agents` says besides the host's own columns."""
    if not await db.rows('SELECT "id" FROM "agents" LIMIT 1'):
        return
    types, host, present = TYPES[db.dialect], await host_columns(db, "agents"), await columns(db, "agents")
    text = host[TEXT_COLUMN].type if TEXT_COLUMN in host else "TEXT"
    await db.run(
        f'CREATE TABLE IF NOT EXISTS "{ARCHIVED_AGENTS}" ("agent_id" INT NOT NULL, "name" TEXT NOT NULL, '
        f'"default_status_key" VARCHAR(255) NOT NULL, "variables" {types["json"]} NOT NULL, "revision" INT NOT NULL, '
        f'"{TEXT_COLUMN}" {text}, "created_at" {types["time"]}, "updated_at" {types["time"]})'
    )
    await db.run(f'DELETE FROM "{ARCHIVED_AGENTS}" WHERE "name" IN (SELECT "name" FROM "agents")')
    values = [
        quoted(TEXT_COLUMN) if TEXT_COLUMN in present else "NULL",
        *(quoted(name) if name not in host else "NULL" for name in _TIMES),
    ]
    await db.run(
        f'INSERT INTO "{ARCHIVED_AGENTS}" ("agent_id", "name", {_listed(_FACTS)}, "{TEXT_COLUMN}", {_listed(_TIMES)}) '
        f'SELECT "id", "name", {_listed(_FACTS)}, {", ".join(values)} FROM "agents"'
    )


async def restore_own_agents(db: Connection) -> None:
    """Bring back the rows of a table `agents` that is this library's own and was dropped by the downgrade."""
    if not await columns(db, ARCHIVED_AGENTS) or await db.rows('SELECT "id" FROM "agents" LIMIT 1'):
        return
    await db.run(f'INSERT INTO "agents" ("id", "name") SELECT "agent_id", "name" FROM "{ARCHIVED_AGENTS}"')
    await _raise_sequence(db, "agents")


async def restore_facts(db: Connection) -> None:
    """Bring back what `agents` said besides the host's own columns."""
    if not await columns(db, ARCHIVED_AGENTS):
        return
    host = await host_columns(db, "agents")
    names = [*_FACTS, *(name for name in _TIMES if name not in host)]
    assignments = ", ".join(f'{quoted(name)} = "was".{quoted(name)}' for name in names)
    await db.run(
        f'UPDATE "agents" SET {assignments} FROM "{ARCHIVED_AGENTS}" AS "was" WHERE "was"."name" = "agents"."name"'
    )


async def forget_agents(db: Connection) -> None:
    """Clear the archive of the agents that exist; those that do not stay in it."""
    await _forget(db, ARCHIVED_AGENTS, "name")


# Versions and events.


@dataclass(frozen=True, slots=True)
class Archived:
    """A version in the archive.

    Attributes:
        agent: The agent's name.
        was_host: Whether it is a row of the host's own table, which has it now as well.
        was_active: Whether it was active there.
        version: The version as it was; its `agent_id` is the one that the agent had.
        row: All its columns.
    """

    agent: str
    was_host: bool
    was_active: bool
    version: Version
    row: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Restored:
    """How a version comes back.

    Attributes:
        archived: The version in the archive.
        version: The version as it will stand.
        is_there: Whether its row is there already and only gets back what it had lost.
        keeps_id: Whether it has the id that it had.
    """

    archived: Archived
    version: Version
    is_there: bool
    keeps_id: bool


async def archive_versions(db: Connection) -> None:
    """Put all versions and events aside, with the names of their agents."""
    if not await db.rows('SELECT "id" FROM "prompts" LIMIT 1'):
        return
    types = TYPES[db.dialect]
    await db.run(
        f'CREATE TABLE IF NOT EXISTS "{ARCHIVED_VERSIONS}" ("agent_name" TEXT NOT NULL, "agent_id" INT NOT NULL, '
        f'"was_host" {types["bool"]} NOT NULL, "was_active" {types["bool"]}, "id" INT NOT NULL, '
        '"status_key" VARCHAR(255) NOT NULL, "version" INT NOT NULL, "prompt_text" TEXT NOT NULL, '
        f'"format" VARCHAR(16) NOT NULL, "is_active" {types["bool"]} NOT NULL, '
        f'"is_default_from_code" {types["bool"]} NOT NULL, "name" VARCHAR(255), "content_hash" VARCHAR(64) NOT NULL, '
        f'"author" VARCHAR(255), "note" TEXT, "created_at" {types["time"]} NOT NULL, '
        f'"updated_at" {types["time"]} NOT NULL)'
    )
    await db.run(
        f'CREATE TABLE IF NOT EXISTS "{ARCHIVED_EVENTS}" ("agent_name" TEXT NOT NULL, "id" INT NOT NULL, '
        '"status_key" VARCHAR(255) NOT NULL, "action" VARCHAR(32) NOT NULL, "prompt_id" INT, "version" INT, '
        '"from_version" INT, "author" VARCHAR(255), "note" TEXT, "revision" INT NOT NULL, '
        f'"created_at" {types["time"]} NOT NULL)'
    )
    for table in (ARCHIVED_VERSIONS, ARCHIVED_EVENTS):
        # Of an agent that was gone when the last upgrade looked for it, and that exists again.
        await db.run(f'DELETE FROM "{table}" WHERE "agent_name" IN (SELECT "name" FROM "agents")')
    was_host, was_active, join = "false", "CAST(NULL AS BOOLEAN)", ""
    if host := await host_columns(db, "prompts"):
        was_host = 'w."id" IS NOT NULL'
        was_active = 'w."is_active"' if "is_active" in host else was_active
        join = f'LEFT JOIN "{LEGACY_PROMPTS}" AS w ON w."id" = p."id"'
    await db.run(
        f'INSERT INTO "{ARCHIVED_VERSIONS}" ("agent_name", "agent_id", "was_host", "was_active", {_listed(_VERSION)}) '
        f'SELECT a."name", a."id", {was_host}, {was_active}, {_listed(_VERSION, "p.")} '
        f'FROM "prompts" AS p JOIN "agents" AS a ON a."id" = p."agent_id" {join}'
    )
    await db.run(
        f'INSERT INTO "{ARCHIVED_EVENTS}" ("agent_name", {_listed(_EVENT)}) SELECT a."name", {_listed(_EVENT, "e.")} '
        'FROM "prompt_events" AS e JOIN "agents" AS a ON a."id" = e."agent_id"'
    )


async def read_archive(db: Reader) -> list[Archived]:
    """Return the versions in the archive."""
    if not await columns(db, ARCHIVED_VERSIONS):
        return []
    rows = await db.rows(
        f'SELECT "agent_name", "agent_id", "was_host", "was_active", {_listed(_VERSION)} FROM "{ARCHIVED_VERSIONS}" '
        'ORDER BY "id"'
    )
    return [
        Archived(
            agent=row["agent_name"],
            was_host=bool(row["was_host"]),
            was_active=bool(row["was_active"]),
            version=Version(
                id=row["id"],
                agent_id=row["agent_id"],
                status_key=row["status_key"],
                version=row["version"],
                text=row["prompt_text"],
                is_active=bool(row["is_active"]),
                format=row["format"],
            ),
            row=row,
        )
        for row in rows
    ]


def plan_restore(archived: Iterable[Archived], agents: Mapping[str, int], present: Iterable[Version]) -> list[Restored]:
    """Say how archived versions come back.

    Where the host's own table has a status as the downgrade left it, it becomes again what it was before. Where it was
    changed meanwhile, the present rows stand, and archived texts that are not among them follow as inactive versions.

    Args:
        archived: The versions in the archive; those of agents that do not exist stay there.
        agents: The ids of the agents that exist, by name.
        present: The versions that are there.
    """
    here: defaultdict[tuple[int, str], list[Version]] = defaultdict(list)
    there: defaultdict[tuple[int, str], list[Archived]] = defaultdict(list)
    for version in present:
        here[version.agent_id, version.status_key].append(version)
    for item in archived:
        if item.agent in agents:
            there[agents[item.agent], item.version.status_key].append(item)
    taken = {version.id for versions in here.values() for version in versions}
    plan: list[Restored] = []
    for (agent_id, status_key), items in there.items():
        now = here[agent_id, status_key]
        left = {(item.version.version, item.version.text, item.was_active) for item in items if item.was_host}
        if left == {(version.version, version.text, version.is_active) for version in now}:
            ids = {version.version: version.id for version in now}
            for item in items:
                known = ids.get(item.version.version) if item.was_host else None
                keeps = known == item.version.id or (known is None and item.version.id not in taken)
                version = replace(item.version, agent_id=agent_id, id=known if known is not None else item.version.id)
                plan.append(Restored(item, version, is_there=known is not None, keeps_id=keeps))
            continue
        number, texts = max((version.version for version in now), default=0), {version.text for version in now}
        for item in sorted(items, key=lambda item: item.version.version):
            if item.version.text not in texts:
                number += 1
                version = replace(item.version, agent_id=agent_id, version=number, is_active=False)
                plan.append(Restored(item, version, is_there=False, keeps_id=False))
    return plan


async def restore_versions(db: Connection, plan: Sequence[Restored]) -> tuple[str, ...]:
    """Bring archived versions and events back; return the agents whose versions stay, as they do not exist."""
    facts = [name for name in _VERSION if name not in {"id", "status_key", "version", "prompt_text", "is_active"}]
    placed = {True: [item for item in plan if item.is_there], False: [item for item in plan if not item.is_there]}
    await db.run_many(
        f'UPDATE "prompts" SET {", ".join(f"{quoted(name)} = ?" for name in facts)}, "is_active" = ? WHERE "id" = ?',
        [
            (*(item.archived.row[name] for name in facts), item.archived.row["is_active"], item.version.id)
            for item in placed[True]
        ],
    )
    for keeps in (True, False):
        names = ["agent_id", "status_key", "version", "prompt_text", "is_active", *facts, *(["id"] if keeps else [])]
        await db.run_many(
            f'INSERT INTO "prompts" ({_listed(names)}) VALUES ({", ".join("?" for _ in names)})',
            [
                [
                    {
                        **item.archived.row,
                        "agent_id": item.version.agent_id,
                        "version": item.version.version,
                        "is_active": item.archived.row["is_active"] if item.version.is_active else False,
                    }[name]
                    for name in names
                ]
                for item in placed[False]
                if item.keeps_id is keeps
            ],
        )
    await _raise_sequence(db, "prompts")
    if await columns(db, ARCHIVED_EVENTS):
        await db.run(
            f'INSERT INTO "prompt_events" ("agent_id", {_listed(_EVENT)}) SELECT a."id", {_listed(_EVENT, "e.")} '
            f'FROM "{ARCHIVED_EVENTS}" AS e JOIN "agents" AS a ON a."name" = e."agent_name" ORDER BY e."id"'
        )
        # An event must not name a row that is another version now.
        await db.run_many(
            'UPDATE "prompt_events" SET "prompt_id" = NULL WHERE "prompt_id" = ?',
            [(item.archived.version.id,) for item in plan if not item.keeps_id],
        )
        await _raise_sequence(db, "prompt_events")
    await _forget(db, ARCHIVED_EVENTS, "agent_name")
    return await _forget(db, ARCHIVED_VERSIONS, "agent_name")


async def _forget(db: Connection, table: str, column: str) -> tuple[str, ...]:
    """Clear an archive of the agents that exist; drop it if nothing is left, else return the names that are left."""
    if not await columns(db, table):
        return ()
    await db.run(f'DELETE FROM "{table}" WHERE "{column}" IN (SELECT "name" FROM "agents")')
    left = tuple(str(row["name"]) for row in await db.rows(f'SELECT DISTINCT "{column}" AS name FROM "{table}"'))
    if not left:
        await db.run(f'DROP TABLE "{table}"')
    return left


async def _raise_sequence(db: Connection, table: str) -> None:
    """Let the numbers of new rows go on above those that were written with their own; SQLite does it by itself."""
    if db.dialect == "postgres":
        await db.run(
            "SELECT setval(s, GREATEST(m, nextval(s))) FROM "
            f"(SELECT pg_get_serial_sequence(?::text, 'id')::regclass AS s, "
            f'(SELECT MAX("id") FROM "{table}")::bigint AS m) AS q WHERE s IS NOT NULL AND m IS NOT NULL',
            table,
        )


def _listed(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{quoted(name)}" for name in names)
