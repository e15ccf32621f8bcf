"""Keeping the snapshot true: connect, seed, load, follow; on any failure say so once, wait, and try again for ever."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from automagik_prompts import migrations, repository, seeding
from automagik_prompts.changes import Changes, Listening, Polling
from automagik_prompts.constants import Registry
from automagik_prompts.db import Database
from automagik_prompts.disk import DiskSnapshot
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.repository import ActiveSet, Marker
from automagik_prompts.settings import Settings, redacted, redacted_url
from automagik_prompts.snapshot import Problem, Snapshot, build_snapshot
from automagik_prompts.types import Action, EventCreate, ServedPrompt, Source, State

logger = logging.getLogger("automagik_prompts")

OPERATION_TIMEOUT = 10.0
"""Seconds that one look at the database may take; then it counts as unreachable."""

FULL_LOAD_INTERVAL = 60.0
"""Seconds after which everything is read again even without a sign of a change."""

BACKOFF = (0.25, 5.0)
"""The first and the longest wait between two attempts to connect, in seconds."""

CLOSE_TIMEOUT = 5.0
"""Seconds for closing connections in order; then they are dropped."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the refresher stands.

    Attributes:
        state: How fresh what is served is.
        since: When that state began, on the monotonic clock.
        error: What keeps the database from being read, without secrets; `None` while it is read.
        read_at: When the database was last read, on the monotonic clock; `None` if it never was.
        listening: Whether notifications are known to arrive.
    """

    state: State
    since: float
    error: str | None = None
    read_at: float | None = None
    listening: bool = False


class Refresher:
    """Follows one database and publishes snapshots; runs on the plugin's own thread.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        publish: Takes each new snapshot.
        report: Takes each change of the status.
        offer: Takes the snapshot of the last known good texts on disk, if there is one, before the first attempt.
        snapshot: What is served already, in a forked child.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        publish: Callable[[Snapshot], None],
        report: Callable[[Status], None],
        offer: Callable[[Snapshot], None],
        snapshot: Snapshot | None = None,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._publish = publish
        self._report = report
        self._offer = offer
        self._saved_on_disk: Snapshot | None = None
        self._snapshot = snapshot
        self._status = Status(State.STARTING, time.monotonic())
        self._disk = DiskSnapshot(settings)
        self._changes: Changes = Polling(settings.interval)
        self._database: Database | None = None
        self._loading = asyncio.Lock()
        self._marker: Marker | None = None
        self._loaded_at = float("-inf")
        self._saved: Marker | None = None
        self._generation = -1
        self._served_from_file = False
        self._recorded: set[int] = set()

    async def run(self) -> None:
        """Follow the database until cancelled."""
        if self._settings.dialect == "postgres":
            self._changes = Listening(self._settings)
        attempt = 0
        try:
            self._load_from_disk()
            while True:
                try:
                    await self._session()
                    pause = self._changes.interval * random.uniform(1.0, 2.0)
                except Exception as error:  # noqa: BLE001  # the thread outlives whatever happens; it is reported below
                    attempt = 0 if self._status.state is State.LIVE else attempt + 1
                    self._failed(error)
                    first, longest = BACKOFF
                    pause = min(first * 2**attempt, longest) * random.uniform(0.5, 1.0)
                finally:
                    await self._close()
                await self._changes.wait(pause)
        finally:
            await self._changes.close()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Database]:
        """Give an open database: the one that is followed, or one for this purpose only while there is none.

        Raises:
            PromptsError: The database cannot be opened.
        """
        if self._database is not None:
            yield self._database
            return
        async with Database(self._settings.database_url, create=not self._served_from_file) as database:
            await self._prepare_schema(database)
            yield database

    async def reload(self) -> None:
        """Read everything again now and publish it; used after this process' own writes.

        Raises:
            PromptsError: The database cannot be read.
        """
        async with self.opened() as database:
            await self._load(database)

    def wake(self) -> None:
        """Look at the database at the next opportunity."""
        self._changes.wake()

    async def record_failure(self, prompt: ServedPrompt, reason: str) -> None:
        """Append an event that a version could not be rendered, once for each version."""
        if prompt.prompt_id is None or prompt.prompt_id in self._recorded:
            return
        self._recorded.add(prompt.prompt_id)
        await self._record(prompt.agent, prompt.status_key, prompt.prompt_id, prompt.version, reason)

    def _load_from_disk(self) -> None:
        """Have the last known good texts at hand before the database is asked, which may take its time."""
        if self._snapshot is None and (saved := self._disk.load()) is not None:
            self._saved_on_disk = build_snapshot(
                self._registry, saved.agents, saved.active, source=Source.DISK, loaded_at=None
            )
            self._offer(self._saved_on_disk)

    async def _session(self) -> None:
        """Connect, bring everything up to date, and follow until something fails or connections are short."""
        database = Database(self._settings.database_url, create=not self._served_from_file)
        async with asyncio.timeout(OPERATION_TIMEOUT):
            await database.open()
        self._database = database
        async with asyncio.timeout(OPERATION_TIMEOUT + migrations.LOCK_TIMEOUT):
            await self._prepare_schema(database)
        await self._seed_and_load(database)
        while not self._changes.crowded:
            notified = await self._changes.wait(self._changes.interval)
            database.check_present()
            await self._look(database, notified=notified)

    async def _look(self, database: Database, *, notified: bool) -> None:
        """Look for changes once: a single statement if there are none."""
        if self._registry.generation != self._generation:
            await self._seed_and_load(database)
        elif notified or time.monotonic() - self._loaded_at >= FULL_LOAD_INTERVAL:
            await self._load(database)
        else:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                marker = await database.run(repository.get_marker)
            if marker != self._marker:
                await self._load(database)
            else:
                self._set_status(State.LIVE)

    async def _prepare_schema(self, database: Database) -> None:
        """Bring the embedded schema up to date by itself; on a server a person decides when."""
        if database.dialect == "sqlite" and await migrations.pending(database):
            await migrations.upgrade(database)
        await migrations.check_schema(database)

    async def _seed_and_load(self, database: Database) -> None:
        if self._registry.generation != self._generation:
            generation = self._registry.generation
            if await self._seed(database):
                self._generation = generation
        await self._load(database)

    async def _seed(self, database: Database) -> bool:
        """Write what the code declares; serving does not depend on it. Return whether there is nothing left to try."""
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT * 3):
                done = await seeding.seed(database, self._registry.agents)
        except TimeoutError:
            logger.warning("Writing the code's prompts took too long; serving goes on, it is tried again.")
            return False
        except PromptsError as error:
            logger.warning("The code's prompts could not be written, serving goes on: %s", error)
            return True
        for item in done:
            if item.outcome == "drift":
                logger.warning(
                    "%s/%s: the code's text is version %s but was not activated, because a person decided otherwise. "
                    "Compare and activate it with: automagik-prompts activate %s %s %s",
                    *(item.agent, item.status_key, item.version, item.agent, item.status_key, item.version),
                )
        return True

    async def _load(self, database: Database) -> None:
        async with self._loading:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                found = await database.run(repository.get_active_set)
            now = time.monotonic()
            if self._is_behind(found.marker) and now - self._loaded_at < FULL_LOAD_INTERVAL:
                return  # a replica that has not caught up; were the database restored, it would stay like this
            snapshot = build_snapshot(
                self._registry, found.agents, found.active, previous=self._snapshot, loaded_at=now
            )
            self._snapshot, self._marker, self._loaded_at = snapshot, found.marker, now
            self._served_from_file = database.path is not None
            self._publish(snapshot)
            self._set_status(State.LIVE)
        self._save(found)
        for problem in snapshot.problems:
            await self._tell(problem)

    def _is_behind(self, marker: Marker) -> bool:
        """Say whether what was read is older than what is served: fewer writes of as many agents."""
        seen = self._marker
        return seen is not None and marker.revisions < seen.revisions and marker.agents >= seen.agents

    def _save(self, found: ActiveSet) -> None:
        if found.marker != self._saved:
            self._disk.save(found)
            self._saved = found.marker

    async def _tell(self, problem: Problem) -> None:
        """Log and record, once, that an active version cannot be served."""
        prompt = problem.prompt
        if prompt.prompt_id in self._recorded:
            return
        self._recorded.add(prompt.prompt_id)
        logger.error(
            "%s/%s: version %s is active but cannot be served: %s Run: automagik-prompts rollback %s %s",
            *(prompt.agent, prompt.status_key, prompt.version, problem.reason, prompt.agent, prompt.status_key),
        )
        await self._record(prompt.agent, prompt.status_key, prompt.prompt_id, prompt.version, problem.reason)

    async def _record(self, agent: str, status_key: str, prompt_id: int, version: int | None, reason: str) -> None:
        try:
            async with self.opened() as database:
                info = await database.run(repository.get_agent, agent)
                if info is None:
                    return
                actions = (Action.RENDER_FAILED,)
                if await database.run(repository.get_events, info.id, actions=actions, prompt_id=prompt_id, limit=1):
                    return  # another process has told
                event = EventCreate(
                    agent_id=info.id,
                    status_key=status_key,
                    action=Action.RENDER_FAILED,
                    revision=info.revision,
                    prompt_id=prompt_id,
                    version=version,
                    note=reason,
                )
                await database.transaction(repository.add_events, [event])
        except PromptsError as error:
            logger.warning("%s/%s: the event could not be recorded: %s", agent, status_key, error)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, TimeoutError):
            where = redacted_url(self._settings.database_url)
            words = f"The database {where} did not answer within {OPERATION_TIMEOUT:.0f} s."
        elif isinstance(error, PromptsError):
            words = error.message
        else:
            logger.error("The refresher met an unexpected error and goes on.", exc_info=error)
            words = f"{type(error).__name__}: {redacted(str(error), self._settings.database_url)}"
        self._generation = -1  # what the code declares may not be written yet
        if self._snapshot is None and self._saved_on_disk is not None:
            self._snapshot = self._saved_on_disk
            self._publish(self._snapshot)
        self._set_status(State.OFFLINE if self._snapshot is None else State.STALE, words)

    def _set_status(self, state: State, error: str | None = None) -> None:
        old, now = self._status, time.monotonic()
        self._status = Status(
            state,
            since=old.since if state is old.state else now,
            error=error,
            read_at=now if state is State.LIVE else old.read_at,
            listening=self._changes.listening,
        )
        if state is not old.state:
            if state is State.LIVE:
                logger.info("Prompts follow the database %s.", redacted_url(self._settings.database_url))
            else:
                what = "code's" if state is State.OFFLINE else "last known good"
                logger.warning("%s Meanwhile the %s prompts are served; it is tried until it works.", error, what)
        self._report(self._status)

    async def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await database.close()
            except (PromptsError, OSError, TimeoutError) as error:
                logger.debug("Closing the connection failed (%s); it is dropped.", type(error).__name__)
