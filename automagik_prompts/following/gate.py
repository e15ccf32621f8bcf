"""A gate before something that nobody may use at certain moments; it belongs to one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Lets tasks in while it is open.

    While somebody is inside, others may join even when it is shut: they use what is open already, and whoever is inside
    may depend on them.
    """

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._inside = 0

    @property
    def is_shut(self) -> bool:
        """Whether those inside should leave."""
        return not self._opened.is_set()

    def open(self) -> None:
        """Let everybody in."""
        self._opened.set()

    def shut(self) -> None:
        """Let nobody in any more, but those whom the ones inside may depend on."""
        self._opened.clear()

    async def until_open(self) -> None:
        """Return when it is open."""
        await self._opened.wait()

    async def until_empty(self) -> None:
        """Return when nobody is inside."""
        await self._empty.wait()

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Be inside, after waiting for the gate to open if need be."""
        while self.is_shut and not self._inside:
            await self._opened.wait()
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()
