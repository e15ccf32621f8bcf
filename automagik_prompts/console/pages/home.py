"""What the first page shows: what all agents say now, and what wants a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from automagik_prompts.console.pages.fleet import FleetGlance, glance, newest_write, read_fleet
from automagik_prompts.console.words import plural
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.running.fleet import Fleet
from automagik_prompts.domain.summaries import Meant, Overview, StatusLine, UnservedVersion
from automagik_prompts.editing.overall import overview
from automagik_prompts.editing.service import EditService

ROWS = 60
"""Statuses of one page, at most."""

LATELY = timedelta(days=7)

MOST_UNSERVED = 100
"""Versions that cannot be served which are looked for, at most."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A link that shows some of the statuses only.

    Attributes:
        meant: Which ones.
        words: What it says.
        drawing: What is drawn before it; empty for nothing.
        count: How many there are.
    """

    meant: Meant
    words: str
    drawing: str
    count: int


@dataclass(frozen=True, slots=True)
class AgentRows:
    """The statuses of one agent.

    Attributes:
        agent: The agent's name.
        rows: Where each status stands.
    """

    agent: str
    rows: Sequence[StatusLine]


@dataclass(frozen=True, slots=True)
class HomePage:
    """What all agents say now.

    Attributes:
        lead: How many there are, and how many want a look.
        chips: What can be shown alone; none where there is no status at all.
        chosen: What is shown.
        groups: The statuses, by agent.
        next: Where the next page begins.
        is_first: Whether there is no page before.
        glance: How the fleet is; `None` where that may not be seen, or all is well.
    """

    lead: str
    chips: Sequence[Chip]
    chosen: Meant
    groups: Sequence[AgentRows]
    next: str | None
    is_first: bool
    glance: FleetGlance | None


_CHIPS = (
    (Meant.ALL, "All", ""),
    (Meant.BAD, "Cannot be served", "bad"),
    (Meant.DRIFTED, "Drifted", "drift"),
    (Meant.WAITING, "Waiting for approval", "wait"),
    (Meant.RECENT, "Changed this week", ""),
    (Meant.MINE, "Mine", ""),
)


async def home_page(
    service: EditService, actor: Actor, counts: overview.Counts, meant: Meant, after: str | None
) -> HomePage:
    """Return what the first page shows.

    Args:
        service: Does what the actor may do.
        actor: Who looks.
        counts: What counts statuses.
        meant: Which statuses are shown.
        after: Where the page begins.
    """
    sees_all = await service.may_see("")
    fleet = await read_fleet(service)
    about = Overview(actor.id, datetime.now(UTC) - LATELY, _unserved(fleet))
    only = None if sees_all else await service.visible()
    page = await service.look(
        lambda database: overview.read(database, meant, about, counts, only=only, after=after, limit=ROWS)
    )
    groups = [AgentRows(agent, tuple(rows)) for agent, rows in groupby(page.lines, lambda one: one.summary.agent)]
    return HomePage(
        _lead(page),
        tuple(Chip(one, words, drawing, page.counts[one]) for one, words, drawing in _CHIPS) if page.agents else (),
        meant,
        # Of a policy that shows all agents and not this one, this one holds.
        tuple([group for group in groups if await service.may_see(group.agent)]),
        page.next,
        after is None,
        glance(fleet, await newest_write(service)) if sees_all and fleet is not None else None,
    )


def _unserved(fleet: Fleet | None) -> tuple[UnservedVersion, ...]:
    found = {
        UnservedVersion(problem.agent, problem.status_key, problem.version)
        for process in (fleet.processes if fleet is not None else ())
        if process.is_alive
        for problem in process.problems
    }
    return tuple(sorted(found)[:MOST_UNSERVED])


def _lead(page: overview.OverviewPage) -> str:
    every = page.counts[Meant.ALL]
    begin = f"{plural(page.agents, 'agent')}, {plural(every, 'status', 'statuses')}."
    if not page.wanting:
        return f"{begin} None of them wants a look."
    want = "1 of them wants a look" if page.wanting == 1 else f"{page.wanting} of them want a look"
    rest = every - page.wanting
    return f"{begin} {want}" + (f"; the other {rest} need nothing." if rest > 1 else ".")
