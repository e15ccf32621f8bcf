"""What a database says about its tables, on every engine: columns, indexes, foreign keys, and who depends on a column.

Reading goes through `Reader`, so that the same questions can be asked inside a migration's transaction and through a
connection that cannot write.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.settings import Dialect

_MARK = re.compile(r"\?")

TABLE_ID = "to_regclass(quote_ident(current_schema()) || '.' || quote_ident(?::text))"
"""On PostgreSQL, the table of a name where CREATE TABLE looks, and no further: in another schema it is another's."""

_DIALECTS: dict[str, Dialect] = {"sqlite": "sqlite", "postgres": "postgres"}


class Reader(Protocol):
    """A connection as far as reading goes."""

    @property
    def dialect(self) -> Dialect:
        """The engine."""
        ...

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Run a query whose values are marked by `?`, and return its rows."""
        ...


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection that migrations read and write through; values are marked by `?` on every engine.

    Attributes:
        client: Tortoise's connection, inside a transaction.
    """

    client: BaseDBAsyncClient

    @property
    def dialect(self) -> Dialect:
        """The engine."""
        return _DIALECTS[self.client.capabilities.dialect]

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Run a query and return its rows."""
        _, rows = await self.client.execute_query(self._marked(statement), list(values))
        return keyed(self, rows)

    async def run(self, statement: str, *values: object) -> None:
        """Run a statement."""
        await self.client.execute_query(self._marked(statement), list(values))

    async def run_many(self, statement: str, values: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each list of values, in one go."""
        if values:
            await self.client.execute_many(self._marked(statement), [list(row) for row in values])

    def _marked(self, statement: str) -> str:
        if self.dialect == "sqlite":
            return statement
        numbers = iter(range(1, statement.count("?") + 1))
        return _MARK.sub(lambda _: f"${next(numbers)}", statement)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its name.
        type: Its declared type, as the engine writes it.
        not_null: Whether it refuses NULL.
        default: The expression of its default, or `None`.
        filled: Whether the engine fills it when an INSERT does not name it (a default, an identity, a row id).
        position: Its place in the primary key, counted from 1; 0 if it is no part of it.
    """

    name: str
    type: str
    not_null: bool
    default: str | None
    filled: bool
    position: int = 0


@dataclass(frozen=True, slots=True)
class Index:
    """One index; an expression in it has the name `""`."""

    name: str
    columns: tuple[str, ...]
    unique: bool
    partial: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key, with what happens when the row that it refers to is deleted, such as `CASCADE`."""

    columns: tuple[str, ...]
    table: str
    on_delete: str


def keyed(db: Reader, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows by the names of their columns; SQLite gives a column's name as its table spells it."""
    return [{folded(db, name): row[name] for name in row.keys()} for row in rows]  # noqa: SIM118  # no mapping: sqlite3.Row


def folded(db: Reader, name: str) -> str:
    """Return a name as names are compared: SQLite does not tell upper and lower case apart."""
    return name.lower() if db.dialect == "sqlite" else name


def quoted(name: str) -> str:
    """Return a name as it stands in a statement, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


async def kind_of(db: Reader, table: str) -> str | None:
    """Return what a name stands for: `table`, `view` or something else; `None` if there is nothing of that name."""
    if db.dialect == "sqlite":
        found = await db.rows("SELECT type AS kind FROM sqlite_master WHERE name = ? COLLATE NOCASE", table)
    else:
        found = await db.rows(
            "SELECT CASE WHEN relkind IN ('r', 'p') THEN 'table' WHEN relkind IN ('v', 'm') THEN 'view' "
            f"ELSE relkind::text END AS kind FROM pg_class WHERE oid = {TABLE_ID}",
            table,
        )
    return str(found[0]["kind"]) if found else None


async def table_columns(db: Reader, table: str) -> tuple[Column, ...]:
    """Return a table's columns in their order; none if there is no such table."""
    if db.dialect == "sqlite":
        found = await db.rows(f"PRAGMA table_xinfo({quoted(table)})")
        key = [row for row in found if row["pk"]]
        return tuple(
            Column(
                name=folded(db, row["name"]),
                type=row["type"],
                not_null=bool(row["notnull"]),
                default=row["dflt_value"],
                filled=row["dflt_value"] is not None
                or bool(row["hidden"])
                or (len(key) == 1 and bool(row["pk"]) and row["type"].upper() == "INTEGER"),
                position=row["pk"],
            )
            for row in found
        )
    found = await db.rows(
        "SELECT a.attname::text AS name, a.attnotnull AS not_null, format_type(a.atttypid, a.atttypmod) || "
        "COALESCE((SELECT ' COLLATE ' || c.oid::regcollation FROM pg_collation c JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE c.oid = a.attcollation AND a.attcollation <> t.typcollation), '') AS type, "
        "pg_get_expr(d.adbin, d.adrelid) AS preset, a.attidentity::text AS identity, "
        "COALESCE(array_position(k.conkey, a.attnum), 0) AS position FROM pg_attribute a "
        "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p' "
        f"WHERE a.attrelid = {TABLE_ID} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        table,
    )
    return tuple(
        Column(
            name=row["name"],
            type=row["type"],
            not_null=row["not_null"],
            default=row["preset"],
            filled=row["preset"] is not None or bool(row["identity"]),
            position=row["position"],
        )
        for row in found
    )


async def columns(db: Reader, table: str) -> frozenset[str]:
    """Return the names of a table's columns; none if there is no such table."""
    return frozenset(column.name for column in await table_columns(db, table))


async def indexes(db: Reader, table: str) -> tuple[Index, ...]:
    """Return a table's indexes, those of its constraints too, by name."""
    if db.dialect == "sqlite":
        found = []
        for row in await db.rows(f"PRAGMA index_list({quoted(table)})"):
            parts = await db.rows(f"PRAGMA index_info({quoted(row['name'])})")
            names = tuple(folded(db, part["name"] or "") for part in parts)
            found.append(Index(row["name"], names, bool(row["unique"]), bool(row["partial"])))
        # SQLite keeps no index for a primary key that is the row id.
        if key := [column.name for column in await table_columns(db, table) if column.position]:
            found.append(Index(f"primary key of {table}", tuple(key), unique=True, partial=False))
        return tuple(sorted(found, key=lambda index: index.name))
    rows = await db.rows(
        "SELECT c.relname::text AS name, i.indisunique AND i.indimmediate AS is_unique, "
        "i.indpred IS NOT NULL AS is_partial, ARRAY(SELECT COALESCE(a.attname::text, '') "
        "FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place) "
        "LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0 "
        "WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS names "
        f"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = {TABLE_ID} ORDER BY c.relname",
        table,
    )
    return tuple(Index(row["name"], tuple(row["names"]), row["is_unique"], row["is_partial"]) for row in rows)


async def is_unique(db: Reader, table: str, names: Sequence[str]) -> bool:
    """Say whether the database itself keeps some columns unique."""
    wanted = set(names)
    return any(
        index.unique and not index.partial and set(index.columns) == wanted for index in await indexes(db, table)
    )


async def foreign_keys(db: Reader, table: str) -> tuple[ForeignKey, ...]:
    """Return a table's foreign keys, by column."""
    found: list[ForeignKey] = []
    if db.dialect == "sqlite":
        by_id: dict[int, list[dict[str, Any]]] = {}
        for row in await db.rows(f"PRAGMA foreign_key_list({quoted(table)})"):
            by_id.setdefault(row["id"], []).append(row)
        for rows in by_id.values():
            rows.sort(key=lambda row: int(row["seq"]))
            found.append(
                ForeignKey(
                    tuple(folded(db, row["from"]) for row in rows), folded(db, rows[0]["table"]), rows[0]["on_delete"]
                )
            )
    else:
        rows = await db.rows(
            "SELECT (SELECT relname::text FROM pg_class WHERE oid = k.confrelid) AS target, "
            "CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' "
            "WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS on_delete, ARRAY(SELECT a.attname::text "
            "FROM unnest(k.conkey) WITH ORDINALITY AS c (number, place) "
            "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.number ORDER BY c.place) AS names "
            f"FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = {TABLE_ID}",
            table,
        )
        found = [ForeignKey(tuple(row["names"]), row["target"], row["on_delete"]) for row in rows]
    return tuple(sorted(found, key=lambda key: key.columns))


async def refers_to(db: Reader, table: str, column: str, target: str) -> bool:
    """Say whether a column has a foreign key to a table."""
    return any(key.columns == (column,) and key.table == target for key in await foreign_keys(db, table))


async def required_columns(db: Reader, table: str) -> tuple[str, ...]:
    """Return the columns that must have a value in every INSERT, as they have no default.

    SQLite lets most primary keys be NULL, which no row of a table that others refer to may be.
    """
    return tuple(
        column.name
        for column in await table_columns(db, table)
        if (column.not_null or column.position) and not column.filled
    )


async def dependents(db: Reader, table: str, column: str) -> tuple[str, ...]:
    """Return what would break, or go without a word, if a column were dropped: views, triggers, indexes, checks."""
    if db.dialect == "sqlite":
        schema = await db.rows("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        return _rehearsed_drop([(row["type"], row["name"], row["sql"]) for row in schema], table, column)
    found = await db.rows(
        "SELECT DISTINCT CASE WHEN d.classid = 'pg_rewrite'::regclass THEN (SELECT 'the view ' || c.relname "
        "FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class WHERE w.oid = d.objid) "
        "ELSE 'the ' || pg_describe_object(d.classid, d.objid, d.objsubid) END AS what "
        "FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid "
        f"WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {TABLE_ID} AND a.attname = ? "
        "AND NOT (d.classid = 'pg_attrdef'::regclass AND d.deptype = 'a') "
        # Since PostgreSQL 18 NOT NULL is a constraint, too.
        "AND NOT EXISTS (SELECT 1 FROM pg_constraint n WHERE d.classid = 'pg_constraint'::regclass "
        "AND n.oid = d.objid AND n.contype = 'n') "
        # The body of a function is only text for PostgreSQL: it would fail when the trigger fires.
        "UNION SELECT 'the trigger ' || t.tgname || ', whose function ' || p.proname || ' mentions it' "
        "FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
        f"WHERE t.tgrelid = {TABLE_ID} AND NOT t.tgisinternal AND p.prosrc ~ ('\\m' || ?::text || '\\M') ORDER BY 1",
        table,
        column,
        table,
        column,
    )
    return tuple(str(row["what"]) for row in found)


_VIRTUAL = re.compile(r"\s*CREATE\s+VIRTUAL\s", re.IGNORECASE)
_BLOCKED = re.compile(r"error in (view|trigger|index) (.+?)(?: after drop column)?: ", re.DOTALL)


def _rehearsed_drop(schema: Sequence[tuple[str, str, str]], table: str, column: str) -> tuple[str, ...]:
    """Drop a column in an empty copy of the schema in memory, until nothing objects, and return what objected."""
    found: list[str] = []
    copy = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for kind, name, statement in schema:
            if _VIRTUAL.match(statement) and re.search(rf"\b{column}\b", statement):
                # Such as a full-text index over the texts, which would fail when it is read.
                found.append(f"the virtual table {name}")
                continue
            try:
                copy.execute(statement)
            except sqlite3.Error as error:
                # SQLite's own tables, and modules or functions of the host that do not exist here.
                if kind in {"view", "trigger"}:
                    found.append(f"the {kind} {name}, which SQLite refuses here ({error})")
        while True:
            try:
                copy.execute(f"ALTER TABLE {quoted(table)} DROP COLUMN {quoted(column)}")
            except sqlite3.Error as error:
                blocked = _BLOCKED.match(str(error))
                if blocked is None:
                    found.append(f"SQLite itself ({error})")
                    break
                kind, name = blocked[1], blocked[2]
                found.append(f"the {kind} {name}")
                copy.execute(f"DROP {kind} {quoted(name)}")
            else:
                break
    finally:
        copy.close()
    return tuple(found)
