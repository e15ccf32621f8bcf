"""The queries of `prompt_withdrawals`: versions that nobody is to be sent any more."""

from __future__ import annotations

from collections.abc import Iterable

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.repository.mapping import chunks, numbers


async def withdraw(db: BaseDBAsyncClient, agent_id: int, prompt_id: int, version: int) -> bool:
    """Note that a version is withdrawn; `False` if it was already. The agent must be locked by this transaction."""
    if prompt_id in await get_withdrawn(db, [agent_id]):
        return False
    await Connection(db).run(
        "INSERT INTO prompt_withdrawals (prompt_id, agent_id, version) VALUES (?, ?, ?)", prompt_id, agent_id, version
    )
    return True


async def reinstate(db: BaseDBAsyncClient, agent_id: int, prompt_id: int) -> bool:
    """Take a withdrawal back; `False` if there was none. The agent must be locked by this transaction."""
    if prompt_id not in await get_withdrawn(db, [agent_id]):
        return False
    await Connection(db).run("DELETE FROM prompt_withdrawals WHERE prompt_id = ?", prompt_id)
    return True


async def get_withdrawn(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> set[int]:
    """Return the ids of the withdrawn versions of some agents, deleted ones too; none in an older schema."""
    found: set[int] = set()
    for chunk in chunks(sorted(set(agent_ids))):
        try:
            rows = await Connection(db).rows(
                f"SELECT prompt_id FROM prompt_withdrawals WHERE agent_id IN ({numbers(chunk)})"
            )
        except OperationalError as error:
            if "prompt_withdrawals" not in str(error):
                raise
            return set()
        found |= {row["prompt_id"] for row in rows}
    return found


async def get_withdrawn_texts(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> set[tuple[int, str, str]]:
    """Return the withdrawn texts of some agents, by agent id, status and hash."""
    found: set[tuple[int, str, str]] = set()
    for chunk in chunks(sorted(set(agent_ids))):
        rows = await Connection(db).rows(
            "SELECT p.agent_id, p.status_key, p.content_hash FROM prompt_withdrawals w JOIN prompts p "
            f"ON p.id = w.prompt_id AND p.version = w.version WHERE w.agent_id IN ({numbers(chunk)})"
        )
        found |= {(row["agent_id"], row["status_key"], row["content_hash"]) for row in rows}
    return found
