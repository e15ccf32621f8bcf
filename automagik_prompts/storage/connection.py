"""A connection as everything beside the ORM uses it: statements with `?`, rows by the names of their columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.database_url import Dialect
from automagik_prompts.storage.dialects.base import DatabaseReader, Engine
from automagik_prompts.storage.dialects.postgres import PostgresEngine
from automagik_prompts.storage.dialects.sqlite import SqliteEngine

Client = BaseDBAsyncClient
"""The connection that the queries of `storage.repository` take; those who only pass it on need not know the ORM."""

_ENGINES: dict[Dialect, Engine] = {"sqlite": SqliteEngine(), "postgres": PostgresEngine()}
_DIALECTS: dict[str, Dialect] = {"sqlite": "sqlite", "postgres": "postgres"}


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection to read and write through; values are marked by `?` on every engine.

    Attributes:
        client: Tortoise's connection, inside a transaction if it is to write.
    """

    client: BaseDBAsyncClient

    @property
    def dialect(self) -> Dialect:
        """The name of the engine."""
        return _DIALECTS[self.client.capabilities.dialect]

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Run a query and return its rows."""
        _, rows = await self.client.execute_query(engine_of(self).marked(statement), list(values))
        return keyed(self, rows)

    async def run(self, statement: str, *values: object) -> None:
        """Run a statement."""
        await self.client.execute_query(engine_of(self).marked(statement), list(values))

    async def written(
        self, statement: str, *values: object, columns: Iterable[str], then: str | None = None
    ) -> list[dict[str, Any]] | None:
        """Run a statement that writes, and return columns of the rows that it wrote; `None` if the engine gives none.

        Then nothing was written.

        Args:
            statement: The statement.
            values: Its values, and then those of the other one.
            columns: What to return.
            then: Another statement that writes, if the first one wrote something; both end in a condition.
        """
        returning = engine_of(self).returning(statement, ", ".join(columns), then)
        return await self.rows(returning, *values) if returning is not None else None

    async def run_many(self, statement: str, values: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each list of values, in one go."""
        if values:
            await self.client.execute_many(engine_of(self).marked(statement), [list(row) for row in values])


def engine_named(dialect: Dialect) -> Engine:
    """Return an engine by its name."""
    return _ENGINES[dialect]


def engine_of(db: DatabaseReader | BaseDBAsyncClient) -> Engine:
    """Return the engine of a connection."""
    return _ENGINES[_DIALECTS[db.capabilities.dialect] if isinstance(db, BaseDBAsyncClient) else db.dialect]


def keyed(db: DatabaseReader, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows by the names of their columns; SQLite gives a column's name as its table spells it."""
    folded = engine_of(db).folded
    return [{folded(name): row[name] for name in row.keys()} for row in rows]  # noqa: SIM118  # no mapping: sqlite3.Row
