"""The queries of `prompt_tokens`: what lets programs in, found by the hash of what they send."""

from __future__ import annotations

from datetime import datetime, timedelta

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import Q

from automagik_prompts.domain.policy import Actor, Token
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import TokenRow
from automagik_prompts.storage.repository.mapping import current_time, read_label, read_names

PATIENCE = 50
"""Milliseconds that noting a use may wait for what others have locked."""


async def add_token(
    db: BaseDBAsyncClient, name: str, digest: str, actor: Actor, created_by: str | None, expires_at: datetime | None
) -> Token:
    """Write a token.

    Args:
        db: The connection.
        name: The program's name.
        digest: The SHA-256 of the secret, hexadecimal.
        actor: Who the program is.
        created_by: Who makes it.
        expires_at: When it ends; `None` for never.
    """
    row = TokenRow(
        name=name,
        hash=digest,
        actor_id=actor.id,
        actor_name=actor.name,
        roles=list(actor.roles),
        agents=list(actor.agents),
        created_at=current_time(),
        created_by=created_by,
        expires_at=expires_at,
    )
    await row.save(using_db=db)
    return _token(row)


async def get_tokens(db: BaseDBAsyncClient) -> list[Token]:
    """Return all tokens, the newest first."""
    return [_token(row) for row in await TokenRow.all(using_db=db).order_by("-id")]


async def find_token(db: BaseDBAsyncClient, digest: str) -> Token | None:
    """Return the token with a hash, usable or not; `None` if there is none."""
    row = await TokenRow.filter(hash=digest).using_db(db).first()
    return _token(row) if row is not None else None


async def revoke_token(db: BaseDBAsyncClient, token_id: int) -> None:
    """Let a token let nobody in any more; one that is revoked stays as it is."""
    await TokenRow.filter(id=token_id, revoked_at=None).using_db(db).update(revoked_at=current_time())


async def note_token_use(db: BaseDBAsyncClient, token_id: int, seconds: float) -> None:
    """Write that a token is used now, unless that was written within so many seconds. In a transaction of its own."""
    now = current_time()
    async with engine_of(db).impatient(Connection(db), PATIENCE):
        before = Q(last_used_at=None) | Q(last_used_at__lt=now - timedelta(seconds=seconds))
        await TokenRow.filter(before, id=token_id).using_db(db).update(last_used_at=now)


def _token(row: TokenRow) -> Token:
    return Token(
        id=row.id,
        name=read_label(row.name),
        actor=Actor(row.actor_id, row.actor_name, read_names(row.roles), read_names(row.agents)),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
