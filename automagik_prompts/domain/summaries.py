"""What the queries give besides the values of `records`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from automagik_prompts.domain.records import ActiveVersion, AgentInfo, Prompt, Protection


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """What seeding must know of a version that came from code; its text stays in the database."""

    id: int
    agent_id: int
    status_key: str
    version: int
    content_hash: str
    format: str


@dataclass(frozen=True, slots=True)
class StatusHead:
    """Where the versions of one status stand.

    Attributes:
        latest: The highest version number.
        active: The active version's number, if there is one.
        active_from_code: Whether that one came from code.
    """

    latest: int
    active: int | None
    active_from_code: bool


def _is_behind(code_version: int | None, active: int | None, based_on: int | None) -> bool:
    if code_version is None or active is None:
        return False
    return code_version > (active if based_on is None else based_on)


@dataclass(frozen=True, slots=True)
class DriftState:
    """What says whether the code has changed under the active version of a status.

    Attributes:
        code_version: The newest version that came from code and is not withdrawn, if there is one.
        active_id: The id of the active version, if there is one.
        active: Its number.
        from_code: Whether it came from code.
        based_on: The code's version that it has taken into account; `None` where nobody has said, and then it is the
            newest one that was there when it was written.
    """

    code_version: int | None
    active_id: int | None
    active: int | None
    from_code: bool
    based_on: int | None

    @property
    def drift(self) -> bool:
        """Whether the code has changed under a person's version: nobody has decided between the two since."""
        return not self.from_code and _is_behind(self.code_version, self.active, self.based_on)


@dataclass(frozen=True, slots=True)
class StatusSummary:
    """Where one status of an agent stands, in all that an overview needs; without its texts.

    Attributes:
        agent: The agent's name.
        revision: The agent's revision.
        status_key: The status.
        primary: Whether it is the agent's primary status.
        versions: How many versions there are.
        latest: The highest version number.
        code_version: The code default: the newest version that came from code, if there is one.
        candidate: The newest version that came from code and is not withdrawn, if there is one.
        active: The active version's number, if there is one.
        from_code: Whether that one came from code.
        author: Who wrote it.
        name: Its name for people.
        note: Why it was written.
        created_at: When it was written.
        active_since: When it was activated.
        based_on: The code's version that the active version, by a person, has taken into account; where nobody has
            said, the one that was there when it was written.
        protection: How the status is protected, if it is.
        active_id: The id of the active version, if there is one.
    """

    agent: str
    revision: int
    status_key: str
    primary: bool
    versions: int
    latest: int
    code_version: int | None
    candidate: int | None = None
    active: int | None = None
    from_code: bool = False
    author: str | None = None
    name: str | None = None
    note: str | None = None
    created_at: datetime | None = None
    active_since: datetime | None = None
    based_on: int | None = None
    protection: Protection | None = None
    active_id: int | None = None

    @property
    def drift(self) -> bool:
        """Whether the code has changed under a person's version: nobody has decided between the two since."""
        return not self.from_code and _is_behind(self.candidate, self.active, self.based_on)


class Meant(StrEnum):
    """Which statuses an overview shows: all, those that want a look, those switched lately, or somebody's own."""

    ALL = "all"
    BAD = "bad"
    DRIFTED = "drifted"
    WAITING = "waiting"
    RECENT = "week"
    MINE = "mine"


class StatusPlace(NamedTuple):
    """A status of an agent, by the agent's id and name."""

    agent_id: int
    agent: str
    status_key: str


class UnservedVersion(NamedTuple):
    """An active version that some process cannot serve."""

    agent: str
    status_key: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What says which statuses are meant.

    Attributes:
        actor: The id of who looks.
        since: What is lately.
        unserved: The active versions that cannot be served.
    """

    actor: str
    since: datetime
    unserved: tuple[UnservedVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A status in an overview.

    Attributes:
        summary: Where it stands.
        beginning: How its active text begins; empty where there is none.
        primary: The primary status of its agent.
        is_unserved: Whether some process cannot serve its active version.
        is_waiting: Whether a request waits for approval.
    """

    summary: StatusSummary
    beginning: str = field(repr=False)
    primary: str
    is_unserved: bool
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class VersionDigest:
    """What tells a version from others of its status, without its text."""

    status_key: str
    version: int
    content_hash: str
    format: str
    name: str | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class Match:
    """One place where searched words stand.

    Attributes:
        agent: The agent's name.
        prompt: The version.
        line: The line, from 1.
        excerpt: The line, shortened around the words.
        start: Where the words begin in the excerpt.
        end: Where they end in it.
    """

    agent: str
    prompt: Prompt
    line: int
    excerpt: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Preview:
    """A text filled to be looked at.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        version: The version; `None` for a text that is none yet.
        text: The filled text.
        missing: The variables that had no usable value, in the order of the text; a mark stands in their place.
        variables: The variables that the text uses, sorted.
        units: How much work it is to fill, estimated with 50 items in each loop; 20 000 are allowed.
        tokens: How many tokens the filled text has, as a rule of thumb says: a quarter of its characters.
    """

    agent: str
    status_key: str
    version: int | None
    text: str = field(repr=False)
    missing: tuple[str, ...]
    variables: tuple[str, ...]
    units: int
    tokens: int


class WithdrawnVersion(NamedTuple):
    """A version that nobody is to be sent any more; of a deleted one only the numbers are known."""

    prompt_id: int
    version: int
    status_key: str | None
    content_hash: str | None


@dataclass(frozen=True, slots=True)
class AgentState:
    """An agent with its active versions, as they were read in one statement.

    Attributes:
        info: The agent.
        active: Its active versions.
        withdrawn: Its withdrawn versions.
    """

    info: AgentInfo
    active: tuple[ActiveVersion, ...] = ()
    withdrawn: tuple[WithdrawnVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where the changes of one database are known.

    Attributes:
        server: Which database: another one where the server was started anew or the tables are others.
        number: What the engine has for the place in the log of changes.
    """

    server: str
    number: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the database finds.

    Attributes:
        position: Up to where it looked.
        agents: The ids of the agents that were written to since, each with the number of that change; `None` where
            the database has no log of changes, or the log is another one.
        is_replica: Whether the server follows another one, and may be behind it.
        slice: Some of the agents, as they are now, to be compared with what was read.
        is_filtered: Whether row-level security may hide rows from this user.
        is_seen: Whether what this process said of itself is written; `None` where it said nothing.
        unable: Why it cannot say so: `missing`, `standby`, `read-only` or `denied`; `None` where it can, or may try.
        is_uncounted: Whether it may say so, and not how many runs there were.
        last_beat: What differs after each time that a process has said so, where that counts as somebody's write.
    """

    position: Position
    agents: tuple[tuple[int, int], ...] | None
    is_replica: bool = False
    slice: tuple[AgentState, ...] = ()
    is_filtered: bool = False
    is_seen: bool | None = None
    unable: str | None = None
    is_uncounted: bool = False
    last_beat: str | None = None
