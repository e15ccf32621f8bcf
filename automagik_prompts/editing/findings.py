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
        *(Kind.LINT, Kind.INVISIBLE),
    }
)


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
    """

    kind: Kind
    message: str
    agent: str | None = None
    status_key: str | None = None
    version: int | None = None
    place: Place | None = None
    command: str | None = None

    @property
    def level(self) -> Level:
        """How bad it is."""
        return Level.WARNING if self.kind in _WARNINGS else Level.ERROR
