"""What an application's tables were: noted before an upgrade changes it, and given back by the downgrade.

The notes are tables of their own, `automagik_prompts_legacy_*`. Together with `archive` they make both ways of a
migration lead back to exactly what was there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from automagik_prompts.schema.legacy.tables import POINTER, TEXT_COLUMN
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.dialects.base import Column, DatabaseReader, quoted
from automagik_prompts.storage.introspection import columns, table_columns

LEGACY_COLUMNS = "automagik_prompts_legacy_columns"
"""The columns that the application's tables had; there is no such table where this library made all tables itself."""

LEGACY_PROMPTS = "automagik_prompts_legacy_prompts"
"""The application's table `prompts` as it was."""

LEGACY_POINTERS = "automagik_prompts_legacy_pointers"
"""What stood in the application's own `active_default_prompt_id`, stale or not."""

LEGACY_TEXTS = "automagik_prompts_legacy_texts"
"""What stood in `system_prompt` when it was dropped: texts, NULL, empty and blank."""

_BOOL = {"sqlite": "INT", "postgres": "BOOL"}
_STRICT = re.compile(r"\)[^)]*\bSTRICT\b[^)]*$", re.IGNORECASE)
_LIMITED = re.compile(r"character varying\((\d+)\)")
_CONSTANT = re.compile(r"NULL|[-+]?[0-9.]+|'(?:[^']|'')*'", re.IGNORECASE)


# The columns of the application's tables.


async def note_host_columns(db: Connection) -> None:
    """Note which columns are the application's, before anything is changed; an empty note means none."""
    await db.run(
        f'CREATE TABLE "{LEGACY_COLUMNS}" ("table_name" VARCHAR(16) NOT NULL, "column_name" VARCHAR(255) '
        f'NOT NULL, "type" TEXT NOT NULL, "not_null" {_BOOL[db.dialect]} NOT NULL, "preset" TEXT, '
        'PRIMARY KEY ("table_name", "column_name"))'
    )
    for table in ("agents", "prompts"):
        await db.run_many(
            f'INSERT INTO "{LEGACY_COLUMNS}" ("table_name", "column_name", "type", "not_null", "preset") '
            "VALUES (?, ?, ?, ?, ?)",
            [
                (table, column.name, column.type, column.not_null, column.default)
                for column in await table_columns(db, table)
            ],
        )


async def forget_empty_note(db: Connection) -> None:
    """Drop the note where it says that no table was the application's."""
    if await columns(db, LEGACY_COLUMNS) and not await host_columns(db, "agents"):
        await db.run(f'DROP TABLE "{LEGACY_COLUMNS}"')


async def host_columns(db: DatabaseReader, table: str) -> dict[str, Column]:
    """Return the columns that a table had before the first upgrade; none if the application had no such table."""
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
    """Drop those of some columns that are not the application's own."""
    present, kept = await columns(db, table), await host_columns(db, table)
    for name in names:
        if name in present and name not in kept:
            await db.run(f"ALTER TABLE {quoted(table)} DROP COLUMN {quoted(name)}")


# The application's own rows.


async def copy_host_prompts(db: Connection) -> None:
    """Copy the application's table `prompts` as it is."""
    if not await columns(db, LEGACY_PROMPTS):
        await db.run(f'CREATE TABLE "{LEGACY_PROMPTS}" AS SELECT * FROM "prompts"')
        await db.run(f'CREATE UNIQUE INDEX "{LEGACY_PROMPTS}_id" ON "{LEGACY_PROMPTS}" ("id")')


async def give_host_prompts_back(db: Connection) -> None:
    """Make the rows of `prompts` what they were: later versions go, flags and times are the old ones."""
    if not await columns(db, LEGACY_PROMPTS):
        return
    await db.run(f'DELETE FROM "prompts" WHERE "id" NOT IN (SELECT "id" FROM "{LEGACY_PROMPTS}")')
    host = await host_columns(db, "prompts")
    for name in ("format", "is_active", "is_default_from_code", "content_hash", "created_at", "updated_at"):
        if name in host:
            await db.run(
                f'UPDATE "prompts" SET {quoted(name)} = (SELECT "was".{quoted(name)} FROM "{LEGACY_PROMPTS}" AS "was" '
                'WHERE "was"."id" = "prompts"."id")'
            )
    await db.run(f'DROP TABLE "{LEGACY_PROMPTS}"')


async def note_pointers(db: Connection) -> None:
    """Note what stands in the application's own `active_default_prompt_id`."""
    if POINTER in await host_columns(db, "agents") and not await columns(db, LEGACY_POINTERS):
        await db.run(f'CREATE TABLE "{LEGACY_POINTERS}" ("agent_id" INT PRIMARY KEY, "name" TEXT, "{POINTER}" BIGINT)')
        await db.run(f'INSERT INTO "{LEGACY_POINTERS}" SELECT "id", "name", "{POINTER}" FROM "agents"')


async def give_pointers_back(db: Connection) -> None:
    """Put back what stood in the application's own `active_default_prompt_id`; agents that came later have NULL."""
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
    default = host.default
    if db.dialect == "sqlite":
        # SQLite adds a column with a constant as its default only, and one that refuses NULL only with a default.
        default = default if default is not None and _CONSTANT.fullmatch(default) else None
        default = "''" if default is None and host.not_null else default
    preset = f" DEFAULT {default}" if default is not None else ""
    if db.dialect == "sqlite" and host.not_null:
        preset += " NOT NULL"
    await db.run(f'ALTER TABLE "agents" ADD COLUMN "{TEXT_COLUMN}" {host.type}{preset}')
    empty = "''" if host.not_null else "NULL"
    limit = _LIMITED.match(host.type)
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
