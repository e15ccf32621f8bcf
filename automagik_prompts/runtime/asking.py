"""The only question that an agent run asks after the start: for the version that its conversation goes on with.

It is asked where that version is not in memory and the database is followed: once for each version, with few questions
open at a time and a bounded wait. The answer comes into memory, also if nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from automagik_prompts.domain.served import ServedPrompt, State
from automagik_prompts.following.kept_versions import MAX_VERSIONS
from automagik_prompts.following.version_cache import Key
from automagik_prompts.runtime.lifecycle import Lifecycle

MAX_OPEN = 10
"""Questions that are open at a time, at most; what is beyond is answered with what is active."""


RETRY_SECONDS = 30.0
"""Seconds after which a version that could not be read is asked for again."""

_REMEMBERED = 10_000
"""Versions of which it is remembered that they were waited for, at most."""

_LATE = "It could not be read in time"


class Asking:
    """Asks for versions that are not in memory.

    Args:
        life: The thread that is asked.
    """

    def __init__(self, life: Lifecycle) -> None:
        self._life = life
        self._open: dict[Key, Future[None]] = {}
        self._until: dict[Key, float] = {}
        self._failed: dict[Key, float] = {}

    async def find(self, key: Key) -> tuple[ServedPrompt | None, str]:
        """Return a version that was active once; without one the reason.

        A version is waited for once, for `pin_timeout` at most, and only while the database is followed: by all runs
        that ask meanwhile, and by none later.
        """
        life = self._life
        if (found := self._known(key)) is not None:
            return found, ""
        agent, status_key, version = key
        if life.versions.is_withdrawn(life.state.snapshot, agent, status_key, version):
            return None, "It is withdrawn."
        if (reason := life.versions.absent.get(key)) is not None:
            return None, reason
        if life.state.status.state is not State.LIVE:
            return None, f"{_LATE}: the database is not followed now."
        if (asked := self._asked(key)) is None:
            return None, f"{_LATE}: too many versions are asked for at once, or it failed a moment ago."
        left = self._until.setdefault(key, time.monotonic() + life.settings.pin_timeout) - time.monotonic()
        if left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await _answer(asked)
        if len(self._until) > _REMEMBERED:
            self._until.clear()
        if (found := self._known(key)) is not None:
            return found, ""
        return None, life.versions.absent.get(key) or f"{_LATE} (pin_timeout); a later run may find it."

    def _known(self, key: Key) -> ServedPrompt | None:
        return self._life.versions.find_pinned(self._life.state.snapshot, *key)

    def _asked(self, key: Key) -> Future[None] | None:
        """Return the answer to come, asking for it unless somebody has."""
        if (asked := self._open.get(key)) is not None:
            return asked
        if time.monotonic() < self._failed.get(key, 0.0):
            return None
        if len(self._open) >= MAX_OPEN or (asked := self._life.submit(self._life.versions.asking(key))) is None:
            return None
        self._open[key] = asked
        asked.add_done_callback(partial(self._answered, key))
        return asked

    def _answered(self, key: Key, answer: Future[None]) -> None:
        self._open.pop(key, None)
        if answer.cancelled() or answer.exception() is not None:
            if len(self._failed) >= MAX_VERSIONS:
                self._failed.clear()
            self._failed[key] = time.monotonic() + RETRY_SECONDS
            self._until[key] = 0.0  # nobody waits for it again


async def _answer(asked: Future[None]) -> None:
    """Wait for an answer, on whatever event loop, and leave it alone if that ends."""
    loop, answered = asyncio.get_running_loop(), asyncio.Event()

    def tell(_answer: Future[None]) -> None:
        with suppress(RuntimeError):  # that loop has ended, and nobody waits there
            loop.call_soon_threadsafe(answered.set)

    asked.add_done_callback(tell)
    await answered.wait()
