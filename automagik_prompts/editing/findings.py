"""What a check can find: kinds, how much each matters, and where it was found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from automagik_prompts.declaring.locations import Place


class Kind(StrEnum):
    """What does not fit."""

    MIGRATIONS = "migrations"
    DRIFT = "drift"
    INACTIVE = "inactive"
    UNEXPOSED = "unexposed"
    INVALID = "invalid"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    WAITING = "waiting"
    LINT = "lint"
    INVISIBLE = "invisible"
    UNSYNCED = "unsynced"
    ORPHAN = "orphan"
    UNDECLARED = "undeclared"
    UNKNOWN_STATUS = "unknown-status"
    ALIKE = "alike"
    FILE_DIFFERS = "file-differs"
    FILE_MISSING = "file-missing"
    FILE_PASSED_OVER = "file-passed-over"


class Level(StrEnum):
    """How bad it is: an error needs a decision, a warning may be meant."""

    ERROR = "error"
    WARNING = "warning"


_WARNINGS = frozenset(
    {
        *(Kind.UNSYNCED, Kind.ORPHAN, Kind.UNDECLARED, Kind.UNKNOWN_STATUS, Kind.FILE_DIFFERS, Kind.FILE_MISSING),
        *(Kind.LINT, Kind.INVISIBLE, Kind.WAITING),
    }
)


@dataclass(frozen=True, slots=True)
class OneWay:
    """One of the three texts of a drift; the version is `None` where the database has not seen the code's text yet."""

    version: int | None
    text: str


@dataclass(frozen=True, slots=True)
class ThreeWays:
    """What there is to decide between in a drift.

    Attributes:
        base: The code's text that the person's version has taken into account; `None` where there was none yet.
        code: The code's text now.
        person: The person's version, which is active.
    """

    base: OneWay | None
    code: OneWay
    person: OneWay


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit.

    Attributes:
        kind: What it is.
        message: What it is in words.
        agent: The agent concerned.
        status_key: The status concerned.
        version: The version concerned.
        place: Where in code or files.
        command: The command that shows more or helps.
        three_ways: What there is to decide between, in a drift.
    """

    kind: Kind
    message: str
    agent: str | None = None
    status_key: str | None = None
    version: int | None = None
    place: Place | None = None
    command: str | None = None
    three_ways: ThreeWays | None = None

    @property
    def level(self) -> Level:
        """How bad it is."""
        return Level.WARNING if self.kind in _WARNINGS else Level.ERROR
