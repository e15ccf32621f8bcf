"""Prompts that are in force in one context only: overrides in tests, versions in previews and replays.

A context is what `contextvars` calls one: a task, or a thread, and what it starts. What is in force is never seen by
other tasks and threads, and it ends for everybody when it is ended, whoever still holds the context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from automagik_prompts.agent import plugins
from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, StatusKeys
from automagik_prompts.domain.protocols import PromptSource, SnapshotReader
from automagik_prompts.domain.served import Reason, ReasonCode, Selection, ServedPrompt
from automagik_prompts.exceptions import NoActivePromptError


@dataclass(slots=True, eq=False)
class Override:
    """A prompt in force.

    Attributes:
        prompt: The prompt, for its agent and status.
        ended: Whether it is in force no more.
    """

    prompt: ServedPrompt
    ended: bool = False


_overrides: ContextVar[tuple[Override, ...]] = ContextVar("automagik_prompts_overrides", default=())

begun = _overrides.get
"""Returns what was put in force in the present context, ended or not: mostly nothing."""


def in_force() -> tuple[ServedPrompt, ...]:
    """Return the prompts in force in the present context, the latest first."""
    if not (found := _overrides.get()):
        return ()
    return tuple(override.prompt for override in reversed(found) if not override.ended)


def find(prompts: tuple[ServedPrompt, ...], agent: str, status_key: str) -> ServedPrompt | None:
    """Return the latest of some prompts for an agent and status, or `None`."""
    own = [prompt for prompt in prompts if prompt.agent == agent]
    key = StatusKeys(prompt.status_key for prompt in own).find(status_key)
    return next((prompt for prompt in own if prompt.status_key == key), None)


def choose(
    snapshot: SnapshotReader, agent: str, status_key: str | None, prompts: tuple[ServedPrompt, ...]
) -> Selection:
    """Choose the prompt for an agent and status: one in force, else what the snapshot serves.

    Args:
        snapshot: What is served.
        agent: The agent's name.
        status_key: The status; `None` for the primary one.
        prompts: The prompts in force.

    Raises:
        NoActivePromptError: Nothing is in force, and neither the database nor the code has anything to serve.
    """
    if not prompts:
        return snapshot.select(agent, status_key)
    found = find(prompts, agent, status_key) if status_key is not None else None
    if found is None:
        try:
            selection = snapshot.select(agent, status_key)
        except NoActivePromptError:
            found = find(prompts, agent, DEFAULT_STATUS_KEY)
            if found is None:
                raise
        else:
            found = find(prompts, agent, selection.prompt.status_key)
            if found is None:
                return selection
    return Selection(found, (Reason(ReasonCode.OVERRIDE),))


def begin(prompt: ServedPrompt) -> Override:
    """Put a prompt in force in the present context, until it is ended."""
    override = Override(prompt)
    _overrides.set((*(known for known in _overrides.get() if not known.ended), override))
    return override


def end(override: Override) -> None:
    """End what is in force, from any context."""
    override.ended = True
    _overrides.set(tuple(known for known in _overrides.get() if not known.ended))


_stand_ins: dict[int, PromptSource] = {}


def stand_in(plugin: PromptSource) -> PromptSource:
    """Return what is read instead of a plugin: in a test the one of the test, else the plugin itself."""
    return _stand_ins.get(id(plugin), plugin) if _stand_ins else plugin


@contextmanager
def standing_in(by: PromptSource, *replaced: PromptSource) -> Iterator[None]:
    """Have a plugin read instead of others, in the whole process."""
    saved = dict(_stand_ins)
    _stand_ins.update({id(plugin): by for plugin in replaced})
    plugins.changed()
    try:
        yield
    finally:
        _stand_ins.clear()
        _stand_ins.update(saved)
        plugins.changed()
