"""Keeping the snapshot true: connect, seed, load, follow; on any failure say so once, wait, and try again for ever."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from automagik_prompts import migrations, repository, seeding
from automagik_prompts.changes import Changes, Polling
from automagik_prompts.constants import Registry
from automagik_prompts.db import Database
from automagik_prompts.exceptions import DatabaseUnavailableError, PromptsError
from automagik_prompts.repository import Marker
from automagik_prompts.settings import Settings, redacted, redacted_url
from automagik_prompts.snapshot import Problem, Snapshot, build_snapshot
from automagik_prompts.types import Action, EventCreate, ServedPrompt, State

logger = logging.getLogger("automagik_prompts")

OPERATION_TIMEOUT = 10.0
"""Seconds that one look at the database may take; then it counts as unreachable."""

FULL_LOAD_INTERVAL = 60.0
"""Seconds after which everything is read again even without a sign of a change."""

BACKOFF = (0.25, 5.0)
"""The first and the longest wait between two attempts to connect, in seconds."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the refresher stands.

    Attributes:
        state: How fresh what is served is.
        since: When that state began, on the monotonic clock.
        error: What keeps the database from being read, without secrets; `None` while it is read.
        read_at: When the database was last read, on the monotonic clock; `None` if it never was.
    """

    state: State
    since: float
    error: str | None = None
    read_at: float | None = None


class Refresher:
    """Follows one database and publishes snapshots; runs on the plugin's own thread.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        publish: Takes each new snapshot.
        report: Takes each change of the status.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        publish: Callable[[Snapshot], None],
        report: Callable[[Status], None],
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._publish = publish
        self._report = report
        self._status = Status(State.STARTING, time.monotonic())
        self._snapshot: Snapshot | None = None
        self._marker: Marker | None = None
        self._generation = -1
        self._loading = asyncio.Lock()
        self._changes: Changes = Polling(settings.interval)
        self._database: Database | None = None
        self._recorded: set[int] = set()

    @property
    def database(self) -> Database:
        """The open database.

        Raises:
            DatabaseUnavailableError: It is not open now; the message says why.
        """
        if self._database is None:
            raise DatabaseUnavailableError(
                self._status.error or f"The database {redacted_url(self._settings.database_url)} is not open yet."
            )
        return self._database

    async def run(self) -> None:
        """Follow the database until cancelled."""
        attempt = 0
        while True:
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001  # the thread outlives whatever happens; it is reported below
                attempt = 0 if self._status.state is State.LIVE else attempt + 1
                self._failed(error)
            finally:
                await self._close()
            first, longest = BACKOFF
            await self._changes.wait(min(first * 2**attempt, longest) * random.uniform(0.5, 1.0))

    async def reload(self) -> None:
        """Read everything again now and publish it; used after this process' own writes.

        Raises:
            PromptsError: The database cannot be read.
        """
        await self._load(self.database)

    def wake(self) -> None:
        """Look at the database at the next opportunity."""
        self._changes.wake()

    async def record_failure(self, prompt: ServedPrompt, reason: str) -> None:
        """Append an event that a version could not be rendered, once for each version."""
        if prompt.prompt_id is None or prompt.prompt_id in self._recorded:
            return
        self._recorded.add(prompt.prompt_id)
        await self._record(prompt.agent, prompt.status_key, prompt.prompt_id, prompt.version, reason)

    async def _session(self) -> None:
        """Connect, bring everything up to date, and follow until something fails."""
        database = Database(self._settings.database_url, create=self._marker is None)
        async with asyncio.timeout(OPERATION_TIMEOUT):
            await database.open()
        self._database = database
        async with asyncio.timeout(OPERATION_TIMEOUT + migrations.LOCK_TIMEOUT):
            await self._prepare_schema(database)
        await self._seed(database)
        await self._load(database)
        while True:
            await self._changes.wait(self._changes.interval)
            database.check_present()
            if self._registry.generation != self._generation:
                await self._seed(database)
                await self._load(database)
            elif await self._is_changed(database):
                await self._load(database)
            else:
                self._set_status(State.LIVE)

    async def _prepare_schema(self, database: Database) -> None:
        """Bring the embedded schema up to date by itself; on a server a person decides when."""
        if database.dialect == "sqlite" and await migrations.pending(database):
            await migrations.upgrade(database)
        await migrations.check_schema(database)

    async def _seed(self, database: Database) -> None:
        """Write what the code declares; serving does not depend on it."""
        self._generation = self._registry.generation
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT * 3):
                done = await seeding.seed(database, self._registry.agents)
        except (PromptsError, TimeoutError) as error:
            logger.warning(
                "The code's prompts could not be written, serving goes on: %s", self._words(error) or "it took too long"
            )
            return
        for item in done:
            if item.outcome == "drift":
                logger.warning(
                    "%s/%s: the code's text is version %s but was not activated, because a person decided otherwise. "
                    "Compare and activate it with: automagik-prompts activate %s %s %s",
                    item.agent,
                    item.status_key,
                    item.version,
                    item.agent,
                    item.status_key,
                    item.version,
                )

    async def _is_changed(self, database: Database) -> bool:
        async with asyncio.timeout(OPERATION_TIMEOUT):
            marker = await database.run(repository.get_marker)
        old = self._snapshot.loaded_at if self._snapshot is not None else None
        if marker == self._marker and old is not None and time.monotonic() - old < FULL_LOAD_INTERVAL:
            return False
        # A replica that is behind shows fewer writes of as many agents.
        seen = self._marker
        return seen is None or marker.revisions >= seen.revisions or marker.agents < seen.agents

    async def _load(self, database: Database) -> None:
        async with self._loading, asyncio.timeout(OPERATION_TIMEOUT):
            # The marker first: what is written between the two statements is seen as a change next time.
            marker = await database.run(repository.get_marker)
            agents = await database.run(repository.get_agents)
            active = await database.run(repository.get_active_prompts)
            snapshot = build_snapshot(
                self._registry, agents, active, previous=self._snapshot, loaded_at=time.monotonic()
            )
            self._snapshot, self._marker = snapshot, marker
            self._publish(snapshot)
            self._set_status(State.LIVE)
        for problem in snapshot.problems:
            await self._tell(problem)

    async def _tell(self, problem: Problem) -> None:
        """Log and record, once, that an active version cannot be served."""
        prompt = problem.prompt
        if prompt.id in self._recorded:
            return
        self._recorded.add(prompt.id)
        logger.error(
            "%s/%s: version %s is active but cannot be served: %s Run: automagik-prompts rollback %s %s",
            problem.agent,
            prompt.status_key,
            prompt.version,
            problem.reason,
            problem.agent,
            prompt.status_key,
        )
        await self._record(problem.agent, prompt.status_key, prompt.id, prompt.version, problem.reason)

    async def _record(self, agent: str, status_key: str, prompt_id: int, version: int | None, reason: str) -> None:
        try:
            database = self.database
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
        words = self._words(error) or (
            f"The database {redacted_url(self._settings.database_url)} did not answer within {OPERATION_TIMEOUT:.0f} s."
        )
        if not isinstance(error, PromptsError | TimeoutError):
            logger.error("The refresher met an unexpected error and goes on.", exc_info=error)
        self._set_status(State.OFFLINE if self._snapshot is None else State.STALE, words)

    def _words(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return ""
        if isinstance(error, PromptsError):
            return error.message
        return f"{type(error).__name__}: {redacted(str(error), self._settings.database_url)}"

    def _set_status(self, state: State, error: str | None = None) -> None:
        old, now = self._status, time.monotonic()
        self._status = Status(
            state,
            since=old.since if state is old.state else now,
            error=error,
            read_at=now if state is State.LIVE else old.read_at,
        )
        if state is not old.state:
            if state is State.LIVE:
                logger.info("Prompts follow the database %s.", redacted_url(self._settings.database_url))
            else:
                what = "the last known good prompts are" if state is State.STALE else "the code's prompts are"
                logger.warning("%s Meanwhile %s served; it is tried again until it works.", error, what)
        self._report(self._status)

    async def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            try:
                async with asyncio.timeout(5):
                    await database.close()
            except (PromptsError, OSError, TimeoutError) as error:
                logger.debug("Closing the connection failed (%s); it is dropped.", type(error).__name__)
