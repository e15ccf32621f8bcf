"""Reading a database through a connection that cannot write, as it is at one moment.

An SQLite file is opened read-only, a server's transaction is read-only.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.database_url import Dialect, sqlite_path
from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.storage.connection import Connection, keyed
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.file_errors import file_error, unopenable

T = TypeVar("T")

_WAL = b"\x02\x02"
"""What stands at bytes 18 and 19 of an SQLite file in WAL mode."""


async def read_only(url: str, work: Callable[[DatabaseReader], Awaitable[T]], *, schema: str | None = None) -> T:
    """Read a database through a connection that cannot write, as it is at one moment.

    Args:
        url: The database URL.
        work: What to read.
        schema: On PostgreSQL, the schema to look into.

    Raises:
        DatabaseUnavailableError: It cannot be read.
    """
    path = sqlite_path(url)
    if path is not None:
        return await _read_file(path, work)

    async def within(client: BaseDBAsyncClient) -> T:
        db = Connection(client)
        if db.dialect == "postgres":
            await db.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Rows that this user may not see are an error, not a silent gap.
            await db.run("SELECT set_config('row_security', 'off', true)")
            if schema is not None:
                await db.run("SELECT set_config('search_path', quote_ident(?::text), true)", schema)
        return await work(db)

    async with Database(url) as database:
        return await database.transaction(within)


async def _read_file(path: Path, work: Callable[[DatabaseReader], Awaitable[T]]) -> T:
    before = _at_rest(path)
    if before is not None:
        # Nobody has it open. Reading it the ordinary way would make two files beside it.
        result = await _read(path, "mode=ro&immutable=1", work)
        if _at_rest(path) == before:
            return result
    return await _read(path, "mode=ro", work)


async def _read(path: Path, options: str, work: Callable[[DatabaseReader], Awaitable[T]]) -> T:
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?{options}", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
            connection.execute("BEGIN")
            return await work(_ReadOnlyFile(connection))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise (
            file_error(path, str(error)) or DatabaseUnavailableError(f"The database {path} cannot be read ({error}).")
        ) from error


def _at_rest(path: Path) -> tuple[int, int] | None:
    """Return the size and time of a file that is in WAL mode and that nobody has open; `None` for any other."""
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        raise unopenable(path) from None
    if header[18:20] != _WAL or path.with_name(f"{path.name}-wal").exists():
        return None
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class _ReadOnlyFile:
    """An SQLite file, opened read-only."""

    connection: sqlite3.Connection

    @property
    def dialect(self) -> Dialect:
        return "sqlite"

    async def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        found = await asyncio.to_thread(lambda: self.connection.execute(statement, values).fetchall())
        return keyed(self, found)
