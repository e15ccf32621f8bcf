"""Building whole snapshots: of what the code declares, and of what the database has active beside it."""

from __future__ import annotations

from collections.abc import Iterable

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import Source
from automagik_prompts.domain.summaries import AgentState
from automagik_prompts.following.memory.agents import AgentMap
from automagik_prompts.following.memory.compiling import compile_agent
from automagik_prompts.following.memory.packing import pack
from automagik_prompts.following.memory.snapshot import Snapshot


def code_snapshot(registry: Registry) -> Snapshot:
    """Return the snapshot that serves what the code declares, for a process that has read no database."""
    return build_snapshot(registry, (), (), loaded_at=None)


def build_snapshot(
    registry: Registry,
    agents: Iterable[AgentInfo],
    active: Iterable[ActiveVersion],
    *,
    previous: Snapshot | None = None,
    source: Source = Source.DATABASE,
    loaded_at: float | None,
) -> Snapshot:
    """Compile and check active versions and choose what is served for each agent and status.

    Args:
        registry: What the code declares.
        agents: The agents in the database.
        active: The active versions.
        previous: The snapshot before; its compiled texts are reused, and its texts stand in for ones that cannot be
            served.
        source: Where the versions were read.
        loaded_at: When they were read, on the monotonic clock.
    """
    versions: dict[str, list[ActiveVersion]] = {}
    for item in active:
        versions.setdefault(item.agent, []).append(item)
    read = {info.name: pack(AgentState(info, tuple(versions.get(info.name, ())))) for info in agents}
    built = {
        name: compile_agent(
            name,
            registry.agents.get(name),
            read.get(name),
            source,
            previous.agent(name) if previous is not None else None,
        )
        for name in {*registry.agents, *read}
    }
    return Snapshot(
        registry=registry,
        agents=AgentMap().updated(built),
        source=source,
        problems=tuple(fault for one in built.values() for fault in one.faults),
        loaded_at=loaded_at,
    )
