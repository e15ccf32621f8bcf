"""Beginning a migration: one at a time, with aerich's table in place and the tables locked for a bounded time."""

from __future__ import annotations

from pathlib import Path

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.schema.legacy.frozen import APP_LABEL
from automagik_prompts.schema.legacy.privileges import missing_rights
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.introspection import columns

LOCK_TIMEOUT = 60.0
"""Seconds that an upgrade waits for another one to end."""


TABLE_TIMEOUT = 5.0
"""Seconds that an upgrade waits for a table on a server: everybody who wants the table queues behind it meanwhile."""


ADVISORY_LOCK = 0x6175746F
"""The number of the advisory lock on PostgreSQL."""


_AERICH = """
CREATE TABLE IF NOT EXISTS "aerich" (
    "id" {id},
    "version" VARCHAR(255) NOT NULL,
    "app" VARCHAR(100) NOT NULL,
    "content" {json} NOT NULL
)"""


async def begin(client: BaseDBAsyncClient, applying: str | None = None) -> Connection:
    """Begin a migration: be the only one, and let the first statement be a write.

    SQLite refuses a transaction that reads before it writes while somebody else writes.

    Args:
        client: Tortoise's connection, inside the migration's transaction.
        applying: The file of the migration that is being applied, to make sure that nobody has done so meanwhile.

    Raises:
        SchemaError: Another upgrade has applied this migration meanwhile.
        DatabaseUnavailableError: Another upgrade holds the lock for too long, or the server takes no writes.
    """
    db = Connection(client)
    if db.dialect == "postgres":
        await _lock_server(db)
        await _settle_server(db)
        if not await columns(db, "aerich"):
            if missing := await missing_rights(db):
                raise SchemaError(f"Nothing was changed, as no table can be created: {'; '.join(missing)}.")
            await db.run(_AERICH.format(id="SERIAL NOT NULL PRIMARY KEY", json="JSONB"))
    else:
        try:
            await db.run("UPDATE aerich SET app = app WHERE 1 = 0")
        except OperationalError as error:
            if "no such table" not in str(error):
                raise
            await db.run(_AERICH.format(id="INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL", json="JSON"))
    version = Path(applying).name if applying is not None else None
    if version and await db.rows("SELECT id FROM aerich WHERE app = ? AND version = ?", APP_LABEL, version):
        raise SchemaError(f"Another upgrade has just applied {version}. Run the upgrade again for what is left.")
    return db


async def _lock_server(db: Connection) -> None:
    """Take the lock of upgrades, which the transaction's end or its process' death frees."""
    await _set_lock_timeout(db, LOCK_TIMEOUT)
    try:
        await db.run(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
    except Exception as error:
        # asyncpg is optional, so its exception is known by its text.
        if "lock timeout" not in str(error):
            raise
        raise DatabaseUnavailableError(
            f"Another upgrade has held the lock for {LOCK_TIMEOUT:.0f} s. See who does: SELECT * FROM pg_locks JOIN "
            "pg_stat_activity USING (pid) WHERE locktype = 'advisory'"
        ) from error
    await _set_lock_timeout(db, TABLE_TIMEOUT)


TAKES_NO_WRITES = (
    "The server takes no writes for this user (transaction_read_only is on), as a standby does. Nothing was changed; "
    "upgrade on the primary, or correct the setting default_transaction_read_only."
)


async def takes_writes(db: DatabaseReader) -> bool:
    """Return whether a server lets this user write at all."""
    if db.dialect == "sqlite":
        return True
    return not await db.rows("SELECT 1 WHERE current_setting('transaction_read_only') = 'on'")


async def _settle_server(db: Connection) -> None:
    """Let nothing that a server or a role has set for ordinary work cut a migration short or hide rows from it."""
    if not await takes_writes(db):
        raise DatabaseUnavailableError(TAKES_NO_WRITES)
    # How long it waits for others is limited all the same, and a process that dies loses its connection.
    await db.run(
        "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN "
        "('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
    )
    # A text in a row that this user does not see would be dropped: rather fail.
    await db.run("SELECT set_config('row_security', 'off', true)")
    # A deferred check of the application's own, still pending, would keep its table from being altered.
    await db.run("SET CONSTRAINTS ALL IMMEDIATE")


async def _set_lock_timeout(db: Connection, seconds: float) -> None:
    await db.run(f"SELECT set_config('lock_timeout', '{int(seconds * 1000)}', true)")
