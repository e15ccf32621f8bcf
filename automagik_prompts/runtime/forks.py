"""What the end and the forks of a process mean: the one place that the interpreter calls."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from automagik_prompts.runtime.thread import Worker

_EXIT_SECONDS = 0.5
_FORK_SECONDS = 8.0


class ForkAware(Protocol):
    """What is called at the end and at the forks of its process."""

    def end(self) -> Worker | None:
        """Have the thread end, and return at once with what can be waited for."""

    def prepare_fork(self, deadline: float) -> None:
        """Get ready for a fork, before a time of the monotonic clock."""

    def resume_parent(self) -> None:
        """Go on after a fork, in the parent."""

    def resume_child(self) -> None:
        """Begin anew in a forked child, where the parent's threads do not exist."""


_members: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_in_child: list[Callable[[], None]] = []


def enter(member: ForkAware) -> None:
    """Call an object from now on, as long as it exists, when its process ends and forks."""
    _members.add(member)


def register(*, child: Callable[[], None]) -> None:
    """Call a function in each forked child, before any member: it makes anew what the parent's threads may hold."""
    _in_child.append(child)


def _end() -> None:
    """End every thread, waiting for all of them together no longer than anybody would notice."""
    deadline = time.monotonic() + _EXIT_SECONDS
    for worker in [member.end() for member in tuple(_members)]:
        if worker is not None:
            worker.join(max(0.0, deadline - time.monotonic()))


def _before_fork() -> None:
    deadline = time.monotonic() + _FORK_SECONDS
    for member in tuple(_members):
        member.prepare_fork(deadline)


def _after_fork_in_parent() -> None:
    for member in tuple(_members):
        member.resume_parent()


def _after_fork_in_child() -> None:
    for renew in _in_child:
        renew()
    for member in tuple(_members):
        member.resume_child()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
