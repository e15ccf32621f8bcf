"""`ActivePrompt`, the Pydantic AI capability that puts the active prompt into every model request.

It reads snapshots through a protocol and imports nothing that could reach the database, so an agent run cannot either.

How it works: while the agent is built, a dynamic system prompt is registered, so that Pydantic AI itself tells fresh
runs, `Agent.system_prompt_parts()` and realtime sessions. Before each model request, after all other capabilities and
history processors, the messages are put right: the text for the present status is there exactly once, whatever history
came in. The snapshot is pinned when the run begins, so a deploy does not change the texts of a run under way.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.messages import InstructionPart
from pydantic_ai.tools import AgentDepsT, RunContext

from automagik_prompts.exceptions import DeclarationError, InvalidPromptError, RenderError
from automagik_prompts.placement import Placement
from automagik_prompts.types import (
    PromptReader,
    Selection,
    ServedPrompt,
    SnapshotReader,
    StatusFunction,
    Values,
    VariablesFunction,
    check_name,
    status_value,
)
from automagik_prompts.values import ABSENT, builtin_value, get

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent
    from pydantic_ai.capabilities.abstract import WrapRunHandler
    from pydantic_ai.models import ModelRequestContext
    from pydantic_ai.run import AgentRunResult

Inject = Literal["system_prompt", "instructions"]
OnChange = Literal["rewrite", "append"]

_DEFAULT_ID = "active_prompt"


@dataclass
class ActivePrompt(AbstractCapability[AgentDepsT]):
    """Tells the model the active prompt for an agent's present status, on every request.

    Raises:
        DeclarationError: The arguments cannot be right, or the agent is given two different ones for one prompt.
    """

    agent: str | None = None
    """The name under which the prompts are declared; the Pydantic AI agent's own name by default."""

    status: str | Enum | StatusFunction | None = None
    """The present status: a string, an enum member, or a sync or async function of the run context that returns one
    of these. It is read again before every model request. By default the function given to `@prompts`, else the
    primary status. What the function raises ends the run: a wrong status would mean a wrong prompt."""

    _: KW_ONLY

    variables: Values | VariablesFunction | None = None
    """Values of variables, or a sync or async function of the run context that returns them. They come before values
    found in `deps`; only those that the text uses are read."""

    inject: Inject = "system_prompt"
    """Where the model is told: in a system prompt at the head of the history, or in the request's instructions."""

    on_change: OnChange = "rewrite"
    """What happens to a text in the history that is not the active one any more: it is rewritten, or it stays and the
    new one is appended as its replacement, which keeps the provider's prompt cache."""

    plugin: PromptReader | None = None
    """The plugin to read from; the default plugin of the process by default."""

    id: str | None = _DEFAULT_ID
    """Unique among an agent's capabilities; made from the name of the prompts."""

    def __post_init__(self) -> None:
        if self.agent is not None:
            check_name(self.agent, "agent name")
            if self.id == _DEFAULT_ID:
                self.id = f"{_DEFAULT_ID}-{self.agent.replace(':', '-')}"
        for name, value, allowed in (
            ("inject", self.inject, ("system_prompt", "instructions")),
            ("on_change", self.on_change, ("rewrite", "append")),
        ):
            if value not in allowed:
                raise DeclarationError(f"{name}={value!r} is unknown. Use one of: {', '.join(allowed)}.")
        if self.defer_loading:
            raise DeclarationError("A prompt cannot be deferred: the model needs it from the first request on.")

    @classmethod
    def from_spec(
        cls,
        agent: str | None = None,
        *,
        status: str | None = None,
        inject: Inject = "system_prompt",
        on_change: OnChange = "rewrite",
    ) -> ActivePrompt[Any]:
        """Build one from an agent spec, which can hold only plain values."""
        return ActivePrompt(agent, status, inject=inject, on_change=on_change)

    @classmethod
    def combine(cls, capabilities: Sequence[AbstractCapability[AgentDepsT]]) -> AbstractCapability[AgentDepsT]:
        """Take two equal ones for one, and report two different ones while the agent is built."""
        first, *others = cast("Sequence[ActivePrompt[AgentDepsT]]", capabilities)
        for other in others:
            if other != first:
                raise DeclarationError(
                    f"The agent has two different ActivePrompt capabilities for {first.agent!r}. Keep one.",
                    agent=first.agent,
                )
        return first

    def get_ordering(self) -> CapabilityOrdering:
        """Come last before the model: what history processors do to the messages must not lose the prompt."""
        return CapabilityOrdering(position="innermost")

    def for_agent(self, agent: AbstractAgent[AgentDepsT, Any]) -> AbstractCapability[AgentDepsT]:
        """Bind to the agent, and register the dynamic system prompt if the agent is just being built."""
        bound = self if self.agent is not None else replace(self, agent=_name_of(agent))
        own: list[AbstractCapability[AgentDepsT]] = []
        agent.root_capability.apply(own.append)
        # For a capability given to a single run this is called for each run; registering would pile up.
        if bound.inject == "system_prompt" and any(capability is self for capability in own):
            bound.register(agent)
        return bound

    def get_instructions(self) -> Callable[[RunContext[AgentDepsT]], Any] | None:
        """Return the function that tells the instructions, in that mode."""
        if self.inject != "instructions":
            return None

        async def active_prompt(ctx: RunContext[AgentDepsT]) -> InstructionPart:
            run = _RUNS.get(self._key(ctx))
            snapshot = run.snapshot if run is not None else await self._reader.ready()
            text = await self.tell(ctx, snapshot)
            return InstructionPart(text, name="prompt", dynamic=True, on_change=self.on_change)

        return active_prompt

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Pin the snapshot for the run; only the first run of a process may have to wait for it."""
        reader = self._reader
        key = self._key(ctx)
        run = _Run(self, reader.snapshot() or await reader.ready())
        _RUNS[key] = run
        try:
            return await handler()
        finally:
            if _RUNS.get(key) is run:
                del _RUNS[key]

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Put the messages right: this agent's active prompt once, everything else as it was."""
        run = _RUNS.get(self._key(ctx)) or _Run(self, await self._reader.ready())
        declared = run.snapshot.code_texts(self._name)
        if self.inject == "instructions":
            place = Placement(self._ref, None, declared)
        else:
            text, run.prepared = run.prepared, None
            if text is None:
                text = await self.tell(ctx, run.snapshot)
            place = Placement(self._ref, text, declared, self._context_id)
        if (messages := place.apply(request_context.messages)) is not None:
            request_context.messages = messages
        if (messages := place.apply(ctx.messages)) is not None:
            ctx.messages[:] = messages
        parameters = request_context.model_request_parameters
        if parts := parameters.instruction_parts:
            # An agent that still has a declared text as its static instructions would tell it twice.
            kept = [part for part in parts if part.dynamic or part.content not in declared]
            if len(kept) != len(parts):
                request_context.model_request_parameters = replace(parameters, instruction_parts=kept)
        return request_context

    @property
    def _reader(self) -> PromptReader:
        return self.plugin if self.plugin is not None else _default_plugin()

    @property
    def _name(self) -> str:
        if self.agent is None:
            raise DeclarationError("This ActivePrompt was never bound to an agent; pass it in capabilities=[...].")
        return self.agent

    @property
    def _ref(self) -> str:
        """What histories call this prompt; the same in every process, and different for each name."""
        return f"automagik_prompts.{self._name}"

    @property
    def _context_id(self) -> str | None:
        """The id under which Pydantic AI lets a later statement replace an earlier one."""
        return f"system_prompt:{self.id}" if self.on_change == "append" else None

    def _key(self, ctx: RunContext[AgentDepsT]) -> tuple[str, str]:
        return ctx.run_id or "", self._name

    def register(self, agent: AbstractAgent[AgentDepsT, Any]) -> None:
        """Register the dynamic system prompt; one that was registered under the same name is this one."""
        register = getattr(agent, "system_prompt", None)
        if register is None:
            return  # a wrapper: what it wraps was built with its own capabilities

        async def system_prompt(ctx: RunContext[AgentDepsT]) -> str:
            run = _RUNS.get(self._key(ctx))
            if run is None:
                return await self.tell(ctx, await self._reader.ready())
            if run.capability.inject != "system_prompt":
                return ""  # a capability for this run only has taken over, and puts it elsewhere
            if run.prepared is None:
                run.prepared = await run.capability.tell(ctx, run.snapshot)
            return run.prepared

        system_prompt.__qualname__ = self._ref
        register(dynamic=True, name=self.id, on_change=self.on_change)(system_prompt)

    async def tell(self, ctx: RunContext[AgentDepsT], snapshot: SnapshotReader) -> str:
        """Return the text for the present status, filled."""
        status: Any = self.status if self.status is not None else snapshot.default_status(self._name)
        if callable(status) and not isinstance(status, Enum):
            status = status(ctx)
            if inspect.isawaitable(status):
                status = await status
        status_key = status_value(status)
        selection = snapshot.select(self._name, status_key)
        if not selection.prompt.template.variables:
            with suppress(RenderError):
                return selection.prompt.template.render(_no_values, missing=self._reader.missing)
        return await self._fill(ctx, selection, status_key)

    async def _fill(self, ctx: RunContext[AgentDepsT], selection: Selection, status_key: str | None) -> str:
        """Fill a text with values, the code's text if that fails."""
        given: Any = self.variables
        if callable(given):
            given = given(ctx)
            if inspect.isawaitable(given):
                given = await given
        lookup = _lookup(ctx, given or {}, self._name, status_key or selection.prompt.status_key)
        reader = self._reader
        try:
            return selection.prompt.template.render(lookup, missing=reader.missing)
        except RenderError as error:
            reader.report_render_failure(selection.prompt, error)
            code = selection.code
            if code is None or _same(code, selection.prompt):
                raise
            return code.template.render(lookup, missing=reader.missing)


@dataclass(slots=True)
class _Run:
    """What belongs to one run: the capability in charge, the pinned snapshot, and a text made for the next request."""

    capability: ActivePrompt[Any]
    snapshot: SnapshotReader
    prepared: str | None = None


# By run id and name of the prompts. Not in a context variable: a run may be driven from several tasks.
_RUNS: dict[tuple[str, str], _Run] = {}


def _no_values(_name: str) -> object:
    return ABSENT


def _lookup(ctx: RunContext[Any], given: Values, agent: str, status_key: str) -> Callable[[str], object]:
    """Return the function that finds a variable's value: given, then in `deps`, then built in."""
    if not isinstance(given, Mapping):
        raise InvalidPromptError(
            f"variables= must give a mapping of names to values, not {type(given).__name__}.", agent=agent
        )
    deps = ctx.deps

    def lookup(name: str) -> object:
        if name in given:
            return given[name]
        value = get(deps, name)
        return value if value is not ABSENT else builtin_value(name, agent, status_key, ctx.run_id)

    return lookup


def _name_of(agent: AbstractAgent[Any, Any]) -> str:
    if agent.name is None:
        raise DeclarationError(
            "This ActivePrompt does not say whose prompts to serve, and the agent has no name. Write "
            'ActivePrompt("name"), or give the agent its name when it is built.'
        )
    return agent.name


def _same(one: ServedPrompt, other: ServedPrompt) -> bool:
    return (one.text, one.format) == (other.text, other.format)


def _default_plugin() -> PromptReader:
    """Return the process' default plugin.

    The package makes it when it is first asked for. It is asked through `sys.modules`, so that this module, and with it
    an agent run that was given a plugin, imports nothing that could reach the database.
    """
    plugin: PromptReader = sys.modules["automagik_prompts"].default_plugin()
    return plugin
