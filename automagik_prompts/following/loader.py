"""Reading: all of a database to begin with, piece by piece, and from then on only what was written to since.

What was read stays when an attempt fails, so that the next one goes on where it ended. The agents that the code
declares are read first, and can be served before the rest is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Concatenate, ParamSpec, TypeVar

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.running.fleet import Beat
from automagik_prompts.domain.summaries import AgentState, Changes, Position
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.following.memory.doubt import BEFORE_ALL, Doubt
from automagik_prompts.following.memory.holding import Holding
from automagik_prompts.following.memory.packing import is_head, is_same
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.schema import migrate
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database

P = ParamSpec("P")
T = TypeVar("T")

OPERATION_TIMEOUT = 10.0
"""Seconds that one statement may take; then the database counts as unreachable."""

REPLICA_PATIENCE = 60.0
"""Seconds for which a replica that answers with less than what was read before is taken to catch up."""

FIRST_PAGE, LARGEST_PAGE = 50, 100
"""Agents that are read at once to begin with, and at most: with more of them under way, the garbage collector would go
through all of the application's objects again and again. After a page that took too long there are fewer."""

QUICK = 0.25
"""Seconds within which a page must have been read for the next one to be larger."""

TRIED_AT_ONCE = 0.05
"""Seconds for trying texts that nobody has asked for, before what was read is served; the rest is tried afterwards."""

PART_AFTER = 0.1
"""Seconds after which what was read is served although there is more to be read."""

LOOK_WITHIN = 1.0
"""Seconds after which the database is looked at again while everything is read: changes need not wait for that."""

ReadAhead = Callable[[Database], Awaitable[None]]


@asynccontextmanager
async def _begun(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Begin work that does not go on without whoever waits for it."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield task
    finally:
        task.cancel()


class Loader:
    """Reads what is active in one database.

    Args:
        registry: What the code declares.
        served: What is served already, in a forked child.
        adopt: Takes over what is known from elsewhere, if there is anything, within so many seconds.
        read_ahead: Reads what else must be at hand before a snapshot is served.

    Attributes:
        holding: What was read.
        is_filtered: Whether row-level security may hide rows from this process' user.
        has_log: Whether the database notes which agents are written to; otherwise each look compares all of them.
        found: What the last look found.
    """

    def __init__(
        self,
        registry: Registry,
        served: Snapshot | None,
        adopt: Callable[[Holding, float], Awaitable[bool | None]],
        read_ahead: ReadAhead | None = None,
    ) -> None:
        self.holding = Holding(registry, served)
        self.has_log = True
        self.is_filtered = False
        self.found: Changes | None = None
        self._registry = registry
        self._adopt = adopt
        self._read_ahead = read_ahead
        # The loop's clock is the monotonic one; a test may run on a loop whose time it moves itself.
        self._now = asyncio.get_running_loop().time
        self._position: Position | None = None
        self._data_version: int | None = None
        self._doubt = Doubt(self._now)
        # What is to be read, by id, with the number of the change that the log has; and what was read of that.
        self._pending: dict[int, int] = {}
        self._done: dict[int, int] = {}
        self._held: set[int] = set()
        self._is_replica = False
        self._behind_since: float | None = None
        # How far reading everything, or comparing everything, has come.
        self._page = FIRST_PAGE
        self._after = BEFORE_ALL
        self._has_declared = self._has_adopted = False
        self._is_served = self._is_whole = served is not None and served.is_loaded
        self._is_compared = self._is_adopted = False

    @property
    def is_behind(self) -> bool:
        """Whether the database is a replica that answers with less than what was read before."""
        return self._behind_since is not None

    def begin_session(self) -> None:
        """Take note that the connection is a new one: what it says of itself cannot be compared with an older one's."""
        self._data_version = None

    @property
    def position(self) -> Position | None:
        """Up to where all that the log notes is read; `None` where that is not known."""
        return None if self.has_work or self.is_behind or not self.has_log else self._position

    async def look(self, database: Database, *, forced: bool, beat: Beat | None = None) -> bool:
        """Return whether there is something to read: a single statement.

        Args:
            database: The database.
            forced: Whether to look although the database says that no other connection has written.
            beat: What this process says of itself in the same statement, on a server.

        Raises:
            TimeoutError: The database did not answer in time.
            PromptsError: The database cannot be read.
        """
        version = await self._ask(database, repository.get_data_version)
        if version is not None:
            if self._data_version is None:
                self.compare_anew()  # a file may have been replaced meanwhile, and nothing that can be asked says so
            elif version == self._data_version and not (self._doubt.is_raised or forced or self._held or self.has_work):
                return False
        # Whoever is told of a change reads that; what nobody tells of is looked for when there is nothing else to do.
        size = 0 if forced or (version is not None and not self._doubt.is_raised) else repository.SLICE
        found = await self._ask(database, repository.get_changes, self._position, self._doubt.after, size, beat)
        self.found = found
        self._is_replica, self.is_filtered = found.is_replica, found.is_filtered
        self.has_log = bool(found.position.server)
        if found.agents is None:
            self.compare_anew()
        else:
            self._pending |= {number: change for number, change in found.agents if self._done.get(number) != change}
            self._done = {number: change for number, change in found.agents if self._done.get(number) == change}
        self._doubt.looked(found, is_written=self._data_version not in {None, version})
        self._position, self._data_version = found.position, version
        if self._is_whole and self._is_compared and size:
            self._compare_slice(found.slice)
        self._pending |= dict.fromkeys(self._held, 0)
        self._held.clear()
        return self.has_work

    async def read(self, database: Database) -> AsyncIterator[Snapshot]:
        """Read what there is to read, and yield a snapshot each time that something new can be served.

        Raises:
            TimeoutError: The database did not answer in time.
            PromptsError: The database cannot be read.
        """
        began = looked = self._now()
        while self.has_work:
            if self._now() - looked > LOOK_WITHIN:
                await self.look(database, forced=True)
                looked = self._now()
            async with _begun(self._step(database)) as step:
                # What can be read in a moment is served as one.
                await asyncio.wait([step], timeout=max(0.0, began + PART_AFTER - self._now()))
                if self._now() >= began + PART_AFTER and (part := self._part()) is not None:
                    await self._read_what_else(database)
                    yield part
                await step
        if not self._held:
            self._behind_since = None
        await self._read_what_else(database)
        if not self._is_served:
            self._is_served = True
            self.holding.try_some(TRIED_AT_ONCE)
        yield self.holding.snapshot(self._now())

    @property
    def has_work(self) -> bool:
        """Whether something is known that is to be read."""
        return bool(self._pending) or not (self._is_whole and self._is_compared)

    async def _step(self, database: Database) -> None:
        """Read one piece, what is most urgent first."""
        if not self._has_declared:
            if not self._is_served:
                names = self._registry.agents
                self.holding.take(await self._ask(database, repository.get_states_named, names))
            self._has_declared = True
        elif self._pending:
            await self._read_pending(database)
        elif not self._is_whole and not self._has_adopted:
            is_known = await self._adopt(self.holding, PART_AFTER)
            self._has_adopted = is_known is not None
            self._is_whole = self._is_adopted = bool(is_known)
        elif not self._is_whole:
            await self._read_page(database)
        else:
            await self._compare_page(database)

    def _part(self) -> Snapshot | None:
        """Return what can be served while there is more to be read, if there is anything."""
        if self._is_served:
            return self.holding.snapshot(self._now())
        if self._is_adopted:
            # What was adopted may be out of date until it was compared.
            return self.holding.part(self._registry.agents)
        return self.holding.snapshot(None) if len(self.holding.agents) else None

    async def _read_what_else(self, database: Database) -> None:
        if self._read_ahead is not None:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                await self._read_ahead(database)

    async def _read_pending(self, database: Database) -> None:
        """Read agents that were written to."""
        chosen = dict(islice(self._pending.items(), self._page))
        states = await self._paged(database, repository.get_states, chosen)
        believed = [state for state in states if not self._is_behind_in(state.info.id, state.info.revision)]
        gone = {*chosen} - {state.info.id for state in states}
        self.holding.take(believed)
        self.holding.drop(number for number in gone if not self._is_behind_in(number, None))
        for number, change in chosen.items():
            if self._pending.get(number) == change:
                del self._pending[number]
            if number not in self._held:
                self._done[number] = change

    def _is_behind_in(self, number: int, revision: int | None) -> bool:
        """Return whether a replica does not know yet what was read of an agent; then that goes on being served."""
        name = self.holding.ids.get(number)
        ours = self.holding.read_of(name) if name is not None else None
        if not self._is_replica or ours is None or ours[0] != number or (revision is not None and ours[5] <= revision):
            return False
        if self._behind_since is None:
            self._behind_since = self._now()
        if self._now() - self._behind_since >= REPLICA_PATIENCE:
            return False
        self._held.add(number)
        return True

    async def _read_page(self, database: Database) -> None:
        """Read the agents with the next ids, where nothing was read before."""
        limit = self._page
        states = await self._paged(database, repository.get_states_after, self._after, limit)
        self.holding.take(states, at_once=False)
        if len(states) < limit:
            self._is_whole, self._after = True, BEFORE_ALL
        else:
            self._after = states[-1].info.id

    async def _compare_page(self, database: Database) -> None:
        """Compare the agents with the next ids with what was read before, without reading their texts."""
        heads = await self._ask(database, repository.get_heads_after, self._after, LARGEST_PAGE)
        last = heads[-1].info.id if len(heads) == LARGEST_PAGE else None
        self._pending = dict.fromkeys(self.holding.differing(heads, self._after, last, is_head), 0) | self._pending
        self._is_compared = last is None
        self._after = BEFORE_ALL if last is None else last

    def _compare_slice(self, states: Sequence[AgentState]) -> None:
        """Compare a few agents with what was read: the log does not know of what is restored, or written without it."""
        after = self._doubt.after
        found = self.holding.differing(states, after, self._doubt.compared(states), is_same)
        self._pending = dict.fromkeys(found, 0) | self._pending

    def compare_anew(self) -> None:
        """Compare all agents with what was read: there is reason to think that the database is another one."""
        self._is_compared = False
        self._doubt.settle()
        self._after = BEFORE_ALL
        self._done.clear()

    async def _paged(
        self,
        database: Database,
        function: Callable[Concatenate[Client, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Ask for texts, for more of them the next time if it was quick, and for fewer if it took too long."""
        began = self._now()
        try:
            found = await self._ask(database, function, *args, **kwargs)
        except TimeoutError:
            self._page = max(1, self._page // 4)
            raise
        if self._now() - began < QUICK:
            self._page = min(self._page * 2, LARGEST_PAGE)
        return found

    async def _ask(
        self,
        database: Database,
        function: Callable[Concatenate[Client, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                return await database.run(function, *args, **kwargs)
        except SchemaError:
            # The migrations know better what is wrong, and what to do.
            async with asyncio.timeout(OPERATION_TIMEOUT):
                await migrate.check_writable(database)
            raise
