"""What the page of one status shows: what is said now, since when, by whom, why, and who follows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from automagik_prompts.console.difference.pieces import Piece, pieces_of
from automagik_prompts.console.difference.rows import difference
from automagik_prompts.console.pages.deciding.serving import Serving, serving
from automagik_prompts.console.pages.deciding.situation import Situation, version_of
from automagik_prompts.console.pages.deciding.timeline import Entry, Period, periods_of, timeline
from automagik_prompts.console.pages.filled import Filled, bare_names, filled, named_values
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.policy import Operation, TextState
from automagik_prompts.domain.records import SWITCHING, Action, Event, Prompt
from automagik_prompts.domain.review import ApprovalRequest, Drift
from automagik_prompts.domain.running.usage import Usage
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import NotAllowedError, PromptNotFoundError
from automagik_prompts.templating.access import BUILTINS

VERSIONS = 10
"""Versions on one page of the timeline."""

EVENTS = 300
"""Changes of the active version that the timeline looks back over, at most."""

REQUESTS = 100
"""Requests for approval that it looks at, likewise."""

DEEDS = (*SWITCHING, Action.CREATED, Action.KEPT)
"""What a visitor may have just done to a status."""


@dataclass(frozen=True, slots=True)
class May:
    """What the visitor may do with the status; nothing else is offered.

    Attributes:
        edit: Write a version.
        activate: Activate one.
        rollback: Go back.
        deactivate: Leave it without one.
        request: Ask for one of these.
        keep: Keep a person's version where the code has changed.
    """

    edit: bool
    activate: bool
    rollback: bool
    deactivate: bool
    request: bool
    keep: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What the visitor has just done, with the way back.

    Attributes:
        said: What is so now.
        version: The version that is active again once it is undone; `None` where none was.
        can_undo: Whether it can be undone with one press.
        written: The version that was written and waits to be activated.
    """

    said: str
    version: int | None = None
    can_undo: bool = False
    written: int | None = None


@dataclass(frozen=True, slots=True)
class DriftView:
    """That the code has changed under a person's version.

    Attributes:
        drift: The three texts.
        headline: What the code changed, in words.
    """

    drift: Drift
    headline: str


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What the page of one status shows.

    Attributes:
        at: Where the status stands.
        shown: The version whose text is shown: the active one, what is served instead, or the one that was asked for.
        pieces: Its text, with its variables.
        lines: How many lines it has.
        hidden: How many of its characters nobody would see.
        filled: The text filled with sample values.
        unused: The variables that the code exposes and the text does not use.
        period: Since when it is active, and why.
        before: The time in which another version was active before.
        approved: The request by which it became active.
        entries: The versions, newest first.
        next: What to give as `after` for the versions before these.
        earlier: The version to which a rollback goes back.
        drift: That the code has changed under it.
        waiting: The requests that wait for approval.
        serving: How far the processes have followed.
        usage: To how many runs the shown version was sent.
        may: What the visitor may do.
        done: What they have just done.
        is_asked_for: Whether the address names the version whose text is shown.
    """

    at: Situation
    shown: Prompt | None
    pieces: tuple[Piece, ...]
    lines: int
    hidden: int
    filled: Filled | None
    unused: tuple[str, ...]
    period: Period | None
    before: Period | None
    approved: ApprovalRequest | None
    entries: tuple[Entry, ...]
    next: str | None
    earlier: Prompt | None
    drift: DriftView | None
    waiting: tuple[ApprovalRequest, ...]
    serving: Serving | None
    usage: Usage | None
    may: May
    done: Done | None
    is_asked_for: bool

    @property
    def newest(self) -> int:
        """The number of the newest version."""
        return self.at.summary.latest


async def status_page(
    who: Visitor, at: Situation, *, version: int | None = None, after: str | None = None, done: int | None = None
) -> StatusPage:
    """Return what the page of a status shows.

    Args:
        who: Who looks.
        at: Where the status stands.
        version: The version whose text to show; by default what is served.
        after: The `next` of the page of versions before.
        done: The revision that the visitor has just made.

    Raises:
        PromptNotFoundError: There is no such version.
        NotAllowedError: The policy does not show the agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    service, agent, status = who.service, at.agent.name, at.status_key
    shown = at.served if version is None else await version_of(service, at, version)
    page = await service.versions(agent, status, after=after, limit=VERSIONS)
    events = await service.events(agent, status, actions=DEEDS, limit=EVENTS)
    requests = (await service.requests(agent, status, waiting=False, limit=REQUESTS)).items
    periods = periods_of(events.items)
    entries = timeline(page.items, periods, requests, is_whole=events.next is None)
    own = [period for period in periods if shown is not None and period.version == shown.version]
    text = await filled(service, agent, shown, named_values(at.agent.variables)) if shown is not None else None
    used = set(text.variables) if text is not None else set()
    usage = await service.usage(agent, shown.status_key, version=shown.version) if shown is not None else {}
    pieces = pieces_of(shown.prompt_text, shown.format) if shown is not None else ()
    by_id = {one.id: one for one in requests}
    may = await _may(who, at)
    return StatusPage(
        at=at,
        shown=shown,
        pieces=pieces,
        lines=shown.prompt_text.rstrip("\n").count("\n") + 1 if shown is not None else 0,
        hidden=sum(piece.kind == "hidden" for piece in pieces),
        filled=text,
        unused=tuple(name for name in bare_names({*at.agent.variables, *BUILTINS}) if name not in used),
        period=own[-1] if own else None,
        before=_before(periods, own[-1]) if own else None,
        approved=by_id.get(own[-1].begun.request_id or 0) if own else None,
        entries=entries,
        next=page.next,
        earlier=await _earlier(who, at),
        drift=await _drift(who, at),
        waiting=tuple(one for one in requests if one.is_waiting),
        serving=await serving(service, at),
        usage=usage.get((shown.status_key, shown.version)) if shown is not None else None,
        may=may,
        done=_done(who, at, events.items, done, may),
        is_asked_for=version is not None,
    )


async def _may(who: Visitor, at: Situation) -> May:
    async def may(operation: Operation) -> bool:
        return await who.may(operation, at.agent.name, at.status_key)

    return May(
        edit=await may(Operation.CREATE),
        activate=await may(Operation.ACTIVATE),
        rollback=await may(Operation.ROLLBACK),
        deactivate=await may(Operation.DEACTIVATE),
        request=await may(Operation.REQUEST),
        keep=await may(Operation.KEEP),
    )


def _before(periods: tuple[Period, ...], own: Period) -> Period | None:
    place = periods.index(own)
    return periods[place - 1] if place else None


async def _earlier(who: Visitor, at: Situation) -> Prompt | None:
    """Return the version to which a rollback goes back; `None` where there is none, or the visitor may not."""
    try:
        found = await who.service.look(lambda database: queries.find_earlier(database, at.agent.name, at.status_key))
        await who.service.authorize(Operation.ROLLBACK, at.agent.name, at.status_key, TextState.of(found))
    except (PromptNotFoundError, NotAllowedError):
        return None
    return found


async def _drift(who: Visitor, at: Situation) -> DriftView | None:
    if not at.summary.drift:
        return None
    found = await who.service.drift(at.agent.name, at.status_key)
    if found is None:
        return None
    if found.base is None:
        return DriftView(found, "")
    made = await asyncio.to_thread(
        difference, found.base.prompt_text, found.code.prompt_text, found.base.format, found.code.format
    )
    return DriftView(found, made.headline)


def _done(who: Visitor, at: Situation, events: tuple[Event, ...], revision: int | None, may: May) -> Done | None:
    """Return what the visitor has just done; nothing once anybody has done something else."""
    event = events[0] if events else None
    if event is None or revision != at.revision or event.revision != revision or event.actor_id != who.actor.id:
        return None
    if event.action is Action.CREATED:
        return Done(f"Version {event.version} is written. It is not active yet.", written=event.version)
    if event.action is Action.KEPT:
        return Done(f"Version {event.version} is kept. The mark comes back when the code changes again.")
    is_off = event.action is Action.DEACTIVATED
    said = f"{at.status_key} has no active version now." if is_off else f"Version {event.version} is active."
    # Where another person has to approve, the way back is no matter of one press.
    if at.protection is not None:
        return Done(said)
    if event.from_version is None:
        return Done(said, can_undo=may.deactivate)
    return Done(said, event.from_version, can_undo=may.activate)
