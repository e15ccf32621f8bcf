"""Versions that are active no more: for conversations that go on with them, previews and replays.

An agent run only ever looks into memory. What is not there is read by the plugin's thread, meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from automagik_prompts.agent import pinning
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.records import ActiveVersion, AgentInfo, Prompt
from automagik_prompts.domain.served import ServedPrompt, Source
from automagik_prompts.editing import finding
from automagik_prompts.exceptions import InvalidPromptError, PromptsError
from automagik_prompts.following.memory.compiling import served_version
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

NEWEST = 200
"""Versions that are read ahead for the agents that pin conversations, at most."""

_RETRY_SECONDS = 30.0
"""Seconds after which a version that could not be read is asked for again, at most so often."""

Read = Callable[[Database], Coroutine[Any, Any, None]]


class VersionStore:
    """Finds versions by their numbers.

    Args:
        registry: What the code declares.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._versions = pinning.Versions()
        self._read_ahead: set[str] = set()
        self._asked: dict[tuple[str, str, int], float] = {}

    def find(self, snapshot: Snapshot | None, agent: str, status_key: str, version: int) -> ServedPrompt | None:
        """Return a version from memory, or `None`."""
        texts = snapshot.agent(agent) if snapshot is not None else None
        active = texts.served.get(status_key) if texts is not None else None
        return (
            active
            if active is not None and active.version == version
            else self._versions.find(agent, status_key, version)
        )

    def find_text(self, agent: str, status_key: str, content_hash: str) -> ServedPrompt | None:
        """Return the code's text for a status if it is the one meant, or `None`."""
        declared = self._registry.agents.get(agent)
        key = declared.keys.find(status_key) if declared is not None else None
        prompt = declared.prompts[key] if declared is not None and key is not None else None
        return prompt.served if prompt is not None and prompt.content_hash == content_hash else None

    def superseded(self, old: Snapshot, new: Snapshot) -> None:
        """Keep what was served until now and is not any more, where conversations go on with it."""
        if agents := pinning.kept_agents():
            gone = []
            for name in agents & {*old.agents.differing(new.agents)}:
                before, after = old.agent(name), new.agent(name)
                for key, prompt in before.served.items() if before is not None else ():
                    now = after.served.get(key) if after is not None else None
                    if now is None or now.version != prompt.version:
                        gone.append(prompt)
            if gone:
                self._versions.add(gone)

    def wanted(self, agent: str, status_key: str, version: int) -> Read | None:
        """Return what reads a version, or `None` if that was asked for a moment ago."""
        key, now = (agent, status_key, version), time.monotonic()
        if now - self._asked.get(key, float("-inf")) < _RETRY_SECONDS:
            return None
        if len(self._asked) > pinning.MAX_VERSIONS:
            self._asked.clear()
        self._asked[key] = now

        async def read(database: Database) -> None:
            try:
                await self.load(database, agent, status_key, version)
            except PromptsError as error:
                logger.warning("A conversation goes on with the active version, not with its own: %s", error)

        return read

    async def load(self, database: Database, agent: str, status: Status, version: int) -> ServedPrompt:
        """Read a version.

        Raises:
            PromptNotFoundError: There is no such agent, status or version.
            InvalidPromptError: This process cannot serve it.
            DatabaseUnavailableError: The database cannot be read now.
        """
        info = await finding.find_agent(database, agent)
        found = self._served(info, await finding.find_version(database, info, status, version))
        self._versions.add([found])
        return found

    async def read_ahead(self, database: Database) -> None:
        """Read the newest versions of the agents that pin conversations, before anything is served; once for each."""
        if not (agents := pinning.kept_agents() - self._read_ahead):
            return
        for info in await database.run(repository.get_agents, agents):
            served = []
            for prompt in await database.run(repository.get_newest_versions, info.id, limit=NEWEST):
                try:
                    served.append(self._served(info, prompt))
                except InvalidPromptError as error:
                    logger.debug("%s", error)  # it is not active; whoever activates it sees it
            self._versions.add(reversed(served))
        self._read_ahead |= agents

    def _served(self, info: AgentInfo, prompt: Prompt) -> ServedPrompt:
        declared = self._registry.agents.get(info.name)
        version = ActiveVersion(
            agent=info.name,
            prompt_id=prompt.id,
            status_key=prompt.status_key,
            version=prompt.version,
            prompt_text=prompt.prompt_text,
            format=prompt.format,
            content_hash=prompt.content_hash,
        )
        return served_version(version, declared.exposed if declared is not None else None, Source.DATABASE)
