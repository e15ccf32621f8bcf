"""What each command prints with `--json`: one stable shape per command.

A field may be added in any release; a field is renamed or removed only in a major one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from automagik_prompts.editing import Change
from automagik_prompts.repository import Standing
from automagik_prompts.seeding import Seeded
from automagik_prompts.types import Format, Prompt

Origin = Literal["code", "person"]
"""Who wrote a version: the code's declaration, or a person."""


class Shape(BaseModel):
    """The base of all shapes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StatusLine(Shape):
    """Where one status of an agent stands."""

    agent: str
    status_key: str
    primary: bool
    active_version: int | None
    latest_version: int
    versions: int
    code_version: int | None
    source: Origin | None
    author: str | None
    note: str | None
    created_at: datetime | None
    active_since: datetime | None
    drift: bool

    @classmethod
    def of(cls, standing: Standing) -> StatusLine:
        """Describe a status."""
        return cls(
            agent=standing.agent,
            status_key=standing.status_key,
            primary=standing.primary,
            active_version=standing.active,
            latest_version=standing.latest,
            versions=standing.versions,
            code_version=standing.code_version,
            source=None if standing.active is None else origin(standing.from_code),
            author=standing.author,
            note=standing.note,
            created_at=standing.created_at,
            active_since=standing.active_since,
            drift=standing.drift,
        )


class StatusList(Shape):
    """`list`."""

    statuses: list[StatusLine]


class Version(Shape):
    """One version, without its text."""

    agent: str
    status_key: str
    version: int
    active: bool
    source: Origin
    format: Format
    name: str | None
    author: str | None
    note: str | None
    content_hash: str
    length: int
    created_at: datetime

    @classmethod
    def of(cls, agent: str, prompt: Prompt) -> Version:
        """Describe a version."""
        return cls(**version_facts(agent, prompt))


class VersionText(Version):
    """`show`: one version with its text."""

    text: str

    @classmethod
    def of(cls, agent: str, prompt: Prompt) -> VersionText:
        """Describe a version and its text."""
        return cls(**version_facts(agent, prompt), text=prompt.prompt_text)


class Changed(Shape):
    """`create`, `activate`, `rollback`, `deactivate`: what a write did."""

    agent: str
    status_key: str
    version: int | None
    active_version: int | None
    previous_version: int | None
    revision: int

    @classmethod
    def of(cls, change: Change) -> Changed:
        """Describe a write."""
        return cls(
            agent=change.agent.name,
            status_key=change.status_key,
            version=change.prompt.version if change.prompt is not None else None,
            active_version=change.active_version,
            previous_version=change.previous_version,
            revision=change.agent.revision,
        )


class SyncedLine(Shape):
    """One thing that `sync` did or saw."""

    agent: str
    status_key: str
    version: int | None
    outcome: str

    @classmethod
    def of(cls, seeded: Seeded) -> SyncedLine:
        """Describe it."""
        return cls(agent=seeded.agent, status_key=seeded.status_key, version=seeded.version, outcome=seeded.outcome)


class Synced(Shape):
    """`sync`."""

    modules: list[str]
    agents: int
    done: list[SyncedLine]


class Upgraded(Shape):
    """`upgrade`."""

    database: str
    applied: list[str]
    revision: str | None


def origin(from_code: bool) -> Origin:
    """Say who wrote a version."""
    return "code" if from_code else "person"


def version_facts(agent: str, prompt: Prompt) -> dict[str, object]:
    """Return what the shapes say of a version."""
    return {
        "agent": agent,
        "status_key": prompt.status_key,
        "version": prompt.version,
        "active": prompt.is_active,
        "source": origin(prompt.is_default_from_code),
        "format": prompt.format,
        "name": prompt.name,
        "author": prompt.author,
        "note": prompt.note,
        "content_hash": prompt.content_hash,
        "length": len(prompt.prompt_text),
        "created_at": prompt.created_at,
    }
