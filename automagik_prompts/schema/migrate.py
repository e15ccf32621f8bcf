"""Bringing the schema up and down: aerich's files and aerich's history table, applied under a lock.

The files are in aerich's format and `aerich upgrade` applies them as well. In a running application aerich's own
command is not used: it works on whatever Tortoise context the application has, and closes the application's
connections. It takes no lock either, so that two upgrades at once can fail or run a step twice.
"""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import cast

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.database_url import redacted_url
from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.schema.legacy.adopt import adopt_texts, adopting
from automagik_prompts.schema.legacy.locks import LOCK_TIMEOUT, TABLE_TIMEOUT, begin
from automagik_prompts.schema.lost import lost_error, lost_parts
from automagik_prompts.schema.migrations import (
    Migration,
    all_migrations,
    applied_versions,
    recorded_versions,
)
from automagik_prompts.schema.outlook import (
    DROP,
    has_host_tables,
    is_in_effect,
    look_ahead,
    too_new,
    unknown_versions,
)
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.models import APP_LABEL
from automagik_prompts.storage.sqlite import make_private

Migrate = Callable[[BaseDBAsyncClient], Awaitable[str]]


async def pending(database: Database) -> tuple[Migration, ...]:
    """Return the steps that the database has not had yet."""
    applied = set(await database.run(applied_versions))
    return tuple(migration for migration in all_migrations() if migration.version not in applied)


async def newer(database: Database) -> tuple[str, ...]:
    """Return the steps that the database has had and this release does not know."""
    return unknown_versions(await database.run(applied_versions))


async def check_schema(database: Database) -> None:
    """Make sure that this release can read the database.

    Raises:
        SchemaError: Steps are missing; the message names the command that applies them.
    """
    if missing := await pending(database):
        raise SchemaError(await _lacking(database, missing))
    # A newer release may have moved what is missing.
    if not await newer(database) and (lost := await database.run(lambda db: lost_parts(Connection(db)))):
        raise lost_error(lost)


async def _lacking(database: Database, missing: Sequence[Migration]) -> str:
    """Return what to do where steps are missing."""
    if await database.run(_is_anothers):
        return (
            f"The database {redacted_url(database.url)} has a table agents of another application. See what an upgrade "
            "would do to it with: automagik-prompts migrate-legacy --dry-run, and then run: automagik-prompts upgrade "
            f"({len(missing)} migrations are missing)"
        )
    return (
        f"The database lacks {len(missing)} of {len(all_migrations())} migrations, from {missing[0].version}. "
        "Run: automagik-prompts upgrade"
    )


async def check_writable(database: Database, *, thorough: bool = True) -> None:
    """Make sure that this release may write to the database: a newer schema may mean rules that it does not know.

    Args:
        database: An open database.
        thorough: Whether to look for what is lost as well, which whoever follows the database has done.

    Raises:
        SchemaError: Steps are missing, or there are some that this release does not know.
    """
    known = {migration.version for migration in all_migrations()}
    if not thorough and await database.run(recorded_versions) == known:
        return
    await check_schema(database)
    if unknown := await newer(database):
        raise SchemaError(too_new(unknown))


async def prepare(database: Database) -> None:
    """Bring an embedded schema up to date; refuse on a server, and where it would change an application's tables.

    Raises:
        SchemaError: Steps are missing, and a person has to decide when; the message names the command.
        DatabaseUnavailableError: The database cannot be written now.
    """
    if database.is_embedded and await pending(database) and not await database.run(_is_anothers):
        await upgrade(database)
    await check_schema(database)


async def upgrade(database: Database, *, adopt: bool = False) -> tuple[str, ...]:
    """Apply the steps that are missing, all or none; any number of processes may do so at once.

    Args:
        database: An open database.
        adopt: Whether a table `agents` that does not look like one of agents with prompts is meant all the same, and
            texts that were written to it after its agents were adopted become versions too; otherwise both keep the
            steps from being applied.

    Returns:
        The versions that this call applied; empty if another process did it or nothing was missing.

    Raises:
        SchemaError: A step cannot be applied, or the schema is newer than this release; nothing was changed.
        DatabaseUnavailableError: The database cannot be reached, or another upgrade holds the lock for too long.
    """
    outlook = await look_ahead(database, adopt=adopt)
    if outlook.refusal is not None:
        raise outlook.refusal
    if not outlook.due:
        return ()  # without a lock, and where nothing can be written as well
    async with _locked(database), _explain_lock_timeout():
        return await database.transaction(_upgrade, adopt)


async def downgrade(database: Database, number: int) -> tuple[str, ...]:
    """Take steps back, newest first, down to and including the one with a number, all or none.

    What the older schema has no place for is put aside in tables of their own, and the next upgrade takes it back.

    Args:
        database: An open database.
        number: The number of the last step to take back; 0 takes all of them.

    Returns:
        The versions taken back.

    Raises:
        SchemaError: The schema is newer than this release, which cannot take back what it does not know.
        DatabaseUnavailableError: The database cannot be reached, or an upgrade holds the lock for too long.
    """
    async with _locked(database), _explain_lock_timeout():
        return await database.transaction(_downgrade, number)


async def _upgrade(db: BaseDBAsyncClient, adopt: bool) -> tuple[str, ...]:
    connection = await begin(db)
    adopting.set(adopt)  # in this transaction's own task, and no further
    applied = await applied_versions(db)
    if unknown := unknown_versions(applied):
        raise SchemaError(too_new(unknown))
    if len(applied) == len(all_migrations()) and (lost := await lost_parts(connection)):
        raise lost_error(lost)
    done: list[str] = []
    for migration in all_migrations():
        if migration.version in applied:
            if await is_in_effect(connection, migration):
                continue
            # On SQLite aerich takes back a step and its record in two transactions; it died between them.
            await _forget(connection, migration)
        if adopt and migration.number == DROP and not done:
            await adopt_texts(connection, first=False)
        module = migration.load()
        await _run(cast(Migrate, module.upgrade), db)
        await connection.run(
            "INSERT INTO aerich (version, app, content) VALUES (?, ?, ?)",
            migration.version,
            APP_LABEL,
            _models_state(module),
        )
        done.append(migration.version)
    return tuple(done)


async def _downgrade(db: BaseDBAsyncClient, number: int) -> tuple[str, ...]:
    connection = await begin(db)
    applied = await applied_versions(db)
    if unknown := unknown_versions(applied):
        raise SchemaError(too_new(unknown))
    done: list[str] = []
    for migration in reversed(all_migrations()):
        if migration.version in applied and migration.number >= number:
            await _run(cast(Migrate, migration.load().downgrade), db)
            await _forget(connection, migration)
            done.append(migration.version)
    return tuple(done)


async def _forget(db: Connection, migration: Migration) -> None:
    await db.run("DELETE FROM aerich WHERE app = ? AND version = ?", APP_LABEL, migration.version)


async def _run(step: Migrate, db: BaseDBAsyncClient) -> None:
    """Run one direction of a migration; the files do their work themselves and return a statement without effect."""
    await db.execute_query(await step(db))


async def _is_anothers(client: BaseDBAsyncClient) -> bool:
    return await has_host_tables(Connection(client))


def _models_state(module: ModuleType) -> str:
    """Return the description of the models that aerich compares with, as the JSON that its table holds.

    aerich packs it with zlib and base64; to import aerich for these two steps would cost 170 ms.
    """
    return zlib.decompress(base64.b64decode(module.MODELS_STATE)).decode()


@asynccontextmanager
async def _explain_lock_timeout() -> AsyncIterator[None]:
    """Return what to do where a table on a server could not be had in time."""
    try:
        yield
    except DatabaseUnavailableError as error:
        if "canceling statement due to lock timeout" not in error.message:
            raise
        raise DatabaseUnavailableError(
            f"Somebody else's transaction has held the table agents or prompts for more than {TABLE_TIMEOUT:.0f} s; "
            "nothing was changed. Try again when it has ended. See who it is: SELECT * FROM pg_stat_activity WHERE "
            "state <> 'idle'"
        ) from error


@asynccontextmanager
async def _locked(database: Database) -> AsyncIterator[None]:
    """Let one upgrade run at a time; the system frees the lock when its process dies.

    On a server the lock is the transaction's own, taken by `locks.begin`: no second connection, so that fifty
    processes at once do not need a hundred.
    """
    if database.path is None:
        yield
        return
    # A side file: an exclusive lock on the database itself would shut the migration out.
    path = database.path.with_name(f"{database.path.name}.migrate.lock")
    deadline = time.monotonic() + LOCK_TIMEOUT
    make_private(path)
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
