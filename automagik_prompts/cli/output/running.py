"""What the commands say of processes and of usage, for people and with `--json`."""

from __future__ import annotations

from datetime import date, datetime

from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.cli.output.text import plural, print_line, print_note
from automagik_prompts.domain.running.fleet import (
    Fleet,
    FleetProcess,
    Followers,
    Following,
    FollowingProcess,
    Standing,
)
from automagik_prompts.domain.running.usage import NEVER, Usage, UsageByVersion


class UnservedLine(Shape):
    """An active version that a process cannot serve."""

    agent: str
    status_key: str
    version: int | None
    reason: str


class ProcessLine(Shape):
    """One process."""

    id: str
    host: str
    pid: int
    release: str | None
    code_hash: str | None
    state: Standing
    behind: int | None
    follows: list[str] | None
    problems: list[UnservedLine]
    started_at: datetime
    seen_at: datetime

    @classmethod
    def of(cls, process: FleetProcess) -> ProcessLine:
        """Describe a process."""
        return cls(
            id=process.id,
            host=process.host,
            pid=process.pid,
            release=process.release,
            code_hash=process.code_hash,
            state=process.standing,
            behind=process.behind,
            follows=list(process.follows) if process.follows is not None else None,
            problems=[UnservedLine(**one._asdict()) for one in process.problems],
            started_at=process.started_at,
            seen_at=process.seen_at,
        )


class FleetList(Shape):
    """`fleet`."""

    processes: list[ProcessLine]
    unknown: int

    @classmethod
    def of(cls, fleet: Fleet) -> FleetList:
        """Describe a fleet."""
        return cls(processes=list(map(ProcessLine.of, fleet.processes)), unknown=fleet.unknown)


class FollowerLine(Shape):
    """How far one process has followed."""

    id: str
    host: str
    pid: int
    release: str | None
    following: Following
    reason: str
    seen_at: datetime

    @classmethod
    def of(cls, follower: FollowingProcess) -> FollowerLine:
        """Describe a process."""
        one = follower.process
        return cls(
            id=one.id,
            host=one.host,
            pid=one.pid,
            release=one.release,
            following=follower.following,
            reason=follower.reason,
            seen_at=one.seen_at,
        )


class FollowerList(Shape):
    """How far the living processes have followed: `activate --wait`, `explain --fleet`."""

    version: int | None
    processes: list[FollowerLine]
    late: int
    unknown: int
    error: str | None

    @classmethod
    def of(cls, followers: Followers) -> FollowerList:
        """Describe how far processes have followed."""
        return cls(
            version=followers.version,
            processes=list(map(FollowerLine.of, followers.processes)),
            late=len(followers.late),
            unknown=followers.unknown,
            error=followers.error,
        )


class UsageLine(Shape):
    """To how many runs a version was sent."""

    runs: int
    runs_in_7_days: int
    last_day: date | None

    @classmethod
    def of(cls, usage: Usage) -> UsageLine:
        """Describe how often a version was sent."""
        return cls(runs=usage.runs, runs_in_7_days=usage.recent, last_day=usage.last_day)


def print_followers(followers: Followers) -> None:
    """Print how many processes serve what is active, and which ones do not."""
    asked = [one for one in followers.processes if one.following is not Following.APART]
    late = followers.late
    if followers.error is not None:
        print_line(f"Who serves it cannot be read: {followers.error}")
    elif not asked:
        print_line("No process says that it follows.")
    elif not late:
        print_line(f"{plural(len(asked), 'process serves', 'processes serve')} it")
    else:
        print_line(f"{len(asked) - len(late)} of {plural(len(asked), 'process', 'processes')} serve it; not:")
        for one in late:
            print_line(f"  {one}")
    print_unknown(followers.unknown)


def print_unknown(count: int) -> None:
    """Say that there are more processes than have said so, where a person reads along."""
    if count:
        follow = plural(count, "more process follows and does", "more processes follow and do")
        print_note(f"{follow} not say how far: they may not write to prompt_processes, or have heartbeat=0.")


def usage_heading(usage: UsageByVersion | None) -> tuple[str, ...]:
    """Return the heading of how often versions were sent; none where nothing was counted yet."""
    return (">runs (7d)",) if usage else ()


def usage_cell(usage: UsageByVersion | None, prompt_id: int | None) -> tuple[str, ...]:
    """Return to how many runs a version was sent in seven days, or that it never was."""
    if not usage:
        return ()
    found = usage.get(prompt_id, NEVER) if prompt_id is not None else None
    if found is None:
        return ("",)
    return (f"{found.recent:,}".replace(",", " ") if found.runs else "never sent",)
