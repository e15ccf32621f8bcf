"""What the history shows: who did what, when and why, by day."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from automagik_prompts.api.models.views import EventView
from automagik_prompts.console import words
from automagik_prompts.domain.edits import Page
from automagik_prompts.domain.records import Action, Approval, Event
from automagik_prompts.editing.service import EditService

ROWS = 50
"""Events of one page, at most."""

EXPORTED = 1000
"""Events that an export reads at once."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that was done, as one can choose to see it alone.

    Attributes:
        key: What stands in the address.
        words: What it is called.
        actions: The actions that are meant; all where there are none.
        approval: What has let them through, where only such are meant.
    """

    key: str
    words: str
    actions: tuple[Action, ...] = ()
    approval: Approval | None = None


CHOICES = (
    Choice("", "Everything"),
    Choice("created", "Created", (Action.CREATED,)),
    Choice("activated", "Activated", (Action.ACTIVATED,)),
    Choice("rolled_back", "Rolled back", (Action.ROLLED_BACK,)),
    Choice("deactivated", "Deactivated", (Action.DEACTIVATED,)),
    Choice("withdrawn", "Withdrawn, reinstated", (Action.WITHDRAWN, Action.REINSTATED)),
    Choice("deleted", "Deleted", (Action.DELETED,)),
    Choice("drift", "Drifted, kept", (Action.DRIFT, Action.KEPT)),
    Choice("render_failed", "Could not be filled", (Action.RENDER_FAILED,)),
    Choice(
        "requested",
        "Requested, approved, declined",
        (Action.REQUESTED, Action.APPROVED, Action.DECLINED, Action.REQUEST_WITHDRAWN),
    ),
    Choice("commented", "Commented", (Action.COMMENTED,)),
    Choice("facts", "Changed in code", (Action.FACTS,)),
    Choice("emergency", "Without approval, in an emergency", approval="emergency"),
)
"""What one can choose to see alone."""

_WORDS = {
    Action.CREATED: "Created {version}",
    Action.ACTIVATED: "Activated {version}",
    Action.ROLLED_BACK: "Rolled back to {version}",
    Action.DEACTIVATED: "Deactivated {version}",
    Action.DELETED: "Deleted {version}",
    Action.WITHDRAWN: "Withdrew {version}",
    Action.REINSTATED: "Reinstated {version}",
    Action.DRIFT: "Drifted: {version} not activated",
    Action.KEPT: "Kept {version}",
    Action.FACTS: "Changed in code",
    Action.REQUESTED: "Requested {version}",
    Action.APPROVED: "Approved {version}",
    Action.DECLINED: "Declined {version}",
    Action.REQUEST_WITHDRAWN: "Took back the request for {version}",
    Action.COMMENTED: "Commented on {version}",
    Action.RENDER_FAILED: "Could not be filled: {version}",
}

DRAWINGS = {
    Action.CREATED: "add",
    Action.ACTIVATED: "active",
    Action.ROLLED_BACK: "undo",
    Action.DEACTIVATED: "idle",
    Action.DELETED: "declined",
    Action.WITHDRAWN: "off",
    Action.REINSTATED: "check",
    Action.DRIFT: "drift",
    Action.KEPT: "check",
    Action.FACTS: "code",
    Action.REQUESTED: "wait",
    Action.APPROVED: "done",
    Action.DECLINED: "declined",
    Action.REQUEST_WITHDRAWN: "undo",
    Action.COMMENTED: "info",
    Action.RENDER_FAILED: "bad",
}
"""What is drawn before what was done."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events are meant, as the address says.

    Attributes:
        person: By whom, by name or id.
        agent: To which agent's prompts.
        status: To which status; needs the agent.
        action: What was done: the key of a choice.
        begin: Not older than this day.
        end: Not newer than this day.
    """

    person: str = ""
    agent: str = ""
    status: str = ""
    action: str = ""
    begin: date | None = None
    end: date | None = None

    @property
    def choice(self) -> Choice:
        """What was done."""
        return next((one for one in CHOICES if one.key == self.action), CHOICES[0])

    @property
    def is_any(self) -> bool:
        """Whether all events are meant."""
        return self == Asked()


@dataclass(frozen=True, slots=True)
class EventLine:
    """Something that was done.

    Attributes:
        event: What the database has.
        what: In words.
        drawing: What is drawn before it.
        at: The time of the day.
    """

    event: Event
    what: str
    drawing: str
    at: str


@dataclass(frozen=True, slots=True)
class Day:
    """What was done on one day.

    Attributes:
        name: The day.
        lines: What was done, newest first.
    """

    name: str
    lines: Sequence[EventLine]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What was done.

    Attributes:
        asked: Which events are meant.
        days: Those of this page, by day.
        people: Names that can be chosen.
        count: How many there are on this page.
        next: Where the next page begins.
        is_first: Whether there is no page before.
    """

    asked: Asked
    days: Sequence[Day]
    people: Sequence[str]
    count: int
    next: str | None
    is_first: bool


async def history_page(service: EditService, asked: Asked, after: str | None) -> HistoryPage:
    """Return what the history shows.

    Args:
        service: Does what the actor may do.
        asked: Which events are meant.
        after: Where the page begins.
    """
    found = await _read(service, asked, after, ROWS)
    lines = [line_of(event) for event in found.items]
    return HistoryPage(
        asked,
        tuple(Day(name, tuple(some)) for name, some in groupby(lines, lambda one: words.day(one.event.created_at))),
        sorted({event.author for event in found.items if event.author}),
        len(lines),
        found.next,
        after is None,
    )


def line_of(event: Event) -> EventLine:
    """Return something that was done, in words."""
    number = event.version if event.version is not None else event.from_version
    what = _WORDS[event.action].format(version=f"version {number}" if number is not None else "this status")
    if event.from_version is not None and event.action in {Action.ACTIVATED, Action.ROLLED_BACK}:
        what += f", before: {event.from_version}"
    return EventLine(event, what, DRAWINGS[event.action], f"{words.local(event.created_at):%H:%M}")


async def find_event(service: EditService, number: int) -> Event | None:
    """Return an event by its number, if the actor may see it.

    Args:
        service: Does what the actor may do.
        number: The number.
    """
    found = await service.events(after=str(number + 1), limit=1)
    return found.items[0] if found.items and found.items[0].id == number else None


async def _read(service: EditService, asked: Asked, after: str | None, limit: int) -> Page[Event]:
    choice = asked.choice
    return await service.events(
        asked.agent or None,
        asked.status if asked.agent and asked.status else None,
        author=asked.person or None,
        actions=choice.actions or None,
        approval=choice.approval,
        since=_begin_of(asked.begin) if asked.begin is not None else None,
        until=_begin_of(asked.end + timedelta(days=1)) if asked.end is not None and asked.end < date.max else None,
        after=after,
        limit=limit,
    )


def _begin_of(day: date) -> datetime:
    """Return when a day begins in the zone of this process."""
    try:
        return datetime.combine(day, time()).astimezone().astimezone(UTC)
    except (OverflowError, ValueError, OSError):  # before or after all that a clock knows
        return datetime.combine(day, time(), UTC)


async def exported(service: EditService, asked: Asked, kind: str) -> AsyncIterator[str]:
    """Yield events as a file, newest first.

    Args:
        service: Does what the actor may do.
        asked: Which events are meant.
        kind: `csv` or `jsonl`.
    """
    if kind == "csv":
        yield _csv_line(_COLUMNS)
    after: str | None = None
    while True:
        found = await _read(service, asked, after, EXPORTED)
        if kind == "csv":
            yield "".join(map(_csv_event, found.items))
        else:
            yield "".join(map(_json_line, found.items))
        if (after := found.next) is None:
            return


_COLUMNS = (
    "event", "time", "agent", "status", "action", "version", "before", "person", "actor", "database user", "request",
    "approval", "reason",
)  # fmt: skip


def _csv_event(event: Event) -> str:
    return _csv_line(
        (
            str(event.id),
            event.created_at.astimezone(UTC).isoformat(timespec="seconds"),
            event.agent,
            event.status_key,
            event.action.value,
            str(event.version or ""),
            str(event.from_version or ""),
            event.author or "",
            event.actor_id or "",
            event.db_user or "",
            str(event.request_id or ""),
            event.approval or "",
            event.note or "",
        )
    )


def _json_line(event: Event) -> str:
    more = {"actor_id": event.actor_id, "db_user": event.db_user}
    return json.dumps({**EventView.of(event).model_dump(mode="json"), **more}, ensure_ascii=False) + "\n"


def _csv_line(cells: Sequence[str]) -> str:
    written = io.StringIO()
    # A spreadsheet takes what begins so for a formula.
    csv.writer(written).writerow([f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in cells])
    return written.getvalue()
