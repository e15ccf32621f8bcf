"""The texts of agents from before this library, and what becomes of each, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from automagik_prompts.schema.legacy.frozen import DEFAULT_STATUS_KEY, Format


class Outcome(StrEnum):
    """What becomes of one agent's text.

    `created`: a new version, active. `inactive`: a new version that is not active, as another one is. `present`: there
    is an equal version already. `activated`: there is one, and it becomes active. `null`, `empty`, `blank`: there is no
    text to serve; what stood there is kept for the way back. `refused`: it cannot be imported; the reason says why.
    """

    CREATED = "created"
    INACTIVE = "inactive"
    PRESENT = "present"
    ACTIVATED = "activated"
    NULL = "null"
    EMPTY = "empty"
    BLANK = "blank"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LegacyAgent:
    """An agent as the application's table has it.

    Attributes:
        id: The row's id.
        name: Its name.
        text: What stands in its text column.
        pointer: What stands in `active_default_prompt_id`, whether it is true or stale.
        archived: Whether a downgrade has put this agent's versions aside and they are back now.
        archived_text: What the downgrade left in the text column.
    """

    id: int
    name: str
    text: str | None = field(default=None, repr=False)
    pointer: int | None = None
    archived: bool = False
    archived_text: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PlannedVersion:
    """A version that exists already, as far as adoption must know it.

    Attributes:
        id: The row's id.
        agent_id: The agent's id.
        status_key: The status.
        version: The number.
        text: The text.
        is_active: Whether it is active.
        format: How it is read; `None` in a table of the first shape, which did not know.
    """

    id: int
    agent_id: int
    status_key: str
    version: int
    text: str = field(repr=False)
    is_active: bool
    format: Format | None = None


@dataclass(frozen=True, slots=True)
class SourceText:
    """One text of another database.

    Attributes:
        name: The agent's name; `None` where there is none.
        text: The text.
        status_key: The status.
        is_active: Whether it is active there.
        format: How it is read; `None` where that is not known.
        title: Its name for people.
        author: Who wrote it.
        note: Why.
        created_at: When it was written.
        updated_at: When it was last activated or deactivated.
        where: Where it stands, for messages.
    """

    name: str | None
    text: str | None = field(repr=False)
    status_key: str = DEFAULT_STATUS_KEY
    is_active: bool = True
    format: Format | None = None
    title: str | None = None
    author: str | None = None
    note: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """What becomes of one agent's text.

    Attributes:
        agent_id: The agent's id; `None` for one that does not exist yet.
        agent: The agent's name.
        outcome: What becomes of it.
        status_key: The status of the version.
        version: The version's number, where there is one.
        version_id: The id of the version that is there already.
        from_version: The version that was active before.
        format: How the text is read.
        reason: Why it is kept verbatim, is not activated, or is refused.
        uses: The variables that the text uses.
        variables: All names that the agent's versions use, to be exposed.
        primary: The primary status that the application's pointer tells, `None` to leave it as it is.
        text: The text.
    """

    agent_id: int | None
    agent: str
    outcome: Outcome
    status_key: str = DEFAULT_STATUS_KEY
    version: int | None = None
    version_id: int | None = None
    from_version: int | None = None
    format: Format = "handlebars"
    reason: str = ""
    uses: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    primary: str | None = None
    text: str | None = field(default=None, repr=False)

    @property
    def verbatim(self) -> bool:
        """Whether a new version is kept verbatim because it is no valid template."""
        return self.format == "text" and self.outcome in {Outcome.CREATED, Outcome.INACTIVE}

    def __str__(self) -> str:
        return f"{self.agent}: {self._words()}"

    def _words(self) -> str:
        match self.outcome:
            case Outcome.NULL:
                return "NULL, nothing to serve"
            case Outcome.EMPTY:
                return "empty text, nothing to serve"
            case Outcome.BLANK:
                return f"blank text of {len(self.text or '')} characters, nothing to serve"
            case Outcome.REFUSED:
                return f"refused: {self.reason}"
            case Outcome.PRESENT:
                return f"version {self.version} of {self.status_key!r} is this text{self._because()}"
            case Outcome.ACTIVATED:
                return f"version {self.version} of {self.status_key!r} is this text and becomes active"
        active = "active" if self.outcome is Outcome.CREATED else "not activated"
        what = "verbatim" if self.format == "text" else "template" if self.uses else "text"
        uses = f", uses {', '.join(name.rstrip('?') for name in self.uses)}" if self.uses else ""
        return f"version {self.version} of {self.status_key!r}, {active}, {what}{uses}{self._because()}"

    def _because(self) -> str:
        return f" ({self.reason})" if self.reason else ""
