"""What a downgrade puts aside, as the older schema has no place for it, and the next upgrade takes back.

Versions, events and facts of agents go into tables of their own, `automagik_prompts_archive_*`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from automagik_prompts.schema.legacy.backup import LEGACY_PROMPTS, host_columns
from automagik_prompts.schema.legacy.planned import PlannedVersion
from automagik_prompts.schema.legacy.tables import ARCHIVED_AGENTS, TEXT_COLUMN
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.dialects.base import DatabaseReader, quoted
from automagik_prompts.storage.introspection import columns

ARCHIVED_VERSIONS = "automagik_prompts_archive_prompts"
ARCHIVED_EVENTS = "automagik_prompts_archive_events"

_TYPES = {
    "sqlite": {"bool": "INT", "time": "TIMESTAMP", "json": "JSON"},
    "postgres": {"bool": "BOOL", "time": "TIMESTAMPTZ", "json": "JSONB"},
}

_OWN_IDS = {"sqlite": "", "postgres": "OVERRIDING SYSTEM VALUE"}
"""How a row is written with an id of its own, also where the application's table is told to number them always."""

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


# Facts of agents.


async def archive_agents(db: Connection) -> None:
    """Put aside what `agents` says besides the application's own columns, unless that was done already."""
    types, host, present = _TYPES[db.dialect], await host_columns(db, "agents"), await columns(db, "agents")
    if not present.issuperset(_FACTS) or not await db.rows('SELECT "id" FROM "agents" LIMIT 1'):
        return
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
    """Bring back what `agents` said besides the application's own columns."""
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
        version: The version as it was; its `agent_id` is the one that the agent had.
        row: All its columns, and besides the agent's name, whether it is a row of the application's own table, which
            has it now as well (`was_host`), and whether it was active there (`was_active`).
    """

    version: PlannedVersion
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
    version: PlannedVersion
    is_there: bool
    keeps_id: bool


async def archive_versions(db: Connection) -> None:
    """Put all versions and events aside, with the names of their agents, unless that was done already."""
    if "content_hash" not in await columns(db, "prompts") or not await db.rows('SELECT "id" FROM "prompts" LIMIT 1'):
        return
    types = _TYPES[db.dialect]
    await db.run(
        f'CREATE TABLE IF NOT EXISTS "{ARCHIVED_VERSIONS}" ("agent_name" TEXT NOT NULL, "agent_id" INT NOT NULL, '
        f'"was_host" {types["bool"]} NOT NULL, "was_active" {types["bool"]}, "id" INT NOT NULL, '
        '"status_key" VARCHAR(255) NOT NULL, "version" INT NOT NULL, "prompt_text" TEXT NOT NULL, '
        # Columns that may be the application's own hold what the application's own types let in.
        f'"format" TEXT NOT NULL, "is_active" {types["bool"]} NOT NULL, '
        f'"is_default_from_code" {types["bool"]} NOT NULL, "name" TEXT, "content_hash" TEXT NOT NULL, '
        f'"author" TEXT, "note" TEXT, "created_at" {types["time"]} NOT NULL, '
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


async def read_archive(db: DatabaseReader) -> list[Archived]:
    """Return the versions in the archive."""
    if not await columns(db, ARCHIVED_VERSIONS):
        return []
    rows = await db.rows(
        f'SELECT "agent_name", "agent_id", "was_host", "was_active", {_listed(_VERSION)} FROM "{ARCHIVED_VERSIONS}" '
        'ORDER BY "id"'
    )
    return [
        Archived(
            PlannedVersion(
                id=row["id"],
                agent_id=row["agent_id"],
                status_key=row["status_key"],
                version=row["version"],
                text=row["prompt_text"],
                is_active=bool(row["is_active"]),
                format=row["format"],
            ),
            row,
        )
        for row in rows
    ]


def plan_restore(
    archived: Iterable[Archived], agents: Mapping[str, int], present: Iterable[PlannedVersion]
) -> list[Restored]:
    """Return how archived versions come back.

    Where the application's own table has a status as the downgrade left it, it becomes again what it was before. Where
    it was changed meanwhile, the present rows stand, and archived texts that are not among them follow as inactive
    versions.

    Args:
        archived: The versions in the archive; those of agents that do not exist stay there.
        agents: The ids of the agents that exist, by name.
        present: The versions that are there.
    """
    here: defaultdict[tuple[int, str], list[PlannedVersion]] = defaultdict(list)
    there: defaultdict[tuple[int, str], list[Archived]] = defaultdict(list)
    for version in present:
        here[version.agent_id, version.status_key].append(version)
    for item in archived:
        if (agent := item.row["agent_name"]) in agents:
            there[agents[agent], item.version.status_key].append(item)
    taken = {version.id for versions in here.values() for version in versions}
    plan: list[Restored] = []
    for (agent_id, status_key), items in there.items():
        now = here[agent_id, status_key]
        hosts = [item for item in items if item.row["was_host"]]
        left = {(item.version.version, item.version.text, bool(item.row["was_active"])) for item in hosts}
        if left == {(version.version, version.text, version.is_active) for version in now}:
            ids = {version.version: version.id for version in now}
            for item in items:
                known = ids.get(item.version.version) if item.row["was_host"] else None
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
    await db.run_many(
        f'UPDATE "prompts" SET {", ".join(f"{quoted(name)} = ?" for name in facts)}, "is_active" = ? WHERE "id" = ?',
        [
            (*(item.archived.row[name] for name in facts), item.archived.row["is_active"], item.version.id)
            for item in plan
            if item.is_there
        ],
    )
    for keeps in (True, False):
        same = ["status_key", "prompt_text", *facts, *(["id"] if keeps else [])]
        names = ["agent_id", "version", "is_active", *same]
        await db.run_many(
            f'INSERT INTO "prompts" ({_listed(names)}) {_OWN_IDS[db.dialect]} VALUES ({", ".join("?" for _ in names)})',
            [
                (
                    *(item.version.agent_id, item.version.version),
                    item.archived.row["is_active"] if item.version.is_active else False,
                    *(item.archived.row[name] for name in same),
                )
                for item in plan
                if not item.is_there and item.keeps_id is keeps
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
