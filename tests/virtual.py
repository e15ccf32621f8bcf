"""An event loop whose clock a test can have skip over every wait, so that an hour takes a moment."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

_REAL_SECONDS = 0.001
"""How long sockets that are open get before time is skipped: on the loopback that is long."""


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop that does not wait while `skipping`: where nothing else is to be done, its clock moves on."""

    def __init__(self) -> None:
        self.skipping = False
        self._skipped = 0.0
        super().__init__(_SkippingSelector(self))

    def time(self) -> float:
        """Return the monotonic time, with what was skipped."""
        return super().time() + self._skipped

    def skip(self, seconds: float) -> None:
        """Move the clock on."""
        self._skipped += seconds


class _SkippingSelector(selectors.BaseSelector):
    def __init__(self, loop: SkippingLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self._loop.skipping or timeout is None or timeout <= 0:
            return self._real.select(timeout)
        # One file is the loop's own, by which other threads wake it.
        found = self._real.select(_REAL_SECONDS if len(self.get_map()) > 1 else 0)
        if not found:
            self._loop.skip(timeout)
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()
