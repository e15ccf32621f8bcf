"""What stands between a text and its activation: protection, requests for approval, and drafts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.validation import Format


class RequestState(StrEnum):
    """Where a request for approval stands."""

    OPEN = "open"
    APPROVED = "approved"
    DONE = "done"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    EMERGENCY = "emergency"


WAITING = frozenset({RequestState.OPEN, RequestState.APPROVED})
"""The states of requests that something can still become of."""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A change of the active version that waits for approval, or was decided.

    Attributes:
        id: Its number.
        agent: The agent's name.
        status_key: The status.
        operation: `activate`, `rollback` or `deactivate`.
        prompt_id: The id of the version that would be active; `None` for a deactivation.
        version: Its number.
        content_hash: The SHA-256 of its text: an approval holds for this text alone.
        from_version: The version that was active when it was requested; where another one becomes active, it lapses.
        state: `open`; `approved`, where enough have approved and nobody has carried it out; `done`; `declined`;
            `withdrawn` by who asked; `lapsed`, as the active version moved on or the version is gone; `emergency`,
            where it went through without approval.
        author: Who asked, by name.
        actor_id: Who asked, by id; never who may approve.
        note: Why.
        approvals: How many have to approve.
        approved_by: The names of those who have.
        created_at: When it was asked.
        decided_at: When it was carried out, declined or withdrawn.
        decided_by: By whom, by name.
    """

    id: int
    agent: str
    status_key: str
    operation: Operation
    prompt_id: int | None
    version: int | None
    content_hash: str | None
    from_version: int | None
    state: RequestState
    author: str | None
    actor_id: str | None
    note: str | None
    approvals: int
    approved_by: tuple[str, ...]
    created_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether something can still become of it."""
        return self.state in WAITING

    @property
    def what(self) -> str:
        """What is asked for, in words."""
        if self.operation is Operation.DEACTIVATE:
            return f"deactivate version {self.from_version} of {self.agent}/{self.status_key}"
        verb = "activate" if self.operation is Operation.ACTIVATE else "roll back to"
        return f"{verb} version {self.version} of {self.agent}/{self.status_key}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that somebody is still writing: nobody else sees it, and it is never served.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        actor_id: Whose it is.
        text: The text, which need not be a template yet.
        format: How it is read.
        note: What changed and why, as far as that is written.
        base_version: The version that it was begun from; `None` for none.
        counter: Rises with each save; who saves says which one they saw.
        updated_at: When it was saved.
    """

    agent: str
    status_key: str
    actor_id: str
    text: str = field(repr=False)
    format: Format
    note: str | None
    base_version: int | None
    counter: int
    updated_at: datetime


OnDrift = Literal["keep", "code", "fail"]
"""What becomes of a new text of the code where a person's version is active: the person's stays; the code's is
activated; or it stays, and `sync` and `check` end with an error until somebody has decided."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A status of which the code has changed under a person's version, three ways.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        base: The code's version that the person's has taken into account; `None` where there was none yet.
        code: The newest version of the code.
        person: The person's version, which is active.
    """

    agent: str
    status_key: str
    base: Prompt | None
    code: Prompt
    person: Prompt
