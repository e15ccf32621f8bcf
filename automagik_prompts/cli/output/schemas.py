"""What each command prints with `--json`: one stable shape per command.

A field may be added in any release; a field is renamed or removed only in a major one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.records import Action, Event, Prompt
from automagik_prompts.domain.served import Explanation, ReasonCode, Source, State
from automagik_prompts.domain.summaries import StatusSummary
from automagik_prompts.domain.validation import Format
from automagik_prompts.editing.queries import Match

Origin = Literal["code", "person"]
"""Who wrote a version: the code's declaration, or a person."""


class Shape(BaseModel):
    """The base of all shapes."""

    # Most commands need one or two of these: each is built when it is first used.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


AllowList = Literal["code", "stored"]
"""Where an agent's variables come from: its code, or an import or adoption, which no run obeys."""


class AgentLine(Shape):
    """One agent."""

    agent: str
    primary_status: str
    active_version: int | None
    statuses: int
    versions: int
    variables: list[str]
    allow_list: AllowList
    revision: int


class AgentList(Shape):
    """`agents`."""

    agents: list[AgentLine]


class StatusLine(Shape):
    """Where one status of an agent stands."""

    agent: str
    revision: int
    status_key: str
    primary: bool
    active_version: int | None
    latest_version: int
    versions: int
    code_version: int | None
    origin: Origin | None
    author: str | None
    name: str | None
    note: str | None
    created_at: datetime | None
    active_since: datetime | None
    drift: bool

    @classmethod
    def of(cls, summary: StatusSummary) -> StatusLine:
        """Describe a status."""
        return cls(
            agent=summary.agent,
            revision=summary.revision,
            status_key=summary.status_key,
            primary=summary.primary,
            active_version=summary.active,
            latest_version=summary.latest,
            versions=summary.versions,
            code_version=summary.code_version,
            origin=None if summary.active is None else origin(summary.from_code),
            author=summary.author,
            name=summary.name,
            note=summary.note,
            created_at=summary.created_at,
            active_since=summary.active_since,
            drift=summary.drift,
        )


class StatusList(Shape):
    """`list`."""

    statuses: list[StatusLine]


class VersionLine(Shape):
    """One version, without its text."""

    agent: str
    status_key: str
    version: int
    active: bool
    withdrawn: bool
    origin: Origin
    format: Format
    name: str | None
    author: str | None
    note: str | None
    content_hash: str
    length: int
    created_at: datetime

    @classmethod
    def of(cls, agent: str, prompt: Prompt) -> VersionLine:
        """Describe a version."""
        return cls(**version_facts(agent, prompt))


class VersionText(VersionLine):
    """`show`: one version with its text."""

    text: str

    @classmethod
    def of(cls, agent: str, prompt: Prompt) -> VersionText:
        """Describe a version and its text."""
        return cls(**version_facts(agent, prompt), text=prompt.prompt_text)


class VersionList(Shape):
    """`history`."""

    versions: list[VersionLine]


class EventLine(Shape):
    """One event."""

    agent: str
    status_key: str
    action: Action
    version: int | None
    from_version: int | None
    author: str | None
    note: str | None
    revision: int
    at: datetime

    @classmethod
    def of(cls, agent: str, event: Event) -> EventLine:
        """Describe an event."""
        return cls(
            agent=agent,
            status_key=event.status_key,
            action=event.action,
            version=event.version,
            from_version=event.from_version,
            author=event.author,
            note=event.note,
            revision=event.revision,
            at=event.created_at,
        )


class EventList(Shape):
    """`events`."""

    events: list[EventLine]


class MatchLine(Shape):
    """One line in which the searched words stand."""

    agent: str
    status_key: str
    version: int
    active: bool
    line: int
    excerpt: str

    @classmethod
    def of(cls, match: Match) -> MatchLine:
        """Describe a match."""
        return cls(
            agent=match.agent,
            status_key=match.prompt.status_key,
            version=match.prompt.version,
            active=match.prompt.is_active,
            line=match.line,
            excerpt=match.excerpt,
        )


class MatchList(Shape):
    """`search`."""

    matches: list[MatchLine]


class Difference(Shape):
    """`diff`."""

    agent: str
    status_key: str
    old: str
    new: str
    equal: bool
    unified: str


class Explained(Shape):
    """`explain`."""

    agent: str
    status_key: str
    served_status_key: str
    version: int | None
    served_from: Source
    reason: str
    reasons: list[ReasonCode]
    state: State
    error: str | None
    content_hash: str
    variables: list[str]
    notes: list[str]

    @classmethod
    def of(cls, explanation: Explanation, notes: Sequence[str] = ()) -> Explained:
        """Describe what is served."""
        return cls(
            agent=explanation.agent,
            status_key=explanation.status_key,
            served_status_key=explanation.served_status_key,
            version=explanation.version,
            served_from=explanation.source,
            reason=explanation.reason,
            reasons=[reason.code for reason in explanation.reasons],
            state=explanation.state,
            error=explanation.error,
            content_hash=explanation.content_hash,
            variables=list(explanation.variables),
            notes=[*explanation.notes, *notes],
        )


class ServedLine(Shape):
    """What is served for one status."""

    agent: str
    status_key: str
    served_status_key: str
    version: int | None
    served_from: Source
    reason: str
    content_hash: str


class Watched(Shape):
    """`watch`: one line of JSON now and for each change, each with everything that is served."""

    at: datetime
    state: State
    error: str | None
    problems: list[str]
    prompts: list[ServedLine]


class EditOutput(Shape):
    """`create`, `activate`, `rollback`, `deactivate`, `copy`, `withdraw`, `delete`: what a write did."""

    agent: str
    status_key: str
    version: int | None
    active_version: int | None
    previous_version: int | None
    revision: int
    hints: list[str]

    @classmethod
    def of(cls, change: EditResult) -> EditOutput:
        """Describe a write."""
        return cls(
            agent=change.agent.name,
            status_key=change.status_key,
            version=change.prompt.version if change.prompt is not None else None,
            active_version=change.active_version,
            previous_version=change.previous_version,
            revision=change.agent.revision,
            hints=list(change.hints),
        )


class Checked(Shape):
    """`create --dry-run`: what would be written."""

    agent: str
    status_key: str
    active_version: int | None
    content_hash: str
    length: int
    unified: str


def origin(from_code: bool) -> Origin:
    """Return who wrote a version."""
    return "code" if from_code else "person"


def version_facts(agent: str, prompt: Prompt) -> dict[str, object]:
    """Return what the shapes say of a version."""
    return {
        "agent": agent,
        "status_key": prompt.status_key,
        "version": prompt.version,
        "active": prompt.is_active,
        "withdrawn": prompt.is_withdrawn,
        "origin": origin(prompt.is_default_from_code),
        "format": prompt.format,
        "name": prompt.name,
        "author": prompt.author,
        "note": prompt.note,
        "content_hash": prompt.content_hash,
        "length": len(prompt.prompt_text),
        "created_at": prompt.created_at,
    }
