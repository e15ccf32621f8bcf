"""Versions that are active no more: for conversations that go on with them, previews and replays.

A conversation may only go on with a version that was active once: a draft that its history names is for nobody yet. The
newest of these are read ahead; about another one the plugin's thread is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from automagik_prompts.agent import plugins
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.records import ActiveVersion, AgentInfo, Prompt
from automagik_prompts.domain.served import ServedPrompt, Source
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError
from automagik_prompts.following.kept_versions import MAX_VERSIONS, KeptVersions
from automagik_prompts.following.memory.compiling import served_version
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing import finding, withdrawing
    from automagik_prompts.storage import repository
    from automagik_prompts.storage.database import Database
else:
    finding, withdrawing = Later("automagik_prompts.editing.finding"), Later("automagik_prompts.editing.withdrawing")
    repository = Later("automagik_prompts.storage.repository")

NEWEST = 200
"""Versions that are read ahead for the agents that pin conversations, at most."""

Key = tuple[str, str, int]
"""Agent, status and number of a version."""

Read = Callable[["Database"], Coroutine[Any, Any, None]]


class VersionStore:
    """Finds versions by their numbers.

    Args:
        registry: What the code declares.

    Attributes:
        pinned: Versions that were active once, which conversations may go on with.
        absent: What was asked for and is no version that was active once, with the reason.
    """

    def __init__(self, registry: Registry) -> None:
        self.pinned = KeptVersions()
        self.absent: dict[Key, str] = {}
        self._registry = registry
        self._others = KeptVersions()
        self._read_ahead: set[str] = set()

    def find(self, snapshot: Snapshot | None, agent: str, status_key: str, version: int) -> ServedPrompt | None:
        """Return a version from memory, or `None`."""
        if (found := self.find_pinned(snapshot, agent, status_key, version)) is not None:
            return found
        other = self._others.find(agent, status_key, version)
        return other if other is not None and not (snapshot is not None and snapshot.is_withdrawn(other)) else None

    def find_pinned(self, snapshot: Snapshot | None, agent: str, status_key: str, version: int) -> ServedPrompt | None:
        """Return a version that is active or was it once from memory, or `None`."""
        texts = snapshot.agent(agent) if snapshot is not None else None
        active = texts.served.get(status_key) if texts is not None else None
        if active is not None and active.version == version:
            return active
        found = self.pinned.find(agent, status_key, version)
        return found if found is not None and not (texts is not None and texts.is_withdrawn(found)) else None

    def is_withdrawn(self, snapshot: Snapshot | None, agent: str, status_key: str, version: int) -> bool:
        """Return whether a version that is still there is withdrawn."""
        texts = snapshot.agent(agent) if snapshot is not None else None
        withdrawn = texts.withdrawn if texts is not None else ()
        return any((one.status_key, one.version) == (status_key, version) for one in withdrawn)

    def code_text(self, agent: str, status_key: str) -> ServedPrompt | None:
        """Return the code's text for a status, or `None`."""
        declared = self._registry.agents.get(agent)
        key = declared.keys.find(status_key) if declared is not None else None
        return declared.prompts[key].served if declared is not None and key is not None else None

    def superseded(self, old: Snapshot, new: Snapshot) -> None:
        """Keep what was served until now and is not any more, where conversations go on with it."""
        if agents := frozenset(plugins.pinned):
            gone = []
            for name in agents & {*old.agents.differing(new.agents)}:
                before, after = old.agent(name), new.agent(name)
                for key, prompt in before.served.items() if before is not None else ():
                    now = after.served.get(key) if after is not None else None
                    if now is None or now.version != prompt.version:
                        gone.append(prompt)
                if self.absent:
                    # What was a draft until now may have been active since.
                    self.absent = {key: why for key, why in self.absent.items() if key[0] != name}
            if gone:
                self.pinned.add(gone)

    def asking(self, key: Key) -> Read:
        """Return what reads a version that a conversation is to go on with."""

        async def read(database: Database) -> None:
            agent, status_key, version = key
            try:
                info = await finding.find_agent(database, agent)
                found = await finding.find_version(database, info, status_key, version)
                await database.run(withdrawing.check_not_withdrawn, info, found)
                once = await database.run(repository.get_activated_versions, info.id, version=version)
                if not found.is_active and (found.status_key, found.version) not in once:
                    raise PromptNotFoundError(f"Version {version} of {agent}/{status_key} was never active.")
                self.pinned.add([self._served(info, found)])
            except (PromptNotFoundError, InvalidPromptError) as error:
                if len(self.absent) >= MAX_VERSIONS:
                    self.absent = {}
                self.absent = {**self.absent, key: error.message}

        return read

    async def load(self, database: Database, agent: str, status: Status, version: int) -> ServedPrompt:
        """Read a version.

        Raises:
            PromptNotFoundError: There is no such agent, status or version.
            InvalidPromptError: This process cannot serve it, or it is withdrawn.
            DatabaseUnavailableError: The database cannot be read now.
        """
        info = await finding.find_agent(database, agent)
        wanted = await finding.find_version(database, info, status, version)
        await database.run(withdrawing.check_not_withdrawn, info, wanted)
        found = self._served(info, wanted)
        self._others.add([found])
        return found

    async def read_ahead(self, database: Database) -> None:
        """Read the newest versions of the agents that pin conversations, before anything is served; once for each."""
        if not (agents := plugins.pinned - self._read_ahead):
            return
        for info in await database.run(repository.get_agents, agents):
            once = await database.run(repository.get_activated_versions, info.id)
            served = []
            for prompt in await database.run(repository.get_newest_versions, info.id, limit=NEWEST):
                if prompt.is_active or (prompt.status_key, prompt.version) in once:
                    try:
                        served.append(self._served(info, prompt))
                    except InvalidPromptError as error:
                        logger.debug("%s", error)  # it is not active; whoever activates it sees it
            self.pinned.add(reversed(served))
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
