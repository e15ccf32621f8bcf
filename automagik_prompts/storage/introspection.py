"""What a database says about its tables, on every engine: columns, indexes, foreign keys, and who depends on a column.

Reading goes through `DatabaseReader`, so that the same questions can be asked inside a migration's transaction and
through a connection that cannot write.
"""

from __future__ import annotations

from collections.abc import Sequence

from automagik_prompts.storage.connection import engine_of
from automagik_prompts.storage.dialects.base import TRIGGERS, Column, DatabaseReader, ForeignKey, Index


def folded(db: DatabaseReader, name: str) -> str:
    """Return a name as names are compared: SQLite does not tell upper and lower case apart."""
    return engine_of(db).folded(name)


async def kind_of(db: DatabaseReader, table: str) -> str | None:
    """Return what a name stands for: `table`, `view` or something else; `None` if there is nothing of that name."""
    return await engine_of(db).kind_of(db, table)


async def table_columns(db: DatabaseReader, table: str) -> tuple[Column, ...]:
    """Return a table's columns in their order; none if there is no such table."""
    return await engine_of(db).columns(db, table)


async def columns(db: DatabaseReader, table: str) -> frozenset[str]:
    """Return the names of a table's columns; none if there is no such table."""
    return frozenset(column.name for column in await table_columns(db, table))


async def indexes(db: DatabaseReader, table: str) -> tuple[Index, ...]:
    """Return a table's indexes, those of its constraints too, by name."""
    return tuple(sorted(await engine_of(db).indexes(db, table), key=lambda index: index.name))


async def is_unique(db: DatabaseReader, table: str, names: Sequence[str]) -> bool:
    """Return whether the database itself keeps some columns unique."""
    wanted = set(names)
    return any(
        index.unique and not index.partial and set(index.columns) == wanted for index in await indexes(db, table)
    )


async def foreign_keys(db: DatabaseReader, table: str) -> tuple[ForeignKey, ...]:
    """Return a table's foreign keys, by column."""
    return tuple(sorted(await engine_of(db).foreign_keys(db, table), key=lambda key: key.columns))


async def refers_to(db: DatabaseReader, table: str, column: str, target: str) -> bool:
    """Return whether a column has a foreign key to a table."""
    return any(key.columns == (column,) and key.table == target for key in await foreign_keys(db, table))


async def required_columns(db: DatabaseReader, table: str) -> tuple[str, ...]:
    """Return the columns that must have a value in every INSERT, as they have no default.

    SQLite lets most primary keys be NULL, which no row of a table that others refer to may be.
    """
    return tuple(
        column.name
        for column in await table_columns(db, table)
        if (column.not_null or column.position) and not column.filled
    )


async def dependents(db: DatabaseReader, table: str, column: str) -> tuple[str, ...]:
    """Return what would break, or go without a word, if a column were dropped: views, triggers, indexes, checks."""
    return await engine_of(db).dependents(db, table, column)


_TRIGGERS = {
    "sqlite": "SELECT COUNT(*) AS found FROM sqlite_master WHERE type = 'trigger' AND name LIKE ?",
    "postgres": "SELECT COUNT(*) AS found FROM pg_trigger WHERE tgname LIKE ? "
    "AND tgrelid IN (to_regclass('agents'), to_regclass('prompts'), to_regclass('prompt_events'))",
}


async def notes_changes(db: DatabaseReader) -> bool:
    """Return whether the database notes which agents are written to; an application that rebuilds a table ends it."""
    if not await columns(db, "prompt_changes"):
        return False
    return await _triggers(db, "prompt_changes_%") >= TRIGGERS


async def keepers(db: DatabaseReader) -> int:
    """Return how many triggers keep texts and events as they were written."""
    return await _triggers(db, "prompt%_kept_%")


async def keeps_history(db: DatabaseReader) -> bool:
    """Return whether the database keeps texts and events as they were written."""
    return "db_user" in await columns(db, "prompt_events") and await keepers(db) >= _KEEPERS[db.dialect]


_KEEPERS = {"sqlite": 5, "postgres": 6}


async def _triggers(db: DatabaseReader, pattern: str) -> int:
    return int((await db.rows(_TRIGGERS[db.dialect], pattern))[0]["found"])
