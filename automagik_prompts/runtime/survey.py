"""All active versions, piece by piece: which could not be served here, and what else is worth telling.

At any size it takes no more memory than one piece: of what was looked at, only what is worth telling is kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source
from automagik_prompts.domain.summaries import AgentState
from automagik_prompts.following.memory.compiling import compile_agent
from automagik_prompts.following.memory.doubt import BEFORE_ALL
from automagik_prompts.following.memory.packing import pack
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

SHOWN = 20
"""How many of a kind are told; of the others their number."""

_PIECE = 1_000_000
"""Characters of text in one piece, about."""


@dataclass(slots=True)
class Kind:
    """Things of one kind: the first of them, and how many there are.

    Attributes:
        shown: The first of them.
        count: How many there are.
    """

    shown: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, one: str) -> None:
        """Take note of one."""
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(one)

    def __str__(self) -> str:
        more = f", and {self.count - len(self.shown)} more" if self.count > len(self.shown) else ""
        return f"{', '.join(self.shown)}{more}"


@dataclass(slots=True)
class Survey:
    """What was found.

    Attributes:
        agents: How many agents have something to serve.
        problems: The active versions that cannot be served here, and the statuses that the code spells otherwise.
        idle: The agents of which no version is active and which no code here declares: nothing stands in for them.
        unknown: The statuses that only the database has, of agents that the code declares.
        declared: The agents of the code whose texts use variables.
        others: The agents besides whose texts use some.
    """

    agents: int = 0
    problems: Kind = field(default_factory=Kind)
    idle: Kind = field(default_factory=Kind)
    unknown: Kind = field(default_factory=Kind)
    declared: Kind = field(default_factory=Kind)
    others: Kind = field(default_factory=Kind)


async def survey(database: Database, registry: Registry, only: tuple[str, ...] = ()) -> Survey:
    """Look through everything that a process would serve.

    Args:
        database: An open database.
        registry: What the code declares.
        only: The agents to look at besides those of the code; empty for all.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    found, missing = Survey(), set(registry.agents)
    async for state in _named(database, {*only, *missing}) if only else _all(database):
        missing.discard(state.info.name)
        _look_at(found, registry, state)
    found.agents += len(missing)
    return found


async def _named(database: Database, names: set[str]) -> AsyncIterator[AgentState]:
    for name in sorted(names):
        for state in await database.run(repository.get_states_named, [name]):
            yield state


async def _all(database: Database) -> AsyncIterator[AgentState]:
    after, limit = BEFORE_ALL, 10
    while states := await database.run(repository.get_states_after, after, limit):
        for state in states:
            yield state
        size = sum(len(version.prompt_text) for state in states for version in state.active)
        after, limit = states[-1].info.id, min(limit * 2, 1000) if size < _PIECE else max(1, limit // 2)


def _look_at(found: Survey, registry: Registry, state: AgentState) -> None:
    name, declared = state.info.name, registry.agents.get(state.info.name)
    texts = compile_agent(name, declared, pack(state), Source.DATABASE)
    found.agents += bool(texts.chosen)
    # An application's own agents, which never had a prompt, have no revision.
    if declared is None and not texts.chosen and state.info.revision > 0:
        found.idle.add(name)
    for fault in texts.faults:
        found.problems.add(f"{name}/{fault.prompt.status_key}, version {fault.prompt.version}: {fault.reason}")
    if declared is not None:
        for clash in texts.clashes():
            found.problems.add(str(clash))
        for status_key in sorted(texts.served):
            if declared.keys.find(status_key) is None:
                found.unknown.add(f"{name}/{status_key}")
    if any(prompt.variables for prompt in texts.served.values()):
        (found.declared if declared is not None else found.others).add(name)
