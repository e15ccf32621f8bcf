"""SQLite: an embedded file, its catalogue, and names that do not tell upper and lower case apart."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.database_url import sqlite_path
from automagik_prompts.domain.running.fleet import Beat
from automagik_prompts.domain.summaries import Position
from automagik_prompts.storage.dialects.base import (
    TRIGGERS,
    Column,
    DatabaseReader,
    ForeignKey,
    Index,
    Noted,
    Writer,
    quoted,
)

BUSY_TIMEOUT = 5000
"""How long SQLite waits for another process' write, in milliseconds."""


# A number that cannot be counted on from was put there by hand, and the triggers pass it over as well.
_COUNTED = "change < 4611686018427387904"
_LAST_CHANGE = (
    "SELECT COALESCE(MAX(change), 0) AS last, (SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger' "
    f"AND name LIKE 'prompt_changes_%') AS triggers FROM prompt_changes WHERE {_COUNTED}"
)
_CHANGED = f"SELECT agent_id, change FROM prompt_changes WHERE change > ? AND {_COUNTED}"
_LAST_BEAT = "SELECT MAX(seen_at) AS last FROM prompt_processes"


class SqliteEngine:
    """SQLite."""

    is_embedded = True
    # `is_active = true` stands literally in the statement: a bound value would keep SQLite off the partial index.
    active = "LEFT JOIN prompts p ON p.agent_id = a.id AND p.is_active = true"
    withdrawn = (
        "(SELECT json_group_array(json_array(w.prompt_id, w.version, v.status_key, v.content_hash)) "
        "FROM prompt_withdrawals w LEFT JOIN prompts v ON v.id = w.prompt_id AND v.version = w.version "
        "WHERE w.agent_id = a.id)"
    )
    fails_softly = True
    json = "?"
    # One writes at a time: what is there was committed in this order.
    event_horizon = "COALESCE(MAX(id), 0) AS newest, 0 AS oldest, CASE WHEN MAX(id) <= ? THEN 0 ELSE -1 END AS next"
    log = "'log'"
    unread = f"(c.change > CAST(p.position AS INTEGER) AND c.{_COUNTED})"

    async def listeners(self, db: DatabaseReader) -> int:  # noqa: ARG002  # the protocol's argument
        """Return none: a file notifies nobody."""
        return 0

    def moment(self, seconds: float = 0.0) -> str:
        """Return the time of this machine, as all processes of a file are on it."""
        return f"'{(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(' ')}'"

    def returning(self, statement: str, columns: str, then: str | None = None) -> str | None:
        """Return a statement that writes as one that gives the rows that it wrote; `None` before SQLite 3.35.

        Nor can SQLite write to two tables in one statement.
        """
        is_able = then is None and sqlite3.sqlite_version_info >= (3, 35)
        return f"{statement} RETURNING {columns}" if is_able else None

    def written_time(self, time: datetime) -> datetime | str:
        """Return the time as text, as SQLite holds it."""
        return time.isoformat(" ")

    def written_day(self, day: date) -> date | str:
        """Return the day as text, as SQLite holds it."""
        return day.isoformat()

    @asynccontextmanager
    async def impatient(self, db: Writer, milliseconds: int) -> AsyncIterator[None]:
        """Wait no longer than that for another process' write; it is this connection that reads as well."""
        (row,) = await db.rows("PRAGMA busy_timeout")
        await db.run(f"PRAGMA busy_timeout={int(milliseconds)}")
        try:
            yield
        finally:
            await db.run(f"PRAGMA busy_timeout={int(row['timeout'])}")

    def configuration(self, url: str) -> dict[str, Any]:
        """Return Tortoise's configuration of one connection."""
        path = sqlite_path(url)
        # aiosqlite logs each statement with its values at level DEBUG; an explicit level of the application's own
        # stays.
        driver = logging.getLogger("aiosqlite")
        if driver.level == logging.NOTSET:
            driver.setLevel(logging.INFO)
        options = dict(part.split("=", 1) for part in url.partition("?")[2].split("&") if "=" in part)
        return {
            "engine": "automagik_prompts.storage.sqlite",
            "credentials": {
                "busy_timeout": BUSY_TIMEOUT,
                **options,
                "file_path": str(path) if path is not None else ":memory:",
            },
        }

    async def keeps_statements(self, client: BaseDBAsyncClient) -> bool:
        """Make sure that the file can be read; what is prepared stays."""
        await client.execute_query("SELECT 1")
        return True

    async def check_alive(self, client: BaseDBAsyncClient) -> None:
        """There is nothing between this process and a file that could be lost."""

    async def hindrances(self, db: DatabaseReader) -> tuple[str, ...]:  # noqa: ARG002  # the protocol's argument
        """Return nothing: a file has no settings of a server's."""
        return ()

    async def tls_version(self, client: BaseDBAsyncClient) -> str | None:  # noqa: ARG002  # the protocol's argument
        """Return nothing: a file crosses no network."""
        return None

    def marked(self, statement: str) -> str:
        """Return the statement: `?` is SQLite's own mark."""
        return statement

    def folded(self, name: str) -> str:
        """Return a name as SQLite compares names."""
        return name.lower()

    async def lock_rows(self, client: BaseDBAsyncClient, ids: str) -> None:
        """Lock nothing: the first write locks the whole file."""

    def newest(self, limit: int) -> str:
        """Return what gives the newest versions `p` of the status of each version `x` in a statement."""
        return (
            "JOIN prompts p ON p.id IN (SELECT v.id FROM prompts v WHERE v.agent_id = x.agent_id "
            f"AND v.status_key = x.status_key ORDER BY v.version DESC LIMIT {int(limit)})"
        )

    def digest(self, column: str) -> str:
        """Return the text itself: it is in a file at hand."""
        return column

    async def data_version(self, db: DatabaseReader) -> int | None:
        """Return a number that differs after every write of another connection."""
        return int((await db.rows("PRAGMA data_version"))[0]["data_version"])

    async def changes(
        self,
        db: DatabaseReader,
        since: Position | None,
        also: str,
        beat: Beat | None = None,  # noqa: ARG002  # the protocol's argument: it is written by itself
    ) -> Noted:
        """Return which agents were written to since a position, and the rows of another statement."""
        try:
            (log,) = await db.rows(_LAST_CHANGE)
        except OperationalError as error:
            if "prompt_changes" not in str(error):
                raise
            log = {"last": 0, "triggers": 0}
        try:
            last_beat = str((await db.rows(_LAST_BEAT))[0]["last"])
        except OperationalError:
            last_beat = None
        if log["triggers"] < TRIGGERS:
            # An application that rebuilds a table loses them; what is not noted must be compared.
            return Noted(Position("", ""), None, False, await db.rows(also), last_beat=last_beat)
        last, noted = log["last"], list[dict[str, Any]]()
        position = Position("log", str(last))
        if since is not None and since.server == position.server:
            # A file that was put back: the numbers go on from there, and would be taken for ones that were seen.
            if int(since.number) > last:
                return Noted(position, None, False, await db.rows(also), last_beat=last_beat)
            noted = await db.rows(_CHANGED, int(since.number))
        pairs = None if since is not None and since.server != position.server else _pairs(noted)
        return Noted(position, pairs, False, await db.rows(also), last_beat=last_beat)

    async def kind_of(self, db: DatabaseReader, table: str) -> str | None:
        """Return what a name stands for: `table`, `view` or something else; `None` if there is nothing of that name."""
        found = await db.rows("SELECT type AS kind FROM sqlite_master WHERE name = ? COLLATE NOCASE", table)
        return str(found[0]["kind"]) if found else None

    async def columns(self, db: DatabaseReader, table: str) -> tuple[Column, ...]:
        """Return a table's columns in their order; none if there is no such table."""
        found = await db.rows(f"PRAGMA table_xinfo({quoted(table)})")
        key = [row for row in found if row["pk"]]
        return tuple(
            Column(
                name=self.folded(row["name"]),
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

    async def indexes(self, db: DatabaseReader, table: str) -> list[Index]:
        """Return a table's indexes, those of its constraints too."""
        found = []
        for row in await db.rows(f"PRAGMA index_list({quoted(table)})"):
            parts = await db.rows(f"PRAGMA index_info({quoted(row['name'])})")
            names = tuple(self.folded(part["name"] or "") for part in parts)
            found.append(Index(row["name"], names, bool(row["unique"]), bool(row["partial"])))
        # SQLite keeps no index for a primary key that is the row id.
        if key := [column.name for column in await self.columns(db, table) if column.position]:
            found.append(Index(f"primary key of {table}", tuple(key), unique=True, partial=False))
        return found

    async def foreign_keys(self, db: DatabaseReader, table: str) -> list[ForeignKey]:
        """Return a table's foreign keys."""
        found: list[ForeignKey] = []
        by_id: dict[int, list[dict[str, Any]]] = {}
        for row in await db.rows(f"PRAGMA foreign_key_list({quoted(table)})"):
            by_id.setdefault(row["id"], []).append(row)
        for rows in by_id.values():
            rows.sort(key=lambda row: int(row["seq"]))
            found.append(
                ForeignKey(
                    tuple(self.folded(row["from"]) for row in rows), self.folded(rows[0]["table"]), rows[0]["on_delete"]
                )
            )
        return found

    async def dependents(self, db: DatabaseReader, table: str, column: str) -> tuple[str, ...]:
        """Return what would break, or go without a word, if a column were dropped: views, triggers, indexes, checks."""
        schema = await db.rows("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        return _rehearsed_drop([(row["type"], row["name"], row["sql"]) for row in schema], table, column)


def _pairs(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, int], ...]:
    return tuple((row["agent_id"], row["change"]) for row in rows)


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
                # SQLite's own tables, and modules or functions of the application that do not exist here.
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
