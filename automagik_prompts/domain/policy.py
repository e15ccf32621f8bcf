"""Who may do what: actors, what they ask for, and the policy that decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.validation import Format, check_name, check_optional, normalized


class Operation(StrEnum):
    """What an actor asks to do, as a policy is asked about it."""

    VIEW = "view"
    COMMENT = "comment"
    DRAFT = "draft"
    CREATE = "create"
    DELETE = "delete"
    REQUEST = "request"
    ACTIVATE = "activate"
    ROLLBACK = "rollback"
    DEACTIVATE = "deactivate"
    WITHDRAW = "withdraw"
    REINSTATE = "reinstate"
    KEEP = "keep"
    EMERGENCY = "emergency"
    APPROVE = "approve"
    DECLINE = "decline"
    SYNC = "sync"
    TOKENS = "tokens"


SWITCHES = frozenset({Operation.ACTIVATE, Operation.ROLLBACK, Operation.DEACTIVATE})
"""What changes the active version, and so can be requested."""


CODE = "code"
"""The id and the name under which the code's own changes are kept; nobody else can have it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, with which rights; whoever makes one vouches for it.

    Attributes:
        id: What tells this person or program from all others, for good: it is kept with each change, and decides
            whether somebody approves their own request.
        name: The name under which changes are shown; the id where there is none.
        roles: The roles, such as `"editor"`; what they allow is the policy's matter.
        agents: The agents for which the roles hold, as names or patterns such as `"support*"`; all by default.

    Raises:
        InvalidPromptError: The id or the name cannot be kept.
    """

    id: str
    name: str | None = None
    roles: tuple[str, ...] = ()
    agents: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", check_name(self.id, "actor's id"))
        check_optional(self.name, "actor's name")
        for name in ("roles", "agents"):
            given = getattr(self, name)
            names = (given,) if isinstance(given, str) else given
            object.__setattr__(self, name, tuple(map(normalized, names)))

    def __str__(self) -> str:
        return self.name or self.id

    def covers(self, agent: str) -> bool:
        """Return whether the roles hold for an agent; `""` stands for all of them."""
        return any(
            pattern == "*" or (agent and (pattern == agent or fnmatchcase(agent, pattern))) for pattern in self.agents
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request over the network, as the application knows them.

    Attributes:
        actor: Who acts, with which rights.
    """

    actor: Actor


@dataclass(frozen=True, slots=True)
class Token:
    """What lets a program in over the network, and as whom; the secret itself is kept nowhere.

    Attributes:
        id: Its number.
        name: The program's name; while one token takes the place of another, both have it.
        actor: Who the program is, and with which rights.
        created_at: When it was made.
        created_by: Who made it.
        expires_at: When it lets nobody in any more; `None` for never.
        revoked_at: When somebody has revoked it.
        last_used_at: When it was used last, give or take a minute; `None` if it never was.
    """

    id: int
    name: str
    actor: Actor
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_usable(self, now: datetime) -> bool:
        """Return whether it lets somebody in at a moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made, with its secret, which is shown this once.

    Attributes:
        token: What is kept of it.
        secret: What the program sends as `Authorization: Bearer ...`.
    """

    token: Token
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TextState:
    """A text as a policy sees it.

    Attributes:
        text: The text.
        format: How it is read.
        version: Its number; `None` while it is not written.
    """

    text: str
    format: Format
    version: int | None = None

    @classmethod
    def of(cls, prompt: Prompt | None) -> TextState | None:
        """Return a version as a policy sees it."""
        return None if prompt is None else cls(prompt.prompt_text, prompt.format, prompt.version)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy answers: `ALLOW`, `NEEDS_APPROVAL`, or what `deny` returns.

    Attributes:
        allowed: Whether it may be done, at once or once it is approved.
        needs_approval: Whether another person has to approve it; only what changes the active version can be requested.
        reason: Why not, in a sentence that is shown to the person.
    """

    allowed: bool
    needs_approval: bool = False
    reason: str | None = None


ALLOW = Decision(True)
"""It may be done."""

NEEDS_APPROVAL = Decision(True, needs_approval=True)
"""It may be done once another person has approved it."""


def deny(reason: str) -> Decision:
    """Return the answer that something may not be done.

    Args:
        reason: Why, in a sentence for the person.
    """
    return Decision(False, reason=reason)


Policy = Callable[
    [Actor | None, Operation, str, str, TextState | None, TextState | None], Decision | Awaitable[Decision]
]
"""Decides whether something may be done: `(actor, operation, agent, status_key, before, after)`, sync or async.

`before` is the active version, and of `delete`, `withdraw` and `reinstate` the version concerned; `after` what would be
written or active. The actor is `None` where nobody said who acts. The agent is `""` where all agents are meant, the
status `""` where no single one is. It is called on the caller's event loop, before anything is locked.
"""
