"""The events in their order, for those who follow them: nothing is passed that may still come to be."""

from __future__ import annotations

from dataclasses import replace

from automagik_prompts.domain.records import Event
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database


async def events_after(database: Database, last: int, *, until: int, limit: int) -> list[Event]:
    """Return what was done to all agents' prompts, in its order.

    Args:
        database: An open database.
        last: The number of the event after which to begin.
        until: The highest number.
        limit: How many, at most.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    found = await database.run(repository.get_events_after, last, until, limit)
    names = {info.id: info.name for info in await database.run(repository.get_agents)}
    return [replace(event, agent=names.get(event.agent_id, "")) for event in found]


class Horizon:
    """Up to which event everything is there.

    Transactions do not end in the order of the numbers of their events. A number is final once each transaction has
    ended that had begun when it was seen: a lower one was taken by one of these, or by one that had ended before.

    Attributes:
        settled: The number up to which nothing can come to be any more.
        newest: The highest number that was seen.
    """

    def __init__(self) -> None:
        self.settled = 0
        self.newest = 0
        self._seen: list[tuple[int, int]] = []
        self._oldest = 0

    async def look(self, database: Database) -> int:
        """Look at the database, and return what is settled now.

        Raises:
            DatabaseUnavailableError: The database cannot be read now.
        """
        found = await database.run(repository.get_event_horizon, self.newest)
        if found.newest < self.newest or found.oldest < self._oldest:  # the database was restored
            self.newest = self.settled = 0
            self._seen.clear()
            found = await database.run(repository.get_event_horizon, 0)
        if found.next:
            self.newest = found.newest
            self._seen.append((found.newest, found.next))
            # The own transaction has ended now.
            found = await database.run(repository.get_event_horizon, self.newest)
        self._oldest = found.oldest
        while self._seen and self._seen[0][1] <= found.oldest:
            self.settled = max(self.settled, self._seen.pop(0)[0])
        return self.settled
