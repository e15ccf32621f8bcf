"""What others have done while a text was written, and their text beside it."""

from __future__ import annotations

from dataclasses import dataclass

from automagik_prompts.console.difference.threeways import ThreeWays, three_ways
from automagik_prompts.console.pages.deciding.conflict import EVENTS
from automagik_prompts.console.pages.deciding.situation import Situation
from automagik_prompts.console.pages.editing.typed import Typed, find_or_none
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.records import Event, Prompt


@dataclass(frozen=True, slots=True)
class Clash:
    """That somebody else was faster, while the text was written.

    Attributes:
        events: What they did, newest first.
        theirs: The version that they made active, or else wrote.
        ways: What the text was begun from, that version and what was written, where they differ.
        is_oneself: Whether it was the visitor, as in another tab.
    """

    events: tuple[Event, ...]
    theirs: Prompt | None
    ways: ThreeWays | None
    is_oneself: bool

    @property
    def who(self) -> str:
        """Who was faster."""
        return "You" if self.is_oneself else next((one.author for one in self.events if one.author), None) or "Somebody"


async def clash_of(who: Visitor, at: Situation, typed: Typed) -> Clash:
    """Return what was done while a text was written, and the three texts."""
    found = await who.service.events(at.agent.name, at.status_key, limit=EVENTS)
    events = tuple(event for event in found.items if event.revision > typed.revision)
    before, theirs = await find_or_none(who, at, typed.base), await theirs_of(who, at, typed)
    ways = None
    if before is not None and theirs is not None and before.version != theirs.version:
        ways = three_ways(before.prompt_text, theirs.prompt_text, typed.text)
    is_oneself = bool(events) and all(event.actor_id == who.actor.id for event in events)
    return Clash(events, theirs, ways, is_oneself)


async def theirs_of(who: Visitor, at: Situation, typed: Typed) -> Prompt | None:
    """Return what others have put beside a text: what is active now, or the newest version where that is as it was."""
    if at.active is not None and at.active.version != typed.seen:
        return at.active
    newest = await find_or_none(who, at, at.summary.latest)
    return newest if newest is not None and newest.version > (typed.base or 0) else at.active
