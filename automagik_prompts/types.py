"""The values that cross modules.

Everything here is immutable. Rows of the database never leave `repository`: they become these values there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, Literal, Protocol

from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.rules import (
    MAX_NOTE_LENGTH,
    Format,
    check_format,
    check_name,
    check_optional,
    check_text,
)

DEFAULT_STATUS_KEY = "default"
"""The status key of an agent that has one prompt only, and the last resort of every agent."""

Values = Mapping[str, object]
"""Names and values that fill a template."""

StatusFunction = Callable[[Any], Any | Awaitable[Any]]
"""A sync or async function of the run context that returns the present status: a string or an enum member."""

VariablesFunction = Callable[[Any], Values | Awaitable[Values]]
"""A sync or async function of the run context that returns the values of variables."""


class Source(StrEnum):
    """Where a served text came from."""

    DATABASE = "database"
    DISK = "disk"
    CODE = "code"
    OVERRIDE = "override"


class State(StrEnum):
    """How fresh the texts are that this process serves.

    `starting`: nothing is loaded yet. `live`: the snapshot follows the database. `stale`: the database cannot be
    read now, the last known good snapshot is served. `offline`: the database has not been read in this process and
    nothing was cached, the code's texts are served.
    """

    STARTING = "starting"
    LIVE = "live"
    STALE = "stale"
    OFFLINE = "offline"


class Action(StrEnum):
    """What an event says was done to a version."""

    CREATED = "created"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    ROLLED_BACK = "rolled_back"
    DELETED = "deleted"
    DRIFT = "drift"
    RENDER_FAILED = "render_failed"


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
    """

    id: int
    name: str
    default_status_key: str = DEFAULT_STATUS_KEY
    active_default_prompt_id: int | None = None
    variables: tuple[str, ...] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one text, as the database holds it."""

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
    """

    agent: str
    prompt_id: int
    status_key: str
    version: int
    prompt_text: str = field(repr=False)
    format: str


@dataclass(frozen=True, slots=True)
class PromptCreate:
    """What `repository.create_prompt` needs to write a new version; checked when it is built.

    Attributes:
        agent_id: The agent's id in the database.
        prompt_text: The text, kept byte for byte.
        status_key: The status it is for.
        format: `"handlebars"` or `"text"`.
        is_default_from_code: Whether the text came from a declaration in code.
        is_active: Whether the version is active from the start.
        name: A name for people.
        author: Who wrote it.
        note: Why.

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

    def __post_init__(self) -> None:
        check_name(self.status_key, "status key")
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


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the append-only history of an agent."""

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


class Renderable(Protocol):
    """A compiled text that can be filled with values."""

    @property
    def variables(self) -> frozenset[str]:
        """The variables that the text uses."""
        ...

    def render(self, lookup: Callable[[str], object], *, missing: MissingMode = "marker") -> str:
        """Fill the text."""
        ...


MissingMode = Literal["marker", "empty", "error"]
"""What a missing value becomes: `[No data for name]`, nothing, or an error."""


@dataclass(frozen=True, slots=True)
class ServedPrompt:
    """One version of a text, compiled and ready to be served by this process.

    Attributes:
        agent: The agent's name.
        status_key: The status that the text belongs to.
        version: Its number; `None` for a text that has no version yet (code, override).
        prompt_id: Its id in the database, if it is there.
        text: The text as it was written.
        format: How it is read.
        content_hash: The SHA-256 of the text, hexadecimal.
        source: Where it came from.
        template: The compiled text.
    """

    agent: str
    status_key: str
    version: int | None
    prompt_id: int | None
    text: str = field(repr=False)
    format: Format
    content_hash: str
    source: Source
    template: Renderable = field(repr=False, compare=False)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that the text uses, sorted."""
        return tuple(sorted(self.template.variables))


@dataclass(frozen=True, slots=True)
class Selection:
    """The prompt chosen for an agent and status, and why that one.

    Attributes:
        prompt: What is served.
        reason: Why, in words for people; empty where the status' own active version is served.
        code: The code's text for the same status, served if `prompt` cannot be rendered.
    """

    prompt: ServedPrompt
    reason: str = ""
    code: ServedPrompt | None = None


@dataclass(frozen=True, slots=True)
class PromptChange:
    """A change of what this process serves for an agent and status.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        before: What was served; `None` for a status that is new.
        after: What is served now; `None` where nothing is any more.
    """

    agent: str
    status_key: str
    before: ServedPrompt | None
    after: ServedPrompt | None


class SnapshotReader(Protocol):
    """What an agent run may read of a snapshot: memory only."""

    def select(self, agent: str, status_key: str | None) -> Selection:
        """Return what is served for an agent and status; raises `NoActivePromptError`."""
        ...

    def code_texts(self, agent: str) -> frozenset[str]:
        """Return the agent's texts as its code declares them."""
        ...

    def default_status(self, agent: str) -> StatusFunction | None:
        """Return the function that the declaration gave for the present status, if any."""
        ...


class PromptReader(Protocol):
    """What `ActivePrompt` knows of a plugin."""

    @property
    def missing(self) -> MissingMode:
        """What a missing value becomes."""
        ...

    def snapshot(self) -> SnapshotReader | None:
        """Return the present snapshot, or `None` before the first load has ended in one way or another."""
        ...

    async def ready(self) -> SnapshotReader:
        """Wait for the first load, bounded, and return a snapshot in any case."""
        ...

    def recall(self, agent: str, status_key: str, version: int | None, content_hash: str) -> ServedPrompt | None:
        """Return a version that a conversation was told before, from memory; what is not there is read meanwhile."""
        ...

    async def find_version(self, agent: str, status_key: str, version: int) -> ServedPrompt:
        """Return a version by its number, reading it if need be; raises where it cannot be had in time."""
        ...

    def report_render_failure(self, prompt: ServedPrompt, error: Exception) -> None:
        """Take note that a version could not be rendered; returns at once and never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """What this process serves for an agent and status, and why.

    Attributes:
        agent: The agent's name.
        status_key: The status that was asked for.
        served_status_key: The status whose text is served.
        version: The version served; `None` for a text that has none.
        source: Where the text came from.
        reason: Why this one, in words for people.
        state: How fresh the snapshot is.
        state_age: Seconds since that state began.
        snapshot_age: Seconds since the database was last read successfully, or `None` if it never was.
        error: What keeps the database from being read now, without secrets, or `None`.
        content_hash: The SHA-256 of the text, hexadecimal.
        variables: The variables that the text uses.
        notes: What else an operator should know, such as a version that cannot be served here.
    """

    agent: str
    status_key: str
    served_status_key: str
    version: int | None
    source: Source
    reason: str
    state: State
    state_age: float
    snapshot_age: float | None
    error: str | None
    content_hash: str
    variables: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        version = f"version {self.version}" if self.version is not None else "the text"
        age = "never read" if self.snapshot_age is None else f"read {self.snapshot_age:.1f} s ago"
        lines = [
            f"{self.agent}/{self.status_key}: {version} of {self.served_status_key!r} from {self.source.value}",
            f"  reason: {self.reason}",
            f"  state: {self.state.value} for {self.state_age:.1f} s (database {age})",
        ]
        if self.error:
            lines.append(f"  error: {self.error}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Health:
    """How a plugin stands, for a readiness probe and for whoever is paged.

    Attributes:
        ready: Whether agent runs are served without waiting. An outage of the database does not make it false: the
            last known good prompts are served, and taking the process out of service would help nobody.
        state: How fresh what is served is.
        state_age: Seconds since that state began.
        snapshot_age: Seconds since the database was last read successfully, or `None` if it never was.
        error: What keeps the database from being read now, without secrets, or `None`.
        listening: Whether notifications are known to arrive; otherwise changes are found by polling.
        agents: How many agents have prompts here.
        problems: The active versions that cannot be served here, as `agent/status, version n: why`.
        unwritten: What stands against writing what the code declares into the database, such as that it is read-only,
            without secrets; `None` if it is written.
    """

    ready: bool
    state: State
    state_age: float
    snapshot_age: float | None
    error: str | None
    listening: bool
    agents: int
    problems: tuple[str, ...]
    unwritten: str | None = None


def status_value(status: object) -> str | None:
    """Turn what a status function returned into a status key.

    Args:
        status: A string, an enum member (its value counts, as `str()` of one may be `Class.MEMBER`), or `None` for
            the primary status.

    Raises:
        InvalidPromptError: It is something else.
    """
    if isinstance(status, Enum):
        status = status.value
    if status is None or isinstance(status, str):
        return status
    raise InvalidPromptError(
        f"A status must be a string, an enum member with a string value, or None, not {type(status).__name__}. "
        "Return one of these from the status function."
    )


def content_hash(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, hexadecimal: what `sha256sum` prints for a file that holds it."""
    return hashlib.sha256(text.encode()).hexdigest()
