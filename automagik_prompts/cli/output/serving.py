"""What the commands say of tokens and of servers with `--json`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.domain.policy import Token

TokenState = Literal["usable", "expired", "revoked"]
"""Whether a token lets somebody in."""


class TokenLine(Shape):
    """One token."""

    token: int
    name: str
    actor_id: str
    roles: list[str]
    agents: list[str]
    state: TokenState
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: Token, now: datetime) -> TokenLine:
        """Describe a token."""
        return cls(
            token=token.id,
            name=token.name,
            actor_id=token.actor.id,
            roles=list(token.actor.roles),
            agents=list(token.actor.agents),
            state=token_state(token, now),
            created_at=token.created_at,
            created_by=token.created_by,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
            last_used_at=token.last_used_at,
        )


class TokenList(Shape):
    """`token`: the tokens that are listed, or the one that was made or revoked; only `create` tells a secret."""

    tokens: list[TokenLine]
    secret: str | None = None


def token_state(token: Token, now: datetime) -> TokenState:
    """Return whether a token lets somebody in."""
    if token.revoked_at is not None:
        return "revoked"
    return "usable" if token.is_usable(now) else "expired"


class SeenHealth(Shape):
    """`health`: what a running process says of itself."""

    url: str
    http_status: int
    ready: bool
    state: str
    state_age: float
    snapshot_age: float | None
    lag: float
    agents: int
    problems: dict[str, int]
    details: dict[str, Any] | None = None


class Served(Shape):
    """`serve` and `console`: one line, once it listens; the address of a console lets in once."""

    url: str
    database: str
    pid: int
