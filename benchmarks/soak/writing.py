"""Those who change prompts: each publishes, activates, takes back and deactivates, one thing after the other."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

from automagik_prompts.editing import commands
from automagik_prompts.exceptions import ConflictError, PromptNotFoundError, PromptsError
from automagik_prompts.storage.database import Database
from benchmarks.soak.runner import AGENT, STATUSES, text
from benchmarks.soak.sides import Side

_TIMEOUT = 20.0
"""Seconds that a write may take; then it counts as failed, whatever became of it."""


class Writer:
    """Somebody who writes to one side; whose write fails goes on with another one.

    In the first status there are only ever newer texts, by which it is measured how soon they are served.

    Args:
        side: Where.
        chance: What the choices come from.
        numbers: Where the texts' numbers come from; no two are the same.
    """

    def __init__(self, side: Side, chance: random.Random, numbers: Iterator[int]) -> None:
        self._side = side
        self._chance = chance
        self._numbers = numbers

    def write(self) -> None:
        """Do one thing."""
        first, other = STATUSES
        kind = self._chance.choices(
            ("publish", "publish to the other status", "activate an older version", "roll back", "deactivate"),
            (10, 3, 2, 2, 2),
        )[0]
        try:
            asyncio.run(self._do(kind, first if kind == "publish" else other))
        except (PromptNotFoundError, ConflictError):
            kind = "writes refused: nothing to do, or somebody else was first"
        except (PromptsError, TimeoutError):
            kind = "writes that failed"
        self._side.done[kind] += 1

    def publish(self) -> int | None:
        """Publish a text in the first status and return its version; unlike `write` this may fail."""
        return asyncio.run(self._do("publish", STATUSES[0]))

    async def _do(self, kind: str, status_key: str) -> int | None:
        number = next(self._numbers)
        async with asyncio.timeout(_TIMEOUT), Database(self._side.url, create=False) as database:
            if kind == "roll back":
                change = await commands.rollback(database, AGENT, status_key)
            elif kind == "deactivate":
                change = await commands.deactivate(database, AGENT, status_key)
            elif kind == "activate an older version":
                change = await commands.activate(database, AGENT, status_key, self._chance.randint(1, 5))
            else:
                self._side.began[number] = time.monotonic()
                change = await commands.create(database, AGENT, status_key, text(status_key, number), activate=True)
                if status_key == STATUSES[0]:
                    self._side.committed[number] = time.monotonic()
            return change.active_version
