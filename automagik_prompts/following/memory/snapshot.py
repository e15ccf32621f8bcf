"""What a process holds in memory: for each agent and status the one text that is served, and why.

A snapshot never changes. The thread builds a new one and replaces one reference; agent runs only look things up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import PromptKey, SpellingClash, Status, new_key
from automagik_prompts.domain.served import Selection, ServedPrompt, Source
from automagik_prompts.domain.text import closest, word
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.following.memory.agents import BUCKETS, AgentMap
from automagik_prompts.following.memory.choosing import AgentTexts, Problem, agent_texts
from automagik_prompts.following.memory.compiling import compile_agent


@dataclass(frozen=True, slots=True)
class Look:
    """What a plugin that only looks is given to look at: nothing is written, neither to the database nor to the disk.

    Attributes:
        names: The agents; `None` for all that a process would follow.
    """

    names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is served, for every agent and status.

    Attributes:
        registry: What the code declares; asked for agents that were declared after the snapshot was built.
        agents: The agents by their names; a text is compiled when it is first asked for.
        source: Where the agents were read.
        problems: The active versions that are known to be ones that cannot be served here.
        loaded_at: When all of the database was read, on the monotonic clock; `None` if it was not.
        only: The agents that this process follows besides those of its code; empty where it follows all.
        found: The texts that were asked for, by agent and status as they were given: what is read again and again.
    """

    registry: Registry = field(repr=False)
    agents: AgentMap = field(repr=False, default_factory=AgentMap)
    source: Source = Source.DATABASE
    problems: tuple[Problem, ...] = ()
    loaded_at: float | None = None
    only: frozenset[str] = frozenset()
    found: dict[str, dict[Status | None, ServedPrompt]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def is_loaded(self) -> bool:
        """Whether all of it was read from the database."""
        return self.loaded_at is not None

    def agent(self, name: str) -> AgentTexts | None:
        """Return what there is for an agent, or `None`."""
        # Read here, and not by a method: whatever is served comes this way.
        entry = self.agents.buckets[hash(name) % BUCKETS].get(name)
        if type(entry) is not tuple:
            return entry  # type: ignore[return-value]  # mypy does not take a type's identity for a check
        texts = compile_agent(name, self.registry.agents.get(name), entry, self.source)
        self.agents.keep(name, entry, texts)
        return texts

    def each(self) -> Iterator[AgentTexts]:
        """Yield what there is for each agent, by name; this compiles all texts, so it is for tools and not for runs."""
        return (one for name in sorted(self.agents) if (one := self.agent(name)) is not None)

    @property
    def served(self) -> Mapping[PromptKey, ServedPrompt]:
        """The versions from the database, by agent and status; for tools."""
        found = {PromptKey(one.name, key): prompt for one in self.each() for key, prompt in one.served.items()}
        return MappingProxyType(found)

    @property
    def selections(self) -> Mapping[PromptKey, Selection]:
        """What is served, by agent and status; for tools."""
        found = {
            PromptKey(one.name, key): selection
            for one in self.each()
            for key, selection in one.chosen.items()
            if key is not None
        }
        return MappingProxyType(found)

    @property
    def clashes(self) -> tuple[SpellingClash, ...]:
        """The statuses that the code spells otherwise than the database."""
        declared = (self.agent(name) for name in self.registry.agents)
        return tuple(sorted(clash for one in declared if one is not None for clash in one.clashes()))

    def knows(self, agent: str) -> bool:
        """Return whether it has anything to say about an agent."""
        return self.agents.get(agent) is not None or agent in self.registry.agents

    def status_key(self, agent: str, status: Status | None) -> str | None:
        """Return the key that a status means for an agent; one that has no text is what it is called itself.

        Args:
            agent: The agent's name.
            status: A string, or an enum member by its value or its name; `None`, or a member with this value, for the
                primary status.

        Raises:
            InvalidPromptError: It is something else.
        """
        one = self.agent(agent)
        if type(status) is str and one is not None and status in one.chosen:
            return status  # as it mostly is
        if status is None or (isinstance(status, Enum) and status.value is None):
            return None
        declared = self.registry.agents.get(agent)
        found = one.keys.find(status) if one is not None else None
        if found is None and declared is not None:
            found = declared.keys.find(status)
        return found if found is not None else new_key(status)

    def select(self, agent: str, status_key: Status | None) -> Selection:
        """Return what is served.

        Args:
            agent: The agent's name.
            status_key: The status, in whatever way it is given; `None` for the primary one.

        Raises:
            NoActivePromptError: Neither the database nor the code has anything to serve.
        """
        one = self.agent(agent)
        if one is None:
            return self._from_code(agent, self.status_key(agent, status_key))
        key: str | None
        if status_key is None:
            key = one.primary
        elif type(status_key) is str and status_key in one.chosen:
            return one.chosen[status_key]  # as it mostly is
        else:
            key = self.status_key(agent, status_key)
        if key is not None and key in one.chosen:
            return one.chosen[key]
        fallback = one.chosen.get(None)
        declared = self.registry.agents.get(agent)
        if fallback is not None and (declared is None or key not in declared.prompts):
            return fallback
        return self._from_code(agent, key if status_key is not None else None)

    def is_withdrawn(self, prompt: ServedPrompt) -> bool:
        """Return whether a version is withdrawn, or a text of the code that equals a withdrawn one."""
        one = self.agent(prompt.agent)
        return one is not None and one.is_withdrawn(prompt)

    def code(self, agent: str) -> DeclaredAgent | None:
        """Return what this process' code says about an agent; `None` if it declares no such agent."""
        return self.registry.agents.get(agent)

    def _from_code(self, agent: str, status_key: str | None) -> Selection:
        """Serve an agent or status that was declared after this snapshot was built."""
        declared = self.registry.agents.get(agent)
        built = agent_texts(agent, declared, None, {}).select(status_key or declared.primary) if declared else None
        if built is None:
            is_known = self.agents.get(agent) is not None
            known = {*self.registry.agents, *self.agents} if not is_known else set()
            is_left_out = bool(self.only) and agent not in self.only and not is_known
            raise nothing_served(
                agent, status_key, known, is_known=is_known, is_loaded=self.is_loaded, is_left_out=is_left_out
            )
        return built


def nothing_served(
    agent: str,
    status_key: str | None,
    known: Collection[str],
    *,
    is_known: bool = False,
    is_loaded: bool = True,
    is_left_out: bool = False,
) -> NoActivePromptError:
    """Return what to do where there is nothing to serve.

    Args:
        agent: The agent's name.
        status_key: The status; `None` for the primary one.
        known: The names of the agents that have prompts.
        is_known: Whether the agent is one of them.
        is_loaded: Whether the database was read.
        is_left_out: Whether this process was told not to follow the agent.
    """
    if is_left_out:
        hint = "This process follows the agents of its code and those that the setting only names: add it there."
    elif is_known:
        hint = f"The agent has no active version. Activate one: automagik-prompts activate {word(agent)} STATUS VERSION"
    elif known:
        close = closest(agent, known)
        hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
        hint += f"Agents with prompts are: {', '.join(sorted(known)[:10])}{', ...' if len(known) > 10 else ''}."
    else:
        hint = "No agent has prompts: import the module that declares them before the first run."
    which = f"status {status_key!r}" if status_key is not None else "its primary status"
    where = "neither in the database nor in code" if is_loaded else "in code, and the database has not been read yet"
    return NoActivePromptError(
        f"There is no prompt for {agent!r} and {which}, {where}. {hint}",
        agent=agent,
        status_key=status_key,
    )
