"""What a process has of one database: its agents, what of them cannot be served, and what is not on disk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source
from automagik_prompts.domain.summaries import AgentState
from automagik_prompts.following.memory.agents import AgentIds, AgentMap, Entry
from automagik_prompts.following.memory.choosing import AgentTexts, Problem
from automagik_prompts.following.memory.compiling import compile_agent
from automagik_prompts.following.memory.packing import Packed, pack
from automagik_prompts.following.memory.snapshot import Snapshot


class Holding:
    """Takes what is read, and gives snapshots of it.

    Args:
        registry: What the code declares.
        served: What is served already, in a forked child.

    Attributes:
        agents: The agents by their names.
        ids: Their names by their ids.
        only: The agents that are read besides those of the code; empty where all are.
        unsaved: What has changed since it was last taken from here, by name; `None` for an agent that is gone.
    """

    def __init__(self, registry: Registry, served: Snapshot | None) -> None:
        self.agents = AgentMap()
        self.ids = AgentIds()
        self.unsaved: dict[str, Packed | None] = {}
        self.only = frozenset[str]()
        self._registry = registry
        self._declared: dict[str, DeclaredAgent] = {}
        self._generation = -1
        self._problems: dict[str, tuple[Problem, ...]] = {}
        self._untried: deque[str] = deque()
        self._latest: Snapshot | None = None
        if served is not None and served.source is Source.DATABASE:
            self._go_on_with(served)

    @property
    def has_untried(self) -> bool:
        """Whether there are texts of which it is not known whether they can be served."""
        return bool(self._untried)

    def adopt(self, found: Iterable[Packed]) -> None:
        """Take agents that are known from elsewhere, such as from disk, before they are compared with the database."""
        changes: dict[str, Entry | None] = {}
        for packed in found:
            self.ids.put(packed[0], packed[1])
            changes[packed[1]] = packed
        self.agents = self.agents.updated(changes)
        self._untried.extend(changes)

    def read_of(self, name: str) -> Packed | None:
        """Return an agent as it was read, or `None`."""
        entry = self.agents.get(name)
        return entry if entry is None or isinstance(entry, tuple) else entry.read

    def differing(
        self, states: Iterable[AgentState], after: int, last: int | None, alike: Callable[[Packed, AgentState], bool]
    ) -> Iterator[int]:
        """Yield the ids of the agents that are not what was read before.

        Args:
            states: All agents of the database with ids above one and up to another.
            after: The one.
            last: The other; `None` for all above the one.
            alike: Whether an agent is the same as one that was read so.
        """
        missing = dict(self.ids.between(after, last))
        for state in states:
            name = missing.pop(state.info.id, None)
            ours = self.read_of(name) if name is not None else None
            if ours is None or not alike(ours, state):
                yield state.info.id
        yield from missing

    def take(self, states: Iterable[AgentState], *, at_once: bool = True) -> None:
        """Take agents as they were read.

        Args:
            states: The agents.
            at_once: Whether their texts are compiled now; otherwise when they are asked for, or tried later.
        """
        taken, changes = tuple(states), dict[str, Entry | None]()
        # All former names before any new one: agents may have taken over each other's.
        for info in (state.info for state in taken):
            former = self.ids.get(info.id)
            if former is not None and former != info.name and self._is_of(former, info.id):
                changes[former] = self._gone(former)
            self.ids.put(info.id, info.name)
        for state in taken:
            name, packed = state.info.name, pack(state)
            entry = changes.get(name) or self.agents.get(name)
            if self.read_of(name) != packed or name in changes:
                self.unsaved[name] = packed
                changes[name] = self._entry(name, packed, entry, at_once=at_once)
        self._change(changes)

    def drop(self, ids: Iterable[int]) -> None:
        """Take out agents that are gone."""
        changes: dict[str, Entry | None] = {}
        for number in ids:
            name = self.ids.get(number)
            self.ids.remove(number)
            if name is not None and self._is_of(name, number):
                changes[name] = self._gone(name)
        self._change(changes)

    def snapshot(self, loaded_at: float | None) -> Snapshot:
        """Return what there is, with what the code declares now.

        Args:
            loaded_at: When all of it was read, on the monotonic clock; `None` if something is missing.
        """
        if self._registry.generation != self._generation:
            self._declare()
        latest = self._latest
        if latest is None or latest.is_loaded != (loaded_at is not None):
            problems = tuple(problem for name in sorted(self._problems) for problem in self._problems[name])
            latest = self._latest = Snapshot(
                self._registry, self.agents, Source.DATABASE, problems=problems, loaded_at=loaded_at, only=self.only
            )
        return latest

    def part(self, names: Iterable[str]) -> Snapshot:
        """Return what there is of some agents, while the others are still being read."""
        if self._registry.generation != self._generation:
            self._declare()
        agents = AgentMap().updated({name: self.agents.get(name) for name in names})
        return Snapshot(self._registry, agents, Source.DATABASE)

    def try_some(self, seconds: float) -> bool:
        """Compile texts that nobody has asked for, for so many seconds; whether one was found that cannot be served."""
        deadline, found = time.monotonic() + seconds, dict[str, Entry | None]()
        while self._untried and time.monotonic() < deadline:
            name = self._untried.popleft()
            texts = self.agents.get(name)
            if isinstance(texts, tuple):
                texts = compile_agent(name, self._registry.agents.get(name), texts, Source.DATABASE)
            # Somebody may have asked for it before it was tried; what is wrong with it was noted by nobody.
            if texts is not None and texts.faults and self._problems.get(name) != texts.faults:
                self._problems[name] = texts.faults
                found[name] = texts
        self._change(found)
        return bool(found)

    def _is_of(self, name: str, number: int) -> bool:
        """Return whether a name stands for the agent with an id; one that was added anew under it has another."""
        read = self.read_of(name)
        return read is not None and read[0] == number

    def _entry(self, name: str, packed: Packed, entry: Entry | None, *, at_once: bool) -> Entry:
        declared = self._registry.agents.get(name)
        if not at_once and declared is None and entry is None:
            self._untried.append(name)
            return packed
        texts = entry if isinstance(entry, AgentTexts) else None
        built = compile_agent(name, declared, packed, Source.DATABASE, texts)
        if built.faults and isinstance(entry, tuple):
            # Only now: what was served before stands in.
            texts = compile_agent(name, declared, entry, Source.DATABASE)
            built = compile_agent(name, declared, packed, Source.DATABASE, texts)
        self._note(name, built)
        return built if declared is not None or built.faults or isinstance(entry, AgentTexts) else packed

    def _gone(self, name: str) -> Entry | None:
        """Return what is left of an agent that the database does not have: what the code declares."""
        self.unsaved[name] = None
        self._problems.pop(name, None)
        declared = self._registry.agents.get(name)
        return compile_agent(name, declared, None, Source.DATABASE) if declared is not None else None

    def _declare(self) -> None:
        """Bring what the code declares up to date."""
        self._generation = self._registry.generation
        now, changes = dict(self._registry.agents), dict[str, Entry | None]()
        for name in {*now, *self._declared}:
            declared, entry = now.get(name), self.agents.get(name)
            if declared is self._declared.get(name) and isinstance(entry, AgentTexts):
                continue
            read = self.read_of(name)
            if declared is None and read is None:
                changes[name] = None
                continue
            built = compile_agent(
                name, declared, read, Source.DATABASE, entry if isinstance(entry, AgentTexts) else None
            )
            self._note(name, built)
            changes[name] = built
        self._declared = now
        self._change(changes)

    def _note(self, name: str, texts: AgentTexts) -> None:
        if texts.faults:
            self._problems[name] = texts.faults
        else:
            self._problems.pop(name, None)

    def _change(self, changes: dict[str, Entry | None]) -> None:
        if changes:
            self.agents = self.agents.updated(changes)
            self._latest = None

    def _go_on_with(self, served: Snapshot) -> None:
        self.agents = served.agents
        for problem in served.problems:
            self._problems[problem.agent] = (*self._problems.get(problem.agent, ()), problem)
        for name in served.agents:
            if (read := self.read_of(name)) is not None:
                self.ids.put(read[0], name)
