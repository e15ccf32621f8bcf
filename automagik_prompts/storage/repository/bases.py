"""The queries of `prompt_bases`: which version of the code a person's version has taken into account."""

from __future__ import annotations

from collections.abc import Iterable

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.summaries import DriftState
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.repository.mapping import chunks, numbers


async def get_bases(db: BaseDBAsyncClient, prompt_ids: Iterable[int]) -> dict[int, int]:
    """Return the code's versions that some versions have taken into account, by the id of the version."""
    found: dict[int, int] = {}
    for chunk in chunks(sorted(set(prompt_ids))):
        rows = await Connection(db).rows(
            f"SELECT prompt_id, code_version FROM prompt_bases WHERE prompt_id IN ({numbers(chunk)})"
        )
        found |= {row["prompt_id"]: row["code_version"] for row in rows}
    return found


async def get_drift_states(
    db: BaseDBAsyncClient, agent_ids: Iterable[int], status_key: str | None = None
) -> dict[tuple[int, str], DriftState]:
    """Return what says whether the code has changed under the active versions of some agents.

    Args:
        db: The connection.
        agent_ids: The agents' ids.
        status_key: Only this status.
    """
    found: dict[tuple[int, str], DriftState] = {}
    only, values = ("", ()) if status_key is None else ("AND p.status_key = ? ", (status_key,))
    for chunk in chunks(sorted(set(agent_ids))):
        rows = await Connection(db).rows(
            "SELECT p.agent_id, p.status_key, "
            "MAX(CASE WHEN p.is_default_from_code AND w.prompt_id IS NULL THEN p.version END) AS code_version, "
            "MAX(CASE WHEN p.is_active THEN p.id END) AS active_id, MAX(CASE WHEN p.is_active THEN p.version END) "
            "AS active, MAX(CASE WHEN p.is_active AND p.is_default_from_code THEN 1 ELSE 0 END) AS from_code, "
            "MAX(CASE WHEN p.is_active THEN b.code_version END) AS based_on FROM prompts p "
            "LEFT JOIN prompt_bases b ON b.prompt_id = p.id "
            "LEFT JOIN prompt_withdrawals w ON w.prompt_id = p.id AND w.version = p.version "
            f"WHERE p.agent_id IN ({numbers(chunk)}) {only}"
            "GROUP BY p.agent_id, p.status_key",
            *values,
        )
        for row in rows:
            found[row["agent_id"], row["status_key"]] = DriftState(
                row["code_version"], row["active_id"], row["active"], bool(row["from_code"]), row["based_on"]
            )
    return found


async def set_base(db: BaseDBAsyncClient, prompt_id: int, code_version: int) -> None:
    """Note which version of the code a version has taken into account. The agent must be locked."""
    await Connection(db).run(
        "INSERT INTO prompt_bases (prompt_id, code_version) VALUES (?, ?) "
        "ON CONFLICT (prompt_id) DO UPDATE SET code_version = excluded.code_version",
        *(prompt_id, code_version),
    )
