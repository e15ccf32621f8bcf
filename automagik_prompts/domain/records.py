"""What the database holds, as immutable values. Rows never leave the repository: they become these values there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, folded, new_key
from automagik_prompts.domain.validation import (
    MAX_NOTE_LENGTH,
    Format,
    check_format,
    check_name,
    check_optional,
    check_text,
)


class Action(StrEnum):
    """What an event says was done to a version."""

    CREATED = "created"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    ROLLED_BACK = "rolled_back"
    DELETED = "deleted"
    WITHDRAWN = "withdrawn"
    REINSTATED = "reinstated"
    DRIFT = "drift"
    KEPT = "kept"
    FACTS = "facts"
    REQUESTED = "requested"
    APPROVED = "approved"
    DECLINED = "declined"
    REQUEST_WITHDRAWN = "request_withdrawn"
    COMMENTED = "commented"
    RENDER_FAILED = "render_failed"


SWITCHING = (Action.ACTIVATED, Action.ROLLED_BACK, Action.DEACTIVATED)
"""What changes the active version."""


Approval = Literal["approved", "emergency", "code"]
"""What let a protected status change: another person, an emergency, or the review of the code."""


@dataclass(frozen=True, slots=True)
class Protection:
    """A status whose active version changes only with approval.

    Attributes:
        status_key: The status.
        approvals: How many people besides who asks have to approve.
        approve_code: Whether what the code activates needs it as well.
    """

    status_key: str
    approvals: int = 1
    approve_code: bool = False


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """An agent as the database knows it.

    Attributes:
        id: The row's id.
        name: The unique name.
        default_status_key: The primary status.
        active_default_prompt_id: The active version of the primary status, if there is one.
        variables: The names that the agent's code exposes to templates, sorted.
        revision: How often the agent was written to.
        protected: The statuses whose active version changes only with approval, sorted.
    """

    id: int
    name: str
    default_status_key: str = DEFAULT_STATUS_KEY
    active_default_prompt_id: int | None = None
    variables: tuple[str, ...] = ()
    revision: int = 0
    protected: tuple[Protection, ...] = ()

    def protection(self, status_key: str) -> Protection | None:
        """Return how a status is protected, in whatever spelling; `None` if it is not."""
        if not self.protected:
            return None
        wanted = folded(status_key)
        return next((one for one in self.protected if folded(one.status_key) == wanted), None)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one text, as the database holds it.

    Attributes:
        id: The row's id.
        agent_id: The agent's id.
        status_key: The status.
        version: Its number among the versions of the status, from 1.
        prompt_text: The text, as it was written.
        format: How it is read: `"handlebars"` or `"text"`.
        is_active: Whether it is the active version of its status.
        is_default_from_code: Whether it came from a declaration in code.
        name: Its name for people.
        content_hash: The SHA-256 of the text, hexadecimal.
        author: Who wrote it.
        note: Why.
        created_at: When it was written.
        updated_at: When it was last activated or deactivated.
        is_withdrawn: Whether nobody is to be sent it any more, where that was looked at: by `history` and `show`.
        based_on: The code's version that a person's version has taken into account, where that was looked at, likewise.
    """

    id: int
    agent_id: int
    status_key: str
    version: int
    prompt_text: str = field(repr=False)
    format: Format
    is_active: bool
    is_default_from_code: bool
    name: str | None
    content_hash: str
    author: str | None
    note: str | None
    created_at: datetime
    updated_at: datetime
    is_withdrawn: bool = False
    based_on: int | None = None


@dataclass(frozen=True, slots=True)
class ActiveVersion:
    """What a snapshot needs of an active version.

    Attributes:
        agent: The agent's name.
        prompt_id: Its id.
        status_key: The status.
        version: Its number.
        prompt_text: The text as it stands in the database; plain SQL may have put anything there.
        format: How it is read, likewise.
        content_hash: The hash that it was written with; empty where plain SQL gave none.
    """

    agent: str
    prompt_id: int
    status_key: str
    version: int
    prompt_text: str = field(repr=False)
    format: str
    content_hash: str = ""


@dataclass(frozen=True, slots=True)
class PromptCreate:
    """What `repository.create_prompt` needs to write a new version; checked when it is built.

    Attributes:
        agent_id: The agent's id in the database.
        prompt_text: The text, kept byte for byte.
        status_key: The status it is for; of an enum member the value counts, kept in NFC.
        format: `"handlebars"` or `"text"`.
        is_default_from_code: Whether the text came from a declaration in code.
        is_active: Whether the version is active from the start.
        name: A name for people.
        author: Who wrote it.
        note: Why.
        created_at: When it was written, where that was elsewhere and before; now by default.
        updated_at: When it was last activated or deactivated, likewise.

    Raises:
        InvalidPromptError: A text or name that no engine could keep, or that could never be served.
    """

    agent_id: int
    prompt_text: str = field(repr=False)
    status_key: str = DEFAULT_STATUS_KEY
    format: Format = "handlebars"
    is_default_from_code: bool = False
    is_active: bool = False
    name: str | None = None
    author: str | None = None
    note: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status_key", check_name(new_key(self.status_key), "status key"))
        check_text(self.prompt_text, status_key=self.status_key)
        check_format(self.format)
        check_optional(self.name, "prompt name")
        check_optional(self.author, "author")
        check_optional(self.note, "note", limit=MAX_NOTE_LENGTH)


@dataclass(frozen=True, slots=True)
class EventCreate:
    """An event to be appended to an agent's history.

    Attributes:
        agent_id: The agent's id.
        status_key: The status concerned.
        action: What was done.
        revision: The agent's revision after it.
        prompt_id: The version's id.
        version: The version's number.
        from_version: The version that was active before.
        author: By whom.
        note: Why.
        actor_id: The id of who did it.
        request_id: The request for approval that it belongs to.
        approval: What let a protected status change.
    """

    agent_id: int
    status_key: str
    action: Action
    revision: int
    prompt_id: int | None = None
    version: int | None = None
    from_version: int | None = None
    author: str | None = None
    note: str | None = None
    actor_id: str | None = None
    request_id: int | None = None
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the append-only history of an agent; the status is `""` where it is about the agent's facts.

    `db_user` is who had logged in to the database, which notes that itself; `author` and `actor_id` are what was said.
    It is `None` on SQLite, which knows no users.
    """

    id: int
    agent_id: int
    status_key: str
    action: Action
    prompt_id: int | None
    version: int | None
    from_version: int | None
    author: str | None
    note: str | None
    revision: int
    created_at: datetime
    actor_id: str | None = None
    request_id: int | None = None
    approval: Approval | None = None
    db_user: str | None = None
    agent: str = ""
