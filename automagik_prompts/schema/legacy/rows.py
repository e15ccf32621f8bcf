"""Writing what was planned: versions, facts of agents, and the events that tell of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from automagik_prompts.schema.legacy.frozen import DEFAULT_STATUS_KEY, Action, Event, content_hash
from automagik_prompts.schema.legacy.plan import AUTHOR, MIGRATED_NAME
from automagik_prompts.schema.legacy.planned import AgentPlan, Outcome, PlannedVersion
from automagik_prompts.schema.legacy.tables import TEXT_COLUMN
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.dialects.base import quoted


async def write_versions(db: Connection, new: Sequence[AgentPlan], moved: Sequence[AgentPlan]) -> None:
    """Write the versions of adopted texts, and make active what is to be."""
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


async def write_facts(
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


async def write_text_events(db: Connection, new: Sequence[AgentPlan], moved: Sequence[AgentPlan]) -> None:
    """Append the events of adopted texts."""
    if not new and not moved:
        return
    rows = await db.rows('SELECT "id", "agent_id", "status_key", "version" FROM "prompts"')
    ids = {(row["agent_id"], row["status_key"], row["version"]): row["id"] for row in rows}
    revisions = {row["id"]: row["revision"] for row in await db.rows('SELECT "id", "revision" FROM "agents"')}
    done = [(plan, Action.CREATED) for plan in new] + [(plan, Action.ACTIVATED) for plan in moved]
    await write_events(
        db,
        [
            Event(
                agent_id,
                plan.status_key,
                action.value,
                prompt_id=ids[agent_id, plan.status_key, version],
                version=version,
                from_version=plan.from_version if action is Action.ACTIVATED else None,
                note=_note(plan),
                revision=revisions[agent_id],
            )
            for plan, action in sorted(done, key=lambda pair: pair[0].agent)
            if (agent_id := plan.agent_id) is not None and (version := plan.version) is not None
        ],
    )


async def write_events(db: Connection, events: Sequence[Event]) -> None:
    """Append events."""
    now = datetime.now(UTC)
    await db.run_many(
        f'INSERT INTO "prompt_events" ({", ".join(map(quoted, Event._fields))}, "author", "created_at")'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*event, AUTHOR, now) for event in events],
    )


def event_of(version: PlannedVersion, action: Action, note: str) -> Event:
    """Return the event of an adopted version."""
    return Event(version.agent_id, version.status_key, action.value, version.id, version.version, note, revision=1)


def _note(plan: AgentPlan) -> str:
    return f"from agents.{TEXT_COLUMN}" + (f"; {plan.reason}" if plan.reason else "")


def _names(variables: object) -> list[str]:
    """Return the stored names; one driver gives JSON as text."""
    found = json.loads(variables) if isinstance(variables, str) else variables
    return [str(name) for name in found] if isinstance(found, list) else []
