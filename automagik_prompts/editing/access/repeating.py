"""Writes that may be repeated: what one is answered is kept in its own transaction, and given again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from automagik_prompts.domain.edits import Answer, RepeatKey
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Around, Database

KEPT = timedelta(days=2)
"""How long an answer is kept."""


class KeyReusedError(InvalidPromptError):
    """A key was used for another write."""


class AnsweredMeanwhileError(Exception):
    """The same write was made by another request in the meantime; nothing was done."""


async def find_answer(database: Database, key: RepeatKey) -> Answer | None:
    """Return what a write was answered that is repeated; `None` if it is not repeated.

    Raises:
        KeyReusedError: The key was used for another write.
    """
    found = await database.run(repository.find_answer, key)
    if found is None:
        return None
    fingerprint, answer = found
    if fingerprint != key.fingerprint:
        raise KeyReusedError(
            f"The key {key.key!r} was used for another request. Use a new one for each write, and the same one only to "
            "repeat it as it was."
        )
    return answer


def keeping(key: RepeatKey, answer: Callable[[Any], Answer]) -> Around:
    """Return what keeps in a transaction what its write is answered.

    Args:
        key: By what the write is known.
        answer: Makes an answer of what the write returns.
    """

    async def around(db: Client, write: Callable[[], Awaitable[Any]]) -> Any:
        if not await repository.claim_key(db, key):
            raise AnsweredMeanwhileError
        done = await write()
        await repository.keep_answer(db, key, answer(done))
        return done

    return around


async def forget(database: Database) -> None:
    """Remove the answers that nobody will ask for any more."""
    await database.transaction(repository.forget_answers, datetime.now(UTC) - KEPT)
