"""What runs, as models: the fleet, who has followed, how often versions were sent, and how this process fares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Self

from pydantic import Field

from automagik_prompts.api.models.base import View, items
from automagik_prompts.domain.running.fleet import (
    Fleet,
    FleetProcess,
    Followers,
    Following,
    FollowingProcess,
    Standing,
    Unserved,
)
from automagik_prompts.domain.running.usage import Usage
from automagik_prompts.domain.served import Health, State


class UnservedView(View):
    """An active version that a process cannot serve."""

    agent: str
    status_key: str
    version: int | None
    reason: str

    @classmethod
    def of(cls, one: Unserved) -> Self:
        """Describe a version."""
        return cls(**one._asdict())


class ProcessView(View):
    """A process that follows the database, as far as it has said."""

    id: str
    host: str
    pid: int
    release: str | None
    code_hash: str | None
    state: Standing
    behind: int | None = Field(description="How many agents were written to since it read them last.")
    follows: list[str] | None = Field(description="The agents that it follows, where these are not all.")
    problems: list[UnservedView]
    started_at: datetime
    seen_at: datetime

    @classmethod
    def of(cls, one: FleetProcess) -> Self:
        """Describe a process."""
        same = ("id", "host", "pid", "release", "code_hash", "behind", "started_at", "seen_at")
        return cls(
            state=one.standing,
            follows=list(one.follows) if one.follows is not None else None,
            problems=items(UnservedView, one.problems),
            **{name: getattr(one, name) for name in same},
        )


class FleetView(View):
    """The processes that follow the database, the living first."""

    processes: list[ProcessView]
    unknown: int = Field(description="How many more follow, as far as the server shows.")

    @classmethod
    def of(cls, fleet: Fleet) -> Self:
        """Describe a fleet."""
        return cls(processes=items(ProcessView, fleet.processes), unknown=fleet.unknown)


class FollowerView(View):
    """How far a process has followed."""

    id: str
    host: str
    pid: int
    release: str | None
    following: Following
    reason: str
    seen_at: datetime

    @classmethod
    def of(cls, one: FollowingProcess) -> Self:
        """Describe a process."""
        same = {name: getattr(one.process, name) for name in ("id", "host", "pid", "release", "seen_at")}
        return cls(following=one.following, reason=one.reason, **same)


class FollowersView(View):
    """How far the living processes have followed what is active."""

    version: int | None
    processes: list[FollowerView]
    late: int = Field(description="How many should serve it, and do not.")
    unknown: int
    error: str | None

    @classmethod
    def of(cls, one: Followers) -> Self:
        """Describe how far processes have followed."""
        return cls(
            version=one.version,
            processes=items(FollowerView, one.processes),
            late=len(one.late),
            unknown=one.unknown,
            error=one.error,
        )


class VersionUsage(View):
    """To how many runs a version was sent."""

    status_key: str
    version: int
    runs: int
    runs_in_7_days: int
    last_day: date | None


class UsageView(View):
    """To how many runs each version of an agent was sent."""

    items: list[VersionUsage]

    @classmethod
    def of(cls, found: Mapping[tuple[str, int], Usage]) -> Self:
        """Describe how often versions were sent."""
        return cls(
            items=[
                VersionUsage(
                    status_key=status_key,
                    version=version,
                    runs=usage.runs,
                    runs_in_7_days=usage.recent,
                    last_day=usage.last_day,
                )
                for (status_key, version), usage in found.items()
            ]
        )


class HealthView(View):
    """How this process fares."""

    ready: bool
    state: State
    snapshot_age: float | None = Field(description="Seconds since the database was read.")
    error: str | None
    problems: list[str]

    @classmethod
    def of(cls, health: Health) -> Self:
        """Describe a process."""
        facts = {name: getattr(health, name) for name in set(cls.model_fields) - {"problems"}}
        return cls(problems=list(health.problems), **facts)
