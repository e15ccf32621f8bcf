"""Keeping the snapshot true: connect, write, load, follow; on any failure say so once, wait, and try again for ever."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from automagik_prompts.database_url import redacted_url, sqlite_path
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.served import ServedPrompt, State
from automagik_prompts.exceptions import AccessDeniedError, DatabaseUnavailableError, PromptsError, SchemaError
from automagik_prompts.following import loader, writer
from automagik_prompts.following.fleet.heartbeat import Heartbeat
from automagik_prompts.following.incidents import IncidentLog
from automagik_prompts.following.listening import Listening
from automagik_prompts.following.loader import ReadAhead
from automagik_prompts.following.memory.snapshot import Look, Snapshot
from automagik_prompts.following.opening import OpenDatabase
from automagik_prompts.following.part import loader_for
from automagik_prompts.following.saved import STEP, SavedTexts
from automagik_prompts.following.serving import FollowerStatus, Serving
from automagik_prompts.following.signals import CHANCE, ChangeSignals, Polling, backoff, wait_watchfully
from automagik_prompts.following.writer import CodeWriter
from automagik_prompts.settings import Settings
from automagik_prompts.storage.database import Database

BACKOFF = (0.25, 5.0)
"""The first and the longest wait between two attempts to connect, in seconds."""

BACKOFF_DENIED = (1.0, 30.0)
"""The same where the server refuses the password: trying often helps nobody, and may lock the account."""

CROWDED_PATIENCE = 30.0
"""Seconds for which the server may refuse a connection because it has too many, before that counts as an outage."""

CROWDED_REST = 6.0
"""How many times as long as its reading took a process stays away from a server that is short of connections."""

CHORE_PAUSE = 0.02
"""Seconds between two steps of what need not be done at once, such as trying texts that nobody has asked for."""

_BEHIND = "The database answers with less than what was read before, as a replica does that has not caught up."


class Follower:
    """Follows one database and publishes what is served; runs on the plugin's own thread.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        heartbeat: Says that this process is there.
        publish: Takes what is served and how fresh it is, each time that either changes.
        offer: Takes the last known good texts on disk, if there are any.
        snapshot: What is served already, in a forked child.
        read_ahead: Reads what else must be at hand before a snapshot is published.
        requested: Called with what the code asks approval for.
        look: What a plugin that only looks is given to look at; `None` for one that serves.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        heartbeat: Heartbeat,
        publish: Callable[[Serving], None],
        offer: Callable[[Snapshot], None],
        snapshot: Snapshot | None = None,
        read_ahead: ReadAhead | None = None,
        requested: Callable[[ApprovalRequest], None] | None = None,
        look: Look | None = None,
    ) -> None:
        self._settings = settings
        self._heartbeat = heartbeat
        self._publish = publish
        self._offer = offer
        self._now = asyncio.get_running_loop().time
        self._incidents = IncidentLog(lambda: self.opened(writing=True), recording=settings.seed)
        self._saved = SavedTexts(settings, registry, look)
        self._loader = loader_for(settings.only, registry, snapshot, self._saved.adopt, read_ahead, look)
        self._snapshot = snapshot
        self._writer = CodeWriter(settings, registry, self._incidents, requested)
        self._signals: ChangeSignals = Polling(settings.interval)
        self._open = OpenDatabase(settings.database_url, self._must_exist, loader.OPERATION_TIMEOUT, look)
        self._loading = asyncio.Lock()
        self._status = FollowerStatus(State.STARTING, self._now())
        self._from_file = False
        self._look_at = 0.0
        self._reading_took = 0.0

    async def run(self) -> None:
        """Follow the database until cancelled."""
        if self._settings.dialect == "postgres":
            self._signals = Listening(self._settings)
        attempt = 0
        try:
            while True:
                await self._open.gate.until_open()
                async with self._open.gate.entered():
                    failure = await self._attempt()
                if self._open.gate.is_shut:
                    continue
                near_limit = self._signals.near_connection_limit
                if failure is None:
                    attempt = 0
                    pause = self._signals.interval * CHANCE.uniform(1.0, 2.0)
                    if near_limit:
                        # The slower the server, the more processes are in its way.
                        pause = max(pause, min(self._reading_took * CROWDED_REST, BACKOFF[1]))
                else:
                    attempt = 0 if self._status.state is State.LIVE and not near_limit else attempt + 1
                    self._failed(failure)
                    pause = backoff(attempt, *(BACKOFF_DENIED if isinstance(failure, AccessDeniedError) else BACKOFF))
                await self._signals.wait(pause)
        finally:
            self._saved.close()
            await self._signals.close()

    def opened(self, *, writing: bool = False) -> AbstractAsyncContextManager[Database]:
        """Give an open database: the one that is followed, or one for this purpose only while there is none.

        Args:
            writing: Whether it is to be written; then its schema must be the one that this release knows.
        """
        return self._open.lent(writing=writing)

    async def reload(self) -> None:
        """Read what was written and publish it; used after this process' own writes.

        Raises:
            PromptsError: The database cannot be read.
        """
        try:
            async with self.opened() as database:
                await self._load(database)
        except PromptsError:
            raise
        except TimeoutError:
            raise DatabaseUnavailableError(f"It did not answer within {loader.OPERATION_TIMEOUT:.0f} s.") from None
        except Exception as error:
            words = self._incidents.unexpected(error, "keeps what was written from being read back")
            raise PromptsError(words) from error

    async def release(self) -> None:
        """Close the database until `resume` (before a fork); what is under way may end first."""
        self._open.gate.shut()
        self._signals.wake()
        await self._open.gate.until_empty()

    def resume(self) -> None:
        """Open the database again after `release`."""
        self._open.gate.open()

    def wake(self) -> None:
        """Look at the database at the next opportunity."""
        self._signals.wake()

    async def record_failure(self, prompt: ServedPrompt, reason: str) -> None:
        """Append an event that a version could not be rendered, once for each version."""
        if prompt.prompt_id is not None:
            await self._incidents.record(prompt.agent, prompt.status_key, prompt.prompt_id, prompt.version, reason)

    async def _attempt(self) -> BaseException | None:
        """Follow the database until something fails, and return what; the thread outlives whatever happens."""
        reading = asyncio.get_running_loop().create_task(self._read_saved())
        try:
            await self._session()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                reading.cancel()
                if self._open.followed is not None:
                    await self._heartbeat.leave(self._open.at_the_end())
                raise
            return error  # something inside was cancelled, not this task
        except Exception as error:  # noqa: BLE001  # returned, and reported by the caller
            return error
        finally:
            await self._open.close()
            if not reading.cancelling():
                await reading
        return None

    async def _read_saved(self) -> None:
        """Offer the last known good texts on disk, where nothing is served yet."""
        try:
            if self._snapshot is None and (saved := await self._saved.read()) is not None:
                self._offer(saved)
        except Exception as error:  # noqa: BLE001  # reported there; the database may be there all the same
            self._incidents.unexpected(error, "keeps the disk snapshot from being read")

    async def _session(self) -> None:
        """Connect, bring everything up to date, and follow until something fails or connections are short."""
        began = self._now()
        database = await self._open.open()
        self._loader.begin_session()
        await (self._write_and_load if self._writer.is_due else self._load)(database)
        self._reading_took = self._now() - began
        self._signals.reached()
        while not self._signals.near_connection_limit and not database.is_outdated():
            notified = await wait_watchfully(self._signals, self._pause(), database.check_alive)
            if self._open.gate.is_shut:
                return
            if notified or self._now() >= self._look_at or self._heartbeat.seconds_left(self._now()) <= 0:
                database.check_present()
                await self._look(database, notified=notified)
            else:
                await self._do_chores(database)

    async def _must_exist(self) -> bool:
        """Return whether a missing file is an outage: it was read before, maybe by another process, and is gone."""
        path = sqlite_path(self._settings.database_url)
        is_missing = path is not None and not os.access(path, os.F_OK)
        return self._from_file or (is_missing and await self._saved.has_more_than_code())

    def _interval(self) -> float:
        """Return the seconds between two looks: fewer than usual where something is not as it should be."""
        interval = self._signals.interval
        if self._loader.is_behind or not self._loader.has_log:
            interval = min(interval, self._settings.interval)
        return interval if self._writer.blocker is None else min(interval, writer.WRITE_RETRY)

    def _pause(self) -> float:
        """Return the seconds until there is something to do."""
        left = max(0.0, min(self._look_at - self._now(), self._heartbeat.seconds_left(self._now())))
        return min(left, CHORE_PAUSE) if self._saved.has_chores or self._loader.holding.has_untried else left

    async def _do_chores(self, database: Database) -> None:
        """Do a little of what need not be done at once."""
        if self._saved.has_chores:
            self._saved.do_chores(self._loader.holding)
        elif self._loader.holding.try_some(STEP):
            await self._load(database)

    async def _look(self, database: Database, *, notified: bool) -> None:
        """Look for changes once: a single statement if there are none."""
        if self._writer.is_due:
            await self._write_and_load(database)
            return
        async with self._loading:
            has_changed = await self._heartbeat.look(database, self._loader, forced=notified, now=self._now())
        if has_changed:
            self._report(replace(self._status, changed_at=self._status.changed_at or self._now()))
            # What a clash of spellings kept from being written can be written when somebody has removed the other one.
            await (self._write_and_load if self._writer.clashes else self._load)(database)
        else:
            self._followed_to(self._snapshot)
        await self._heartbeat.clean(database)

    async def _write_and_load(self, database: Database) -> None:
        """Write what the code declares, then read."""
        if (due := self._status.due) is not None:
            self._report(replace(self._status, due=due + loader.OPERATION_TIMEOUT * writer.OPERATIONS * 2))
        await self._writer.write(database)
        try:
            await self._load(database)
        except SchemaError:
            # What blocks writing knows better what is wrong with the schema, and which command helps.
            if self._writer.blocker is not None:
                raise self._writer.blocker from None
            raise
        self._writer.log()

    async def _load(self, database: Database) -> None:
        """Read what is new and publish it."""
        async with self._loading:
            await self._loader.look(database, forced=True)
            async for snapshot in self._loader.read(database):
                self._followed_to(snapshot)
                self._incidents.note_invisible(self._loader.holding.unsaved)
                self._saved.save(self._loader.holding)
        self._heartbeat.changed(self._now())
        self._from_file = database.path is not None
        snapshot = self._loader.holding.snapshot(self._now())
        await self._incidents.note(snapshot, self._writer.clashes)

    def _followed_to(self, snapshot: Snapshot | None) -> None:
        """Publish what was read; while some of it is missing, or a replica is behind, that is no new state."""
        self._snapshot = snapshot
        self._look_at = self._now() + self._interval()
        if self._loader.is_behind:
            self._set_status(State.STALE, _BEHIND)
        elif self._loader.has_work:
            self._set_status(self._status.state, self._status.error)
        else:
            self._saved.snapshot = None
            self._heartbeat.served(State.LIVE, self._loader.position, snapshot)
            self._set_status(State.LIVE)

    def _failed(self, error: BaseException) -> None:
        refused = self._signals.failed(error)
        words = self._incidents.words_for(error, redacted_url(self._settings.database_url), loader.OPERATION_TIMEOUT)
        if refused:
            # Where connections are short one attempt may well fail, and the next one succeed: that is no outage yet.
            read_at = self._status.read_at
            if self._status.state is State.LIVE and read_at is not None and self._now() < read_at + CROWDED_PATIENCE:
                self._report(replace(self._status, error=words, listening=False))
                return
        else:
            self._writer.reset()
        self._snapshot = self._saved.beside(self._snapshot)
        self._set_status(State.OFFLINE if self._snapshot is None else State.STALE, words)

    def _set_status(self, state: State, error: str | None = None) -> None:
        old, now = self._status, self._now()
        live = state is State.LIVE
        is_behind = self._loader.has_work or not live
        # First of all: should the application's own logging fail, the state is known all the same.
        self._report(
            FollowerStatus(
                state,
                since=old.since if state is old.state else now,
                error=error,
                read_at=now if live else old.read_at,
                listening=self._signals.listening,
                unheard=self._signals.unheard,
                unwritten=self._writer.blocked_by,
                due=now + self._interval() + loader.OPERATION_TIMEOUT * 3 if live else None,
                clashes=self._writer.clashes,
                is_filtered=self._loader.is_filtered,
                unreported=self._heartbeat.unreported,
                changed_at=old.changed_at if is_behind else None,
            )
        )
        if state is not old.state:
            if live:
                logger.info("Prompts follow the database %s.", redacted_url(self._settings.database_url))
            else:
                texts = "code's" if state is State.OFFLINE else "last known good"
                logger.warning("%s Meanwhile the %s prompts are served; it is tried until it works.", error, texts)

    def _report(self, status: FollowerStatus) -> None:
        self._status = status
        self._publish(Serving(self._snapshot, status))
