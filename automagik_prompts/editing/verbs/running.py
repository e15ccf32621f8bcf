"""Verbs about what runs: the processes that follow, and to how many runs versions were sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.keys import PromptKey, Status
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.running.fleet import Fleet, Followers
from automagik_prompts.domain.running.usage import NEVER, Usage
from automagik_prompts.editing.verbs.base import Verbs
from automagik_prompts.exceptions import DatabaseUnavailableError, InvalidPromptError, SchemaError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing import queries
    from automagik_prompts.editing.running import fleet as fleets
    from automagik_prompts.editing.running import usage as usages
else:
    queries = Later("automagik_prompts.editing.queries")
    fleets, usages = (Later(f"automagik_prompts.editing.running.{name}") for name in ("fleet", "usage"))

LOOK_AGAIN = 0.25
"""Seconds between two looks at who has followed, while somebody waits."""

LONGEST_WAIT = 3600.0
"""Seconds that somebody may wait, at most."""


class RunningVerbs(Verbs):
    """What runs."""

    async def fleet(self) -> Fleet:
        """Return the processes that follow the database, the living first, as far as they have said.

        Raises:
            NotAllowedError: The policy does not show all agents.
            DatabaseUnavailableError: The database cannot be read now, or its user may not read that.
        """
        await self._allowed(self._intent(), Operation.VIEW)
        return await self._read(lambda database: fleets.fleet(database))

    async def followers(self, agent: str, status_key: Status) -> Followers:
        """Return how far the living processes have followed what is active for an agent and status.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.

        Raises:
            PromptNotFoundError: There is no such agent.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now, or its user may not read that.
        """
        await self._look_at(agent)
        return await self._read(lambda database: fleets.followers(database, agent, status_key))

    async def usage(
        self, agent: str, status_key: Status | None = None, *, version: int | None = None
    ) -> Mapping[tuple[str, int], Usage]:
        """Return to how many runs each version of an agent was sent, by status and number.

        A version counts once for each run, on the day (UTC) on which its process writes that down, a minute later at
        most. The code's text where no version is served, and overrides, do not count.

        Args:
            agent: The agent's name.
            status_key: Only this status.
            version: Only this version of it.

        Raises:
            PromptNotFoundError: There is no such agent or version, or it has no versions for this status.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        await self._look_at(agent)
        if status_key is not None and version is not None:
            status, number = status_key, version
            versions = [await self._read(lambda database: queries.get(database, agent, status, number))]
        else:
            versions = await self._read(lambda database: queries.versions(database, agent, status_key))
        found = await self._read(lambda database: usages.usage(database, [one.id for one in versions])) or {}
        return {(one.status_key, one.version): found.get(one.id, NEVER) for one in versions}

    async def follow(
        self, done: EditResult, wait: float | None, *, is_over: Callable[[], Awaitable[bool]] | None = None
    ) -> EditResult:
        """Wait until every living process serves what an edit has made active, and say which ones do not in time.

        Args:
            done: What was done.
            wait: Seconds to wait, at most; `None` for not at all.
            is_over: Says whether nobody waits any more.

        Returns:
            The same, with `followers`, unless nobody waits or it waits for approval.
        """
        if wait is None or done.is_waiting:
            return done
        key, until = PromptKey(done.agent.name, done.status_key), time.monotonic() + wait
        while True:
            try:
                found = await self._read(lambda database: fleets.followers(database, *key))
            except (DatabaseUnavailableError, SchemaError) as error:
                # It is done. Whoever may activate may not be allowed to read that, or the connection is lost by now.
                return replace(done, followers=Followers(*key, done.active_version, (), error=error.message))
            left = until - time.monotonic()
            if not found.late or left <= 0 or (is_over is not None and await is_over()):
                return replace(done, followers=found)
            await asyncio.sleep(min(LOOK_AGAIN, left))


def check_wait(wait: float | None) -> None:
    """Make sure that it is known for how long to wait, before anything is written.

    Raises:
        InvalidPromptError: It is no number of seconds.
    """
    if wait is not None and not 0 <= wait <= LONGEST_WAIT:
        raise InvalidPromptError(f"wait takes seconds, from 0 to {LONGEST_WAIT:.0f}; {wait!r:.40} is none of these.")
