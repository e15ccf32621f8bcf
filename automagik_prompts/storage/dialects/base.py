"""The interface that each engine has, and what its catalogue says as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.database_url import Dialect
from automagik_prompts.domain.running.fleet import Beat
from automagik_prompts.domain.summaries import Position

TRIGGERS = 8
"""How many triggers note what is written; with fewer of them not everything is."""


class Writer(Protocol):
    """A connection as far as statements go that return nothing."""

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Run a query whose values are marked by `?`, and return its rows."""
        ...

    async def run(self, statement: str, *values: object) -> None:
        """Run a statement."""
        ...


class DatabaseReader(Protocol):
    """A connection as far as reading goes."""

    @property
    def dialect(self) -> Dialect:
        """The engine."""
        ...

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Run a query whose values are marked by `?`, and return its rows."""
        ...


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


@dataclass(frozen=True, slots=True)
class Noted:
    """What a look at the log of changes finds.

    Attributes:
        position: Up to where it looked.
        agents: The ids of the agents that were written to since, each with the number of that change; `None` where
            there is no log, or another one.
        is_replica: Whether the server follows another one.
        rows: The rows of the statement that was asked besides.
        is_filtered: Whether row-level security may hide rows from this user.
        is_seen: Whether what a process said of itself is written; `None` where it said nothing.
        unable: Why a process cannot say so here, in one word; `None` where it can, or may try.
        is_uncounted: Whether it may say so, and not how many runs there were.
        last_beat: What differs after each time that a process has said so, where that counts as somebody's write.
    """

    position: Position
    agents: tuple[tuple[int, int], ...] | None
    is_replica: bool
    rows: Sequence[Mapping[str, Any]]
    is_filtered: bool = False
    is_seen: bool | None = None
    unable: str | None = None
    is_uncounted: bool = False
    last_beat: str | None = None


class Engine(Protocol):
    """What differs between the engines."""

    @property
    def is_embedded(self) -> bool:
        """Whether the database is this application's own file, whose schema is kept up to date by itself."""
        ...

    @property
    def fails_softly(self) -> bool:
        """Whether a transaction can go on after a statement that failed."""
        ...

    def returning(self, statement: str, columns: str, then: str | None = None) -> str | None:
        """Return a statement that writes as one that gives the rows that it wrote; `None` where that cannot be had.

        Args:
            statement: The statement.
            columns: The columns to give.
            then: Another statement that writes, if the first one wrote something; both end in a condition.
        """
        ...

    def written_time(self, time: datetime) -> datetime | str:
        """Return a time as its column holds it."""
        ...

    def written_day(self, day: date) -> date | str:
        """Return a day as its column holds it."""
        ...

    def impatient(self, db: Writer, milliseconds: int) -> AbstractAsyncContextManager[None]:
        """Wait no longer than that for what others have locked, within a transaction."""
        ...

    def configuration(self, url: str) -> dict[str, Any]:
        """Return Tortoise's configuration of one connection."""
        ...

    async def keeps_statements(self, client: BaseDBAsyncClient) -> bool:
        """Make sure that the database answers; return whether what is prepared on a connection stays there."""
        ...

    async def check_alive(self, client: BaseDBAsyncClient) -> None:
        """Make sure that a connection that was idle still answers, where it could be lost without a word."""
        ...

    async def hindrances(self, db: DatabaseReader) -> tuple[str, ...]:
        """Return what of the database's settings may get in the way, each with what to do."""
        ...

    async def tls_version(self, client: BaseDBAsyncClient) -> str | None:
        """Return the version of TLS that a connection is encrypted with, or `None`."""
        ...

    def marked(self, statement: str) -> str:
        """Return a statement with the engine's own marks in place of `?`."""
        ...

    def folded(self, name: str) -> str:
        """Return a name as the engine compares names."""
        ...

    async def lock_rows(self, client: BaseDBAsyncClient, ids: str) -> None:
        """Lock rows of `agents` in the order of their ids, where an UPDATE would take them in any order."""
        ...

    @property
    def active(self) -> str:
        """What gives the active versions `p` of each agent `a` in a statement, one agent after the other."""
        ...

    @property
    def withdrawn(self) -> str:
        """What gives the withdrawn versions of an agent `a` as JSON, as part of a statement."""
        ...

    def newest(self, limit: int) -> str:
        """Return what gives the newest versions `p` of the status of each version `x` in a statement."""
        ...

    def digest(self, column: str) -> str:
        """Return an expression that tells one text from another: its SHA-256, or the text where it is at hand."""
        ...

    async def data_version(self, db: DatabaseReader) -> int | None:
        """Return a number that differs after every write of another connection; `None` where that is not so cheap."""
        ...

    async def changes(self, db: DatabaseReader, since: Position | None, also: str, beat: Beat | None = None) -> Noted:
        """Return which agents were written to since a position, and the rows of another statement, all in one look.

        Args:
            db: The connection.
            since: Up to where the changes are known.
            also: The other statement.
            beat: What a process says of itself, which is written by the same statement, where that can be had.
        """
        ...

    @property
    def event_horizon(self) -> str:
        """The columns that say how far the events go, and which transactions go on."""
        ...

    @property
    def json(self) -> str:
        """The mark of a value that is a text with JSON, for a column that holds it."""
        ...

    @property
    def log(self) -> str:
        """What tells the log of changes from that of another server, as part of a statement."""
        ...

    @property
    def unread(self) -> str:
        """Whether a change `c` came after the position of a process `p`, as part of a statement."""
        ...

    async def listeners(self, db: DatabaseReader) -> int:
        """Return how many connections listen for notifications; 0 for a file."""
        ...

    def moment(self, seconds: float = 0.0) -> str:
        """Return the present time, so many seconds later, as part of a statement."""
        ...

    async def kind_of(self, db: DatabaseReader, table: str) -> str | None:
        """Return what a name stands for: `table`, `view` or something else; `None` if there is nothing of that name."""
        ...

    async def columns(self, db: DatabaseReader, table: str) -> tuple[Column, ...]:
        """Return a table's columns in their order; none if there is no such table."""
        ...

    async def indexes(self, db: DatabaseReader, table: str) -> Sequence[Index]:
        """Return a table's indexes, those of its constraints too."""
        ...

    async def foreign_keys(self, db: DatabaseReader, table: str) -> Sequence[ForeignKey]:
        """Return a table's foreign keys."""
        ...

    async def dependents(self, db: DatabaseReader, table: str, column: str) -> tuple[str, ...]:
        """Return what would break, or go without a word, if a column were dropped."""
        ...


def quoted(name: str) -> str:
    """Return a name as it stands in a statement, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
