"""What a plugin says of itself: `explain` for one prompt, `health` for the whole process; memory only."""

from __future__ import annotations

import time
from collections.abc import Iterator

from automagik_prompts.agent import plugins
from automagik_prompts.domain.keys import SpellingClash, Status
from automagik_prompts.domain.protocols import DefaultPlugin
from automagik_prompts.domain.served import Explanation, Health, ServedPrompt
from automagik_prompts.domain.text import nearest
from automagik_prompts.following.memory.choosing import Problem
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.runtime.lifecycle import Lifecycle
from automagik_prompts.runtime.reader import Reader


def explain(life: Lifecycle, reader: Reader, agent: str, status: Status | None) -> Explanation:
    """Return which version is served for an agent and status, from where, why, and how old the snapshot is.

    Raises:
        NoActivePromptError: Neither the database nor the code has anything to serve.
    """
    (asked, selection), following = reader.select(agent, status, serving=False), life.state.status
    prompt, now = selection.prompt, time.monotonic()
    agent = prompt.agent
    return Explanation(
        agent=agent,
        status_key=asked,
        served_status_key=prompt.status_key,
        version=prompt.version,
        source=prompt.source,
        reason=selection.reason or "it is the active version of this status",
        state=following.state,
        state_age=now - following.since,
        snapshot_age=None if following.read_at is None else now - following.read_at,
        error=following.error,
        content_hash=prompt.content_hash,
        variables=prompt.variables,
        notes=(
            *(
                f"{problem.prompt.status_key}, version {problem.prompt.version}: {problem.reason}"
                for problem in _faults(life, agent)
            ),
            *(str(clash) for clash in _clashes(life) if clash.agent == agent),
            *_withdrawn(life, prompt, asked),
            *_unknown_to_code(life, agent, asked),
            *following.warnings,
            *((following.unheard,) if following.unheard else ()),
            *((f"what the code declares is not written: {following.unwritten}",) if following.unwritten else ()),
        ),
        reasons=selection.reasons,
    )


def health(life: Lifecycle, reader: Reader, plugin: DefaultPlugin) -> Health:
    """Return how a plugin fares."""
    snapshot, following, now = life.state.snapshot, life.state.status, time.monotonic()
    is_ready = snapshot is not None and (
        snapshot.is_loaded or all(snapshot.knows(name) for name in plugins.needed_by(plugin))
    )
    return Health(
        ready=is_ready,
        state=following.state,
        state_age=now - following.since,
        snapshot_age=None if following.read_at is None else now - following.read_at,
        error=following.error,
        listening=following.listening,
        unheard=following.unheard,
        unwritten=following.unwritten,
        unreported=following.unreported,
        agents=_agents(life, snapshot),
        problems=(
            *(
                f"{problem.agent}/{problem.prompt.status_key}, version {problem.prompt.version}: {problem.reason}"
                for problem in _problems(life)
            ),
            *map(str, _clashes(life)),
            *following.warnings,
            *reader.notices.problems,
        ),
    )


def problem_counts(life: Lifecycle, reader: Reader) -> dict[str, int]:
    """Return what is wrong as codes and numbers, without a name of anything; empty where nothing is."""
    following = life.state.status
    counts = {
        "unreadable": int(following.error is not None),
        "unservable": len(_problems(life)),
        "spelling": len(_clashes(life)),
        "hidden_rows": len(following.warnings),
        "unwritten": int(following.unwritten is not None),
        "unheard": int(following.unheard is not None),
        "unreported": int(following.unreported is not None),
        "notice": len(reader.notices.problems),
    }
    return {code: count for code, count in counts.items() if count}


def _agents(life: Lifecycle, snapshot: Snapshot | None) -> int:
    """Return how many agents have prompts here."""
    if snapshot is None:
        return len(life.registry.agents)
    return snapshot.agents.with_texts + sum(snapshot.agents.get(name) is None for name in life.registry.agents)


def _problems(life: Lifecycle) -> tuple[Problem, ...]:
    snapshot = life.state.snapshot
    return snapshot.problems if snapshot is not None else ()


def _faults(life: Lifecycle, agent: str) -> tuple[Problem, ...]:
    texts = life.state.snapshot.agent(agent) if life.state.snapshot is not None else None
    return texts.faults if texts is not None else ()


def _clashes(life: Lifecycle) -> list[SpellingClash]:
    """Return the statuses that the code spells otherwise than the database, by agent."""
    snapshot = life.state.snapshot
    return sorted({*(snapshot.clashes if snapshot is not None else ()), *life.state.status.clashes})


def _withdrawn(life: Lifecycle, prompt: ServedPrompt, status_key: str) -> Iterator[str]:
    """Yield a note about the withdrawn versions of a status, and about such a text that is served all the same."""
    snapshot = life.state.snapshot
    texts = snapshot.agent(prompt.agent) if snapshot is not None else None
    if texts is None:
        return
    if texts.is_withdrawn(prompt):
        yield "this text is withdrawn, and stands in as there is no other: activate a version, and change the code"
    if numbers := sorted(one.version for one in texts.withdrawn if one.status_key == status_key):
        more = ", ..." if len(numbers) > _SHOWN else ""
        which = f"version{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[-_SHOWN:]))}{more}"
        yield f"withdrawn: {which}; no conversation goes on with {'them' if len(numbers) > 1 else 'it'}"


_SHOWN = 10
"""Withdrawn versions that are named, at most."""


def _unknown_to_code(life: Lifecycle, agent: str, status_key: str) -> Iterator[str]:
    """Yield a note about a status that only the database has, for an agent that the code declares."""
    declared, snapshot = life.registry.agents.get(agent), life.state.snapshot
    if declared is None or snapshot is None or declared.keys.find(status_key) is not None:
        return
    if (texts := snapshot.agent(agent)) is not None and status_key in texts.served:
        near = nearest(status_key, declared.prompts, "statuses")
        yield f"the code does not declare the status {status_key!r}. {near}"
