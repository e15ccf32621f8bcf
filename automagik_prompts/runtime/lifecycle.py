"""The life of one plugin in a process: its thread, what it publishes, and what is asked of it from outside."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from automagik_prompts.agent import plugins
from automagik_prompts.database_url import redacted_url, sqlite_path
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.served import PromptChange
from automagik_prompts.exceptions import ConfigurationError, DatabaseUnavailableError, PromptsError
from automagik_prompts.following import journal
from automagik_prompts.following.known_texts import TextStore
from automagik_prompts.following.memory.builder import code_snapshot
from automagik_prompts.following.memory.changes import changes_between
from automagik_prompts.following.memory.snapshot import Look, Snapshot
from automagik_prompts.following.serving import RuntimeState
from automagik_prompts.following.version_cache import VersionStore
from automagik_prompts.later import Later
from automagik_prompts.runtime import forks
from automagik_prompts.runtime.callbacks import Callbacks
from automagik_prompts.runtime.thread import Worker
from automagik_prompts.settings import Settings

if TYPE_CHECKING:
    from automagik_prompts.following import follower as following
    from automagik_prompts.following.fleet import heartbeat
    from automagik_prompts.following.fleet.heartbeat import Heartbeat
    from automagik_prompts.following.follower import Follower
    from automagik_prompts.storage.database import Database
else:
    following = Later("automagik_prompts.following.follower")
    heartbeat = Later("automagik_prompts.following.fleet.heartbeat")

T = TypeVar("T")


CALL_TIMEOUT = 120.0
"""Seconds that an edit may take: it asks up to forty times. A question that a server does not answer ends it sooner."""

LARGEST = 1_000_000
"""Versions sent to runs that are kept until they are counted, at most; that is done with each look."""

_CLOSE_SECONDS = 2.0


def _renew_lock() -> None:
    if (storage := sys.modules.get("automagik_prompts.storage.database")) is not None:
        storage.renew_lock()


forks.register(child=plugins.renew_lock)
forks.register(child=_renew_lock)
forks.register(child=journal.close_open)


class Lifecycle:
    """Starts and ends the thread that follows a database, survives forks, and hands work to the thread.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        look: What a plugin that only looks is given to look at; `None` for one that serves.

    Attributes:
        settings: The plugin's settings.
        registry: What the code declares.
        where: The database, for messages, without secrets.
        state: What is served, and how fresh it is.
        versions: Versions that are not active any more.
        callbacks: What is called when something else is served.
        requests: What is called when approval is asked for here.
        sent: Takes the id of each version that a run is sent.
        worker: The thread, while there is one.
    """

    def __init__(self, settings: Settings, registry: Registry, look: Look | None = None) -> None:
        self.settings = settings
        self.registry = registry
        self.where = redacted_url(settings.database_url)
        self.versions = VersionStore(registry)
        self.texts = TextStore(registry)
        self.callbacks: Callbacks[PromptChange] = Callbacks("on_change")
        self.requests: Callbacks[ApprovalRequest] = Callbacks("on_request")
        self.state = RuntimeState(self.where, lambda: code_snapshot(self.registry), self._superseded, self._publish)
        self.sent: deque[int] = deque(maxlen=LARGEST if settings.heartbeat else 0)
        self.worker: Worker | None = None
        self._heartbeat: Heartbeat | None = None
        self._look = look
        self._lock = threading.Lock()
        self._forkable = True
        self._threadless = False
        registry.watch(self._declared)
        forks.enter(self)

    def start(self) -> None:
        """Start the thread, unless it runs; returns at once."""
        with self._lock:
            if self.worker is None:
                self.state.begin(self.settings.startup_timeout)
                worker = Worker(self.make_follower)
                try:
                    worker.start()
                except RuntimeError as error:
                    self.state.close(followed=False)
                    self._warn_no_thread(error)
                else:
                    self.worker = worker

    def close(self) -> None:
        """End the thread and its connections; what was served last stays in use."""
        if (worker := self.end()) is not None:
            worker.join(_CLOSE_SECONDS)

    def end(self) -> Worker | None:
        """Have the thread end, and return at once with what can be waited for; nothing is followed from now on."""
        with self._lock:
            worker, self.worker = self.worker, None
            self.state.close(followed=worker is not None)
        if worker is not None:
            worker.end()
        self.callbacks.end()
        self.requests.end()
        return worker

    def make_follower(self) -> Follower:
        """Return a new follower; to be called on the thread's event loop."""
        state = self.state
        if self._heartbeat is None:
            self._heartbeat = heartbeat.Heartbeat(self.settings, self.registry, self.sent)
        return following.Follower(
            self.settings,
            self.registry,
            self._heartbeat,
            state.take,
            state.take_fallback,
            state.read,
            self._read_ahead,
            lambda request: self.requests.call([request]),
            self._look,
        )

    # What is done on the thread.

    async def edit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        """Write on the thread, and serve what was written here at once; other processes follow by themselves.

        Raises:
            PromptsError: As the function raises, or the database cannot be written now.
        """

        async def run(follower: Follower) -> T:
            async with follower.opened(writing=True) as database:
                done = await function(database)
            try:
                await follower.reload()
            except PromptsError as error:
                logger.warning("It was written, but reading it back failed: %s", error)
                follower.wake()
            return done

        return await self._call(run)

    async def read(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        """Read on the thread.

        Raises:
            PromptsError: As the function raises, or the database cannot be read now.
        """
        return await self._call(partial(_read, function))

    def submit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> Future[T] | None:
        """Read on the thread, and return at once; `None` without a thread."""
        return self.worker.call(partial(_read, function)) if self.worker is not None else None

    async def _call(self, function: Callable[[Follower], Coroutine[Any, Any, T]]) -> T:
        worker = self.worker
        if worker is None:
            raise ConfigurationError("The plugin is closed. Call start() first.")

        async def bounded(follower: Follower) -> T:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await function(follower)

        try:
            return await asyncio.wrap_future(worker.call(bounded))
        except TimeoutError:
            raise DatabaseUnavailableError(
                f"The database {self.where} did not answer within {CALL_TIMEOUT:.0f} s. Whether it was written is not "
                "known; look before you try again."
            ) from None

    # Forks.

    def prepare_fork(self, deadline: float) -> None:
        """Have an SQLite file closed while the process forks.

        SQLite keeps track of a process' locks in its memory, which a child inherits, while the locks themselves stay
        with the parent. A child that opens a file which was open when it was forked takes no lock of its own: others
        then remove the write-ahead log under its hands, and it sees no change any more.
        """
        worker = self.worker
        self._forkable = True
        if worker is None:
            return
        if sqlite_path(self.settings.database_url) is not None:
            self._forkable = worker.release(max(0.0, deadline - time.monotonic()))
        else:
            worker.wait_ready(max(0.0, deadline - time.monotonic()))

    def resume_parent(self) -> None:
        """Go on after a fork, in the parent."""
        if self.worker is not None:
            self.worker.resume()

    def resume_child(self) -> None:
        """Begin anew without a thread in a forked child, where the parent's does not exist; what is served stays."""
        self._lock = threading.Lock()
        self.callbacks.resume_child()
        self.requests.resume_child()
        # Kept, as closing what belongs to the parent would hang.
        _abandoned.append(self.worker)
        self.worker = self._heartbeat = None
        self.sent.clear()  # by the parent's runs
        self.state.resume_child(safe=self._forkable)

    def _warn_no_thread(self, error: RuntimeError) -> None:
        if not self._threadless:
            self._threadless = True
            logger.warning(
                "The database is not followed: %s, and the plugin needs a thread of the operating system. What is on "
                "disk or in code is served.",
                error,
            )

    def _declared(self) -> None:
        """Look at what the code declares now: a module that was loaded again may declare another text."""
        if (worker := self.worker) is not None:
            worker.wake()

    def _superseded(self, old: Snapshot, new: Snapshot) -> None:
        self.versions.superseded(old, new)
        self.texts.superseded(old, new)

    async def _read_ahead(self, database: Database) -> None:
        await self.versions.read_ahead(database)
        await self.texts.read_ahead(database)

    def _publish(self, old: Snapshot, new: Snapshot) -> None:
        if self.callbacks:
            self.callbacks.call(changes_between(old, new))


async def _read(function: Callable[[Database], Coroutine[Any, Any, T]], follower: Follower) -> T:
    async with follower.opened() as database:
        return await function(database)


_abandoned: list[Worker | None] = []
"""The threads' objects of the processes that this one was forked from."""
