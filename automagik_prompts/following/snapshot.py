"""What a process holds in memory: for each agent and status the one text that is served, and why.

A snapshot never changes. The thread builds a new one and replaces one reference; agent runs only look things up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import PromptKey, SpellingClash, Status, StatusKeys, new_key
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.records import ActiveVersion
from automagik_prompts.domain.served import Selection, ServedPrompt
from automagik_prompts.domain.text import closest
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.following.choosing import agent_texts


@dataclass(frozen=True, slots=True)
class Problem:
    """An active version that this process cannot serve.

    Attributes:
        prompt: The version.
        reason: Why not, without its text.
    """

    prompt: ActiveVersion
    reason: str

    @property
    def agent(self) -> str:
        """The agent's name."""
        return self.prompt.agent


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is served, for every agent and status.

    Attributes:
        registry: What the code declares; asked for agents that were declared after the snapshot was built.
        selections: What is served, by agent and status.
        fallbacks: What is served for a status that nobody defined, by agent.
        primaries: The primary status, by agent.
        served: The versions from the database, by agent and status.
        keys: The statuses of each agent that have a text, each found however it is given.
        problems: The active versions that cannot be served here.
        clashes: The statuses that the code spells otherwise than the database.
        revisions: The revision of each agent.
        loaded_at: When the database was read, on the monotonic clock; `None` if it was not.
    """

    registry: Registry = field(repr=False)
    selections: Mapping[tuple[str, str], Selection] = field(repr=False, default_factory=dict)
    fallbacks: Mapping[str, Selection] = field(repr=False, default_factory=dict)
    primaries: Mapping[str, str] = field(repr=False, default_factory=dict)
    served: Mapping[PromptKey, ServedPrompt] = field(repr=False, default_factory=dict)
    keys: Mapping[str, StatusKeys] = field(repr=False, default_factory=dict)
    problems: tuple[Problem, ...] = ()
    clashes: tuple[SpellingClash, ...] = ()
    revisions: Mapping[str, int] = field(repr=False, default_factory=dict)
    loaded_at: float | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it was read from the database."""
        return self.loaded_at is not None

    def knows(self, agent: str) -> bool:
        """Return whether it has anything to say about an agent."""
        return agent in self.primaries or agent in self.registry.agents

    def status_key(self, agent: str, status: Status | None) -> str | None:
        """Return the key that a status means for an agent; one that has no text is what it is called itself.

        Args:
            agent: The agent's name.
            status: A string, or an enum member by its value or its name; `None`, or a member with this value, for the
                primary status.

        Raises:
            InvalidPromptError: It is something else.
        """
        if type(status) is str and (agent, status) in self.selections:
            return status  # as it mostly is
        if status is None or (isinstance(status, Enum) and status.value is None):
            return None
        keys, declared = self.keys.get(agent), self.registry.agents.get(agent)
        found = keys.find(status) if keys is not None else None
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
        key = self.primaries.get(agent) if status_key is None else self.status_key(agent, status_key)
        if key is not None:
            found = self.selections.get((agent, key))
            if found is not None:
                return found
        fallback = self.fallbacks.get(agent)
        declared = self.registry.agents.get(agent)
        if fallback is not None and (declared is None or key not in declared.prompts):
            return fallback
        return self._from_code(agent, key if status_key is not None else None)

    def declares(self, agent: str) -> bool:
        """Return whether this process' code declares prompts for an agent: then the code says what texts may use."""
        return agent in self.registry.agents

    def code_texts(self, agent: str) -> frozenset[str]:
        """Return the agent's texts as its code declares them."""
        declared = self.registry.agents.get(agent)
        return declared.texts if declared is not None else frozenset()

    def default_status(self, agent: str) -> StatusFunction | None:
        """Return the function that the declaration gave for the present status, if any."""
        declared = self.registry.agents.get(agent)
        return declared.status if declared is not None else None

    def _from_code(self, agent: str, status_key: str | None) -> Selection:
        """Serve an agent or status that was declared after this snapshot was built."""
        declared = self.registry.agents.get(agent)
        built = agent_texts(agent, declared, None, {}, {}).select(status_key or declared.primary) if declared else None
        if built is None:
            known = {*self.registry.agents, *self.fallbacks}
            raise _nothing(agent, status_key, known, is_known=agent in self.primaries, is_loaded=self.is_loaded)
        return built


def _nothing(
    agent: str, status_key: str | None, known: set[str], *, is_known: bool, is_loaded: bool
) -> NoActivePromptError:
    if is_known:
        hint = f"The agent has no active version. Activate one: automagik-prompts activate {agent} STATUS VERSION"
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
