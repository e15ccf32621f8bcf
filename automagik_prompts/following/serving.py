"""What a process serves at present: one snapshot, how fresh it is, and who waits for the first one.

Agent runs read it without a lock; the plugin's thread is the only one that brings news.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from automagik_prompts.domain.keys import SpellingClash, Status
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.served import ServedPrompt, State
from automagik_prompts.following.memory.snapshot import Snapshot

_FILTERED = (
    "Row-level security may hide rows of agents or prompts from this process' user, and what is hidden is not served. "
    "Connect as their owner or as a user with BYPASSRLS, or let a policy show that user all of their rows."
)
_CLOSED = "The plugin is closed and does not follow the database."
_OVERDUE = "The plugin's thread has not looked at the database when it was due; what was read last is served."
_FORKED_IN_USE = (
    "This process was forked while its parent could not let go of the SQLite file, so it cannot use it safely. It "
    "serves what was read before and follows no change. Start this worker again, or start the plugin after forking."
)


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """How a follower fares.

    Attributes:
        state: How fresh what is served is.
        since: When that state began, on the monotonic clock.
        error: What keeps the database from being read, without secrets; `None` while it is read.
        read_at: When the database was last read, on the monotonic clock; `None` if it never was.
        listening: Whether notifications are known to arrive.
        unheard: Why notifications do not arrive, and what helps; `None` while they do, or while that is not known.
        unwritten: What stands against writing what the code declares, without secrets; `None` if it is written.
        due: When the next report is due at the latest, on the monotonic clock; `None` if that is not known.
        clashes: The statuses whose texts were not written, as the database spells them otherwise.
        is_filtered: Whether row-level security may hide rows from this process' user.
        unreported: Why the process is not in the fleet, or its runs are not counted; `None` where it says so.
        changed_at: When it was found that something had changed which is not served yet, on the monotonic clock; `None`
            where all that is known of is served.
    """

    state: State
    since: float
    error: str | None = None
    read_at: float | None = None
    listening: bool = False
    unheard: str | None = None
    unwritten: str | None = None
    due: float | None = None
    clashes: tuple[SpellingClash, ...] = ()
    is_filtered: bool = False
    unreported: str | None = None
    changed_at: float | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know although the database is followed."""
        return (_FILTERED,) if self.is_filtered else ()


@dataclass(frozen=True, slots=True)
class Serving:
    """What a process serves, and how fresh it is: one value, so that both always agree.

    Attributes:
        snapshot: What is served; `None` before the first load has ended in one way or another.
        status: How the follower fares.
        found: What was read of the snapshot before.
        due: When the next report is due at the latest, on the monotonic clock; long ago if that is not known.
    """

    snapshot: Snapshot | None
    status: FollowerStatus
    found: Mapping[str, Mapping[Status | None, ServedPrompt]] = field(init=False, repr=False, compare=False)
    due: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", self.snapshot.found if self.snapshot is not None else {})
        object.__setattr__(self, "due", self.status.due or 0.0)


class RuntimeState:
    """Holds what is served, and says how fresh it is.

    Args:
        where: The database, as it may be shown.
        from_code: Makes the snapshot that is served where nothing else came in time.
        changing: Called with each snapshot that will take the place of another, with both, before it is served.
        changed: Called with the same when it is served.

    Attributes:
        serving: What is served, and how fresh it is as far as the follower has said.
        closed: Whether nothing is followed.
    """

    def __init__(
        self,
        where: str,
        from_code: Callable[[], Snapshot],
        changing: Callable[[Snapshot, Snapshot], None],
        changed: Callable[[Snapshot, Snapshot], None],
    ) -> None:
        self.serving = Serving(None, FollowerStatus(State.STARTING, time.monotonic()))
        self.closed = False
        self._where = where
        self._from_code = from_code
        self._changing = changing
        self._changed = changed
        self._lock = threading.Lock()
        self._deadline = 0.0
        self._arrived = threading.Event()
        self._loaded = threading.Event()
        self._fallback: Snapshot | None = None
        self._code: Snapshot | None = None
        self._overdue = False
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @property
    def snapshot(self) -> Snapshot | None:
        """What is served; `None` before the first load has ended in one way or another."""
        return self.serving.snapshot

    @property
    def read(self) -> Snapshot | None:
        """What was read, of the database or from disk; `None` also while the code's texts stand in for it."""
        return None if self.snapshot is self._code else self.snapshot

    @property
    def status(self) -> FollowerStatus:
        """How the follower fares; a thread that hangs cannot say so itself."""
        status = self.serving.status
        if not self.watch() or status.due is None:
            return status
        return replace(status, state=State.STALE, since=status.due, error=_OVERDUE, listening=False)

    def watch(self) -> bool:
        """Return whether the thread's report is overdue; whoever sees it first logs it."""
        due = self.serving.status.due
        if due is None or time.monotonic() <= due:
            return False
        if not self._overdue:  # without a lock, as agent runs come by here
            self._overdue = True
            logger.warning("%s It is logged when that is over.", _OVERDUE)
        return True

    def begin(self, startup_timeout: float) -> None:
        """Expect the first load of a thread that is about to start, for so many seconds."""
        with self._lock:
            now = time.monotonic()
            self.closed = False
            self._deadline = now + startup_timeout
            self._set_status(FollowerStatus(State.STARTING, now, read_at=self.serving.status.read_at))

    def close(self, *, followed: bool) -> None:
        """Follow nothing from now on, and let nobody wait; what is served stays.

        Args:
            followed: Whether there was a thread that followed the database until now.
        """
        with self._lock:
            self.closed = True
            if followed:
                old = self.serving.status
                state = State.STALE if old.state in {State.LIVE, State.STALE} else State.OFFLINE
                self._set_status(FollowerStatus(state, time.monotonic(), _CLOSED, old.read_at))
        self._announce()

    def resume_child(self, *, safe: bool) -> None:
        """Begin anew in a forked child; what is served stays.

        Args:
            safe: Whether the database may be opened in the child.
        """
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._loaded = threading.Event()
        self._waiters.clear()
        if self.closed:
            return
        if self.serving.snapshot is not None:
            self.serving.snapshot.found.clear()  # the next read comes by where the thread is started
        now, read_at = time.monotonic(), self.serving.status.read_at
        if safe:
            self._set_status(FollowerStatus(State.STARTING, now, read_at=read_at))
            return
        self.closed = True
        state = State.OFFLINE if read_at is None else State.STALE
        self._set_status(FollowerStatus(state, now, _FORKED_IN_USE, read_at))
        logger.warning("%s", _FORKED_IN_USE)

    # Those who wait for the first load.

    async def ready(self) -> Snapshot:
        """Wait for the first load until its time is over, and return what is served then."""
        if (snapshot := self.snapshot) is not None:
            return snapshot
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        waiter = (loop, arrived)
        self._waiters.append(waiter)
        try:
            # Looked at again: it may have come between the two lines.
            if self.snapshot is None and not self.closed:
                async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                    await arrived.wait()
        except TimeoutError:
            logger.debug("The first load took longer than startup_timeout; the code's prompts are served meanwhile.")
        finally:
            self._waiters.remove(waiter)
        return self._snapshot_or_fallback()

    def wait(self) -> Snapshot:
        """Do the same as `ready`, holding up the thread that calls it."""
        if (snapshot := self.snapshot) is not None:
            return snapshot
        self._arrived.wait(max(0.0, self._deadline - time.monotonic()))
        return self._snapshot_or_fallback()

    async def loaded(self) -> Snapshot | None:
        """Wait until the database has been read, `startup_timeout` after the start at most."""
        while ((snapshot := self.snapshot) is None or not snapshot.is_loaded) and not self.closed:
            waiter = (asyncio.get_running_loop(), asyncio.Event())
            self._waiters.append(waiter)
            try:
                async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                    await waiter[1].wait()
            except TimeoutError:
                break
            finally:
                self._waiters.remove(waiter)
        snapshot = self.snapshot
        return snapshot if snapshot is not None and snapshot.is_loaded else None

    def wait_loaded(self) -> Snapshot | None:
        """Do the same as `loaded`, holding up the thread that calls it."""
        if not self.closed:
            self._loaded.wait(max(0.0, self._deadline - time.monotonic()))
        snapshot = self.snapshot
        return snapshot if snapshot is not None and snapshot.is_loaded else None

    # News, from the plugin's thread.

    def take_fallback(self, snapshot: Snapshot) -> None:
        """Keep the last known good texts from disk at hand, for when the first load does not come in time."""
        self._fallback = snapshot

    def take(self, serving: Serving) -> None:
        """Take what the follower publishes. Where the first attempt failed nobody need wait any longer."""
        coming, status, old = serving.snapshot, serving.status, self.snapshot
        is_new = coming is not None and coming is not old
        if is_new and old is not None and coming is not None:
            self._changing(old, coming)
        with self._lock:
            before = self.snapshot
            # What stood in for the first load stays until there is something better.
            self.serving = Serving(coming or before, self.serving.status if self.closed else status)
            if coming is not None and coming.is_loaded:
                self._loaded.set()
                self._fallback = None
            overdue, self._overdue = self._overdue, False
        if overdue:
            logger.warning("The plugin's thread has reported again, after it had not when that was due.")
        if status.state is State.OFFLINE:
            self._snapshot_or_fallback()
        if is_new or status.state is State.OFFLINE:
            self._announce()
        if is_new and before is not None and coming is not None:
            self._changed(before, coming)

    def _announce(self) -> None:
        self._arrived.set()
        for loop, arrived in tuple(self._waiters):
            try:
                loop.call_soon_threadsafe(arrived.set)
            except RuntimeError:
                continue  # that loop has ended, and its waiter with it

    def _snapshot_or_fallback(self) -> Snapshot:
        """Return the snapshot, the last known good or the code's texts if the first load has not come."""
        with self._lock:
            if self.snapshot is not None:
                return self.snapshot
            fallback, status = self._fallback, self.serving.status
            if (settled := fallback) is None:
                settled = self._code = self._from_code()
            if status.state is not State.STARTING:
                self.serving = Serving(settled, status)
                return settled
            state, error = State.OFFLINE if fallback is None else State.STALE, _CLOSED
            if not self.closed:
                error = f"The database {self._where} has not been read yet; it is tried until it works."
            self.serving = Serving(settled, FollowerStatus(state, time.monotonic(), error))
        what = "code's" if fallback is None else "last known good"
        logger.warning("%s Meanwhile the %s prompts are served.", error, what)
        return settled

    def _set_status(self, status: FollowerStatus) -> None:
        self.serving = replace(self.serving, status=status)
