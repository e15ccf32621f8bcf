"""Bringing the schema up and down: aerich's files and aerich's history table, applied under a lock.

The files are in aerich's format and `aerich upgrade` applies them as well. In a running application aerich's own
command is not used: it works on whatever Tortoise context the host has, and closes the host's connections. It takes no
lock either, so that two upgrades at once can fail or run a step twice.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.db import Database
from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.models import APP_LABEL

LOCK_TIMEOUT = 60.0
"""Seconds that an upgrade waits for another one to end."""

_ADVISORY_LOCK = 0x6175746F
"""The number of the advisory lock on PostgreSQL."""

_HERE = Path(__file__).resolve().parent
Migrate = Callable[[BaseDBAsyncClient], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the history.

    Attributes:
        version: The file's name, as aerich's table has it.
        number: Its place in the order.
        path: The file.
    """

    version: str
    number: int
    path: Path

    def load(self) -> ModuleType:
        """Import the file."""
        spec = importlib.util.spec_from_file_location(f"{APP_LABEL}_migration_{self.number}", self.path)
        if spec is None or spec.loader is None:
            raise SchemaError(f"The migration {self.path} cannot be read. Install the package again.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def migrations_folder() -> Path:
    """Return the folder of the migration files: inside an installed package, or beside it in the repository."""
    for folder in (_HERE / "_migrations" / APP_LABEL, _HERE.parent / "aerich_migrations" / APP_LABEL):
        if folder.is_dir():
            return folder
    raise SchemaError("The migration files are not there. Install the package automagik-prompts again.")


def all_migrations() -> tuple[Migration, ...]:
    """Return every step that this release knows, in order."""
    found = []
    for path in migrations_folder().glob("*.py"):
        number, _, name = path.stem.partition("_")
        if number.isdigit() and name:
            found.append(Migration(path.name, int(number), path))
    return tuple(sorted(found, key=lambda migration: migration.number))


async def applied_versions(db: BaseDBAsyncClient) -> tuple[str, ...]:
    """Return the versions in aerich's history table, in the order in which they were applied."""
    if not await columns(db, "aerich"):
        return ()
    _, rows = await db.execute_query(f"SELECT version FROM aerich WHERE app = '{APP_LABEL}' ORDER BY id")
    return tuple(str(dict(row)["version"]) for row in rows)


async def pending(database: Database) -> tuple[Migration, ...]:
    """Return the steps that the database has not had yet."""
    applied = set(await database.run(applied_versions))
    return tuple(migration for migration in all_migrations() if migration.version not in applied)


async def check_schema(database: Database) -> None:
    """Make sure that this release can write to the schema; what is there can often be read in any case.

    Raises:
        SchemaError: Steps are missing, or a newer release has applied steps that this one does not know; the message
            names what to do.
    """
    applied, known = await database.run(applied_versions), all_migrations()
    if newer := sorted(set(applied) - {migration.version for migration in known}):
        raise SchemaError(
            f"The database has migrations that this release does not know ({', '.join(newer)}): a newer release has "
            "upgraded it. Nothing is written to it from here until the package automagik-prompts is upgraded too."
        )
    if missing := [migration for migration in known if migration.version not in applied]:
        raise SchemaError(
            f"The database lacks {len(missing)} of {len(known)} migrations, from {missing[0].version}. "
            "Run: automagik-prompts upgrade"
        )


async def upgrade(database: Database) -> tuple[str, ...]:
    """Apply the steps that are missing; any number of processes may do so at once.

    Args:
        database: An open database.

    Returns:
        The versions that this call applied; empty if another process did it or nothing was missing.

    Raises:
        SchemaError: A step cannot be applied; the database is as it was before that step.
        DatabaseUnavailableError: The database cannot be reached, or another upgrade holds the lock for too long.
    """
    async with _locked(database):
        done: list[str] = []
        for migration in await pending(database):
            await database.transaction(_apply, migration)
            done.append(migration.version)
        return tuple(done)


async def downgrade(database: Database, number: int) -> tuple[str, ...]:
    """Take steps back, newest first, down to and including the one with a number.

    Args:
        database: An open database.
        number: The number of the last step to take back; 0 takes all of them.

    Returns:
        The versions taken back.
    """
    async with _locked(database):
        applied = set(await database.run(applied_versions))
        done: list[str] = []
        for migration in reversed(all_migrations()):
            if migration.version in applied and migration.number >= number:
                await database.transaction(_take_back, migration)
                done.append(migration.version)
        return tuple(done)


async def columns(db: BaseDBAsyncClient, table: str) -> list[str]:
    """Return the names of a table's columns, sorted; empty if there is no such table.

    The migration files use this function too; what it returns must not change.
    """
    if db.capabilities.dialect == "sqlite":
        statement = f'PRAGMA table_info("{table}")'
    else:
        statement = (
            "SELECT column_name AS name FROM information_schema.columns"
            f" WHERE table_schema = current_schema() AND table_name = '{table}'"
        )
    _, rows = await db.execute_query(statement)
    return sorted(str(dict(row)["name"]) for row in rows)


async def _apply(db: BaseDBAsyncClient, migration: Migration) -> None:
    module = migration.load()
    if migration.number > 0:
        # SQLite refuses a transaction that reads before it writes while another process writes, so it writes first.
        await db.execute_query("UPDATE aerich SET app = app WHERE 1 = 0")
    await _run(cast(Migrate, module.upgrade), db)
    content = _models_state(module)
    marks = ("?", "?", "?") if db.capabilities.dialect == "sqlite" else ("$1", "$2", "$3")
    await db.execute_query(
        f"INSERT INTO aerich (version, app, content) VALUES ({', '.join(marks)})",
        [migration.version, APP_LABEL, content],
    )


async def _take_back(db: BaseDBAsyncClient, migration: Migration) -> None:
    await _run(cast(Migrate, migration.load().downgrade), db)
    mark = "?" if db.capabilities.dialect == "sqlite" else "$1"
    await db.execute_query(f"DELETE FROM aerich WHERE app = '{APP_LABEL}' AND version = {mark}", [migration.version])


async def _run(step: Migrate, db: BaseDBAsyncClient) -> None:
    """Run one direction of a migration; the files do their work themselves and return a statement without effect."""
    await db.execute_query(await step(db))


def _models_state(module: ModuleType) -> str:
    """Return the description of the models that aerich compares with, as the JSON that its table holds.

    aerich packs it with zlib and base64; to import aerich for these two steps would cost 170 ms.
    """
    return zlib.decompress(base64.b64decode(module.MODELS_STATE)).decode()


@asynccontextmanager
async def _locked(database: Database) -> AsyncIterator[None]:
    """Hold the lock that lets one upgrade run at a time; it is freed by the system when the process dies."""
    if database.dialect == "postgres":
        async with _locked_by_server(database):
            yield
    elif database.path is not None:
        async with _locked_by_file(database.path.with_name(f"{database.path.name}.migrate.lock")):
            yield
    else:
        yield  # a database in memory has one process


@asynccontextmanager
async def _locked_by_server(database: Database) -> AsyncIterator[None]:
    # On a connection of its own: the lock belongs to the session, and the pool's connections come and go.
    holder = Database(database.url)
    async with holder:
        await holder.run(_advisory_lock)
        yield


async def _advisory_lock(db: BaseDBAsyncClient) -> None:
    await db.execute_query(f"SET lock_timeout = {int(LOCK_TIMEOUT * 1000)}")
    await db.execute_query(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})")


@asynccontextmanager
async def _locked_by_file(path: Path) -> AsyncIterator[None]:
    # A side file: an exclusive lock on the database itself would shut the migration out.
    deadline = time.monotonic() + LOCK_TIMEOUT
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise DatabaseUnavailableError(
            f"The lock file {path} cannot be opened ({error}). Make its folder exist and be writable."
        ) from error
    try:
        while True:
            try:
                connection.execute("BEGIN EXCLUSIVE")
                break
            except sqlite3.OperationalError as error:
                if time.monotonic() > deadline:
                    raise DatabaseUnavailableError(
                        f"Another upgrade has held {path} for {LOCK_TIMEOUT:.0f} s. See which process that is."
                    ) from error
                await asyncio.sleep(0.02)
        yield
    finally:
        connection.close()
