"""`ActivePrompt`, the Pydantic AI capability that puts the active prompt into every model request.

It reads snapshots through a protocol and imports nothing that could reach the database, so an agent run cannot either.

How it works: while the agent is built, a dynamic system prompt is registered, so that Pydantic AI itself sends it to
fresh runs, `Agent.system_prompt_parts()` and realtime sessions. Before each model request, after all other capabilities
and history processors, the messages are put right: the text for the present status is there exactly once, whatever
history came in. The snapshot is pinned when the run begins, so a deploy does not change the texts of a run under way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import KW_ONLY, dataclass, field, replace
from enum import Enum
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from opentelemetry.trace import get_current_span
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, durable_operation
from pydantic_ai.tools import AgentDepsT, RunContext

from automagik_prompts.agent import durable, dynamic, features, overrides, pinning, plugins, telemetry
from automagik_prompts.agent import run as runs
from automagik_prompts.agent.durable import RecordedChoice, RecordedPrompt, RecordedRun
from automagik_prompts.agent.messages import put_right, without_declared
from automagik_prompts.agent.provenance import UsedPrompt, last_used, record_provenance
from automagik_prompts.agent.rendering import RenderCache, RenderedPrompt, fill
from automagik_prompts.agent.run import Inject, MemoryRun, OnChange, Pin, Run
from automagik_prompts.agent.selection import choose, read_status, wait_for_database
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.protocols import PromptReader, PromptSource, Values
from automagik_prompts.domain.validation import check_name, normalized
from automagik_prompts.exceptions import DeclarationError
from automagik_prompts.templating.exposure import check_variable_name

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent
    from pydantic_ai.capabilities.abstract import (
        ValidatedToolArgs,
        WrapModelRequestHandler,
        WrapOutputProcessHandler,
        WrapRunHandler,
        WrapToolExecuteHandler,
    )
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import ModelRequestContext
    from pydantic_ai.output import OutputContext
    from pydantic_ai.run import AgentRunResult

_DEFAULT_ID = "active_prompt"


@dataclass
class ActivePrompt(AbstractCapability[AgentDepsT]):
    """Sends the model the active prompt for an agent's present status, on every request.

    Raises:
        DeclarationError: The arguments are invalid, or the agent is given two different ones for one prompt.
    """

    agent: str | None = None
    """The name under which the prompts are declared; the Pydantic AI agent's own name by default."""

    status: str | Enum | Callable[[RunContext[AgentDepsT]], Status | Awaitable[Status | None] | None] | None = None
    """The present status: a string, an enum member (by its value, then by its name), or a sync or async function of the
    run context that returns one of these; upper or lower case does not matter. It is read again before every model
    request. By default the function given to `@prompts`, else the primary status. What the function raises ends the
    run: a wrong status would mean a wrong prompt."""

    _: KW_ONLY

    variables: Values | Callable[[RunContext[AgentDepsT]], Values | Awaitable[Values]] | None = field(
        default=None, repr=False
    )
    """Values of variables, or a sync or async function of the run context that returns them. They come before values
    found in `deps`; only those that the text uses are read."""

    expose: Sequence[str] = ()
    """Names that texts may use, in the notation of `@prompts(variables=[...])`: for prompts that only the database has.
    Whatever an import or an adoption has stored there, a run reaches nothing in `deps` but these, and the names of
    `variables=`. What the code declares exposes its own names, and these besides."""

    inject: Inject = "system_prompt"
    """Where the model is rendered: in a system prompt at the head of the history, or in the request's instructions."""

    on_change: OnChange = "rewrite"
    """What happens to a text in the history that is not the active one any more: it is rewritten, or it stays and the
    new one is appended as its replacement, which keeps the provider's prompt cache."""

    pin: Pin | None = None
    """`"conversation"`: a conversation goes on with the version that its history says it was rendered last, until its
    status changes. By default each run takes the versions that are active when it begins. Trust the history that you
    pin by: whoever can write it chooses the version."""

    version: int | None = None
    """Always this version of the present status, for previews and replays. The first run that needs it waits until it
    is read, `startup_timeout` at most, and fails if it cannot be had: another text would be no preview."""

    plugin: PromptSource | None = None
    """The plugin to read from; the default plugin of the process by default."""

    id: str | None = _DEFAULT_ID
    """Unique among an agent's capabilities; made from the name of the prompts."""

    _suffix: ClassVar[str] = ""

    _memory: RenderCache = field(default_factory=RenderCache, init=False, repr=False, compare=False)
    _has_engine: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.agent is not None:
            self.agent = check_name(self.agent, "agent name")
            if self.id == _DEFAULT_ID:
                # A colon separates the parts of an id of Pydantic AI's.
                self.id = f"{_DEFAULT_ID}-{quote(self.agent, safe=' /@+')}{self._suffix}"
        for name, value, allowed in (
            ("inject", self.inject, ("system_prompt", "instructions")),
            ("on_change", self.on_change, ("rewrite", "append")),
            ("pin", self.pin, (None, "conversation")),
        ):
            if value not in allowed:
                raise DeclarationError(f"{name}={value!r} is unknown. Use one of: {', '.join(map(str, allowed))}.")
        self.expose = tuple(map(check_variable_name, [self.expose] if isinstance(self.expose, str) else self.expose))
        if self.version is not None and self.version < 1:
            raise DeclarationError(f"version={self.version!r} is no version. Versions are numbered from 1.")
        if self.version is not None and self.pin is not None:
            raise DeclarationError("version= and pin= exclude each other: one version always, or the conversation's.")
        if self.on_change == "append" and self.inject == "system_prompt" and not features.APPENDS_SYSTEM_PROMPTS:
            raise DeclarationError(
                'on_change="append" needs pydantic-ai-slim 2.64 or later: earlier releases cannot tell which system '
                'prompt a later one replaces. Upgrade it, or use inject="instructions" or on_change="rewrite".'
            )
        if self.defer_loading:
            raise DeclarationError("A prompt cannot be deferred: the model needs it from the first request on.")

    @classmethod
    def from_spec(
        cls,
        agent: str | None = None,
        *,
        status: str | None = None,
        variables: dict[str, Any] | None = None,
        expose: Sequence[str] = (),
        inject: Inject = "system_prompt",
        on_change: OnChange = "rewrite",
        pin: Pin | None = None,
        version: int | None = None,
    ) -> ActivePrompt[Any]:
        """Build one from an agent spec, which can hold only plain values."""
        return ActivePrompt(
            agent,
            status,
            variables=variables,
            expose=expose,
            inject=inject,
            on_change=on_change,
            pin=pin,
            version=version,
        )

    @classmethod
    def combine(cls, capabilities: Sequence[AbstractCapability[AgentDepsT]]) -> AbstractCapability[AgentDepsT]:
        """Take two equal ones for one, and report two different ones while the agent is built."""
        first, *others = cast("Sequence[ActivePrompt[AgentDepsT]]", capabilities)
        if any(other != first for other in others):
            raise _two_for(first.agent)
        return first

    def get_ordering(self) -> CapabilityOrdering:
        """Come last before the model: what history processors do to the messages must not lose the prompt."""
        return CapabilityOrdering(position="innermost")

    def for_agent(self, agent: AbstractAgent[AgentDepsT, Any]) -> AbstractCapability[AgentDepsT]:
        """Bind to the agent, and register the dynamic system prompt if the agent is just being built."""
        if self.agent is None and agent.name is None:
            raise DeclarationError(
                "This ActivePrompt does not say whose prompts to serve, and the agent has no name. Write "
                'ActivePrompt("name"), or give the agent its name when it is built.'
            )
        name = normalized(agent.name or "")
        # A copy in any case: what stands in the agent's tree itself is the one with which it is being built.
        bound = replace(self, agent=self.agent if self.agent is not None else name)
        found: list[AbstractCapability[AgentDepsT]] = []
        agent.root_capability.apply(found.append)
        rivals = [other for other in found if isinstance(other, ActivePrompt) and (other.agent or name) == bound.agent]
        # A capability for a single run is bound for each run: it is no rival, and registering it would pile up.
        if any(other is self for other in rivals):
            if any(replace(other, agent=bound.agent) != bound for other in rivals):
                raise _two_for(bound.agent)
            bound.id = self.id  # by which a durable engine may know it already
            if bound.inject == "system_prompt" and rivals[0] is self:
                dynamic.register_system_prompt(bound, agent)
        bound._has_engine = any(map(durable.is_engine, found))  # noqa: SLF001  # its own copy
        plugins.bind(bound.name, self.plugin)
        if bound.expose:
            (self.plugin.registry if self.plugin is not None else registry).expose(bound.name, bound.expose)
        if bound.pin is not None:
            pinning.keep(bound.name)
        return bound

    def get_instructions(self) -> Callable[[RunContext[AgentDepsT]], Any] | None:
        """Return the function that sends the instructions, in that mode."""
        return self._instructions if self.inject == "instructions" else None

    @cached_property
    def _instructions(self) -> Callable[[RunContext[AgentDepsT]], Any]:
        return dynamic.instructions_of(self)

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Keep to one snapshot for the run; only the first run of a process may have to wait for it."""
        name = self.name
        if self._suffix and self._is_replaced(ctx):
            return await handler()
        run = await self.begin(ctx)
        if self.pin is not None:
            run.pinned = last_used(ctx.messages, name)
        runs.begin(ctx, name, run)
        try:
            return await handler()
        finally:
            runs.end(name, run)
            if name not in plugins.ran and isinstance(run, MemoryRun):
                plugins.ran.add(name)
                run.reader.report_first_run()

    async def wrap_model_request(
        self, ctx: RunContext[AgentDepsT], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        """Find out, once for each request, what it sends."""
        run = runs.find(ctx, self.name)
        if run is None or run.capability is not self:
            return await handler(request_context)
        try:
            step = ctx.run_step
            rendered = run.prepared_for(step, earliest=step - 1)
            if rendered is None and self.inject == "system_prompt":
                rendered = await self.render(ctx, run)
            if rendered is not None:
                run.prepare(rendered, step)
                if run.span is not None:
                    with telemetry.baggage_set(telemetry.attributes_of(rendered.used)):
                        return await handler(request_context)
            return await handler(request_context)
        finally:
            run.prepared = None

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Put the messages right: this agent's active prompt once, everything else as it was."""
        name = self.name
        run = runs.find(ctx, name) or await self.begin(ctx)
        if run.capability is not self:
            return request_context
        rendered = run.prepared_for(ctx.run_step, earliest=ctx.run_step)
        if rendered is None and self.inject == "system_prompt":
            rendered = await self.render(ctx, run)
        declared = run.texts
        text = rendered.text if rendered is not None and self.inject == "system_prompt" else None
        put_right(request_context, ctx.messages, self.ref, text, declared, self._context_id)
        if rendered is None:
            return request_context  # the agent's instructions were overridden for this run, the prompt with them
        parameters = request_context.model_request_parameters
        if parameters.instruction_parts or self.inject == "instructions":
            parts = list(parameters.instruction_parts or ())
            kept = without_declared(parts, declared)
            if self.inject == "instructions" and not dynamic.is_among(kept, self.id):
                # A hook has made the instructions anew.
                kept.append(dynamic.instruction(rendered.text, self.id, self.on_change))
            if kept != parts:
                request_context.model_request_parameters = replace(parameters, instruction_parts=kept)
        record_provenance(rendered.entry, ctx.run_id, request_context.messages, ctx.messages)
        if run.span is not None:
            run.trace(rendered.used)
        return request_context

    async def wrap_tool_execute(
        self, ctx: RunContext[AgentDepsT], *, args: ValidatedToolArgs, handler: WrapToolExecuteHandler, **_call: Any
    ) -> Any:
        """Name the prompt on the span of a tool call, and on whatever the tool calls."""
        with self._traced(ctx):
            return await handler(args)

    async def wrap_output_process(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        output_context: OutputContext,
        output: Any,
        handler: WrapOutputProcessHandler,
    ) -> Any:
        """Name the prompt on the span of an output function, and on whatever that calls."""
        # Without a function there is no span for it.
        with self._traced(ctx) if output_context.has_function else nullcontext():
            return await handler(output)

    @contextmanager
    def _traced(self, ctx: RunContext[AgentDepsT]) -> Iterator[None]:
        """Name the prompt on the present span, and on whatever begins inside."""
        run = runs.find(ctx, self.name)
        if run is None or run.capability is not self or run.attributes is None or run.lead is not None:
            yield
            return
        get_current_span().set_attributes(run.attributes)
        with telemetry.baggage_set(run.attributes):
            yield

    @property
    def reader(self) -> PromptReader:
        """What it reads from."""
        return (overrides.stand_in(self.plugin) if self.plugin is not None else plugins.read()).reader

    @cached_property
    def name(self) -> str:
        """The name of the prompts.

        Raises:
            DeclarationError: It was not given one, and never bound to an agent.
        """
        if self.agent is None:
            raise DeclarationError("This ActivePrompt was never bound to an agent; pass it in capabilities=[...].")
        return self.agent

    @cached_property
    def ref(self) -> str:
        """What histories call this prompt; the same in every process, and different for each name."""
        return f"automagik_prompts.{self.name}"

    @cached_property
    def _context_id(self) -> str | None:
        """The id under which Pydantic AI lets a later statement replace an earlier one."""
        return f"system_prompt:{self.id}" if self.on_change == "append" else None

    async def render(self, ctx: RunContext[AgentDepsT], run: Run) -> RenderedPrompt:
        """Return the text for the present status, filled."""
        if not isinstance(run, MemoryRun):
            return await run.render(partial(self._record, ctx))
        name = self.name
        if not run.snapshot.is_loaded and (run.is_plain or run.goes_on) and not run.snapshot.knows(name):
            await wait_for_database(run)
        given = self.status if self.status is not None else run.snapshot.default_status(name)
        status_key = await read_status(ctx, run.snapshot, name, given) if given is not None else None
        snapshot, memory = run.snapshot, self._memory
        if run.is_plain and (rendered := memory.rendered(snapshot, status_key)) is not None:
            return rendered
        selection = run.selections.get(status_key) or await choose(ctx, run, name, status_key)
        return await fill(ctx, run.snapshot, selection, status_key, run.reader, self.variables, self.expose, memory)

    @durable_operation(name="prompt")
    async def _record(
        self, ctx: RunContext[AgentDepsT], choices: list[RecordedChoice], pinned: dict[str, Any] | None
    ) -> RecordedPrompt:
        """Find out what a request of a durable run is sent; the engine records it, and calls this once for each.

        Args:
            ctx: The run.
            choices: What was chosen for its earlier requests.
            pinned: What the conversation goes on with, if nothing was chosen yet.
        """
        run = cast("MemoryRun", await self.begin(None))
        run.pinned = UsedPrompt.from_metadata(pinned)
        durable.resume(run, choices)
        rendered = await self.render(ctx, run)
        status = self.status if self.status is not None else run.snapshot.default_status(self.name)
        return durable.recorded(run, rendered, choices, is_constant=not callable(status) or isinstance(status, Enum))

    def _is_replaced(self, ctx: RunContext[AgentDepsT]) -> bool:
        """Return whether the run has another capability for the same prompts, also one that was made for this run."""
        found: list[AbstractCapability[AgentDepsT]] = []
        if ctx.root_capability is not None:
            ctx.root_capability.apply(found.append)
        own = [one for one in map(dynamic.unwrapped, found) if isinstance(one, ActivePrompt)]
        return any(not isinstance(one, InstalledPrompt) and one.agent == self.agent for one in own)

    async def begin(self, ctx: RunContext[AgentDepsT] | None) -> Run:
        """Begin a run, waiting for the first load if need be; without a context, one that reads memory in any case."""
        if self._has_engine and ctx is not None and durable.is_replayable(ctx):
            declarations = self.plugin.registry if self.plugin is not None else registry
            return RecordedRun(self, declarations.texts(self.name))
        reader = self.reader
        snapshot = reader.snapshot() or await reader.ready()
        return MemoryRun(self, snapshot.code_texts(self.name), reader, snapshot, overrides.in_force())


class InstalledPrompt(ActivePrompt[AgentDepsT]):
    """What `install()` gives to agents; it gives way to an `ActivePrompt` that an agent or a run was given."""

    _suffix = "-installed"


def _two_for(agent: str | None) -> DeclarationError:
    return DeclarationError(
        f"The agent has two different ActivePrompt capabilities for {agent!r}. Keep one.", agent=agent
    )
