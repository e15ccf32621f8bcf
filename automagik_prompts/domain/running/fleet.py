"""Which processes follow a database, and how far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from automagik_prompts.domain.running.usage import DayCount
from automagik_prompts.domain.summaries import Position


class Standing(StrEnum):
    """How a process stands: `unknown` where its word is about another server, as after a failover."""

    FOLLOWS = "follows"
    BEHIND = "behind"
    DEAD = "dead"
    UNKNOWN = "unknown"


class Unserved(NamedTuple):
    """An active version that a process cannot serve.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        version: The version's number.
        reason: Why not.
    """

    agent: str
    status_key: str
    version: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Beat:
    """What a process says of itself: that it is there, what it serves, and what it has sent.

    Attributes:
        id: What tells this process from all others.
        is_first: Whether it says so for the first time; later its row must be there.
        host: The name of its machine.
        pid: Its process id there.
        release: The release of the application, if somebody said which.
        code_hash: What tells what its code declares from other code.
        state: How fresh its texts are.
        position: Up to where it serves what the log of changes has; `None` where there is no log.
        follows: The agents that it follows, where these are not all.
        problems: The active versions that it cannot serve.
        age: Seconds since it began.
        seconds: Within how many seconds it will say so again.
        runs: What it has sent, as totals, as far as that has changed.
    """

    id: str
    is_first: bool
    host: str
    pid: int
    release: str | None
    code_hash: str | None
    state: str
    position: Position | None
    follows: tuple[str, ...] | None
    problems: tuple[Unserved, ...]
    age: float
    seconds: float
    runs: tuple[DayCount, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetProcess:
    """A process that follows, as far as it has said.

    Attributes:
        id: What tells it from all others.
        host: The name of its machine.
        pid: Its process id there.
        release: The release of its application, if somebody said which (the setting `release`).
        code_hash: What tells what its code declares from other code.
        state: How fresh its texts are, as it said last.
        is_alive: Whether it has said in time that it is there.
        behind: How many agents were written to since it read them last; `None` where that is not known, as after a
            failover of the server.
        follows: The agents that it follows, where these are not all.
        problems: The active versions that it cannot serve.
        started_at: When it began.
        seen_at: When it said last that it is there.
    """

    id: str
    host: str
    pid: int
    release: str | None
    code_hash: str | None
    state: str
    is_alive: bool
    behind: int | None
    follows: tuple[str, ...] | None
    problems: tuple[Unserved, ...]
    started_at: datetime
    seen_at: datetime

    @property
    def name(self) -> str:
        """What people know it by: its machine and its process id."""
        return f"{self.host}:{self.pid}"

    @property
    def standing(self) -> Standing:
        """How it stands."""
        if not self.is_alive:
            return Standing.DEAD
        if self.behind is None:
            return Standing.UNKNOWN
        return Standing.BEHIND if self.behind else Standing.FOLLOWS


@dataclass(frozen=True, slots=True)
class Fleet:
    """The processes of a database.

    Attributes:
        processes: Those that have said that they are there, the living first; the dead are kept for an hour or so.
        unknown: How many more follow, as far as the server shows: they may not write, or were told not to say.
    """

    processes: tuple[FleetProcess, ...]
    unknown: int = 0


class Following(StrEnum):
    """How far a process has followed a change of one status."""

    SERVES = "serves"
    BEHIND = "behind"
    REFUSES = "refuses"
    APART = "apart"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FollowingProcess:
    """How far one process has followed what is active for an agent and status.

    Attributes:
        process: The process.
        following: Whether it serves that, is behind, cannot serve it, follows other agents only (`apart`), or whether
            that is not known.
        reason: Why it cannot serve it.
    """

    process: FleetProcess
    following: Following
    reason: str = ""

    def __str__(self) -> str:
        words = {
            Following.SERVES: "serves it",
            Following.BEHIND: f"has not read it, seen {self.process.seen_at:%H:%M:%S} UTC",
            Following.REFUSES: f"cannot serve it: {self.reason}",
            Following.APART: "does not follow this agent",
            Following.UNKNOWN: "does not say what it serves",
        }[self.following]
        return f"{self.process.name} {words}"


@dataclass(frozen=True, slots=True)
class Followers:
    """How far the living processes have followed what is active for an agent and status.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        version: The version that is active; `None` where none is.
        processes: The living processes.
        unknown: As for `Fleet`.
        error: Why it could not be read, where somebody has waited for it after an edit, which is done.
    """

    agent: str
    status_key: str
    version: int | None
    processes: tuple[FollowingProcess, ...]
    unknown: int = 0
    error: str | None = None

    @property
    def late(self) -> tuple[FollowingProcess, ...]:
        """Those that do not serve it, and should."""
        return tuple(one for one in self.processes if one.following not in {Following.SERVES, Following.APART})
