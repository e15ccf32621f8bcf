"""What the page of the processes shows: who follows, who does not, and whether it matters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from automagik_prompts.console.words import plural, span
from automagik_prompts.domain.running.fleet import Fleet, FleetProcess, Standing
from automagik_prompts.editing import queries
from automagik_prompts.editing.running import fleet as fleets
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError

GRACE = 10.0
"""Seconds after a change within which a process that follows may not have said so yet: it speaks every five at most."""

QUIET = 75.0
"""Seconds after which a process has not said for too long that it is there, to be excused: it does so each minute."""

ROWS = 100
"""Processes of one page, at most."""

CELLS = 200
"""Squares that are drawn, at most; above that each stands for several processes."""

PER_LINE, STEP, SIZE = 19, 21, 16
"""How many squares stand in a line, how far apart they are, and how large."""


@dataclass(frozen=True, slots=True)
class FleetGlance:
    """How the fleet is, where it wants a look.

    Attributes:
        strong: How many are behind.
        rest: Which one, and what it does.
    """

    strong: str
    rest: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A square for a process, or for several.

    Attributes:
        x: Where it stands.
        y: How far down.
        is_late: Whether one of them does not follow.
    """

    x: int
    y: int
    is_late: bool


@dataclass(frozen=True, slots=True)
class ProcessLine:
    """A process in the list.

    Attributes:
        process: The process.
        heard: How long ago it said something.
        serves: What it serves, in words.
    """

    process: FleetProcess
    heard: str
    serves: str


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """How many living processes run a release.

    Attributes:
        name: The release's name, or what tells its code from other code; empty where nobody has said.
        count: How many.
    """

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class FleetPage:
    """The processes.

    Attributes:
        heading: How many of how many follow.
        glance: What wants a look; `None` where nothing does.
        cells: A square for each that lives.
        width: How wide the drawing is.
        height: How high.
        releases: What the living ones run, the most frequent first.
        unknown: How many more follow and do not say so.
        counts: How many there are in each state: `all`, `late`, `dead`.
        state: Which are shown.
        release: Of which release.
        lines: The processes of this page, those that differ first.
        total: How many there are in all pages.
        start: The place of the first one, from 0.
        next: Where the next page begins; `None` where there is none.
    """

    heading: str
    glance: FleetGlance | None
    cells: Sequence[Cell]
    width: int
    height: int
    releases: Sequence[ReleaseLine]
    unknown: int
    counts: dict[str, int]
    state: str
    release: str | None
    lines: Sequence[ProcessLine]
    total: int
    start: int
    next: int | None


async def read_fleet(service: EditService) -> Fleet | None:
    """Return the processes, whoever asks; `None` where the database's user may not read that.

    Args:
        service: What reads the database.
    """
    try:
        return await service.look(fleets.fleet)
    except (DatabaseUnavailableError, SchemaError):
        return None  # where it is the database itself, whatever else the page needs says so


def is_late(process: FleetProcess) -> bool:
    """Return whether a living process does not serve what is active."""
    return process.is_alive and (process.standing is not Standing.FOLLOWS or bool(process.problems))


async def newest_write(service: EditService) -> datetime | None:
    """Return when something was done last; `None` where nothing ever was."""
    newest = await service.look(lambda database: queries.events(database, limit=1))
    return newest[0].created_at if newest else None


def had_no_time(process: FleetProcess, newest: datetime | None) -> bool:
    """Return whether a process may be behind for no other reason than that something was just written.

    Args:
        process: The process.
        newest: When something was done last.
    """
    now = datetime.now(UTC)
    is_new = newest is not None and (now - newest).total_seconds() < GRACE
    return is_new and (now - process.seen_at).total_seconds() < QUIET


def glance(fleet: Fleet, newest: datetime | None) -> FleetGlance | None:
    """Return what of the fleet wants a look.

    Args:
        fleet: The processes.
        newest: When something was done last.
    """
    living = [one for one in fleet.processes if one.is_alive]
    late = [
        one for one in living if is_late(one) and not (one.standing is Standing.BEHIND and had_no_time(one, newest))
    ]
    if not late:
        return None
    are = "is" if len(late) == 1 else "are"
    do = "does" if len(late) == 1 else "do"
    if all(one.standing is Standing.FOLLOWS for one in late):
        strong = f"{len(late)} of {plural(len(living), 'process', 'processes')} cannot serve what is active."
    elif all(one.standing is Standing.BEHIND for one in late):
        strong = f"{len(late)} of {plural(len(living), 'process', 'processes')} {are} behind."
    else:
        strong = f"{len(late)} of {plural(len(living), 'process', 'processes')} {do} not serve all that is active."
    others = f" So it is with {len(late) - 1} more." if len(late) > 1 else ""
    return FleetGlance(strong, f"{late[0].name}: {_serves(late[0])}.{others}")


def fleet_page(fleet: Fleet, newest: datetime | None, state: str, release: str | None, start: int) -> FleetPage:
    """Return what the page shows.

    Args:
        fleet: The processes.
        newest: When something was done last.
        state: `late` or `dead` to show these alone.
        release: Show this release alone, or this code.
        start: The place of the first process that is shown.
    """
    living = [one for one in fleet.processes if one.is_alive]
    following = sum(one.standing is Standing.FOLLOWS for one in living)
    ordered = sorted(fleet.processes, key=lambda one: (not is_late(one), not one.is_alive, one.name, one.id))
    chosen = [
        one
        for one in ordered
        if (state != "late" or is_late(one))
        and (state != "dead" or not one.is_alive)
        and (release is None or _runs(one) == release)
    ]
    now = datetime.now(UTC)
    cells, width, height = _cells(living)
    return FleetPage(
        _heading(following, len(living)),
        glance(fleet, newest),
        cells,
        width,
        height,
        tuple(ReleaseLine(*one) for one in Counter(map(_runs, living)).most_common()),
        fleet.unknown,
        {"all": len(ordered), "late": sum(map(is_late, ordered)), "dead": len(ordered) - len(living)},
        state,
        release,
        tuple(
            ProcessLine(one, span(max(0.0, (now - one.seen_at).total_seconds())), _serves(one))
            for one in chosen[start : start + ROWS]
        ),
        len(chosen),
        start,
        start + ROWS if len(chosen) > start + ROWS else None,
    )


def _heading(following: int, living: int) -> str:
    if not living:
        return "No process follows"
    if following == living:
        return "The only process follows" if living == 1 else f"All {living} processes follow"
    return f"{following} of {plural(living, 'process', 'processes')} follow"


def _runs(process: FleetProcess) -> str:
    return process.release or (process.code_hash or "")[:8]


def _serves(process: FleetProcess) -> str:
    """Return what a process serves, in words."""
    if not process.is_alive:
        return "nothing that is known: it has ended, or cannot reach the database"
    if process.standing is Standing.UNKNOWN:
        return "not known: it speaks of another server, as after a failover"
    if process.behind:
        return f"an earlier state: {plural(process.behind, 'agent was', 'agents were')} written to since it read them"
    if process.problems:
        first = process.problems[0]
        more = f", and {len(process.problems) - 1} more" if len(process.problems) > 1 else ""
        number = f", version {first.version}" if first.version is not None else ""
        return f"all but {first.agent} / {first.status_key}{number}{more}"
    if process.follows is not None:
        return f"what is active for {plural(len(process.follows), 'agent')} that it follows"
    return "all as active"


def _cells(living: Sequence[FleetProcess]) -> tuple[tuple[Cell, ...], int, int]:
    group = -(-len(living) // CELLS) or 1
    ordered = sorted(living, key=lambda one: (one.name, one.id))
    groups = [ordered[start : start + group] for start in range(0, len(ordered), group)]
    cells = tuple(
        Cell(place % PER_LINE * STEP, place // PER_LINE * STEP, any(map(is_late, known)))
        for place, known in enumerate(groups)
    )
    lines = -(-len(groups) // PER_LINE)
    return cells, PER_LINE * STEP - STEP + SIZE, max(0, lines * STEP - STEP + SIZE)
