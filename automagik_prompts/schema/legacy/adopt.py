"""What the migrations do besides their DDL: take the lock, adopt the application's rows, and guard the drop.

Everything here runs inside a migration's transaction, whoever started it: this library's command or aerich's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime

from automagik_prompts.exceptions import SchemaError
from automagik_prompts.schema.legacy import archive, backup
from automagik_prompts.schema.legacy.checks import find_blockers
from automagik_prompts.schema.legacy.frozen import Action, content_hash
from automagik_prompts.schema.legacy.plan import adopted_versions, plan_texts
from automagik_prompts.schema.legacy.planned import AgentPlan, Outcome
from automagik_prompts.schema.legacy.rows import event_of, write_events, write_facts, write_text_events, write_versions
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

logger = logging.getLogger("automagik_prompts")

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
    """Look at the application's tables before anything is changed, and note what they are.

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
            # From `agents` first: an application that holds `agents` and wants `prompts` would else wait for a step
            # that waits for it.
            for table in ("agents", "prompts"):
                if await columns(db, table):
                    await db.run(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
        await backup.note_host_columns(db)
    if await backup.host_columns(db, "prompts"):
        await backup.copy_host_prompts(db)


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
    events = [event_of(version, Action.DEACTIVATED, "one of two active versions in prompts") for version in losers]
    events += [event_of(version, Action.ACTIVATED, "the active version in prompts") for version in winners]
    await write_events(db, events)


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
    await write_versions(db, new, moved)
    await write_facts(db, plans, {plan.agent_id for plan in (*new, *moved)}, first=first)
    await write_text_events(db, new, moved)
    if verbatim := [plan.agent for plan in plans if plan.verbatim]:
        logger.warning("Texts that are no valid templates are kept verbatim (format text): %s", shown(verbatim))
    return plans


async def texts_without_version(db: DatabaseReader) -> tuple[str, ...]:
    """Return the agents whose text is not among their versions; compared here, as a collation may fold."""
    agents = [agent for agent in await read_agents(db) if agent.text is not None and agent.text.strip()]
    kept = {(version.agent_id, version.text) for version in await read_versions(db)}
    return tuple(agent.name for agent in agents if (agent.id, agent.text) not in kept)


def not_dropped(lost: Sequence[str]) -> str:
    """Return what to do where the texts of some agents have no equal version."""
    return (
        f"agents.{TEXT_COLUMN} is not dropped, as there is no equal version of the text of {shown(lost)}. Nothing was "
        "changed. Make versions of such texts and upgrade with: automagik-prompts migrate-legacy"
    )


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
        raise SchemaError(not_dropped(lost))
    await backup.note_texts(db)
    await db.run(f'ALTER TABLE "agents" DROP COLUMN "{TEXT_COLUMN}"')
