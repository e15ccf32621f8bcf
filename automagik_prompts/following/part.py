"""Reading a part: the agents that a process needs by name, and no others, however many there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.running.fleet import Beat
from automagik_prompts.following.loader import Loader, ReadAhead
from automagik_prompts.following.memory.holding import Holding
from automagik_prompts.following.memory.snapshot import Look, Snapshot
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

READ_AGAIN = 60.0
"""Seconds after which all of them are read again, for what the log does not tell."""


def loader_for(
    only: tuple[str, ...],
    registry: Registry,
    served: Snapshot | None,
    adopt: Callable[[Holding, float], Awaitable[bool | None]],
    read_ahead: ReadAhead | None,
    look: Look | None = None,
) -> Loader:
    """Return what reads all agents, or the ones that are named."""
    names = look.names if look is not None else None
    if only or names is not None:
        return PartLoader(only, registry, served, adopt, read_ahead, names)
    return Loader(registry, served, adopt, read_ahead)


class PartLoader(Loader):
    """Reads some agents of one database.

    Args:
        only: Their names; those that the code declares come on top.
        registry: What the code declares.
        served: What is served already, in a forked child.
        adopt: As a `Loader` takes it.
        read_ahead: As a `Loader` takes it.
        looked_at: Of these and those of the code the ones that are read; `None` for all of them.
    """

    def __init__(
        self,
        only: tuple[str, ...],
        registry: Registry,
        served: Snapshot | None,
        adopt: Callable[[Holding, float], Awaitable[bool | None]],
        read_ahead: ReadAhead | None = None,
        looked_at: frozenset[str] | None = None,
    ) -> None:
        super().__init__(registry, served, adopt, read_ahead)
        self.holding.only = frozenset(only)
        self._looked_at = looked_at
        self._asked = frozenset[str]()
        self._read_at = float("-inf")

    async def look(self, database: Database, *, forced: bool, beat: Beat | None = None) -> bool:
        """Return whether there is something to read, of the agents that are needed."""
        await super().look(database, forced=forced, beat=beat)
        names = self._names()
        others = [number for number in self._pending if self.holding.ids.get(number) is None]
        for number in others:
            del self._pending[number]
        is_missing = any(self.holding.read_of(name) is None for name in names)
        if names != self._asked or (others and is_missing) or self._now() - self._read_at >= READ_AGAIN:
            self._is_compared = False
        return self.has_work

    async def _step(self, database: Database) -> None:
        if self._is_compared:
            await self._read_pending(database)
            return
        names = self._names()
        states = await self._ask(database, repository.get_states_named, names)
        self.holding.take(states)
        found = {state.info.id for state in states}
        self.holding.drop([number for number, _ in self.holding.ids.between(-(2**63), None) if number not in found])
        self._asked, self._read_at = names, self._now()
        self._is_whole = self._is_compared = True

    def _names(self) -> frozenset[str]:
        every = self.holding.only | self._registry.agents.keys()
        if self._looked_at is None:
            return every
        return self._looked_at & every if self.holding.only else self._looked_at
