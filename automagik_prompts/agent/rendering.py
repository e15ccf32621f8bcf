"""Filling the text that was chosen, with the values that a run has; the code's text if that fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic_ai.tools import RunContext

from automagik_prompts.agent.filling import fill_text, names_of
from automagik_prompts.agent.history.used import ProvenanceEntry, UsedPrompt
from automagik_prompts.domain.protocols import PromptReader, SnapshotReader, Values, VariablesFunction
from automagik_prompts.domain.served import Limits, Selection
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating.access import ABSENT, BUILTINS, builtin_value, get, names_in


@dataclass(slots=True, eq=False)
class RenderedPrompt:
    """A filled text; each run with variables makes one, and a frozen one takes three times as long.

    Attributes:
        text: The text, filled.
        used: The prompt that was filled.
        entry: What histories say about it, but for the run, where nothing is signed or kept back.
    """

    text: str
    used: UsedPrompt
    entry: ProvenanceEntry | None


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What was made of one choice.

    Attributes:
        snapshot: From which it was chosen.
        selection: The choice.
        used: What identifies the chosen prompt, for the status that it was chosen for.
        entry: What histories say about it, as above.
        rendered: What is sent, if no value goes into it.
        limits: How large values may be.
        is_own: Whether it is a text of the status' own, of an agent that the code declares: what stands in for one may
            change with the code.
    """

    snapshot: SnapshotReader
    selection: Selection
    used: UsedPrompt
    entry: ProvenanceEntry
    rendered: RenderedPrompt | None
    limits: Limits
    is_own: bool

    def plain(self, deps: object) -> RenderedPrompt | None:
        """Return what is sent where that takes no more than a look at `deps`, as it mostly does; else `None`."""
        if self.rendered is not None:
            return self.rendered
        text = self.selection.prompt.template.joined(deps, self.limits)
        return RenderedPrompt(text, self.used, self.entry) if text is not None else None


@dataclass(slots=True, eq=False)
class RenderCache:
    """What was made of the latest choice for each status, so that a run need not make it anew.

    Attributes:
        entries: What was made, by status.
    """

    entries: dict[str | None, CacheEntry] = field(default_factory=dict)

    def keep(
        self, snapshot: SnapshotReader, status_key: str | None, selection: Selection, reader: PromptReader
    ) -> CacheEntry:
        """Make of a choice what can be made without values, and keep it.

        Threads may do so at once, as each of them keeps what is right.
        """
        prompt = selection.prompt
        asked = status_key or prompt.status_key
        used = UsedPrompt.of(prompt, asked)
        entry = used.facts()
        rendered = None
        if not prompt.template.variables:
            with suppress(RenderError):  # a helper may fail without a variable: `fill` deals with that
                text = prompt.template.render(lambda _name: ABSENT, missing=reader.missing)
                rendered = RenderedPrompt(text, used, entry)
        if len(self.entries) >= _REMEMBERED:
            self.entries.clear()  # a status function can return anything
        is_own = not selection.reasons and snapshot.code(prompt.agent) is not None
        self.entries[status_key] = made = CacheEntry(snapshot, selection, used, entry, rendered, reader.limits, is_own)
        return made


_REMEMBERED = 256
"""How many statuses a capability remembers at most."""


async def fill(
    ctx: RunContext[Any],
    snapshot: SnapshotReader,
    selection: Selection,
    status_key: str | None,
    reader: PromptReader,
    variables: Values | VariablesFunction | None,
    expose: Collection[str],
    memory: RenderCache,
) -> RenderedPrompt:
    """Fill the chosen text.

    Args:
        ctx: The run.
        snapshot: From which was chosen.
        selection: What was chosen.
        status_key: The run's status, `None` for the primary one.
        reader: Says what a missing value becomes, and takes note of a text that cannot be filled.
        variables: The values that the capability was given.
        expose: The names that the capability exposes, for an agent that the code does not declare.
        memory: What was made of earlier choices.

    Raises:
        InvalidPromptError: `variables` gave something that is no mapping.
        RenderError: The text cannot be filled, and the code has no other.
    """
    known = memory.entries.get(status_key)
    if known is None or known.selection is not selection or known.snapshot is not snapshot:
        known = memory.keep(snapshot, status_key, selection, reader)
    if known.rendered is not None:
        return known.rendered
    prompt, asked = selection.prompt, known.used.asked_status_key
    given: Any = variables
    if callable(given):
        given = given(ctx)
        if inspect.isawaitable(given):
            given = await given
    lookup = _lookup(ctx, given or {}, prompt.agent, asked)
    exposed = None if snapshot.code(prompt.agent) is not None else {*expose, *names_of(given or {})}
    text, filled = fill_text(reader, selection, lookup, partial(names_in, given or {}, ctx.deps), exposed)
    if filled is prompt:
        return RenderedPrompt(text, known.used, known.entry)
    used = UsedPrompt.of(filled, asked)
    return RenderedPrompt(text, used, used.facts())


def _lookup(ctx: RunContext[Any], given: Values, agent: str, status_key: str) -> Callable[[str], object]:
    """Return the function that finds a variable's value: given, then built in, then in `deps`.

    A built-in name needs no exposing, so it must not be a way to something in `deps` that happens to have that name.
    """
    if not isinstance(given, Mapping):
        raise InvalidPromptError(
            f"variables= must give a mapping of names to values, not {type(given).__name__}.", agent=agent
        )
    deps = ctx.deps

    def lookup(name: str) -> object:
        if given and name in given:
            return given[name]
        if name in BUILTINS:
            value = builtin_value(name, agent, status_key, ctx.run_id)
            if value is not ABSENT:
                return value
        return get(deps, name)

    return lookup
