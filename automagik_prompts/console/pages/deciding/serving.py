"""Which processes serve what is active, in numbers and one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from automagik_prompts.console.pages.deciding.situation import Situation
from automagik_prompts.console.pages.fleet import GRACE, had_no_time, newest_write
from automagik_prompts.domain.running.fleet import Following, FollowingProcess
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError

MOST_CELLS = 200
"""Processes that are drawn one by one, at most."""

MOST_NAMED = 5
"""Processes that are named where they do not follow, at most."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How far the processes have followed.

    Attributes:
        version: The version that is active; `None` where none is.
        cells: Whether each process serves it.
        late: Those that do not and should, as far as they are named.
        more: How many more there are of these.
        refusing: Those that cannot serve it.
        unknown: How many follow and do not say how far.
    """

    version: int | None
    cells: tuple[bool, ...]
    late: tuple[FollowingProcess, ...]
    more: int
    refusing: tuple[FollowingProcess, ...]
    unknown: int

    @property
    def total(self) -> int:
        """How many should serve it."""
        return len(self.cells)

    @property
    def serving(self) -> int:
        """How many serve it."""
        return sum(self.cells)

    @property
    def drawn(self) -> tuple[bool, ...]:
        """What is drawn one by one: nothing where there are too many."""
        return self.cells if len(self.cells) <= MOST_CELLS else ()


async def serving(service: EditService, at: Situation) -> Serving | None:
    """Return how far the processes have followed; `None` where this database's user may not read that.

    Args:
        service: Does what somebody may do.
        at: Where the status stands.

    Raises:
        PromptNotFoundError: There is no such agent.
        NotAllowedError: The policy does not show the agent.
    """
    try:
        found = await service.followers(at.agent.name, at.status_key)
        newest = await newest_write(service)
    except (DatabaseUnavailableError, SchemaError):
        return None  # the page says all the rest, or that the database is away
    wanted = [one for one in found.processes if one.following is not Following.APART]
    since = at.summary.active_since
    is_settled = since is not None and (datetime.now(UTC) - since).total_seconds() > GRACE

    def serves(one: FollowingProcess) -> bool:
        # What was just written may be no matter of this status: who is behind for it serves what was active before.
        is_excused = is_settled and one.following is Following.BEHIND and had_no_time(one.process, newest)
        return one.following is Following.SERVES or is_excused

    late = tuple(one for one in found.late if not serves(one))
    return Serving(
        found.version,
        tuple(map(serves, wanted)),
        late[:MOST_NAMED],
        len(late[MOST_NAMED:]),
        tuple(one for one in late if one.following is Following.REFUSES),
        found.unknown,
    )
