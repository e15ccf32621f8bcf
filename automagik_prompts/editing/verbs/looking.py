"""Verbs that look: what there is, and what was done; in pages, and only what the policy shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from automagik_prompts.domain.edits import Page
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.records import Action, AgentInfo, Approval, Event, Prompt
from automagik_prompts.domain.summaries import Match, StatusSummary
from automagik_prompts.domain.validation import MAX_VERSION
from automagik_prompts.editing.pages import checked_limit, cursor_number, cursor_of, cursor_parts, page_of
from automagik_prompts.editing.verbs.base import Verbs
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing import queries
    from automagik_prompts.editing.files import exporting
    from automagik_prompts.editing.files.exporting import ExportedFile
    from automagik_prompts.editing.review import drift, requesting
else:
    queries = Later("automagik_prompts.editing.queries")
    exporting = Later("automagik_prompts.editing.files.exporting")
    drift, requesting = (Later(f"automagik_prompts.editing.review.{name}") for name in ("drift", "requesting"))


AT_ONCE = 200
"""Agents whose texts are searched at once, before it is known whether the page is full."""


class LookingVerbs(Verbs):
    """Looking at what the database holds; each takes `after`, the `next` of the page before."""

    async def agents(self, *, after: str | None = None, limit: int = 100) -> Page[AgentInfo]:
        """Return the agents that the database knows, by name.

        Args:
            after: The `next` of the page before.
            limit: How many, from 1 to 1000.

        Raises:
            DatabaseUnavailableError: The database cannot be read now.
        """
        found = [agent async for agent in self._visible(after, checked_limit(limit) + 1)]
        return page_of(found, limit, lambda agent: agent.name)

    async def statuses(
        self, agent: str | None = None, *, after: str | None = None, limit: int = 100
    ) -> Page[StatusSummary]:
        """Return where each status stands: what is active since when, by whom, whether it has drifted.

        Args:
            agent: Only of this agent.
            after: The `next` of the page before.
            limit: How many, from 1 to 1000.

        Raises:
            PromptNotFoundError: There is no such agent.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        checked_limit(limit)
        found: list[StatusSummary] = []
        name, status_key = cursor_parts(after, 2) if after is not None else ("", "")
        if agent is not None:
            await self._look_at(agent)
            found = [
                one
                for one in _sorted(await self._read(lambda database: queries.summaries(database, agent)))
                if one.status_key > status_key
            ]
        else:
            async for info in self._visible(name, None, including=True):
                shown = info.name
                found += [
                    one
                    for one in _sorted(
                        await self._read(lambda database: queries.summaries(database, shown))  # noqa: B023  # as above
                    )
                    if shown != name or one.status_key > status_key
                ]
                if len(found) > limit:
                    break
        return page_of(found, limit, lambda one: cursor_of(one.agent, one.status_key))

    async def versions(
        self, agent: str, status_key: Status | None = None, *, after: str | None = None, limit: int = 100
    ) -> Page[Prompt]:
        """Return an agent's versions, by status and then newest first.

        Args:
            agent: The agent's name.
            status_key: Only of this status.
            after: The `next` of the page before.
            limit: How many, from 1 to 1000.

        Raises:
            PromptNotFoundError: There is no such agent, or it has no versions for this status.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        await self._look_at(agent)
        most = checked_limit(limit) + 1
        place: tuple[str, int] | None = None
        if after is not None:
            key, number = cursor_parts(after, 2)
            place = key, cursor_number(number)
        found = await self._read(
            lambda database: queries.versions(database, agent, status_key, after=place, limit=most)
        )
        return page_of(found, limit, lambda one: cursor_of(one.status_key, str(one.version)))

    async def history(self, agent: str, status_key: Status | None = None, *, limit: int | None = None) -> list[Prompt]:
        """Return an agent's versions, by status and then newest first.

        Args:
            agent: The agent's name.
            status_key: Only this status.
            limit: How many, at most.

        Raises:
            PromptNotFoundError: There is no such agent, or it has no versions for this status.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        await self._look_at(agent)
        return await self._read(lambda database: queries.versions(database, agent, status_key, limit=limit))

    async def events(
        self,
        agent: str | None = None,
        status_key: Status | None = None,
        *,
        request_id: int | None = None,
        actions: Collection[Action] | None = None,
        author: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        approval: Approval | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[Event]:
        """Return what was done, by whom and why, newest first.

        Args:
            agent: Only to this agent's prompts.
            status_key: Only to this status.
            request_id: Only about this request for approval: its comments, who approved.
            actions: Only these, such as `"activated"`.
            author: Only by somebody of this name or id.
            since: Only what is not older.
            until: Only what is older.
            approval: Only changes that this has let through, such as `"emergency"`.
            after: The `next` of the page before.
            limit: How many, from 1 to 1000.

        Raises:
            PromptNotFoundError: There is no such agent.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        if agent is not None:
            await self._look_at(agent)
        checked_limit(limit)
        if request_id is not None and not 0 < request_id <= MAX_VERSION:
            return Page(())
        wanted = [Action(action) for action in actions] if actions is not None else None
        found: list[Event] = []
        before = cursor_number(after) if after is not None else None
        seen: dict[str, bool] = {}
        while len(found) <= limit:
            place = before
            read = await self._read(
                lambda database: queries.events(
                    database,
                    agent,
                    status_key,
                    request_id=request_id,
                    actions=wanted,
                    author=author,
                    since=since,
                    until=until,
                    approval=approval,
                    before=place,  # noqa: B023  # awaited before the next one
                    limit=limit + 1,
                )
            )
            found += [event for event in read if agent is not None or await self._sees(event.agent, seen)]
            if len(read) <= limit:
                break
            before = read[-1].id
        return page_of(found, limit, lambda one: str(one.id))

    async def search(
        self,
        text: str,
        *,
        agent: str | None = None,
        every_version: bool = False,
        match_case: bool = False,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[Match]:
        """Return the lines that contain a text, by agent and status.

        Args:
            text: What to look for, on one line.
            agent: Only in this agent's prompts.
            every_version: Whether to look at every version instead of the active ones.
            match_case: Whether upper and lower case are told apart.
            after: The `next` of the page before.
            limit: How many, from 1 to 1000.

        Raises:
            InvalidPromptError: There is nothing to look for.
            PromptNotFoundError: There is no such agent.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        checked_limit(limit)
        name, number = cursor_parts(after, 2) if after is not None else ("", "0")
        skipped = cursor_number(number)
        batches: list[list[AgentInfo] | None] = [None]
        if agent is not None:
            await self._look_at(agent)
        else:
            known = [info async for info in self._visible(name, None, including=True)]
            batches = [known[start : start + AT_ONCE] for start in range(0, len(known), AT_ONCE)]
        found: list[tuple[Match, str]] = []
        for batch in batches:
            matches = await self._read(
                lambda database: queries.search(
                    database,
                    text,
                    agent=agent,
                    agents=batch,  # noqa: B023  # as above
                    every_version=every_version,
                    match_case=match_case,
                )
            )
            for shown, lines in groupby(matches, lambda one: one.agent):
                first = skipped if shown == name else 0
                found += [
                    (match, cursor_of(shown, str(place))) for place, match in enumerate(lines, start=1) if place > first
                ]
            if len(found) > limit:
                break
        cut = found[:limit]
        return Page(tuple(match for match, _ in cut), cut[-1][1] if len(found) > limit else None)

    async def export(
        self, folder: str | Path, *, agents: Sequence[str] | None = None, prune: bool = False
    ) -> tuple[ExportedFile, ...]:
        """Write each active version to a Markdown file; a file that is right already is not touched.

        Args:
            folder: The folder to write to.
            agents: Only these agents; by default all that the policy shows.
            prune: Whether to remove the files of prompts that are not active any more.

        Raises:
            PromptNotFoundError: There is no such agent.
            NotAllowedError: The policy does not show one of the agents.
            DatabaseUnavailableError: The database cannot be read now.
            OSError: The folder cannot be written.
        """
        for agent in agents or ():
            await self._look_at(agent)
        names = agents
        if names is None and self.policy is not None:
            names = [info.name async for info in self._visible(None, None)]
        prompts = await self._read(lambda database: exporting.read_prompts(database, names))
        write = exporting.export
        return tuple(await asyncio.to_thread(write, prompts, Path(folder), agents=names, prune=prune))

    async def visible(self) -> frozenset[str]:
        """Return the names of the agents that the policy shows.

        Raises:
            DatabaseUnavailableError: The database cannot be read now.
        """
        return frozenset([info.name async for info in self._visible(None, None)])

    async def _visible(
        self, after: str | None, limit: int | None, *, including: bool = False
    ) -> AsyncIterator[AgentInfo]:
        """Yield the agents that the policy shows, by name.

        Args:
            after: The name after which to begin.
            limit: How many, at most.
            including: Whether to begin with that name.
        """
        count = 0
        # Sorted here: each engine sorts in its own way.
        for info in sorted(await self._read(queries.agents), key=lambda one: one.name):
            is_before = after is not None and (info.name < after or (info.name == after and not including))
            if is_before or not await self._sees(info.name, {}):
                continue
            yield info
            count += 1
            if limit is not None and count >= limit:
                return


def _sorted(summaries: Sequence[StatusSummary]) -> list[StatusSummary]:
    return sorted(summaries, key=lambda one: one.status_key)
