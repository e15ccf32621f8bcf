"""A thread of the operating system, also where a library has put greenlets in the place of threads.

Under gevent's `monkey.patch_all()` a `threading.Thread` is a greenlet of the thread that starts it. The plugin's event
loop would then run in the application's thread, in the middle of the application's own event loops.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class NativeThread:
    """A daemon thread of the operating system.

    Args:
        target: What it runs.
        name: Its name.
    """

    def __init__(self, target: Callable[[], None], name: str) -> None:
        self._target = target
        self._name = name
        self._ident: int | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Start it; returns at once.

        Raises:
            RuntimeError: No thread of the operating system can be had: something else than gevent has replaced them.
        """
        if (begin := _original_start()) is not None:
            begin(self._run, ())
            return
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until it has ended, so many seconds at most; does nothing on the thread itself."""
        if self._ident is None or self.is_current:
            return
        if self._thread is not None:
            self._thread.join(seconds)
        else:
            self._ended.wait(seconds)

    @property
    def is_alive(self) -> bool:
        """Whether it may still run."""
        return not self._ended.is_set()

    @property
    def is_current(self) -> bool:
        """Whether it is asked on the thread itself."""
        return self._ident == threading.get_native_id()

    def _run(self) -> None:
        self._ident = threading.get_native_id()
        try:
            self._target()
        finally:
            self._ended.set()


class Mailbox(Generic[T]):
    """A bounded queue from any thread to one thread of the operating system; the oldest item goes first and first out.

    `queue.Queue` is gevent's own under gevent, and works only within one thread there.

    Args:
        limit: Items kept, at most.
    """

    def __init__(self, limit: int) -> None:
        self._items: deque[T] = deque(maxlen=limit)
        self._news = _allocate_lock()
        self._news.acquire()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Add an item, and return whether the oldest one was dropped for it."""
        is_full = len(self._items) == self._items.maxlen
        self._items.append(item)
        with suppress(RuntimeError):  # there is news already
            self._news.release()
        return is_full

    def get(self) -> T:
        """Wait for an item and take it."""
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                self._news.acquire()


def _allocate_lock() -> threading.Lock:
    """Return a lock of the operating system."""
    monkey: Any = sys.modules.get("gevent.monkey")
    lock: threading.Lock = monkey.get_original("_thread", "allocate_lock")() if monkey else threading.Lock()
    return lock


def _original_start() -> Callable[[Callable[[], None], tuple[()]], object] | None:
    """Return what starts a thread of the operating system where `threading` does not; `None` where it does."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and (monkey.is_module_patched("_thread") or monkey.is_module_patched("threading")):
        # Each thread has a hub, and making the first one imports: two threads that do so at once wait for each other.
        sys.modules["gevent"].get_hub()
        original: Callable[[Callable[[], None], tuple[()]], object] = monkey.get_original("_thread", "start_new_thread")
        return original
    patcher: Any = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        raise RuntimeError("eventlet has replaced the threads of this process")
    return None
