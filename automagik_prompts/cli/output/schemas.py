"""What the commands that look and write print with `--json`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from automagik_prompts.cli.output.review import RequestLine
from automagik_prompts.cli.output.running import FollowerList, UsageLine
from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.records import Action, Approval, Event, Prompt
from automagik_prompts.domain.running.usage import NEVER, UsageByVersion
from automagik_prompts.domain.summaries import Match, StatusSummary
from automagik_prompts.domain.validation import Format

Origin = Literal["code", "person"]
"""Who wrote a version: the code's declaration, or a person."""


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
    based_on: int | None
    approvals: int
    usage: UsageLine | None

    @classmethod
    def of(cls, summary: StatusSummary, usage: UsageByVersion | None = None) -> StatusLine:
        """Describe a status, and how often its active version was sent, where that is known."""
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
            based_on=summary.based_on,
            approvals=summary.protection.approvals if summary.protection is not None else 0,
            usage=usage_line(usage, summary.active_id),
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
    based_on: int | None
    created_at: datetime


class UsedVersion(VersionLine):
    """One version, without its text, with how often it was sent, where that is known."""

    usage: UsageLine | None

    @classmethod
    def of(cls, agent: str, prompt: Prompt, usage: UsageByVersion | None) -> UsedVersion:
        """Describe a version."""
        return cls(**version_facts(agent, prompt), usage=usage_line(usage, prompt.id))


class VersionText(VersionLine):
    """`show`: one version with its text."""

    text: str

    @classmethod
    def of(cls, agent: str, prompt: Prompt) -> VersionText:
        """Describe a version and its text."""
        return cls(**version_facts(agent, prompt), text=prompt.prompt_text)


class VersionList(Shape):
    """`history`."""

    versions: list[UsedVersion]


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
    id: int
    actor_id: str | None
    request: int | None
    approval: Approval | None
    db_user: str | None

    @classmethod
    def of(cls, event: Event) -> EventLine:
        """Describe an event."""
        return cls(
            agent=event.agent,
            status_key=event.status_key,
            action=event.action,
            version=event.version,
            from_version=event.from_version,
            author=event.author,
            note=event.note,
            revision=event.revision,
            at=event.created_at,
            id=event.id,
            actor_id=event.actor_id,
            request=event.request_id,
            approval=event.approval,
            db_user=event.db_user,
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


class EditOutput(Shape):
    """What a write did, or which request it made."""

    agent: str
    status_key: str
    version: int | None
    active_version: int | None
    previous_version: int | None
    revision: int
    hints: list[str]
    request: RequestLine | None
    fleet: FollowerList | None

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
            request=RequestLine.of(change.request) if change.request is not None else None,
            fleet=FollowerList.of(change.followers) if change.followers is not None else None,
        )


class Checked(Shape):
    """`create --dry-run`: what would be written."""

    agent: str
    status_key: str
    active_version: int | None
    content_hash: str
    length: int
    unified: str


def usage_line(usage: UsageByVersion | None, prompt_id: int | None) -> UsageLine | None:
    """Describe how often a version was sent; `None` without a version, or where that is not known."""
    return UsageLine.of(usage.get(prompt_id, NEVER)) if usage is not None and prompt_id is not None else None


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
        "based_on": prompt.based_on,
        "created_at": prompt.created_at,
    }
