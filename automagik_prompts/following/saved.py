"""What is kept on disk for the next start, and what of it counts when the database is not there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source
from automagik_prompts.following.journal import Journal, Line
from automagik_prompts.following.memory.agents import AgentMap
from automagik_prompts.following.memory.choosing import AgentTexts
from automagik_prompts.following.memory.holding import Holding
from automagik_prompts.following.memory.packing import Packed, texts_of
from automagik_prompts.following.memory.snapshot import Look, Snapshot
from automagik_prompts.settings import Settings

STEP = 0.004
"""Seconds after which work on a large file gives way to others."""


class SavedTexts:
    """Reads the last known good texts once, and keeps them as they change.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        look: What a plugin that only looks is given, which keeps nothing on disk; `None` for one that serves.

    Attributes:
        snapshot: The last known good texts, once they were read and if there are any.
    """

    def __init__(self, settings: Settings, registry: Registry, look: Look | None = None) -> None:
        self.snapshot: Snapshot | None = None
        self._registry = registry
        self._journal = Journal(settings, reading=look is not None)
        self._names = look.names if look is not None else None
        self._agents: dict[str, Packed] = {}
        self._reading: asyncio.Task[None] | None = None
        self._rewriting: Iterator[None] | None = None

    @property
    def has_chores(self) -> bool:
        """Whether the file is to be written anew, step by step."""
        return self._rewriting is not None or self._journal.is_due

    async def read(self) -> Snapshot | None:
        """Return the last known good texts, read the first time that they are asked for."""
        await self._begun()
        return self.snapshot

    async def adopt(self, holding: Holding, seconds: float) -> bool | None:
        """Let what is on disk be compared with the database, in place of reading all of that.

        Args:
            holding: What was read of the database.
            seconds: How long to wait for what is being read from disk.

        Returns:
            Whether there is anything; `None` while it is still being read.
        """
        reading = self._begun()
        await asyncio.wait([reading], timeout=seconds)
        if not reading.done():
            return None
        found, self._agents = self._agents, {}
        holding.adopt(packed for name, packed in found.items() if holding.agents.get(name) is None)
        return bool(found)

    def _begun(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        found, deadline = self._agents, time.monotonic() + STEP
        for name, packed in self._journal.read():
            if packed is None:
                found.pop(name, None)
            elif self._names is None or name in self._names:
                found[name] = packed
            if time.monotonic() > deadline:
                await asyncio.sleep(0)
                deadline = time.monotonic() + STEP
        if self._journal.is_damaged:
            found.clear()
        if found:
            saved = Snapshot(self._registry, AgentMap().updated(found), Source.DISK)
            declared = filter(None, map(saved.agent, sorted(self._registry.agents)))
            self.snapshot = replace(saved, problems=tuple(fault for one in declared for fault in one.faults))

    async def has_more_than_code(self) -> bool:
        """Return whether a text on disk is not what the code declares: a person's version, or another choice."""
        await self.read()
        for name, packed in self._agents.items():
            declared = self._registry.agents.get(name)
            for status_key, text in texts_of(packed):
                code = declared.prompts.get(status_key) if declared is not None else None
                if code is None or code.text != text:
                    return True
        return False

    def beside(self, snapshot: Snapshot | None) -> Snapshot | None:
        """Return what is served in an outage: what was read of the database, and of other agents what is on disk."""
        if self.snapshot is None or (snapshot is not None and (snapshot.is_loaded or snapshot.source is Source.DISK)):
            return snapshot
        if snapshot is None:
            return self.snapshot
        entries = {
            name: entry for name in snapshot.agents if isinstance(entry := snapshot.agents.get(name), AgentTexts)
        }
        return Snapshot(self._registry, self.snapshot.agents.updated(entries), Source.DISK)

    def save(self, holding: Holding) -> None:
        """Keep what has changed."""
        changed, holding.unsaved = holding.unsaved, {}
        self._journal.append(changed.items())

    def do_chores(self, holding: Holding) -> None:
        """Go on with writing the file anew, for a moment."""
        if self._rewriting is None:
            self._rewriting = self._journal.rewrite(_lines(holding))
        deadline = time.monotonic() + STEP
        for _ in self._rewriting:
            if time.monotonic() > deadline:
                return
        self._rewriting = None

    def close(self) -> None:
        """Let another process keep the file."""
        self._rewriting = None
        if self._reading is not None:
            self._reading.cancel()
        self._journal.close()


def _lines(holding: Holding) -> Iterator[Line]:
    """Yield all agents, and after that those that changed meanwhile."""
    done = AgentMap()
    while (agents := holding.agents) is not done:
        yield from ((name, holding.read_of(name)) for name in agents.differing(done))
        done = agents
