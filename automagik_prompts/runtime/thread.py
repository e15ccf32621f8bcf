"""The one thread of a plugin: it owns an event loop, the follower, and through it every connection."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, TypeVarTuple

from automagik_prompts.domain.log import logger
from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.runtime.native import NativeThread

if TYPE_CHECKING:
    from automagik_prompts.following.follower import Follower

P = ParamSpec("P")
T = TypeVar("T")
_Ts = TypeVarTuple("_Ts")


RESTART = 1.0
"""Seconds after which an event loop that something has ended begins anew."""


class WorkerEndedError(DatabaseUnavailableError):
    """The plugin was closed before it was done, or its event loop ended."""

    def __init__(self) -> None:
        super().__init__(
            "The plugin was closed before it was done. If this was a write, look whether it was done before you try it "
            "again."
        )


class _DaemonThreads(concurrent.futures.ThreadPoolExecutor):
    """Runs each call on a daemon thread of its own.

    What an event loop hands to its executor is the lookup of host names. The interpreter waits for an ordinary pool's
    threads when it ends, so a name server that does not answer would keep the process from ending.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[T]:
        """Begin a call and return its future."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # handed to whoever waits
                future.set_exception(error)

        threading.Thread(target=run, name="automagik-prompts lookup", daemon=True).start()
        return future


class _Loop(asyncio.SelectorEventLoop):
    """The thread's event loop: the interpreter may end while it is being closed.

    Closing waits for the executor on a thread that is started for it, which fails at the interpreter's end on Python
    3.12.0 and 3.12.1. Nobody need wait for ours: its threads are daemons.
    """

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # asyncio's name
        """Leave the executor's threads to themselves."""

    def call_soon_threadsafe(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Drop what the thread of a connection tells after the end; nobody waits, and it would print a traceback."""
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        except RuntimeError:
            if not self.is_closed() or not str(getattr(callback, "__module__", "")).startswith("aiosqlite."):
                raise
            return asyncio.Handle(callback, args, self, context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Drop what asyncpg leaves behind where connecting is given up: nobody waits, and it would print a traceback.

        Its `TLSUpgradeProto` tells a future that the connection is lost, of which nobody asks any more.
        """
        error = context.get("exception")
        if isinstance(error, ConnectionError) and str(error) == "unexpected connection_lost() call":
            logger.debug("Connecting to the server was given up.")
            return
        super().call_exception_handler(context)


class Worker:
    """Runs a follower, and coroutines for callers on other threads and loops.

    The thread is a daemon, so that a process can end in any state without closing anything.

    Args:
        follower: Makes the follower; called on the thread.
    """

    def __init__(self, follower: Callable[[], Follower]) -> None:
        self._make = follower
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._follower: Follower | None = None
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._early: list[Callable[[], None]] = []
        self._stopping = threading.Event()
        self._told: set[str] = set()
        self._thread = NativeThread(self._run, "automagik-prompts")

    def start(self) -> None:
        """Start the thread; returns at once.

        Raises:
            RuntimeError: There are no threads of the operating system in this process.
        """
        self._thread.start()

    def call(self, function: Callable[[Follower], Coroutine[Any, Any, T]]) -> concurrent.futures.Future[T]:
        """Run a coroutine function with the follower, on the thread.

        Args:
            function: Takes the follower.

        Returns:
            The result, for the caller's thread or loop to wait for; a `WorkerEndedError` if there is nobody to do it.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def begin() -> None:
            loop, follower = self._loop, self._follower
            if loop is None or follower is None:
                future.set_exception(WorkerEndedError())
                return
            task = loop.create_task(function(follower))
            task.add_done_callback(lambda done: _pass_on(done, future))

        with self._lock:
            if not self._ready.is_set():
                self._early.append(begin)  # nobody waits for the thread to be there
                return future
        self._begin(begin)
        return future

    def _begin(self, begin: Callable[[], None]) -> None:
        """Have the thread begin something; where it has ended, whoever waits is told."""
        try:
            if (loop := self._loop) is not None:
                # An empty context: the caller's own context variables, such as its Tortoise context, are not ours.
                loop.call_soon_threadsafe(begin, context=contextvars.Context())
                return
        except RuntimeError:
            self._loop = None  # it was closed between the two lines
        begin()

    def _set_ready(self) -> None:
        """Begin what was asked for before the thread was there."""
        with self._lock:
            self._ready.set()
            early, self._early = self._early, []
        for begin in early:
            self._begin(begin)

    def wait_ready(self, seconds: float) -> bool:
        """Wait until the thread has imported what it needs, and return whether it has.

        A child that is forked in the middle of an import could never import those modules.
        """
        return self._ready.wait(seconds)

    def release(self, seconds: float) -> bool:
        """Have the follower close its database and keep it closed until `resume`, as the process is about to fork.

        Args:
            seconds: How long to wait for what is under way.

        Returns:
            Whether it is closed.
        """
        if self._thread.is_current or not self.wait_ready(seconds):
            return False
        try:
            self.call(lambda follower: follower.release()).result(seconds)
        except TimeoutError:
            return False
        except WorkerEndedError:
            return True  # and with it every connection
        return True

    def resume(self) -> None:
        """Let the follower open its database again; returns at once and never raises."""
        self._soon(lambda follower: follower.resume())

    def wake(self) -> None:
        """Have the follower look at the database soon; returns at once and never raises."""
        self._soon(lambda follower: follower.wake())

    def _soon(self, function: Callable[[Follower], None]) -> None:
        loop, follower = self._loop, self._follower
        if loop is not None and follower is not None:
            with suppress(RuntimeError):  # the loop has ended, and with it what was to be told
                loop.call_soon_threadsafe(function, follower)

    def end(self) -> None:
        """Have the thread close its connections in order and end; returns at once."""
        self._stopping.set()
        loop, main = self._loop, self._main
        if loop is not None and main is not None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(main.cancel)

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, so many seconds at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        _import_all()
        while not self._stopping.is_set():
            try:
                with asyncio.Runner(loop_factory=_Loop) as runner:
                    runner.run(self._serve())
            except asyncio.CancelledError:
                logger.debug("The plugin's event loop ends.")
            except BaseException as error:  # noqa: BLE001  # `SystemExit` too must not end a thread that others rely on
                self._tell(type(error).__name__)
            finally:
                self._loop = self._follower = None
                self._set_ready()
            self._stopping.wait(RESTART)

    def _tell(self, what: str) -> None:
        """Log, once for each kind, what has ended the event loop."""
        if what not in self._told and not self._stopping.is_set():
            self._told.add(what)
            with suppress(Exception):  # the application's own logging may be what has failed
                logger.error("The plugin's event loop was ended by %s; it begins anew.", what)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(_DaemonThreads(max_workers=1))
        self._main = asyncio.current_task()
        self._follower = self._make()
        self._set_ready()
        if not self._stopping.is_set():  # `end` may have come too early to find the task
            await self._follower.run()


def _import_all() -> None:
    """Import what reaches the database, here and not on an application's event loop.

    So much at once would make the garbage collector go through all of the application's objects in the middle of it or
    just afterwards, during which nobody else runs. What is there then counts as old, and the collector begins to count
    anew: that is what `freeze` with `unfreeze` does, without looking at a single object.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        import_module("automagik_prompts.following.follower")
        if collects and not gc.get_freeze_count():  # what the application has frozen stays so
            gc.freeze()
            gc.unfreeze()
    finally:
        if collects:
            gc.enable()


def _pass_on(task: asyncio.Task[T], future: concurrent.futures.Future[T]) -> None:
    """Give a task's outcome to whoever waits on another thread."""
    if future.cancelled():
        return
    if task.cancelled():
        # Not a cancellation of whoever waits: to them it is a failure like any other.
        future.set_exception(WorkerEndedError())
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())
