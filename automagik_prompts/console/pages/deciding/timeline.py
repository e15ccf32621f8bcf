"""What became of each version of a status, as its events tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from automagik_prompts.console.words import local, span
from automagik_prompts.domain.records import SWITCHING, Action, Event, Prompt
from automagik_prompts.domain.review import ApprovalRequest


@dataclass(frozen=True, slots=True)
class Period:
    """A time in which a version was active.

    Attributes:
        version: Its number.
        begun: What made it active.
        ended: What ended that; `None` while it goes on.
    """

    version: int
    begun: Event
    ended: Event | None

    @property
    def seconds(self) -> float:
        """How long it was or is."""
        until = self.ended.created_at if self.ended is not None else datetime.now(UTC)
        return max(0.0, (local(until) - local(self.begun.created_at)).total_seconds())


@dataclass(frozen=True, slots=True)
class Entry:
    """One version in the timeline.

    Attributes:
        prompt: The version.
        story: What became of it, in words; empty where the active one is, or it is not known.
        waiting: The request for approval that waits for it.
        approved: The request for approval that made it active last.
    """

    prompt: Prompt
    story: str
    waiting: ApprovalRequest | None = None
    approved: ApprovalRequest | None = None


def periods_of(events: Sequence[Event]) -> tuple[Period, ...]:
    """Return the times in which versions were active, the oldest first.

    Args:
        events: What was done to a status, newest first.
    """
    found: list[Period] = []
    ended: Event | None = None
    for event in events:
        if event.action not in SWITCHING:
            continue
        if event.action is not Action.DEACTIVATED and event.version is not None:
            found.append(Period(event.version, event, ended))
        ended = event
    return tuple(reversed(found))


def timeline(
    prompts: Iterable[Prompt], periods: Sequence[Period], requests: Sequence[ApprovalRequest], *, is_whole: bool
) -> tuple[Entry, ...]:
    """Return versions with what became of them.

    Args:
        prompts: The versions, in the order in which they are shown.
        periods: The times in which they were active.
        requests: The requests for approval of the status.
        is_whole: Whether all of these times are known.
    """
    by_version: dict[int, list[Period]] = {}
    for period in periods:
        by_version.setdefault(period.version, []).append(period)
    by_id = {one.id: one for one in requests}
    waiting = {one.version: one for one in requests if one.is_waiting and one.version is not None}
    return tuple(
        Entry(
            prompt,
            _story(prompt, by_version.get(prompt.version, ()), is_whole=is_whole),
            waiting.get(prompt.version),
            _approved(by_version.get(prompt.version, ()), by_id),
        )
        for prompt in prompts
    )


def _story(prompt: Prompt, periods: Sequence[Period], *, is_whole: bool) -> str:
    if prompt.is_withdrawn:
        return "withdrawn: nobody is sent it any more"
    if prompt.is_active:
        return ""
    if not periods:
        return "never active" if is_whole else ""
    last = periods[-1]
    if last.ended is not None and last.ended.action is Action.ROLLED_BACK:
        said = f": \N{LEFT DOUBLE QUOTATION MARK}{last.ended.note}\N{RIGHT DOUBLE QUOTATION MARK}"
        by = f" by {last.ended.author}" if last.ended.author else ""
        return f"rolled back after {span(last.seconds)}{by}{said if last.ended.note else ''}"
    return f"active for {span(sum(period.seconds for period in periods))}"


def _approved(periods: Sequence[Period], requests: Mapping[int, ApprovalRequest]) -> ApprovalRequest | None:
    request_id = periods[-1].begun.request_id if periods else None
    return requests.get(request_id) if request_id is not None else None
