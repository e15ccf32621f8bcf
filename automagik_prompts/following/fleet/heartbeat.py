"""How a process says that it is there, what it serves and what it has sent: once a minute, and after each change.

On a server that is part of the statement that looks for changes. Following never depends on it: where it cannot be
said, that is known (`health().unreported`), and tried again ever more seldom.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import time
from collections import deque
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import uuid4

from automagik_prompts.database_url import identity_of
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.running.fleet import Beat, Unserved
from automagik_prompts.domain.served import State
from automagik_prompts.domain.summaries import Changes, Position
from automagik_prompts.domain.validation import MAX_NAME_LENGTH
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.following.fleet.counting import RunCounts
from automagik_prompts.following.loader import Loader
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.following.signals import CHANCE, backoff
from automagik_prompts.settings import Settings
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

MISSED = 2.5
"""How many times as long as from one sign of life to the next a process counts as alive after one."""

EARLY = 0.25
"""The share of that time by which a sign of life may come early, with a look that is made anyway."""

REST = 5.0
"""Seconds between two signs of life, at least, however often something changes."""

SPREAD = 0.5
"""Seconds over which processes spread what they say after a change that reaches all of them at once."""

WITHIN = 3.0
"""Seconds within which it must be said; then the database is looked at without."""

AGAIN = (2.0, 600.0)
"""The first and the longest wait after it could not be said, in seconds."""

LEAVE = 1.0
"""Seconds that saying goodbye may take."""

WORTH_TELLING = 3
"""Failures in a row from which on it is told: somebody else may be writing to a file just then."""

MOST_PROBLEMS, LONGEST_REASON = 50, 200
"""How many versions that cannot be served a process names, and how much it says about each, in characters."""

_UNABLE = {
    "missing": "the database has no table for it. Run: automagik-prompts upgrade",
    "standby": "the server is a standby, which takes no writes",
    "read-only": "the transactions of its user are read-only",
    "denied": "its user may not write to prompt_processes. Give it SELECT, INSERT, UPDATE and DELETE there and on "
    "prompt_usage",
}
_UNCOUNTED = (
    "How often versions were sent is not written: its user may not write to prompt_usage. Give it SELECT, INSERT, "
    "UPDATE and DELETE there, and USAGE on prompt_usage_id_seq."
)


@dataclass(frozen=True, slots=True)
class _Served:
    """What is served: how fresh it is, up to where, and what cannot be served."""

    state: str
    position: Position | None
    problems: tuple[Unserved, ...]


class Heartbeat:
    """Says what one process serves, and what it has sent.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        sent: The ids of versions that runs were sent.
    """

    def __init__(self, settings: Settings, registry: Registry, sent: deque[int]) -> None:
        self._counts = RunCounts(sent)
        self._settings = settings
        self._registry = registry
        self._is_on = settings.heartbeat > 0 and identity_of(settings.database_url) is not None
        self._hash: tuple[int, str | None] = (-1, None)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Be another process than before: it was taken for dead, or it has ended and begins again."""
        self._id = uuid4().hex
        self._is_first = True
        self._began = time.monotonic()
        self._served: _Served | None = None
        # When it is to be said, and from when on with a look that is made anyway; on the loop's clock.
        self._from = self._due = self._last = float("-inf")
        self._failures = 0
        self._failure: str | None = None
        self._refused: str | None = None
        self._is_uncounted = False
        self._cleaned: date | None = None
        self._counts.begin_anew()

    @property
    def unreported(self) -> str | None:
        """Why this process is not in the fleet, or its runs are not counted; `None` where it says so."""
        reason = _UNABLE.get(self._refused, self._refused) if self._refused is not None else None
        if reason is None and self._failures >= WORTH_TELLING:
            reason = (self._failure or "").rstrip(".")
        if reason is not None:
            return f"This process is not shown in the fleet, and its runs are not counted: {reason}."
        return _UNCOUNTED if self._is_uncounted else None

    # When.

    def served(self, state: State, position: Position | None, snapshot: Snapshot | None) -> None:
        """Take note of what is served now."""
        self._counts.count(_today())
        problems = tuple(
            Unserved(one.agent, one.prompt.status_key, one.prompt.version, one.reason[:LONGEST_REASON])
            for one in (snapshot.problems if snapshot is not None else ())[:MOST_PROBLEMS]
        )
        self._served = _Served(state.value, position, problems)

    def changed(self, now: float) -> None:
        """Say soon what is served, as something else is now; but not too often."""
        if not self._is_first and not self._failures:
            self._due = self._from = min(self._due, max(now, self._last + REST) + CHANCE.uniform(0.0, SPREAD))

    def seconds_left(self, now: float) -> float:
        """Return in how many seconds it is to be said."""
        return max(0.0, self._due - now) if self._may_say else float("inf")

    @property
    def _may_say(self) -> bool:
        return self._is_on and self._served is not None and self._refused is None

    # What.

    async def look(self, database: Database, loader: Loader, *, forced: bool, now: float) -> bool:
        """Look for changes, and say that this process is there, if it is time for that; on a server in one statement.

        Args:
            database: The database.
            loader: Looks.
            forced: As the loader takes it.
            now: The present time, on the loop's clock.

        Raises:
            TimeoutError: The database did not answer in time.
            PromptsError: The database cannot be read.
        """
        self._note(loader.found)
        if self._may_say and now >= self._from and (beat := self._beat()) is not None:
            try:
                async with asyncio.timeout(WITHIN):
                    if database.is_embedded:
                        is_there = await database.transaction(repository.write_beat, beat)
                    else:
                        has_changed = await loader.look(database, forced=forced, beat=beat)
                        is_there = loader.found is not None and bool(loader.found.is_seen)
                self._said(beat, is_there, now)
                if not is_there and not beat.is_first:
                    loader.compare_anew()  # taken for dead, or a backup was put back that does not know of this process
                if not database.is_embedded:
                    return has_changed
            except (PromptsError, TimeoutError) as error:
                self._failed(error, now)
        has_changed = await loader.look(database, forced=forced)
        self._note(loader.found)
        return has_changed

    async def clean(self, database: Database) -> None:
        """Take off those that are dead, and sum up what is old: after having said so for the first time, and daily."""
        if self._is_first or self._cleaned == _today() or self.unreported is not None:
            return
        self._cleaned = _today()
        try:
            async with asyncio.timeout(WITHIN):
                await database.transaction(repository.forget_dead)
        except (PromptsError, TimeoutError) as error:
            logger.debug("What dead processes have left is not summed up now: %s", error)

    async def leave(self, opened: AbstractAsyncContextManager[Database]) -> None:
        """Say goodbye, and what was sent since, as the process ends; one that ends at once says only what was sent."""
        if not self._may_say or (beat := self._beat()) is None or (self._is_first and not beat.runs):
            return
        try:
            async with asyncio.timeout(LEAVE), opened as database:
                await database.transaction(repository.leave, beat)
        except (PromptsError, TimeoutError) as error:
            logger.debug("This process ends without a word to the fleet: %s", error)
        else:
            self._counts.written(beat.runs, _today())
        self.begin_anew()

    def _beat(self) -> Beat | None:
        """Return what is to be said."""
        if (served := self._served) is None:
            return None
        self._counts.count(_today())
        runs = self._counts.unwritten() if not self._is_uncounted else ()
        self._counts.say(runs)
        agents = self._registry.agents
        return Beat(
            id=self._id,
            is_first=self._is_first,
            host=socket.gethostname()[:MAX_NAME_LENGTH],
            pid=os.getpid(),
            release=self._settings.release,
            code_hash=self._code_hash(),
            state=served.state,
            position=served.position,
            follows=tuple(sorted({*self._settings.only, *agents})) if self._settings.only else None,
            problems=served.problems,
            age=time.monotonic() - self._began,
            seconds=self._settings.heartbeat * MISSED,
            runs=runs,
        )

    def _note(self, found: Changes | None) -> None:
        """Take note of what a look has found about what may be said: what a server refuses stands in its log."""
        if found is not None:
            self._refused, self._is_uncounted = found.unable, found.is_uncounted

    def _said(self, beat: Beat, is_there: bool, now: float) -> None:
        """Take note of what has become of a word."""
        self._failures, self._failure, self._last = 0, None, now
        if not is_there and not beat.is_first:
            # Somebody has taken this process for dead, as after a night of a laptop's.
            self._counts.unsay()
            served = self._served
            self.begin_anew()
            self._served = served
            return
        self._is_first = False
        self._counts.written(beat.runs, _today())
        self._due = now + self._settings.heartbeat
        self._from = self._due - self._settings.heartbeat * EARLY

    def _failed(self, error: Exception, now: float) -> None:
        self._failures += 1
        self._failure = str(error) or "the database did not answer in time"
        self._due = self._from = now + backoff(self._failures, *AGAIN)
        logger.debug("This process could not say that it is there; it follows all the same: %s", self._failure)

    def _code_hash(self) -> str | None:
        """Return what tells what the code declares: the same for the same texts."""
        generation, agents = self._registry.generation, self._registry.agents
        if self._hash[0] != generation:
            texts = sorted(
                (agent.name, prompt.status_key, prompt.format, prompt.content_hash)
                for agent in agents.values()
                for prompt in agent.prompts.values()
            )
            digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest() if texts else None
            self._hash = generation, digest
        return self._hash[1]


def _today() -> date:
    return datetime.now(UTC).date()
