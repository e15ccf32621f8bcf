"""Databases as another application made them before this library: agents with one text each, and what goes along."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types

from automagik_prompts.database_url import dialect_of, sqlite_path
from automagik_prompts.domain.edits import Intent
from automagik_prompts.editing import commands
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.postgres import connect_parameters

TYPES = {
    "sqlite": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "bool": "BOOLEAN",
        "json": "JSON",
        "time": "TIMESTAMP",
        "naive": "TIMESTAMP",
        "true": "1",
        "false": "0",
    },
    "postgres": {
        "id": "SERIAL PRIMARY KEY",
        "bool": "BOOLEAN",
        "json": "JSONB",
        "time": "TIMESTAMPTZ",
        "naive": "TIMESTAMP",
        "true": "true",
        "false": "false",
    },
}

AGENTS = """
CREATE TABLE agents (
    id {id},
    name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    model TEXT NOT NULL,
    description TEXT,
    version TEXT,
    config {json},
    active {bool} DEFAULT {true},
    run_id INTEGER DEFAULT 0,
    system_prompt TEXT,
    {pointer}
    created_at {time} DEFAULT CURRENT_TIMESTAMP,
    updated_at {time} DEFAULT CURRENT_TIMESTAMP
)"""

POINTER = "active_default_prompt_id INTEGER,"

PROMPTS = """
CREATE TABLE prompts (
    id {id},
    agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    prompt_text TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    is_active {bool} DEFAULT {false},
    is_default_from_code {bool} DEFAULT {false},
    status_key VARCHAR(255) NOT NULL DEFAULT 'default',
    name VARCHAR(255),
    created_at {naive} DEFAULT CURRENT_TIMESTAMP,
    updated_at {naive} DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (agent_id, status_key, version)
)"""

MESSAGES = """
CREATE TABLE messages (
    id {id},
    agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    body TEXT NOT NULL
)"""

TEXTS: dict[str, str | None] = {
    "plain": "You are a helpful assistant.",
    "template": "You are {{agent_name}}. Serve {{contact.name}}.",
    "loop": "{{#each items}}{{this.price}} {{/each}}{{#if vip}}Be kind.{{/if}}",
    "broken": "Fill in {{#if x}} and {{code here}}",
    "jinja": "Hello {{ user.name | upper }}",
    "json": 'Answer as {"a": {"b": 1}}',
    "null": None,
    "empty": "",
    "blank": "   ",
    "breaks": "\n\t \r\n",
    "wide blank": "\u00a0\u2003",
    "trailing": "  Keep my blanks. \r\nAnd my last line break.\n",
    "unicode": "\ufeffcafe\u0301 caf\u00e9 \U0001f469\u200d\U0001f680 \u202eabc\u202c '\"\\ %s $1 ?",
}
"""Texts by agent; every way to have none, and what drivers, quoting and templates stumble over."""


class Host:
    """A database, seen as its owner sees it: without this library.

    Args:
        url: The database URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.dialect = dialect_of(url)

    def run(self, *statements: str) -> None:
        """Run statements; `{id}`, `{bool}` and so on stand for the engine's own words."""
        filled = [self.filled(statement) for statement in statements]
        if self.dialect == "sqlite":
            with closing(self._file()) as connection, connection:
                for statement in filled:
                    connection.execute(statement)
            return

        async def work() -> None:
            connection = await asyncpg.connect(**connect_parameters(self.url))
            try:
                for statement in filled:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(work())

    def filled(self, statement: str) -> str:
        """Return a statement in the engine's own words."""
        for word, meaning in TYPES[self.dialect].items():
            statement = statement.replace(f"{{{word}}}", meaning)
        return statement

    def insert(self, table: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert rows."""
        if self.dialect == "sqlite":
            marks = ", ".join("?" for _ in names)
            with closing(self._file()) as connection, connection:
                connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)
            return

        async def work() -> None:
            connection = await asyncpg.connect(**connect_parameters(self.url))
            try:
                marks = ", ".join(f"${number}" for number in range(1, len(names) + 1))
                await connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)
            finally:
                await connection.close()

        asyncio.run(work())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""
        return self.all_rows([query])[0]

    def all_rows(self, queries: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """Run queries on one connection and return the rows of each."""
        if self.dialect == "sqlite":
            with closing(self._file()) as connection:
                return [connection.execute(query).fetchall() for query in queries]

        async def work() -> list[list[tuple[Any, ...]]]:
            connection = await asyncpg.connect(**connect_parameters(self.url))
            try:
                return [[tuple(row) for row in await connection.fetch(query)] for query in queries]
            finally:
                await connection.close()

        return asyncio.run(work())

    def one(self, query: str) -> Any:
        """Return the only value of a query."""
        ((value,),) = self.rows(query)
        return value

    def has_table(self, name: str) -> bool:
        """Return whether there is a table."""
        if self.dialect == "sqlite":
            return bool(self.rows(f"SELECT 1 FROM sqlite_master WHERE name = '{name}'"))
        return self.one(f"SELECT to_regclass('{name}')::text") is not None

    def tables(self) -> list[str]:
        """Return the names of all tables but aerich's own."""
        if self.dialect == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        else:
            query = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
        return [name for (name,) in self.rows(query) if name != "aerich"]

    def shape(self) -> dict[str, Any]:
        """Return all that is no row: columns whatever their order, indexes, keys, views, triggers."""
        if self.dialect == "sqlite":
            shape: dict[str, Any] = {
                table: sorted(row[1:] for row in self.rows(f'PRAGMA table_xinfo("{table}")')) for table in self.tables()
            }
            shape |= {f"keys of {table}": sorted(self.rows(f'PRAGMA foreign_key_list("{table}")')) for table in shape}
            shape["rest"] = sorted(
                self.rows("SELECT type, name, sql FROM sqlite_master WHERE type <> 'table' AND tbl_name <> 'aerich'")
            )
            return shape
        here = "current_schema()::regnamespace"
        queries = {
            "columns": "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
            "pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation::text "
            "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE a.attnum > 0 "
            f"AND NOT a.attisdropped AND c.relkind IN ('r', 'v') AND c.relname <> 'aerich' AND c.relnamespace = {here}",
            "indexes": "SELECT tablename::text, indexdef FROM pg_indexes "
            "WHERE schemaname = current_schema() AND tablename <> 'aerich'",
            "constraints": "SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) "
            f"FROM pg_constraint WHERE connamespace = {here} AND conrelid <> 0 AND conname !~ 'aerich'",
            "triggers": "SELECT tgname::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
            "views": "SELECT viewname::text, definition FROM pg_views WHERE schemaname = current_schema()",
        }
        found = self.all_rows(list(queries.values()))
        return {name: sorted(rows, key=str) for name, rows in zip(queries, found, strict=True)}

    def content(self) -> dict[str, list[dict[str, Any]]]:
        """Return all rows of all tables, by column name."""
        if self.dialect == "sqlite":
            tables = self.tables()
            found = self.all_rows([f'PRAGMA table_info("{table}")' for table in tables])
            names = [sorted(row[1] for row in rows) for rows in found]
        else:
            # Looked at often, so that it is one query.
            listed = self.rows(
                "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attname::text) FROM pg_class c "
                "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
                "WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace "
                "AND c.relname <> 'aerich' GROUP BY 1 ORDER BY 1"
            )
            tables, names = [table for table, _ in listed], [list(columns) for _, columns in listed]
        chosen = [", ".join(f'"{name}"' for name in columns) for columns in names]
        found = self.all_rows([f'SELECT {some} FROM "{table}"' for some, table in zip(chosen, tables, strict=True)])
        return {
            table: [dict(zip(columns, row, strict=True)) for row in sorted(rows, key=str)]
            for table, columns, rows in zip(tables, names, found, strict=True)
            if table != "prompt_changes"  # its numbers are those of transactions
        }

    def _file(self) -> sqlite3.Connection:
        path = sqlite_path(self.url)
        assert path is not None
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.text_factory = lambda value: value.decode(errors="surrogateescape")
        return connection


def make_agents(host: Host, *, pointer: bool = True) -> None:
    """Make the host's table `agents`, and one that refers to it."""
    host.run(AGENTS.replace("{pointer}", POINTER if pointer else ""), MESSAGES)


def fill_agents(host: Host, texts: dict[str, str | None]) -> None:
    """Add agents with their texts, and a message of each."""
    host.insert(
        "agents",
        ("name", "type", "model", "config", "system_prompt"),
        [(name, "simple", "openai:gpt-4.1", '{"temperature": 0.5}', text) for name, text in texts.items()],
    )
    host.run("INSERT INTO messages (agent_id, body) SELECT id, 'hello' FROM agents")


def upgrade(url: str, *, adopt: bool = False) -> tuple[str, ...]:
    """Upgrade a database as `automagik-prompts upgrade` does, with or without `--adopt`."""

    async def work() -> tuple[str, ...]:
        async with Database(url) as database:
            return await migrate.upgrade(database, adopt=adopt)

    return asyncio.run(work())


def downgrade(url: str, number: int = 0) -> tuple[str, ...]:
    """Downgrade a database."""

    async def work() -> tuple[str, ...]:
        async with Database(url) as database:
            return await migrate.downgrade(database, number)

    return asyncio.run(work())


def make_first_shape(host: Host) -> None:
    """Make agents and a table `prompts` of the first shape, partly filled, in every way that one may be found."""
    make_agents(host)
    fill_agents(host, TEXTS)
    host.run(PROMPTS)
    names = [name for (name,) in host.rows("SELECT name FROM agents ORDER BY id")]
    ids = {name: number for number, name in enumerate(names, start=1)}
    host.insert(
        "prompts",
        ("agent_id", "status_key", "version", "prompt_text", "is_active", "is_default_from_code", "name"),
        [
            (ids["plain"], "default", 1, TEXTS["plain"], True, True, "Migrated Default Prompt"),
            (ids["template"], "default", 1, "The first.", False, True, None),
            (ids["template"], "default", 2, "The second for {{name}}.", True, False, "By a person"),
            (ids["template"], "default", 3, "The third.", True, False, None),
            (ids["loop"], "NOT_REGISTERED", 1, "Who are you, {{name}}?", True, True, None),
            (ids["loop"], "APPROVED", 1, "Quote {{#if prices}}prices{{/if}}.", True, True, None),
            (ids["loop"], "APPROVED", 2, "Quote prices.", True, True, None),
            (ids["broken"], "default", 1, "Neither on nor off.", None, None, None),
            (ids["jinja"], "default", 1, TEXTS["jinja"], False, True, None),
            (ids["null"], "default", 1, "Only here.", True, True, None),
        ],
    )
    pointers = {"template": 2, "loop": 5, "broken": 5, "json": 4711, "null": 1, "jinja": 9}
    point = "UPDATE agents SET active_default_prompt_id = {} WHERE name = '{}'"
    host.run(
        *(point.format(number, name) for name, number in pointers.items()),
        "UPDATE prompts SET created_at = NULL WHERE id = 2",
    )


def make_loose(host: Host) -> None:
    """Make the same with a table `prompts` that has no keys and no rules."""
    make_first_shape(host)
    loosen(host)


def loosen(host: Host) -> None:
    """Take the keys and rules off a table `prompts` of the first shape."""
    loose = re.sub(r" REFERENCES [^,]*|NOT NULL|,\s*UNIQUE \([^)]*\)", "", PROMPTS).replace("VARCHAR(255)", "TEXT")
    host.run(
        "ALTER TABLE prompts RENAME TO earlier",
        loose.replace("TABLE prompts", "TABLE loose"),
        "INSERT INTO loose SELECT * FROM earlier",
        "DROP TABLE earlier",
        "ALTER TABLE loose RENAME TO prompts",
    )
    if host.dialect == "postgres":
        host.run("SELECT setval('loose_id_seq', 10)")


def meaning(host: Host) -> dict[str, Any]:
    """Return all rows but what differs from one run to the next: the moments of writing and the numbers of rows."""
    content = host.content()
    keys = {row["id"]: (row["agent_id"], row["status_key"], row["version"]) for row in content.get("prompts", [])}
    moments = ("created_at", "updated_at")
    told: dict[str, Any] = {}
    for table, rows in content.items():
        ours = table != "messages" and "legacy" not in table
        told[table] = sorted(
            (
                {
                    name: keys.get(value, value) if name in {"active_default_prompt_id", "prompt_id"} else value
                    for name, value in row.items()
                    if not (ours and table != "agents" and name in (*moments, "id"))
                    and not (ours and table == "agents" and name == "updated_at")
                }
                for row in rows
            ),
            key=str,
        )
    return told


def work_on(url: str) -> None:
    """Do what people do after an upgrade: write versions, activate, roll back, deactivate, add an agent."""

    async def work() -> None:
        async with Database(url) as database:
            await commands.create(database, "plain", "default", "A later text.", activate=True, intent=Intent("ann"))
            await commands.create(
                database, "plain", "VIP", "A text for {{agent_name}}.", new_status=True, intent=Intent("ann", "why")
            )
            await commands.create(database, "null", "default", "Now there is one.", activate=True)
            await commands.create(database, "trailing", "default", "Too much.", activate=True)
            await commands.rollback(database, "trailing", "default")
            await commands.deactivate(database, "unicode", "default")

    asyncio.run(work())
    Host(url).insert("agents", ("name", "type", "model"), [("newcomer", "simple", "openai:gpt-4.1")])

    async def join() -> None:
        async with Database(url) as database:
            await commands.create(database, "newcomer", "default", "I came later.", activate=True)

    asyncio.run(join())
