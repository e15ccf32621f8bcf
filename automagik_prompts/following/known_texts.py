"""The newest texts of the agents of this process, by which histories from before this library are recognised."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from automagik_prompts.agent import plugins
from automagik_prompts.agent.history.recognition import KnownTexts
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import ServedPrompt
from automagik_prompts.domain.text import content_hash
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.storage import repository
    from automagik_prompts.storage.database import Database
else:
    repository = Later("automagik_prompts.storage.repository")

NEWEST, NEWEST_OF_STATUS = 50, 20
"""Texts of an agent that are kept, and that are read of each of its statuses, at most."""

LONGEST = 50_000
"""Characters of a text that is kept, at most: longer ones are recognised while they are active or in code."""

AT_ONCE = 20
"""Agents whose texts are read before anything is served, at most; those of others when a run asks for them."""


Text = tuple[str, str, str, bool]
"""Status, text, format, and whether it was active once, or is the code's."""


def _texts_of(prompts: Iterable[ServedPrompt]) -> Iterator[Text]:
    return ((one.status_key, one.text, one.format, True) for one in prompts)


class TextStore:
    """Knows what the agents of this process may have been sent.

    Args:
        registry: What the code declares.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._newest: dict[str, tuple[Text, ...]] = {}
        self._known: dict[str, KnownTexts] = {}
        self._sendable: dict[str, dict[str | None, KnownTexts]] = {}
        self._read: set[str] = set()
        self._has_read = False

    @property
    def _agents(self) -> set[str]:
        """The agents that this process has, or that its code declares and it may have soon."""
        return {*plugins.bound, *self._registry.agents}

    def is_read(self, agent: str) -> bool:
        """Return whether an agent's texts were read."""
        return agent in self._read

    def known(self, agent: str, snapshot: Snapshot | None) -> KnownTexts:
        """Return what tells an agent's own texts: those of its code, the active ones, and the newest of the others.

        Args:
            agent: The agent's name.
            snapshot: What is served.
        """
        if (known := self._known.get(agent)) is None:
            texts = self._texts(agent, snapshot)
            known = self._known[agent] = KnownTexts((text, read_as) for _, text, read_as, _ in texts)
        return known

    def sendable(self, agent: str, snapshot: Snapshot | None, status_key: str | None) -> KnownTexts:
        """Return what tells those that were active once and are not withdrawn.

        Args:
            agent: The agent's name.
            snapshot: What is served.
            status_key: Only the texts of this status; `None` for those of each.
        """
        found = self._sendable.setdefault(agent, {})
        if (known := found.get(status_key)) is None:
            left, gone = self._divided(agent, snapshot)
            known = found[status_key] = KnownTexts((one[1:3] for one in left if status_key in {None, one[0]}), gone)
        return known

    def sent(self, agent: str, snapshot: Snapshot | None, named: Collection[tuple[str, str]]) -> KnownTexts:
        """Return the same for texts that are named by their statuses and hashes; they are mostly one or two."""
        if not named:
            return KnownTexts(())
        left, gone = self._divided(agent, snapshot)
        return KnownTexts((one[1:3] for one in left if (one[0], content_hash(one[1])) in named), gone)

    def _divided(self, agent: str, snapshot: Snapshot | None) -> tuple[list[Text], list[tuple[str, str]]]:
        """Return the texts that were active once and are not withdrawn, and those that are withdrawn, with format."""
        texts = snapshot.agent(agent) if snapshot is not None else None
        gone = {(one.status_key, one.content_hash) for one in (texts.withdrawn if texts is not None else ())}
        every = [(one, (one[0], content_hash(one[1])) in gone) for one in self._texts(agent, snapshot)]
        left = [one for one, is_gone in every if one[3] and not is_gone]
        return left, [one[1:3] for one, is_gone in every if is_gone]

    def _texts(self, agent: str, snapshot: Snapshot | None) -> Iterator[Text]:
        declared = self._registry.agents.get(agent)
        texts = snapshot.agent(agent) if snapshot is not None else None
        for key, one in (declared.prompts if declared is not None else {}).items():
            yield key, one.text, one.format, True
        yield from _texts_of(texts.served.values() if texts is not None else ())
        yield from self._newest.get(agent, ())

    def superseded(self, old: Snapshot, new: Snapshot) -> None:
        """Keep what was served until now and is not any more."""
        for name in self._agents & {*old.agents.differing(new.agents)}:
            before = old.agent(name)
            gone = _texts_of(before.served.values() if before is not None else ())
            short = (one for one in gone if len(one[1]) <= LONGEST)
            self._keep(name, short, self._newest.get(name, ()))

    async def read_ahead(self, database: Database) -> None:
        """Read the texts of the agents of this process, once for each."""
        if self._has_read:
            return
        self._has_read = True
        await self.read(database, sorted(self._agents, key=lambda name: (name not in plugins.bound, name))[:AT_ONCE])

    async def read(self, database: Database, agents: Sequence[str]) -> None:
        """Read the newest texts of some agents."""
        found = await database.run(repository.get_newest_texts, agents, limit=NEWEST_OF_STATUS, length=LONGEST)
        for agent in agents:
            self._keep(agent, self._newest.get(agent, ()), found.get(agent, ()))
        self._read.update(agents)

    def _keep(self, agent: str, first: Iterable[Text], rest: Iterable[Text]) -> None:
        self._newest[agent] = tuple(dict.fromkeys([*first, *rest]))[:NEWEST]
        self._known.pop(agent, None)
        self._sendable.pop(agent, None)
