"""Reading: from the database to a snapshot, and to the file that the next start can fall back on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source
from automagik_prompts.domain.summaries import ActiveSet, ChangeToken
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.following.builder import build_snapshot
from automagik_prompts.following.cache_file import DiskSnapshot
from automagik_prompts.following.snapshot import Snapshot
from automagik_prompts.schema import migrate
from automagik_prompts.settings import Settings
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

OPERATION_TIMEOUT = 10.0
"""Seconds that one look at the database may take; then it counts as unreachable."""

FULL_LOAD_INTERVAL = 60.0
"""Seconds after which everything is read again even without a sign of a change; so long, too, what is older than what
is served is not believed."""

ReadAhead = Callable[[Database], Awaitable[None]]


class Loader:
    """Reads what is active in one database and makes snapshots of it.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        snapshot: What is served already, in a forked child.
        read_ahead: Reads what else must be at hand before a snapshot is published.

    Attributes:
        snapshot: What was read last.
        on_disk: The last known good texts, once they were asked for and if there are any.
        from_file: Whether the database is a file that was read before: where it is missing, it is gone.
    """

    def __init__(
        self, settings: Settings, registry: Registry, snapshot: Snapshot | None, read_ahead: ReadAhead | None
    ) -> None:
        self.snapshot = snapshot
        self.on_disk: Snapshot | None = None
        self.from_file = False
        self._registry = registry
        self._read_ahead = read_ahead
        # The loop's clock is the monotonic one; a test may run on a loop whose time it moves itself.
        self._now = asyncio.get_running_loop().time
        self._disk = DiskSnapshot(settings)
        self._asked_disk = False
        self._found: ActiveSet | None = None
        self._saved: ChangeToken | None = None
        self._loaded_at = float("-inf")
        self._revisions: Mapping[int, int] = {}
        self._behind_since: float | None = None

    @property
    def is_behind(self) -> bool:
        """Whether the database answers with less than what was read before, as a replica does."""
        return self._behind_since is not None

    @property
    def is_due(self) -> bool:
        """Whether everything is to be read again, even without a sign of a change."""
        return self._now() - self._loaded_at >= FULL_LOAD_INTERVAL

    def read_disk(self) -> Snapshot | None:
        """Return the last known good texts the first time, if nothing else is at hand."""
        if self.snapshot is not None or self._asked_disk:
            return None
        self._asked_disk = True
        if (saved := self._disk.load()) is not None:
            self.on_disk = build_snapshot(
                self._registry, saved.agents, saved.active, source=Source.DISK, loaded_at=None
            )
        return self.on_disk

    async def has_changed(self, database: Database) -> bool:
        """Return whether anything was written since the last reading: a single statement.

        Raises:
            TimeoutError: The database did not answer in time.
            PromptsError: The database cannot be read.
        """
        async with asyncio.timeout(OPERATION_TIMEOUT):
            token = await database.run(repository.get_change_token)
        return self._found is None or token != self._found.token

    async def load(self, database: Database) -> Snapshot | None:
        """Read everything; `None` if it is older than what was read before, and not for so long yet to be believed.

        Raises:
            TimeoutError: The database did not answer in time.
            PromptsError: The database cannot be read.
        """
        async with asyncio.timeout(OPERATION_TIMEOUT):
            found = await self._read(database)
        now = self._now()
        if self._is_older(found):
            # A replica that has not caught up; a database that was restored stays like this, and is believed then.
            self._behind_since = now if self._behind_since is None else self._behind_since
            if now - self._behind_since < FULL_LOAD_INTERVAL:
                return None
        self._behind_since = None
        if self._read_ahead is not None:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                await self._read_ahead(database)
        self.snapshot = build_snapshot(
            self._registry, found.agents, found.active, previous=self.snapshot, loaded_at=now
        )
        self._found, self._loaded_at = found, now
        self._revisions = {agent.id: agent.revision for agent in found.agents}
        self.from_file = database.path is not None
        return self.snapshot

    def save(self) -> None:
        """Keep what was read last for the next start."""
        found = self._found
        if found is not None and found.token != self._saved and self._disk.save(found):
            self._saved = found.token

    async def _read(self, database: Database) -> ActiveSet:
        try:
            return await database.run(repository.get_active_set)
        except SchemaError:
            # The migrations know better what is wrong, and what to do.
            await migrate.check_writable(database)
            raise

    def _is_older(self, found: ActiveSet) -> bool:
        """Return whether it is older than what is served: an agent was written to less often, and none more."""
        pairs = [(agent.revision, self._revisions.get(agent.id, agent.revision)) for agent in found.agents]
        return any(now < seen for now, seen in pairs) and not any(now > seen for now, seen in pairs)
