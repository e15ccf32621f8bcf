"""The queries of `prompt_idempotency_keys`: what writes were answered that may be repeated."""

from __future__ import annotations

import json
from datetime import datetime

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.edits import Answer, RepeatKey
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.repository.mapping import current_time

_MINE = "actor_id = ? AND key = ?"


async def find_answer(db: BaseDBAsyncClient, key: RepeatKey) -> tuple[str, Answer | None] | None:
    """Return the fingerprint of the request that was made with a key, and what it was answered; `None` if none was."""
    rows = await Connection(db).rows(
        f"SELECT fingerprint, status, headers, body FROM prompt_idempotency_keys WHERE {_MINE}", key.actor_id, key.key
    )
    if not rows:
        return None
    row = rows[0]
    if row["status"] is None:
        return row["fingerprint"], None
    headers = json.loads(row["headers"]) if isinstance(row["headers"], str) else row["headers"]
    return row["fingerprint"], Answer(row["status"], dict(headers or {}), row["body"] or "")


async def claim_key(db: BaseDBAsyncClient, key: RepeatKey) -> bool:
    """Take a key for the present transaction; false where it was used. Waits for another one that has it."""
    connection = Connection(db)
    await connection.run(
        "INSERT INTO prompt_idempotency_keys (actor_id, key, fingerprint, created_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        *(key.actor_id, key.key, key.fingerprint, engine_of(connection).written_time(current_time())),
    )
    found = await find_answer(db, key)
    return found is not None and found[1] is None


async def keep_answer(db: BaseDBAsyncClient, key: RepeatKey, answer: Answer) -> None:
    """Keep what the present transaction's write is answered."""
    connection = Connection(db)
    await connection.run(
        f"UPDATE prompt_idempotency_keys SET status = ?, headers = {engine_of(connection).json}, body = ? "
        f"WHERE {_MINE}",
        *(answer.status, json.dumps(answer.headers), answer.body, key.actor_id, key.key),
    )


async def forget_answers(db: BaseDBAsyncClient, before: datetime) -> None:
    """Remove the keys that are older than a moment."""
    connection = Connection(db)
    await connection.run(
        "DELETE FROM prompt_idempotency_keys WHERE created_at < ?", engine_of(connection).written_time(before)
    )
