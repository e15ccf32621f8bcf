"""What the migrations do besides their DDL: take the lock, adopt the host's rows, and guard the drop.

Everything here runs inside a migration's transaction, whoever started it: this library's command or aerich's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY
from automagik_prompts.domain.records import Action, EventCreate
from automagik_prompts.domain.text import content_hash
from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.schema.legacy import archive, backup
from automagik_prompts.schema.legacy.checks import find_blockers
from automagik_prompts.schema.legacy.plan import (
    AUTHOR,
    MIGRATED_NAME,
    AgentPlan,
    Outcome,
    PlannedVersion,
    adopted_versions,
    plan_texts,
)
from automagik_prompts.schema.legacy.privileges import missing_rights
from automagik_prompts.schema.legacy.tables import (
    ARCHIVED_AGENTS,
    POINTER,
    TEXT_COLUMN,
    read_agents,
    read_versions,
    shown,
)
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.introspection import columns
from automagik_prompts.storage.models import APP_LABEL

logger = logging.getLogger("automagik_prompts")

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
_AERICH_TYPES = {
    "sqlite": {"id": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL", "json": "JSON"},
    "postgres": {"id": "SERIAL NOT NULL PRIMARY KEY", "json": "JSONB"},
}


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
            await db.run(_AERICH.format(**_AERICH_TYPES["postgres"]))
    else:
        try:
            await db.run("UPDATE aerich SET app = app WHERE 1 = 0")
        except OperationalError as error:
            if "no such table" not in str(error):
                raise
            await db.run(_AERICH.format(**_AERICH_TYPES["sqlite"]))
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


async def _settle_server(db: Connection) -> None:
    """Let nothing that a server or a role has set for ordinary work cut a migration short or hide rows from it."""
    if await db.rows("SELECT 1 WHERE current_setting('transaction_read_only') = 'on'"):
        raise DatabaseUnavailableError(
            "The server takes no writes for this user (transaction_read_only is on), as a standby does. Nothing was "
            "changed; upgrade on the primary, or correct the setting default_transaction_read_only."
        )
    # How long it waits for others is limited all the same, and a process that dies loses its connection.
    await db.run(
        "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN "
        "('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
    )
    # A text in a row that this user does not see would be dropped: rather fail.
    await db.run("SELECT set_config('row_security', 'off', true)")
    # A deferred check of the host's own, still pending, would keep its table from being altered.
    await db.run("SET CONSTRAINTS ALL IMMEDIATE")


async def _set_lock_timeout(db: Connection, seconds: float) -> None:
    await db.run(f"SELECT set_config('lock_timeout', '{int(seconds * 1000)}', true)")


adopting: ContextVar[bool] = ContextVar("automagik_prompts_adopting", default=False)
"""Whether a table of agents that is not of a known shape was said to be meant."""

FOREIGN = (
    "Nothing was changed. There is a table agents that is neither this library's nor of the shape that it grew from: "
    "it has no column system_prompt, and there is no table prompts beside it. If it is about something else, keep them "
    "apart: name another file, or on PostgreSQL another schema with ?schema=NAME in the database URL. If its rows are "
    "the agents whose prompts are to be kept here, say so: automagik-prompts upgrade --adopt"
)


async def is_foreign(db: DatabaseReader) -> bool:
    """Return whether there is a table of agents that may well be about something else."""
    agents, prompts = await columns(db, "agents"), await columns(db, "prompts")
    if not agents or {TEXT_COLUMN, POINTER} & agents or await columns(db, ARCHIVED_AGENTS):
        return False
    return not {"agent_id", "prompt_text", "status_key"} <= prompts


async def take_over_tables(db: Connection) -> None:
    """Look at the host's tables before anything is changed, and note what they are.

    Where that is noted already, an engine without transactions for DDL was interrupted: what is there now is partly
    this library's own.

    Raises:
        SchemaError: They cannot be adopted; the message lists all reasons.
    """
    if not await columns(db, backup.LEGACY_COLUMNS):
        if found := await find_blockers(db):
            raise SchemaError(f"Nothing was changed. These tables cannot be adopted as they are: {'; '.join(found)}.")
        if not adopting.get() and await is_foreign(db):
            raise SchemaError(FOREIGN)
        if db.dialect == "postgres":
            await _lock_host_tables(db)
        await backup.note_host_columns(db)
    if await backup.host_columns(db, "prompts"):
        await backup.copy_host_prompts(db)


async def _lock_host_tables(db: Connection) -> None:
    """Shut the host's application out, from `agents` first.

    An application that holds `agents` and wants `prompts` would else wait for a step that waits for it.
    """
    for table in ("agents", "prompts"):
        if await columns(db, table):
            await db.run(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')


async def restore_versions(db: Connection) -> None:
    """Bring back the versions that a downgrade put aside."""
    agents = {agent.name: agent.id for agent in await read_agents(db)}
    plan = archive.plan_restore(await archive.read_archive(db), agents, await read_versions(db))
    if left := await archive.restore_versions(db, plan):
        logger.warning(
            "Versions of agents that do not exist any more stay in %s: %s", archive.ARCHIVED_VERSIONS, shown(left)
        )


async def adopt_versions(db: Connection) -> None:
    """Give the rows of a table `prompts` of the first shape what they lack: a format, a hash, one active per status."""
    versions = await read_versions(db)
    new = {version.id for version in versions if version.format is None}
    if not new:
        return
    pointers = {agent.id: agent.pointer for agent in await read_agents(db)}
    adopted = [version for version in adopted_versions(versions, pointers) if version.id in new]
    await db.run_many(
        'UPDATE "prompts" SET "format" = ?, "content_hash" = ?, "is_active" = ? WHERE "id" = ?',
        [(version.format, content_hash(version.text), version.is_active, version.id) for version in adopted],
    )
    now = datetime.now(UTC)
    for name, value in (("is_default_from_code", False), ("created_at", now), ("updated_at", now)):
        await db.run(f'UPDATE "prompts" SET "{name}" = ? WHERE "{name}" IS NULL', value)
    before = {version.id for version in versions if version.is_active}
    after = {version.id for version in adopted if version.is_active}
    losers = [version for version in adopted if version.id in before - after]
    winners = [version for version in adopted if version.id in after]
    await _write_events(
        db,
        [
            *(_event(version, Action.DEACTIVATED, note="one of two active versions in prompts") for version in losers),
            *(_event(version, Action.ACTIVATED, note="the active version in prompts") for version in winners),
        ],
    )


async def adopt_texts(db: Connection, *, first: bool = True) -> tuple[AgentPlan, ...]:
    """Make a version of each text that has none, and point each agent to its active one.

    Args:
        db: The connection, inside the migration's transaction.
        first: Whether the agents are adopted now; otherwise only texts that were written since are.

    Raises:
        SchemaError: A text cannot be kept.
    """
    plans = plan_texts(await read_agents(db), await read_versions(db))
    if refused := [str(plan) for plan in plans if plan.outcome is Outcome.REFUSED]:
        raise SchemaError(f"These texts cannot be kept: {shown(refused)}. Correct them and run the upgrade again.")
    new = [plan for plan in plans if plan.outcome in {Outcome.CREATED, Outcome.INACTIVE}]
    moved = [plan for plan in plans if plan.outcome in {Outcome.CREATED, Outcome.ACTIVATED}]
    await _write_versions(db, new, moved)
    await _write_facts(db, plans, {plan.agent_id for plan in (*new, *moved)}, first=first)
    await _write_text_events(db, new, moved)
    if verbatim := [plan.agent for plan in plans if plan.verbatim]:
        logger.warning("Texts that are no valid templates are kept verbatim (format text): %s", shown(verbatim))
    return plans


async def texts_without_version(db: DatabaseReader) -> tuple[str, ...]:
    """Return the agents whose text is not among their versions; compared here, as a collation may fold."""
    agents = [agent for agent in await read_agents(db) if agent.text is not None and agent.text.strip()]
    kept = {(version.agent_id, version.text) for version in await read_versions(db)}
    return tuple(agent.name for agent in agents if (agent.id, agent.text) not in kept)


async def drop_text_column(db: Connection) -> None:
    """Drop `agents.system_prompt`, once each of its texts has an equal version.

    Raises:
        SchemaError: One has none; nothing was dropped, and the message lists the agents.
    """
    if TEXT_COLUMN not in await backup.host_columns(db, "agents") or TEXT_COLUMN not in await columns(db, "agents"):
        return
    if db.dialect == "postgres":
        # Nobody may write a text between the comparison and the drop.
        await db.run('LOCK TABLE "agents" IN ACCESS EXCLUSIVE MODE')
    if lost := await texts_without_version(db):
        raise SchemaError(
            f"agents.{TEXT_COLUMN} is not dropped, as there is no equal version of the text of {shown(lost)}. Nothing "
            "was changed. Make versions of such texts and upgrade with: automagik-prompts migrate-legacy"
        )
    await backup.note_texts(db)
    await db.run(f'ALTER TABLE "agents" DROP COLUMN "{TEXT_COLUMN}"')


async def _write_versions(db: Connection, new: Sequence[AgentPlan], moved: Sequence[AgentPlan]) -> None:
    now = datetime.now(UTC)
    # First nothing is active, then the new one is: at no moment are there two.
    await db.run_many(
        'UPDATE "prompts" SET "is_active" = ?, "updated_at" = ? WHERE "agent_id" = ? AND "status_key" = ?'
        ' AND "version" = ?',
        [(False, now, plan.agent_id, plan.status_key, plan.from_version) for plan in moved if plan.from_version],
    )
    await db.run_many(
        'UPDATE "prompts" SET "is_active" = ?, "updated_at" = ? WHERE "id" = ?',
        [(True, now, plan.version_id) for plan in moved if plan.version_id],
    )
    await db.run_many(
        'INSERT INTO "prompts" ("agent_id", "status_key", "version", "prompt_text", "format", "is_active",'
        ' "is_default_from_code", "name", "content_hash", "author", "note", "created_at", "updated_at")'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(plan.agent_id, plan.status_key, plan.version, plan.text, plan.format),
                *(plan.outcome is Outcome.CREATED, True, MIGRATED_NAME, content_hash(plan.text or "")),
                *(AUTHOR, _note(plan), now, now),
            )
            for plan in new
        ],
    )


async def _write_facts(
    db: Connection, plans: Sequence[AgentPlan], written: Collection[int | None], *, first: bool
) -> None:
    """Write what `agents` says: the exposed names, the primary status and its active version, the write counter."""
    adopted = [plan for plan in plans if first and plan.primary is not None]
    known = {row["id"]: row["variables"] for row in await db.rows('SELECT "id", "variables" FROM "agents"')}
    exposed = {
        plan.agent_id: sorted({*plan.variables, *_names(known[plan.agent_id])})
        for plan in plans
        if plan.agent_id in written or plan in adopted
    }
    await db.run_many(
        'UPDATE "agents" SET "variables" = ? WHERE "id" = ?',
        [(json.dumps(names), agent_id) for agent_id, names in exposed.items() if names],
    )
    await db.run_many(
        'UPDATE "agents" SET "default_status_key" = ? WHERE "id" = ?',
        [(plan.primary, plan.agent_id) for plan in adopted if plan.primary != DEFAULT_STATUS_KEY],
    )
    await db.run_many(
        'UPDATE "agents" SET "revision" = "revision" + 1 WHERE "id" = ?', [(agent_id,) for agent_id in written]
    )
    if first:
        await db.run(
            'UPDATE "agents" SET "revision" = 1 WHERE "revision" = 0 AND "id" IN (SELECT "agent_id" FROM "prompts")'
        )
    # Only rows that change: a host may have triggers on its table.
    active = await db.rows(
        'SELECT a."id", a."active_default_prompt_id" AS told, p."id" AS active FROM "agents" AS a LEFT JOIN "prompts"'
        ' AS p ON p."agent_id" = a."id" AND p."status_key" = a."default_status_key" AND p."is_active" = true'
    )
    await db.run_many(
        'UPDATE "agents" SET "active_default_prompt_id" = ? WHERE "id" = ?',
        [(row["active"], row["id"]) for row in active if row["active"] != row["told"]],
    )


async def _write_text_events(db: Connection, new: Sequence[AgentPlan], moved: Sequence[AgentPlan]) -> None:
    if not new and not moved:
        return
    rows = await db.rows('SELECT "id", "agent_id", "status_key", "version" FROM "prompts"')
    ids = {(row["agent_id"], row["status_key"], row["version"]): row["id"] for row in rows}
    revisions = {row["id"]: row["revision"] for row in await db.rows('SELECT "id", "revision" FROM "agents"')}
    done = [(plan, Action.CREATED) for plan in new] + [(plan, Action.ACTIVATED) for plan in moved]
    await _write_events(
        db,
        [
            EventCreate(
                agent_id=agent_id,
                status_key=plan.status_key,
                action=action,
                prompt_id=ids[agent_id, plan.status_key, version],
                version=version,
                from_version=plan.from_version if action is Action.ACTIVATED else None,
                author=AUTHOR,
                note=_note(plan),
                revision=revisions[agent_id],
            )
            for plan, action in sorted(done, key=lambda pair: pair[0].agent)
            if (agent_id := plan.agent_id) is not None and (version := plan.version) is not None
        ],
    )


async def _write_events(db: Connection, events: Sequence[EventCreate]) -> None:
    now = datetime.now(UTC)
    await db.run_many(
        'INSERT INTO "prompt_events" ("agent_id", "status_key", "action", "prompt_id", "version", "from_version",'
        ' "author", "note", "revision", "created_at") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        [
            (
                *(event.agent_id, event.status_key, event.action.value, event.prompt_id, event.version),
                *(event.from_version, event.author, event.note, event.revision, now),
            )
            for event in events
        ],
    )


def _event(version: PlannedVersion, action: Action, *, note: str) -> EventCreate:
    return EventCreate(
        agent_id=version.agent_id,
        status_key=version.status_key,
        action=action,
        revision=1,
        prompt_id=version.id,
        version=version.version,
        author=AUTHOR,
        note=note,
    )


def _note(plan: AgentPlan) -> str:
    return f"from agents.{TEXT_COLUMN}" + (f"; {plan.reason}" if plan.reason else "")


def _names(variables: object) -> list[str]:
    """Return the stored names; one driver gives JSON as text."""
    found = json.loads(variables) if isinstance(variables, str) else variables
    return [str(name) for name in found] if isinstance(found, list) else []
