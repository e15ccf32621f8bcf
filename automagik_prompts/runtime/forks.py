"""What the end and the forks of a process mean to the plugins in it."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import Protocol

from automagik_prompts.runtime.thread import Worker

_EXIT_SECONDS = 0.25
_FORK_SECONDS = 2.0


class ForkAware(Protocol):
    """What is told of the end and of the forks of its process: a plugin."""

    def end(self) -> Worker | None:
        """Have the thread end, and return at once with what can be waited for."""

    def prepare_fork(self, deadline: float) -> None:
        """Get ready for a fork, before a time of the monotonic clock."""

    def resume_parent(self) -> None:
        """Go on after a fork, in the parent."""

    def resume_child(self) -> None:
        """Begin anew in a forked child, where the parent's threads do not exist."""


_inhabitants: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def enter(inhabitant: ForkAware) -> None:
    """Tell an object from now on, as long as it exists, when its process ends and forks."""
    _inhabitants.add(inhabitant)


def _end() -> None:
    """End every thread, waiting for all of them together no longer than anybody would notice."""
    deadline = time.monotonic() + _EXIT_SECONDS
    for worker in [inhabitant.end() for inhabitant in tuple(_inhabitants)]:
        if worker is not None:
            worker.join(max(0.0, deadline - time.monotonic()))


def _before_fork() -> None:
    deadline = time.monotonic() + _FORK_SECONDS
    for inhabitant in tuple(_inhabitants):
        inhabitant.prepare_fork(deadline)


def _after_fork_in_parent() -> None:
    for inhabitant in tuple(_inhabitants):
        inhabitant.resume_parent()


def _after_fork_in_child() -> None:
    for inhabitant in tuple(_inhabitants):
        inhabitant.resume_child()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
