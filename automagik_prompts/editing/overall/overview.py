"""Everything at a glance: a page of statuses, which of them want a look, and how many there are; nothing is written."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from automagik_prompts.domain.summaries import Meant, Overview, StatusLine, StatusPlace
from automagik_prompts.editing.pages import cursor_of, cursor_parts
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

OLD = 5.0
"""Seconds after which statuses are counted anew although nothing seems to be written."""

REMEMBERED = 100
"""People for whom numbers are remembered, at most."""


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """A page of statuses.

    Attributes:
        lines: The statuses, by agent.
        next: Where the next page begins; `None` where there is none.
        agents: How many agents have statuses.
        wanting: How many statuses want a look.
        counts: How many statuses are meant by what.
    """

    lines: tuple[StatusLine, ...]
    next: str | None
    agents: int
    wanting: int
    counts: dict[Meant, int]


Numbers = tuple[int, int, dict[Meant, int]]
"""How many agents have statuses, how many statuses want a look, and how many are meant by what."""


class Counts:
    """Counts statuses, and does so anew only once something was written, or after a while: counting reads all of them.

    Args:
        clock: The time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[object, tuple[tuple[int, ...], float, Numbers]] = OrderedDict()

    async def count(self, database: Database, about: Overview) -> Numbers:
        """Return how many statuses there are.

        Args:
            database: An open database.
            about: What says which are meant.
        """
        marker = await database.run(repository.get_overview_marker)
        who = about.actor, about.unserved
        known = self._known.pop(who, None)
        if known is None or known[0] != marker or self._clock() - known[1] > OLD:
            known = marker, self._clock(), await database.run(repository.count_statuses, about)
        self._known[who] = known
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known[2]


async def read(
    database: Database,
    meant: Meant,
    about: Overview,
    counts: Counts,
    *,
    only: Collection[str] | None = None,
    after: str | None = None,
    limit: int = 100,
) -> OverviewPage:
    """Return a page of statuses, by a fixed number of statements however many there are.

    Args:
        database: An open database.
        meant: Which statuses.
        about: What says which these are.
        counts: What counts them.
        only: The agents that may be seen; all by default.
        after: The `next` of the page before.
        limit: How many statuses, at most.

    Raises:
        InvalidPromptError: `after` is no `next` of a page.
        DatabaseUnavailableError: The database cannot be read now.
    """
    place: tuple[str, str] | None = None
    if after is not None:
        agent, status_key = cursor_parts(after, 2)
        place = agent, status_key
    if only is None:
        found = await database.run(repository.get_status_places, meant, about, after=place, limit=limit + 1)
        agents, wanting, numbers = await counts.count(database, about)
    else:
        every = {
            one: [
                known
                for known in await database.run(repository.get_status_places, one, about, after=None, limit=None)
                if known.agent in only
            ]
            for one in Meant
        }
        numbers = {one: len(known) for one, known in every.items()}
        wanting = len({*every[Meant.BAD], *every[Meant.DRIFTED], *every[Meant.WAITING]})
        agents = len({known.agent for known in every[Meant.ALL]})
        names = [(known.agent, known.status_key) for known in every[meant]]
        first = names.index(place) + 1 if place in names else 0
        found = every[meant][first : first + limit + 1]
    shown = found[:limit]
    more = cursor_of(shown[-1].agent, shown[-1].status_key) if len(found) > limit else None
    return OverviewPage(await _lines(database, shown, about), more, agents, wanting, numbers)


async def named(database: Database, text: str) -> list[StatusPlace]:
    """Return the statuses whose names, or whose agents' names, contain a text, in whatever case.

    Args:
        database: An open database.
        text: The text.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    wanted = text.strip().casefold()
    every = await database.run(
        repository.get_status_places, Meant.ALL, Overview("", datetime.now(UTC)), after=None, limit=None
    )
    return [one for one in every if wanted in one.agent.casefold() or wanted in one.status_key.casefold()]


async def _lines(database: Database, places: list[StatusPlace], about: Overview) -> tuple[StatusLine, ...]:
    ids = sorted({one.agent_id for one in places})
    summaries = {(one.agent, one.status_key): one for one in await database.run(repository.get_summaries, ids) if ids}
    primaries = {one.agent: one.status_key for one in summaries.values() if one.primary}
    waiting = await database.run(repository.get_waiting_keys, ids)
    known = [(place, one) for place in places if (one := summaries.get((place.agent, place.status_key))) is not None]
    beginnings = await database.run(
        repository.get_beginnings, [one.active_id for _, one in known if one.active_id is not None]
    )
    unserved = {(one.agent, one.status_key, one.version) for one in about.unserved}
    return tuple(
        StatusLine(
            one,
            beginnings.get(one.active_id or 0, ""),
            primaries.get(one.agent, ""),
            (one.agent, one.status_key, one.active) in unserved,
            (place.agent_id, place.status_key) in waiting,
        )
        for place, one in known
    )
