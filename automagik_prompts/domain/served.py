"""What this process serves, and how fresh it is, as immutable values."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from automagik_prompts.domain.validation import Format


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


MissingMode = Literal["marker", "empty", "error"]
"""What a missing value becomes: `[No data for name]`, nothing, or an error."""


class GapKind(StrEnum):
    """Why a variable could not be printed or gone over."""

    MISSING = "missing"
    NO_TEXT = "no_text"
    NO_LIST = "no_list"
    UNEXPOSED = "unexposed"


@dataclass(frozen=True, slots=True)
class Gap:
    """A variable that a run had no usable value for.

    Attributes:
        name: The variable.
        kind: Why.
    """

    name: str
    kind: GapKind


@dataclass(frozen=True, slots=True)
class Limits:
    """How large the values of one text may be, and how much work it may be to fill.

    Attributes:
        value_length: The longest value, in characters.
        items: The longest list, in items.
        units: The most work, in units: tags, helper calls, and rounds of loops.
    """

    value_length: int = 200_000
    items: int = 1_000
    units: int = 20_000


DEFAULT_LIMITS = Limits()

UNLIMITED = Limits(10**9, 10**9, 10**9)
"""For the code's own text, which is never refused in a run."""


class Renderable(Protocol):
    """A compiled text that can be filled with values."""

    @property
    def variables(self) -> frozenset[str]:
        """The variables that the text uses."""
        ...

    def render(
        self,
        lookup: Callable[[str], object],
        *,
        missing: MissingMode = "marker",
        gaps: list[Gap] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        lenient: bool = False,
    ) -> str:
        """Fill the text; `gaps` takes the variables that had no usable value."""
        ...

    def joined(self, values: object, limits: Limits) -> str | None:
        """Return the text filled with plain short attributes of an object; `None` where there is more to it."""
        ...

    def opened(self, exposed: Collection[str]) -> Renderable:
        """Return the text as it reads the values of an agent whose code exposes these names."""
        ...

    def restricted(self, exposed: Collection[str]) -> Renderable:
        """Return the text as it reads values where nothing but these names may be reached."""
        ...


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


class ReasonCode(StrEnum):
    """Why a text is served that is not the status' own active version."""

    NO_PROMPT = "no_prompt"
    NOT_ACTIVE = "not_active"
    UNSERVABLE = "unservable"
    PRIMARY_STANDS_IN = "primary_stands_in"
    STATUS_STANDS_IN = "status_stands_in"
    CODE = "code"
    LAST_GOOD = "last_good"
    OVERRIDE = "override"
    REQUESTED = "requested"
    PINNED = "pinned"
    RECORDED = "recorded"


_REASONS = {
    ReasonCode.NO_PROMPT: "the status has no prompt of its own",
    ReasonCode.NOT_ACTIVE: "the status {status!r} has no active version",
    ReasonCode.UNSERVABLE: "the active version {version} cannot be served here",
    ReasonCode.PRIMARY_STANDS_IN: "the primary status {status!r} stands in",
    ReasonCode.STATUS_STANDS_IN: "the status {status!r} stands in",
    ReasonCode.CODE: "the code's text is served",
    ReasonCode.LAST_GOOD: "version {version}, the last good one, is served",
    ReasonCode.OVERRIDE: "it is in force in this context only",
    ReasonCode.REQUESTED: "this version was asked for",
    ReasonCode.PINNED: "the conversation goes on with it",
    ReasonCode.RECORDED: "the durable run goes on with it",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a text is served; as a string, in words for people.

    Attributes:
        code: The reason, for programs.
        status_key: The status that it is about, where it names one.
        version: The version that it is about, where it names one.
    """

    code: ReasonCode
    status_key: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        return _REASONS[self.code].format(status=self.status_key, version=self.version)


@dataclass(frozen=True, slots=True)
class Selection:
    """The prompt chosen for an agent and status, and why that one.

    Attributes:
        prompt: What is served.
        reasons: Why; empty where the status' own active version is served.
        code: The code's text for the same status, served if `prompt` cannot be rendered.
        is_code_withdrawn: Whether people have withdrawn that text, so that it comes last of all.
    """

    prompt: ServedPrompt
    reasons: tuple[Reason, ...] = ()
    code: ServedPrompt | None = None
    is_code_withdrawn: bool = False

    @property
    def reason(self) -> str:
        """Why, in words for people."""
        return "; ".join(map(str, self.reasons))


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
        reasons: The same for programs; empty where it is the status' own active version.
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
    reasons: tuple[Reason, ...] = ()

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
        problems: The active versions that cannot be served here, as `agent/status, version n: why`, and the statuses
            that the code spells otherwise than the database.
        unwritten: What stands against writing what the code declares into the database, such as that it is read-only,
            without secrets; `None` if it is written.
        unheard: Why notifications do not arrive although they were sent, such as that a connection pooler keeps them
            back, and what helps; `None` while they arrive, while that is not known, and for a file, which has none.
        unreported: Why this process is not shown in the fleet, or its runs are not counted, such as that it may not
            write; `None` where it says that it is there.
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
    unheard: str | None = None
    unreported: str | None = None
