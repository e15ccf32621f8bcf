"""The SQLite client that Tortoise is made to use: it also reads what it may not write, and what is no text.

Tortoise's own switches each connection to write-ahead logging. A file that this process may only read refuses that,
and a file in a folder that it may only read cannot even be read that way, although nothing stands against serving it:
a database that was built into an image, or one that another user keeps.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite
from tortoise.backends.sqlite.client import SqliteClient

_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}

Stamp = tuple[int, int]

_PAUSE = 0.005
"""Seconds between two attempts to switch the log of a file that somebody is writing to."""

THREAD_TIMEOUT = 1.0
"""Seconds within which the thread of a connection that failed must have ended; one that hangs is left behind."""


def make_private(path: Path) -> None:
    """Make a missing file that its owner alone may read; SQLite gives its side files the same mode.

    Args:
        path: The file; an existing one stays as it is, and what keeps it from being made is for SQLite to say.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


class FileClient(SqliteClient):
    """A connection to an SQLite file, read-only where the file system leaves nothing else."""

    _read_only = False
    _stamp: Stamp | None = None
    """The file's stamp where it was opened as one that does not change; SQLite takes no notice of changes then."""

    @property
    def _looks(self) -> bool:
        """Whether nothing is to be written; switching the log of a file would be."""
        return bool(self.pragmas.get("query_only"))

    def is_outdated(self) -> bool:
        """Return whether a new connection would be better: it could write, or could see what was written since."""
        path = Path(self.filename)
        if self._read_only and _may_be_written(path):
            return True
        return self._stamp is not None and (_stamp_of(path) != self._stamp or _stamp_of(_log_of(path)) is not None)

    async def create_connection(self, with_db: bool) -> None:  # noqa: ARG002  # a file has no other database
        """Connect; a second call does nothing."""
        if self._connection:
            return
        try:
            await self._connect(self.filename)
        except sqlite3.OperationalError as error:
            await self.close()
            if not _is_read_only(error) or _stamp_of(Path(self.filename)) is None:
                raise
            await self._connect_read_only()
        if self._connection:
            self._connection.text_factory = _decoded
            self._read_only = not _may_be_written(Path(self.filename))

    async def _connect_read_only(self) -> None:
        path = Path(self.filename)
        stamp = _stamp_of(path)
        try:
            await self._connect_by_uri(path, "mode=ro")
        except sqlite3.OperationalError as error:
            await self.close()
            # Another process' log beside the file must be read too: without it the file is not the whole truth.
            if not _is_read_only(error) or _stamp_of(_log_of(path)) is not None:
                raise
            await self._connect_by_uri(path, "mode=ro&immutable=1")
            self._stamp = stamp

    async def _connect_by_uri(self, path: Path, options: str) -> None:
        await self._connect(f"file:{quote(str(path))}?{options}", writing=False)

    async def _connect(self, name: str, *, writing: bool = True) -> None:
        opened: list[sqlite3.Connection] = []

        def factory(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            opened.append(sqlite3.Connection(*args, **kwargs))
            return opened[-1]

        connection = aiosqlite.connect(
            name, uri=not writing, isolation_level=None, check_same_thread=False, factory=factory
        )
        try:
            self._connection = await connection
        except BaseException:
            await _until_ended(connection)
            for one in opened:
                one.close()  # nobody else has it: whoever waited for it has gone
            raise
        connection.row_factory = sqlite3.Row
        switches = writing and not self._looks
        for pragma, value in self.pragmas.items():
            if switches or not pragma.startswith("journal_"):
                await self._set(connection, pragma, value)
        if not switches:
            await connection.execute_fetchall("SELECT 1 FROM sqlite_master LIMIT 1")  # opening alone reads nothing
        await self._post_connect()

    async def _set(self, connection: aiosqlite.Connection, pragma: str, value: object) -> None:
        """Set something; switching the log is refused at once while somebody writes, whatever `busy_timeout` is."""
        deadline = time.monotonic() + int(self.pragmas.get("busy_timeout") or 0) / 1000
        while True:
            try:
                await connection.execute_fetchall(f"PRAGMA {pragma}={value}")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                return


client_class = FileClient
"""The name under which Tortoise looks for it."""


async def _until_ended(connection: aiosqlite.Connection) -> None:
    """Wait until the thread of a connection that failed has ended.

    The driver does not: the thread would find this event loop closed, if that ends at once, and print a traceback.
    """
    thread: Any = getattr(connection, "_thread", connection)  # in older releases of the driver it is the connection
    deadline = time.monotonic() + THREAD_TIMEOUT
    while thread.is_alive() and time.monotonic() < deadline:  # noqa: ASYNC110  # a thread's end sets no event
        await asyncio.sleep(0.001)


def _stamp_of(path: Path) -> Stamp | None:
    """Return what tells whether a file was written to: the time of the last write and the size; `None` without one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _may_be_written(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _is_read_only(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in _READ_ONLY


def _decoded(raw: bytes) -> str:
    """Decode a text, keeping bytes that are no UTF-8 as lone surrogates, which are refused where a text is checked.

    By default one such value, written by plain SQL, would make the whole statement fail, and the error repeats it.
    """
    return raw.decode("utf-8", "surrogateescape")
