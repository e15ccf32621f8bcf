"""Queries over many versions for people and for files, which read no more texts than they show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.records import AgentInfo, Protection
from automagik_prompts.domain.summaries import StatusSummary, VersionDigest
from automagik_prompts.storage.models import PromptRow, UtcField
from automagik_prompts.storage.repository.mapping import numbers, read_protected

_TIME = UtcField()


async def get_summaries(db: BaseDBAsyncClient, agent_ids: Iterable[int] | None = None) -> list[StatusSummary]:
    """Return where each status stands, of some agents or of all, sorted; two queries, and no text is read."""
    where = "" if agent_ids is None else f"WHERE p.agent_id IN ({numbers(agent_ids) or 'NULL'}) "
    _, counted = await db.execute_query(
        "SELECT a.name AS agent, p.agent_id, p.status_key, COUNT(*) AS versions, MAX(p.version) AS latest, "
        "MAX(CASE WHEN p.is_default_from_code THEN p.version END) AS code_version, a.default_status_key, a.revision, "
        "a.protected_statuses, "
        "MAX(CASE WHEN p.is_default_from_code AND w.prompt_id IS NULL THEN p.version END) AS candidate "
        "FROM prompts p JOIN agents a ON a.id = p.agent_id "
        f"LEFT JOIN prompt_withdrawals w ON w.prompt_id = p.id AND w.version = p.version {where}"
        "GROUP BY a.name, p.agent_id, p.status_key, a.default_status_key, a.revision, a.protected_statuses "
        "ORDER BY a.name, p.status_key"
    )
    _, active = await db.execute_query(
        "SELECT p.id, p.agent_id, p.status_key, p.version, p.is_default_from_code, p.author, p.name, p.note, "
        "p.created_at, p.updated_at, b.code_version AS based_on FROM prompts p "
        "LEFT JOIN prompt_bases b ON b.prompt_id = p.id "
        f"{where or 'WHERE '}{'AND ' if where else ''}p.is_active = true"
    )
    actives = {(row["agent_id"], row["status_key"]): row for row in map(dict, active)}
    found: list[StatusSummary] = []
    for row in map(dict, counted):
        facts: dict[str, Any] = {}
        if (now := actives.get((row["agent_id"], row["status_key"]))) is not None:
            facts = {name: now[name] for name in ("author", "name", "note", "based_on")}
            facts |= {"active": now["version"], "active_id": now["id"], "from_code": bool(now["is_default_from_code"])}
            facts["created_at"] = _TIME.to_python_value(now["created_at"])
            facts["active_since"] = _TIME.to_python_value(now["updated_at"])
        found.append(
            StatusSummary(
                agent=row["agent"],
                revision=row["revision"],
                status_key=row["status_key"],
                primary=row["status_key"] == row["default_status_key"],
                versions=row["versions"],
                latest=row["latest"],
                code_version=row["code_version"],
                candidate=row["candidate"],
                protection=_protection(row),
                **facts,
            )
        )
    return found


def _protection(row: dict[str, Any]) -> Protection | None:
    protected = read_protected(row["protected_statuses"])
    return AgentInfo(row["agent_id"], row["agent"], protected=protected).protection(row["status_key"])


async def get_version_digests(db: BaseDBAsyncClient, agent_id: int) -> list[VersionDigest]:
    """Return what tells an agent's versions apart, by status and then newest first, without their texts."""
    _, rows = await db.execute_query(
        "SELECT status_key, version, content_hash, format, name, is_active FROM prompts "
        f"WHERE agent_id = {int(agent_id)} ORDER BY status_key, version DESC"
    )
    return [VersionDigest(**{**row, "is_active": bool(row["is_active"])}) for row in map(dict, rows)]


async def get_status_keys(db: BaseDBAsyncClient, agent_id: int) -> list[str]:
    """Return the status keys of which an agent has versions, sorted."""
    found = (
        await PromptRow.filter(agent_id=agent_id)
        .distinct()
        .order_by("status_key")
        .using_db(db)
        .values_list("status_key", flat=True)
    )
    return [str(key) for key in found]
