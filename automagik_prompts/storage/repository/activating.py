"""The queries by which a version becomes the active one of its status, or none is."""

from __future__ import annotations

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.records import Prompt
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import AgentRow, PromptRow
from automagik_prompts.storage.repository.mapping import PROMPT_COLUMNS, current_time, prompt_from, prompt_value

_ACTIVE = "agent_id = ? AND status_key = ? AND is_active = true"
_REST = f"UPDATE prompts SET is_active = false, updated_at = ? WHERE {_ACTIVE}"
_RISE = (
    "UPDATE prompts SET is_active = true, updated_at = ? WHERE id = ? AND agent_id = ? AND status_key = ? "
    "AND NOT EXISTS (SELECT 1 FROM prompt_withdrawals w WHERE w.prompt_id = prompts.id)"
)
_POINT = "UPDATE agents SET active_default_prompt_id = ? WHERE id = ? AND default_status_key = ?"


async def set_prompt_active(
    db: BaseDBAsyncClient, agent_id: int, prompt_id: int | None, status_key: str
) -> Prompt | None:
    """Make one version the active one of its agent and status, or none.

    The agent must be locked by this transaction. Where the status is the agent's primary one,
    `active_default_prompt_id` follows.

    Args:
        db: The connection of a transaction.
        agent_id: The agent's id.
        prompt_id: The version's id, or `None` to leave the status without an active version.
        status_key: The status.

    Returns:
        The active version, or `None` if there is none now or the id belongs to another agent or status.
    """
    now = current_time()
    mine = PromptRow.filter(agent_id=agent_id, status_key=status_key)
    if prompt_id is not None and not await mine.filter(id=prompt_id).using_db(db).exists():
        return None
    # In two steps: with one UPDATE the order of the rows decides whether the unique index objects.
    await mine.filter(is_active=True).using_db(db).update(is_active=False, updated_at=now)
    if prompt_id is not None:
        await mine.filter(id=prompt_id).using_db(db).update(is_active=True, updated_at=now)
    await (
        AgentRow.filter(id=agent_id, default_status_key=status_key)
        .using_db(db)
        .update(active_default_prompt_id=prompt_id)
    )
    row = await mine.filter(id=prompt_id).using_db(db).first() if prompt_id is not None else None
    return prompt_value(row) if row is not None else None


async def activate_prompt(db: BaseDBAsyncClient, prompt: Prompt) -> tuple[Prompt | None, int | None]:
    """Make a version the active one of its status, unless it is withdrawn or was deleted; `None` then.

    The agent must be locked by this transaction, which must end if there is no such version: the one that was active is
    not any more. Where the status is the agent's primary one, `active_default_prompt_id` follows.

    Returns:
        The version, and the number of the one that was active before.
    """
    connection = Connection(db)
    now, mine = engine_of(connection).written_time(current_time()), (prompt.agent_id, prompt.status_key)
    # In two steps: with one UPDATE the order of the rows decides whether the unique index objects.
    before = await connection.written(_REST, now, *mine, columns=["version"])
    if before is None:
        before = await connection.rows(f"SELECT version FROM prompts WHERE {_ACTIVE}", *mine)
        await connection.run(_REST, now, *mine)
    values = (now, prompt.id, *mine)
    rows = await connection.written(_RISE, *values, prompt.id, *mine, columns=PROMPT_COLUMNS, then=_POINT)
    if rows is None:
        await connection.run(_RISE, *values)
        rows = await connection.rows(f"SELECT {', '.join(PROMPT_COLUMNS)} FROM prompts WHERE id = ?", prompt.id)
        if rows:
            await connection.run(_POINT, prompt.id, *mine)
    active = prompt_from(rows[0]) if rows else None
    return (active if active is not None and active.is_active else None), before[0]["version"] if before else None
