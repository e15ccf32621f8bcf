"""Keeping the snapshot true: connect, seed, load, follow; on any failure say so once, wait, and try again for ever."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import SpellingClash
from automagik_prompts.domain.served import ServedPrompt, Source, State
from automagik_prompts.editing import sync
from automagik_prompts.exceptions import AccessDeniedError, DatabaseUnavailableError, PromptsError, SchemaError
from automagik_prompts.following.cache_file import DiskSnapshot
from automagik_prompts.following.signals import ChangeSignals, Listening, Polling, backoff
from automagik_prompts.following.snapshot import Snapshot, build_snapshot
from automagik_prompts.runtime.gate import Gate
from automagik_prompts.runtime.incidents import IncidentLog
from automagik_prompts.schema import migrate
from automagik_prompts.settings import Settings, redacted_url
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.repository import ActiveSet, ChangeToken

logger = logging.getLogger("automagik_prompts")

OPERATION_TIMEOUT = 10.0
"""Seconds that one look at the database may take; then it counts as unreachable."""

FULL_LOAD_INTERVAL = 60.0
"""Seconds after which everything is read again even without a sign of a change; so long, too, what is older than what
is served is not believed."""

WRITE_RETRY = 10.0
"""Seconds after which what the code declares is tried to be written again, where something stood against it."""

UPGRADE_TIMEOUT = 60.0
"""Seconds that bringing an embedded schema up to date may take besides, with waiting for another process that does."""

BACKOFF = (0.25, 5.0)
"""The first and the longest wait between two attempts to connect, in seconds."""

BACKOFF_DENIED = (1.0, 30.0)
"""The same where the server refuses the password: trying often helps nobody, and may lock the account."""

CROWDED_PATIENCE = 30.0
"""Seconds for which the server may refuse a connection because it has too many, before that counts as an outage."""

CROWDED_REST = 6.0
"""How many times as long as its reading took a process stays away from a server that is short of connections."""

CLOSE_TIMEOUT = 5.0
"""Seconds for closing connections in order; then they are dropped."""

_BEHIND = "The database answers with less than what was read before, as a replica does that has not caught up."


@dataclass(frozen=True, slots=True)
class Status:
    """How the refresher stands.

    Attributes:
        state: How fresh what is served is.
        since: When that state began, on the monotonic clock.
        error: What keeps the database from being read, without secrets; `None` while it is read.
        read_at: When the database was last read, on the monotonic clock; `None` if it never was.
        listening: Whether notifications are known to arrive.
        unwritten: What stands against writing what the code declares, without secrets; `None` if it is written.
        due: When the next report is due at the latest, on the monotonic clock; `None` if there is no telling.
        clashes: The statuses whose texts were not written, as the database spells them otherwise.
    """

    state: State
    since: float
    error: str | None = None
    read_at: float | None = None
    listening: bool = False
    unwritten: str | None = None
    due: float | None = None
    clashes: tuple[SpellingClash, ...] = ()


class Follower:
    """Follows one database and publishes snapshots; runs on the plugin's own thread.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        publish: Takes each new snapshot.
        report: Takes each change of the status.
        offer: Takes the snapshot of the last known good texts on disk, if there is one, before the first attempt.
        snapshot: What is served already, in a forked child.
        read_ahead: Reads what else must be at hand before a snapshot is published.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        publish: Callable[[Snapshot], None],
        report: Callable[[Status], None],
        offer: Callable[[Snapshot], None],
        snapshot: Snapshot | None = None,
        read_ahead: Callable[[Database], Awaitable[None]] | None = None,
    ) -> None:
        self._settings = settings
        self._read_ahead = read_ahead
        self._registry = registry
        self._publish = publish
        self._report = report
        self._offer = offer
        self._asked_disk = False
        self._saved_on_disk: Snapshot | None = None
        self._snapshot = snapshot
        # The loop's clock is the monotonic one; a test may run on a loop whose time it moves itself.
        self._now = asyncio.get_running_loop().time
        self._status = Status(State.STARTING, self._now())
        self._disk = DiskSnapshot(settings)
        self._changes: ChangeSignals = Polling(settings.interval)
        self._database: Database | None = None
        self._gate = Gate()
        self._borrowers = Gate()
        self._loading = asyncio.Lock()
        self._marker: ChangeToken | None = None
        self._loaded_at = float("-inf")
        self._saved: ChangeToken | None = None
        self._revisions: Mapping[int, int] = {}
        self._behind_since: float | None = None
        self._generation = -1
        self._write_at = 0.0
        self._blocker: PromptsError | None = None
        self._told: str | None = None
        self._clashes: tuple[SpellingClash, ...] = ()
        self._told_clashes: set[SpellingClash] = set()
        self._served_from_file = False
        self._reading_took = 0.0
        self._failures = IncidentLog(lambda: self.opened(writing=True), recording=settings.seed)

    async def run(self) -> None:
        """Follow the database until cancelled."""
        if self._settings.dialect == "postgres":
            self._changes = Listening(self._settings)
        attempt = 0
        try:
            while True:
                await self._gate.until_open()
                async with self._gate.entered():
                    failure = await self._attempt()
                if self._gate.is_shut:
                    continue
                if failure is None:
                    attempt = 0
                    pause = self._changes.interval * random.uniform(1.0, 2.0)
                    if self._changes.near_connection_limit:
                        # The slower the server, the more processes are in its way.
                        pause = max(pause, min(self._reading_took * CROWDED_REST, BACKOFF[1]))
                else:
                    attempt = (
                        0
                        if self._status.state is State.LIVE and not self._changes.near_connection_limit
                        else attempt + 1
                    )
                    self._failed(failure)
                    pause = backoff(attempt, *(BACKOFF_DENIED if isinstance(failure, AccessDeniedError) else BACKOFF))
                await self._changes.wait(pause)
        finally:
            await self._changes.close()

    async def _attempt(self) -> BaseException | None:
        """Follow the database until something fails, and return what; the thread outlives whatever happens."""
        try:
            self._load_from_disk()
            await self._session()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return error  # something inside was cancelled, not this task
        except Exception as error:  # noqa: BLE001  # returned, and reported by the caller
            return error
        finally:
            await self._close()
        return None

    @asynccontextmanager
    async def opened(self, *, writing: bool = False) -> AsyncIterator[Database]:
        """Give an open database: the one that is followed, or one for this purpose only while there is none.

        Args:
            writing: Whether it is to be written; then its schema must be the one that this release knows.

        Raises:
            PromptsError: The database cannot be opened.
            SchemaError: It is to be written and its schema is older or newer than this release.
        """
        async with self._gate.entered():
            if (followed := self._database) is not None:
                async with self._borrowers.entered():
                    if writing:
                        await migrate.check_writable(followed)
                    yield followed
                return
            async with Database(self._settings.database_url, create=not self._served_from_file) as database:
                try:
                    await self._prepare_schema(database)
                except PromptsError:
                    if writing:
                        raise
                    # What is there may be readable; if it is not, reading says so.
                yield database

    async def reload(self) -> None:
        """Read everything again now and publish it; used after this process' own writes.

        Raises:
            PromptsError: The database cannot be read.
        """
        try:
            async with self.opened() as database:
                await self._load(database)
        except PromptsError:
            raise
        except TimeoutError:
            raise DatabaseUnavailableError(f"It did not answer within {OPERATION_TIMEOUT:.0f} s.") from None
        except Exception as error:
            words = self._failures.unexpected(error, "keeps what was written from being read back")
            raise PromptsError(words) from error

    async def release(self) -> None:
        """Close the database and keep it closed until `resume`; what is under way may end first."""
        self._gate.shut()
        self._changes.wake()
        await self._gate.until_empty()

    def resume(self) -> None:
        """Open the database again after `release`."""
        self._gate.open()

    def wake(self) -> None:
        """Look at the database at the next opportunity."""
        self._changes.wake()

    async def record_failure(self, prompt: ServedPrompt, reason: str) -> None:
        """Append an event that a version could not be rendered, once for each version."""
        if prompt.prompt_id is not None:
            await self._failures.record(prompt.agent, prompt.status_key, prompt.prompt_id, prompt.version, reason)

    def _load_from_disk(self) -> None:
        """Have the last known good texts at hand before the database is asked, which may take its time."""
        if self._snapshot is not None or self._asked_disk:
            return
        self._asked_disk = True
        if (saved := self._disk.load()) is not None:
            self._saved_on_disk = build_snapshot(
                self._registry, saved.agents, saved.active, source=Source.DISK, loaded_at=None
            )
            self._offer(self._saved_on_disk)

    async def _session(self) -> None:
        """Connect, bring everything up to date, and follow until something fails or connections are short."""
        began = self._now()
        database = Database(self._settings.database_url, create=not self._served_from_file)
        async with asyncio.timeout(OPERATION_TIMEOUT):
            await database.open()
        self._database = database
        if self._has_to_write():
            await self._write_and_load(database)
        else:
            await self._load(database)
        self._reading_took = self._now() - began
        self._changes.reached()
        while not self._changes.near_connection_limit and not database.is_outdated():
            notified = await self._changes.wait(self._interval())
            if self._gate.is_shut:
                return
            database.check_present()
            await self._look(database, notified=notified)

    def _interval(self) -> float:
        """Return the seconds until the next look: sooner than usual where something is not as it should be."""
        interval = self._changes.interval
        if self._behind_since is not None:
            interval = min(interval, self._settings.interval)
        return interval if self._blocker is None else min(interval, WRITE_RETRY)

    def _has_to_write(self) -> bool:
        """Say whether what the code declares may not be written yet, and it is time to try."""
        declared = self._registry.generation != self._generation
        return declared or (self._blocker is not None and self._now() >= self._write_at)

    async def _look(self, database: Database, *, notified: bool) -> None:
        """Look for changes once: a single statement if there are none."""
        # What a clash of spellings kept from being written can be written when somebody has removed the other one.
        load = self._write_and_load if self._clashes else self._load
        if self._has_to_write():
            await self._write_and_load(database)
        elif notified or self._now() - self._loaded_at >= FULL_LOAD_INTERVAL:
            await load(database)
        else:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                marker = await database.run(repository.get_change_token)
            if marker != self._marker:
                await load(database)
            else:
                self._set_status(State.LIVE)

    async def _prepare_schema(self, database: Database) -> None:
        """Bring the embedded schema up to date by itself; on a server a person decides when."""
        async with asyncio.timeout(OPERATION_TIMEOUT + (UPGRADE_TIMEOUT if database.is_embedded else 0.0)):
            await migrate.prepare(database)
            await migrate.check_writable(database)

    async def _write_and_load(self, database: Database) -> None:
        """Write what the code declares, then read; serving does not depend on the writing."""
        self._generation, self._write_at = self._registry.generation, self._now() + WRITE_RETRY
        self._blocker = None
        try:
            if self._settings.seed:
                await self._prepare_schema(database)
                await self._seed(database)
        except PromptsError as error:
            self._blocker = error
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001  # reported there; what can be read is served all the same
            self._blocker = PromptsError(
                self._failures.unexpected(error, "keeps the code's prompts from being written")
            )
        try:
            await self._load(database)
        except SchemaError:
            # What stands against writing knows better what is wrong with the schema, and which command helps.
            if self._blocker is not None:
                raise self._blocker from None
            raise
        told = self._blocker.message if self._blocker is not None else None
        if told is not None and told != self._told:
            logger.warning("The code's prompts could not be written, serving goes on: %s", told)
        self._told = told

    async def _seed(self, database: Database) -> None:
        """Write the code's texts that the database has not seen.

        Raises:
            PromptsError: Something stands against it.
        """
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT * 3):
                done = await sync.seed(database, self._registry.agents)
        except TimeoutError:
            raise DatabaseUnavailableError("It took too long; it is tried again.") from None
        self._clashes = tuple(item.clash for item in done if item.clash is not None)
        for item in done:
            if item.outcome == "drift":
                logger.warning(
                    "%s/%s: the code's text is version %s but was not activated, because a person decided otherwise. "
                    "Compare and activate it with: automagik-prompts activate %s %s %s",
                    *(item.agent, item.status_key, item.version, item.agent, item.status_key, item.version),
                )

    async def _load(self, database: Database) -> None:
        async with self._loading:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                found = await self._read(database)
            now = self._now()
            if self._is_behind(found):
                # A replica that has not caught up; a database that was restored stays like this, and is believed then.
                self._behind_since = now if self._behind_since is None else self._behind_since
                if now - self._behind_since < FULL_LOAD_INTERVAL:
                    self._set_status(self._status.state, self._status.error and _BEHIND)
                    return
            self._behind_since = None
            if self._read_ahead is not None:
                async with asyncio.timeout(OPERATION_TIMEOUT):
                    await self._read_ahead(database)
            snapshot = build_snapshot(
                self._registry, found.agents, found.active, previous=self._snapshot, loaded_at=now
            )
            self._snapshot, self._marker, self._loaded_at = snapshot, found.marker, now
            self._revisions = {agent.id: agent.revision for agent in found.agents}
            self._served_from_file = database.path is not None
            self._publish(snapshot)
            self._set_status(State.LIVE)
        self._save(found)
        for clash in sorted({*snapshot.clashes, *self._clashes} - self._told_clashes):
            self._told_clashes.add(clash)
            logger.warning("%s", clash)
        for problem in snapshot.problems:
            await self._failures.unservable(problem)

    async def _read(self, database: Database) -> ActiveSet:
        try:
            return await database.run(repository.get_active_set)
        except SchemaError:
            # The migrations tell better what is wrong, and what to do.
            await migrate.check_writable(database)
            raise

    def _is_behind(self, found: ActiveSet) -> bool:
        """Say whether what was read is older than what is served: an agent was written to less often, and none more."""
        pairs = [(agent.revision, self._revisions.get(agent.id, agent.revision)) for agent in found.agents]
        return any(now < seen for now, seen in pairs) and not any(now > seen for now, seen in pairs)

    def _save(self, found: ActiveSet) -> None:
        if found.marker != self._saved and self._disk.save(found):
            self._saved = found.marker

    def _failed(self, error: BaseException) -> None:
        refused = self._changes.failed(error)
        if isinstance(error, TimeoutError):
            where = redacted_url(self._settings.database_url)
            words = f"The database {where} did not answer within {OPERATION_TIMEOUT:.0f} s."
        elif isinstance(error, PromptsError):
            words = error.message
        else:
            words = self._failures.unexpected(error, "keeps the database from being followed")
        if refused:
            # Where connections are short one attempt may well fail, and the next one succeed: that is no outage yet.
            read_at = self._status.read_at
            if self._status.state is State.LIVE and read_at is not None and self._now() < read_at + CROWDED_PATIENCE:
                self._status = replace(self._status, error=words, listening=False)
                self._report(self._status)
                return
        else:
            self._generation = -1  # what the code declares may not be written yet
        if self._snapshot is None and self._saved_on_disk is not None:
            self._snapshot = self._saved_on_disk
            self._publish(self._snapshot)
        self._set_status(State.OFFLINE if self._snapshot is None else State.STALE, words)

    def _set_status(self, state: State, error: str | None = None) -> None:
        old, now = self._status, self._now()
        live = state is State.LIVE
        self._status = Status(
            state,
            since=old.since if state is old.state else now,
            error=error,
            read_at=now if live else old.read_at,
            listening=self._changes.listening,
            unwritten=self._blocker.message if self._blocker is not None else None,
            due=now + self._interval() + OPERATION_TIMEOUT * 3 if live else None,
            clashes=self._clashes,
        )
        # Before it is logged: should the host's own logging fail, the state is told all the same.
        self._report(self._status)
        if state is not old.state:
            if live:
                logger.info("Prompts follow the database %s.", redacted_url(self._settings.database_url))
            else:
                what = "code's" if state is State.OFFLINE else "last known good"
                logger.warning("%s Meanwhile the %s prompts are served; it is tried until it works.", error, what)

    async def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._borrowers.until_empty()
            except TimeoutError:
                logger.debug("What is under way with the database takes too long; it is closed all the same.")
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await database.close()
            except (PromptsError, OSError, TimeoutError) as error:
                logger.debug("Closing the connection failed (%s); it is dropped.", type(error).__name__)
