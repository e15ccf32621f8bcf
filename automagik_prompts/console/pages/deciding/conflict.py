"""What is shown to who was too late: who was faster, what the texts say, and what can be done now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.responses import Response

from automagik_prompts.console.difference.threeways import ThreeWays, three_ways
from automagik_prompts.console.pages.deciding.situation import Situation, situation, version_of
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.records import Event, Prompt
from automagik_prompts.exceptions import PromptNotFoundError

EVENTS = 10
"""Events since the revision that was seen which are shown, at most."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was to be done when somebody else was faster.

    Attributes:
        label: What it is called, such as `Version 8`.
        text: The text that was to be active or written; `None` where none was.
        version: The version that was to be active, if there is one.
        deactivate: Whether the status was to have no active version.
        note: The reason that was given.
    """

    label: str
    text: str | None = field(repr=False)
    version: int | None = None
    deactivate: bool = False
    note: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ConflictPage:
    """What is shown to who was too late.

    Attributes:
        at: Where the status stands now.
        seen: The version that they saw as the active one.
        wanted: What they wanted.
        events: What was done meanwhile, newest first.
        ways: What was seen, what is active now and what was wanted, where they differ; `None` where there are no three
            texts.
        expected: The revision that they saw.
        actual: The revision that it has now.
        is_oneself: Whether they were faster themselves, as in another tab.
    """

    at: Situation
    seen: Prompt | None
    wanted: Wanted | None
    events: tuple[Event, ...]
    ways: ThreeWays | None
    expected: int
    actual: int
    is_oneself: bool

    @property
    def who(self) -> str:
        """Who was faster."""
        if self.is_oneself:
            return "You"
        return next((event.author for event in self.events if event.author), None) or "Somebody"

    @property
    def is_active_the_same(self) -> bool:
        """Whether what is active is what they saw: then only something beside it was changed."""
        return (self.seen.version if self.seen else None) == (self.at.active.version if self.at.active else None)


async def conflict(
    who: Visitor, agent: str, status: str, *, since: int, seen: int | None, wanted: Wanted | None = None
) -> Response:
    """Return the page for who was too late.

    Args:
        who: Who looks.
        agent: The agent's name.
        status: The status.
        since: The revision that they saw.
        seen: The version that they saw as the active one.
        wanted: What they wanted, where that can go on.
    """
    at = await situation(who.service, agent, status)
    try:
        before = await version_of(who.service, at, seen) if seen is not None else None
    except PromptNotFoundError:
        before = None  # deleted meanwhile
    ways = None
    if wanted is not None and wanted.text is not None and before is not None and at.active is not None:
        ways = await asyncio.to_thread(three_ways, before.prompt_text, at.active.prompt_text, wanted.text)
    found = await who.service.events(at.agent.name, at.status_key, limit=EVENTS)
    events = tuple(event for event in found.items if event.revision > since)
    is_oneself = bool(events) and all(event.actor_id == who.actor.id for event in events)
    page = ConflictPage(at, before, wanted, events, ways, since, at.revision, is_oneself)
    return await who.page("conflict.html", status=409, at="agents", page=page)
