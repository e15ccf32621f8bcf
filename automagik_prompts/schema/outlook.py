"""What an upgrade would do to a database, found without writing anything.

`doctor` says it and `upgrade` begins with it, so that the two cannot contradict each other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.database_url import redacted_url
from automagik_prompts.exceptions import DatabaseUnavailableError, PromptsError, SchemaError
from automagik_prompts.schema.legacy.adopt import FOREIGN, is_foreign, not_dropped, texts_without_version
from automagik_prompts.schema.legacy.backup import LEGACY_COLUMNS, host_columns
from automagik_prompts.schema.legacy.checks import find_blockers
from automagik_prompts.schema.legacy.locks import TAKES_NO_WRITES, takes_writes
from automagik_prompts.schema.legacy.privileges import missing_rights, not_owned
from automagik_prompts.schema.legacy.tables import TEXT_COLUMN
from automagik_prompts.schema.lost import lost_error, lost_parts
from automagik_prompts.schema.migrations import Migration, all_migrations, read_applied
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.introspection import columns, keeps_history, notes_changes

CREATE, CHANGE, DROP, LOG, RIGHTS = 0, 1, 2, 4, 7
"""The steps that create prompts, change agents, drop the text column, note changes, and keep what was written."""

_MAKES = {CREATE: "prompt_events", 5: "prompt_withdrawals", 6: "prompt_requests", 8: "prompt_processes"}
"""A table by which it shows that a step was applied."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an upgrade would do.

    Attributes:
        due: The steps that it would apply; none where the schema is up to date.
        refusal: Why it would refuse, with what to do; `None` where it would not.
        is_anothers: Whether the steps would change tables that were there before this library.
    """

    due: tuple[Migration, ...] = ()
    refusal: PromptsError | None = None
    is_anothers: bool = False


async def look_ahead(database: Database, *, adopt: bool = False) -> Outlook:
    """Return what an upgrade would do.

    Args:
        database: An open database.
        adopt: Whether a table `agents` that may be about something else is said to be meant.

    Raises:
        DatabaseUnavailableError: The database cannot be read.
    """

    async def look(client: BaseDBAsyncClient) -> Outlook:
        db = Connection(client)
        while True:
            applied = await read_applied(db)
            # Another process' upgrade may end between two statements, and what they see then fits no schema at all.
            # It records its steps in the transaction that takes them: where the records are the same, so is the rest.
            try:
                outlook = await _look_ahead(database, db, applied, adopt)
            except (PromptsError, OperationalError):
                if await read_applied(db) == applied:
                    raise
                continue
            if await read_applied(db) == applied:
                return outlook

    return await database.run(look)


async def _look_ahead(database: Database, db: DatabaseReader, applied: tuple[str, ...], adopt: bool) -> Outlook:
    if unknown := unknown_versions(applied):
        return Outlook(refusal=SchemaError(too_new(unknown)))
    if len(applied) == len(all_migrations()) and (lost := await lost_parts(db)):
        return Outlook(refusal=lost_error(lost))
    due = tuple([one for one in all_migrations() if one.version not in applied or not await is_in_effect(db, one)])
    if not due:
        return Outlook()
    if (path := database.path) is not None and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        refusal: PromptsError | None = DatabaseUnavailableError(
            f"The database {redacted_url(database.url)} is read-only here, and its schema lacks {len(due)} of "
            f"{len(all_migrations())} migrations. Upgrade it where the file and its folder can be written."
        )
    elif not await takes_writes(db):
        refusal = DatabaseUnavailableError(TAKES_NO_WRITES)
    else:
        refusal = await _refusal(db, {one.number for one in due}, adopt)
    return Outlook(due, refusal, await has_host_tables(db))


async def _refusal(db: DatabaseReader, due: set[int], adopt: bool) -> SchemaError | None:
    """Return why the tables cannot be changed."""
    if CREATE in due and not await columns(db, LEGACY_COLUMNS):
        if found := await find_blockers(db):
            return SchemaError(f"Nothing was changed. These tables cannot be adopted as they are: {'; '.join(found)}.")
        return SchemaError(FOREIGN) if not adopt and await is_foreign(db) else None
    reasons = [*await missing_rights(db), *await not_owned(db, "agents"), *await not_owned(db, "prompts")]
    if reasons:
        return SchemaError(f"Nothing was changed, as this user may not change the schema: {'; '.join(reasons)}.")
    if DROP in due and CHANGE not in due and not adopt and TEXT_COLUMN in await host_columns(db, "agents"):
        texts = await texts_without_version(db) if TEXT_COLUMN in await columns(db, "agents") else ()
        return SchemaError(not_dropped(texts)) if texts else None
    return None


async def is_in_effect(db: DatabaseReader, migration: Migration) -> bool:
    """Return whether a step that is recorded as applied has left its mark."""
    if (table := _MAKES.get(migration.number)) is not None:
        return bool(await columns(db, table))
    if migration.number == CHANGE:
        return "default_status_key" in await columns(db, "agents")
    if migration.number == DROP:
        return TEXT_COLUMN not in await columns(db, "agents")
    if migration.number == LOG:
        return await notes_changes(db)
    if migration.number == RIGHTS:
        return await keeps_history(db)
    return True


async def has_host_tables(db: DatabaseReader) -> bool:
    """Return whether missing steps would change tables that were there before this library."""
    if await read_applied(db):
        return bool(await host_columns(db, "agents"))
    return bool(await columns(db, "agents") or await columns(db, "prompts"))


def unknown_versions(applied: tuple[str, ...]) -> tuple[str, ...]:
    """Return the steps that a database has had and that this release does not know."""
    known = {migration.version for migration in all_migrations()}
    return tuple(version for version in applied if version not in known)


def too_new(unknown: tuple[str, ...]) -> str:
    """Return what to do where there are some."""
    return (
        f"The schema is newer than this release of automagik-prompts, which does not know {', '.join(unknown)}. It can "
        "be read, not written. Upgrade the package automagik-prompts to the release that the database belongs to."
    )
