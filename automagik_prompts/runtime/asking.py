"""The only question that an agent run asks after the start: for the version that its conversation goes on with.

It is asked where that version is not in memory and the database is followed: once for each version, with few questions
open at a time and a bounded wait. The answer comes into memory, also if nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from functools import partial

from automagik_prompts.domain.served import ServedPrompt, State
from automagik_prompts.following.version_cache import Key
from automagik_prompts.runtime.lifecycle import Lifecycle

MAX_OPEN = 10
"""Questions that are open at a time, at most; what is beyond is answered with what is active."""


class Asking:
    """Asks for versions that are not in memory.

    Args:
        life: The thread that is asked.
    """

    def __init__(self, life: Lifecycle) -> None:
        self._life = life
        self._open: dict[Key, Future[None]] = {}
        self._waited: set[Key] = set()

    async def find(self, key: Key) -> tuple[ServedPrompt | None, str]:
        """Return a version that was active once; without one the reason.

        A run waits for a version once, for `pin_timeout` at most, and only while the database is followed.
        """
        life = self._life
        if (found := self._known(key)) is not None:
            return found, ""
        if (reason := life.versions.absent.get(key)) is not None:
            return None, reason
        if life.state.status.state is not State.LIVE:
            return None, "It is not in memory, and the database is not followed now."
        if (asked := self._asked(key)) is None:
            return None, "It is not in memory, and too many versions are asked for at once."
        timeout = life.settings.pin_timeout
        if timeout and key not in self._waited:
            if len(self._waited) >= 10_000:
                self._waited.clear()
            self._waited.add(key)
            await asyncio.wait([asyncio.wrap_future(asked)], timeout=timeout)
        if (found := self._known(key)) is not None:
            return found, ""
        return None, life.versions.absent.get(key) or "It was not read in time (pin_timeout); the next run may find it."

    def _known(self, key: Key) -> ServedPrompt | None:
        return self._life.versions.find_pinned(self._life.state.snapshot, *key)

    def _asked(self, key: Key) -> Future[None] | None:
        """Return the answer to come, asking for it unless somebody has."""
        if (asked := self._open.get(key)) is not None:
            return asked
        if len(self._open) >= MAX_OPEN or (asked := self._life.submit(self._life.versions.asking(key))) is None:
            return None
        self._open[key] = asked
        asked.add_done_callback(partial(self._answered, key))
        return asked

    def _answered(self, key: Key, _answer: Future[None]) -> None:
        self._open.pop(key, None)
