"""`ActivePrompt`, the Pydantic AI capability that puts the active prompt into every model request.

It reads snapshots through a protocol and imports nothing that could reach the database, so an agent run cannot either.

How it works: while the agent is built, a dynamic system prompt is registered, so that Pydantic AI itself sends it to
fresh runs, `Agent.system_prompt_parts()` and realtime sessions. Before each model request, after all other capabilities
and history processors, the messages are put right: the text for the present status is there exactly once, whatever
history came in. The snapshot is pinned when the run begins, so a deploy does not change the texts of a run under way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast
from weakref import ref

from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, durable_operation
from pydantic_ai.tools import AgentDepsT, RunContext

from automagik_prompts.agent import durable, dynamic, overrides, pinning, plugins, telemetry
from automagik_prompts.agent import run as runs
from automagik_prompts.agent.carrying import carrying
from automagik_prompts.agent.durable import RecordedChoice, RecordedPrompt, RecordedRun
from automagik_prompts.agent.history.messages import put_right
from automagik_prompts.agent.history.others import drop_others
from automagik_prompts.agent.history.provenance import last_used
from automagik_prompts.agent.history.used import UsedPrompt
from automagik_prompts.agent.options import PromptOptions
from automagik_prompts.agent.rendering import RenderCache, RenderedPrompt, fill
from automagik_prompts.agent.run import MemoryRun, Run
from automagik_prompts.agent.selection import choose, read_status, wait_for_database
from automagik_prompts.agent.usual import Plan
from automagik_prompts.declaring import sandbox
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.validation import normalized
from automagik_prompts.exceptions import DeclarationError

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent
    from pydantic_ai.capabilities.abstract import (
        ValidatedToolArgs,
        WrapOutputProcessHandler,
        WrapRunHandler,
        WrapToolExecuteHandler,
    )
    from pydantic_ai.models import ModelRequestContext
    from pydantic_ai.output import OutputContext
    from pydantic_ai.run import AgentRunResult


_NONE = frozenset[str]()


def _no_plan() -> Plan | None:
    """Return nothing; a default in the class would be looked at in each run as well."""
    return None


@dataclass
class ActivePrompt(PromptOptions[AgentDepsT]):
    """Sends the model the active prompt for an agent's present status, on every request.

    Raises:
        DeclarationError: The arguments are invalid, or the agent is given two different ones for one prompt.
    """

    _memory: RenderCache = field(default_factory=RenderCache, init=False, repr=False, compare=False)
    _plan: Plan | None = field(default_factory=_no_plan, init=False, repr=False, compare=False)
    _is_installed: bool = field(default_factory=bool, init=False, repr=False, compare=False)
    _has_engine: bool = field(default=False, init=False, repr=False, compare=False)
    _alone_in: ref[AbstractCapability[AgentDepsT]] | None = field(default=None, init=False, repr=False, compare=False)

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
        bound._is_installed = bool(self._suffix)  # noqa: SLF001  # its own copy
        bound._has_engine = any(map(durable.is_engine, found))  # noqa: SLF001  # its own copy
        plugins.bind(bound.name, self.plugin)
        if self.plugin is None and not sandbox.is_inside():
            plugins.load()
        if bound.expose:
            (self.plugin.registry if self.plugin is not None else registry).expose(bound.name, bound.expose)
        if bound.pin is not None:
            plugins.pinned.add(bound.name)
        return bound

    def get_instructions(self) -> Callable[[RunContext[AgentDepsT]], Any] | None:
        """Return the function that sends the instructions, in that mode."""
        return self._instructions if self.inject == "instructions" else None

    @cached_property
    def _instructions(self) -> Callable[[RunContext[AgentDepsT]], Any]:
        return dynamic.instructions_of(self)

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> AbstractCapability[AgentDepsT]:  # noqa: ARG002  # as it is called
        """Carry the prompt as baggage as well, where a plugin of this process is set to do so."""
        is_asked = plugins.carries_baggage and not self._has_engine and self.reader.history.baggage
        return carrying(self) if is_asked else self

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Keep to one snapshot for the run; only the first run of a process may have to wait for it."""
        if self._is_installed and self._is_replaced(ctx):
            return await handler()
        plan = self._plan
        run: Run | None = plan.begin(self) if plan is not None else None
        is_new = run is None
        if run is None:
            run = await self.begin(ctx)
            if self.pin == "conversation":
                run.pinned = last_used(ctx.messages, self.name)
            elif self.pin is not None and isinstance(run, MemoryRun):
                await pinning.ask(ctx, self.pin, run)
        if ctx.messages:
            run.look_back(ctx.messages, leading=self.adopt == "leading")
            if isinstance(run, MemoryRun):
                run.believe(ctx.messages, ctx.conversation_id)
        runs.begin(ctx, plan.name if plan is not None else self.name, run)
        try:
            return await handler()
        finally:
            runs.end(run)
            if is_new and self.name not in plugins.ran and isinstance(run, MemoryRun):
                plugins.ran.add(self.name)
                run.reader.report_first_run()

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Put the messages right: this agent's active prompt once, everything else as it was."""
        plan = self._plan
        if plan is None or not plan.has_sent(ctx, request_context):
            await self._put_right(ctx, request_context)
        return request_context

    async def _put_right(self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext) -> None:
        """Put the messages of any request right."""
        run = runs.find(ctx, self.name) or await self.begin(ctx)
        if run.capability is not self:
            return
        rendered = run.take(ctx.run_step)
        is_system_prompt = self.inject == "system_prompt"
        if rendered is None and is_system_prompt:
            rendered = await self.render(ctx, run)
        text = rendered.text if rendered is not None and is_system_prompt else None
        known = (run.may_have_sent, rendered.used.status_key if rendered is not None else "")
        is_told = put_right(request_context, ctx.messages, self.ref, text, run.texts, self.context_id, known)
        run.sent |= {text}
        if self.others == "drop":
            drop_others(request_context, ctx.messages, {one.ref for one in self._own_prompts(ctx)})
        if rendered is None or not is_told:
            # The agent's instructions were overridden for this run, the prompt with them; or an answer goes on under
            # what it was sent before, of which the history tells already.
            return
        if not is_system_prompt or request_context.model_request_parameters.instruction_parts:
            dynamic.instruct(request_context, self, rendered.text, run.texts)
        run.record(rendered, ctx, request_context.messages)

    async def wrap_tool_execute(
        self, ctx: RunContext[AgentDepsT], *, args: ValidatedToolArgs, handler: WrapToolExecuteHandler, **_call: Any
    ) -> Any:
        """Name the prompt on the span of a tool call, and on whatever the tool calls."""
        if (traced := self._traced(ctx)) is None:
            return await handler(args)
        with telemetry.named(*traced):
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
        if not output_context.has_function or (traced := self._traced(ctx)) is None:
            return await handler(output)
        with telemetry.named(*traced):
            return await handler(output)

    def _traced(self, ctx: RunContext[AgentDepsT]) -> tuple[telemetry.Attributes, bool] | None:
        """Return what spans say about the latest request, and whether it is carried as baggage; mostly nothing."""
        run = runs.find(ctx, self.name)
        if run is None or run.attributes is None or run.capability is not self or run.lead is not None:
            return None
        return run.attributes, run.rules is not None and run.rules.baggage

    async def render(self, ctx: RunContext[AgentDepsT], run: Run) -> RenderedPrompt:
        """Return the text for the present status, filled."""
        if not isinstance(run, MemoryRun):
            return await run.render(partial(self._record, ctx))
        status = run.status
        if status is not None and type(status) is not str:
            status = await read_status(ctx, status)
        memory = self._memory
        if run.is_plain and self.variables is None and (status is None or type(status) is str):
            known = memory.entries.get(status)
            is_present = known is not None and known.snapshot is run.snapshot and known.is_own
            if known is not None and is_present and (found := known.plain(ctx.deps)) is not None:
                if run.plan is not None and not callable(run.status):
                    run.plan.settle(known)
                return found
        name = self.name
        if not run.snapshot.is_loaded and (run.is_plain or run.goes_on) and not run.snapshot.knows(name):
            await wait_for_database(run)
        status_key = run.snapshot.status_key(name, status) if status is not None else None
        selection = run.selections.get(status_key) or await choose(ctx, run, name, status_key)
        return await fill(ctx, run.snapshot, selection, status_key, run.reader, self.variables, self.expose, memory)

    @durable_operation(name="prompt")
    async def _record(
        self,
        ctx: RunContext[AgentDepsT],
        choices: list[RecordedChoice],
        pinned: dict[str, Any] | None,
        leading: str | None,
    ) -> RecordedPrompt:
        """Find out what a request of a durable run is sent; the engine records it, and calls this once for each.

        Args:
            ctx: The run.
            choices: What was chosen for its earlier requests.
            pinned: What the conversation goes on with, if nothing was chosen yet.
            leading: A system prompt at the head of the history that may be this agent's, likewise.
        """
        run = cast("MemoryRun", await self.begin(None))
        run.pinned = UsedPrompt.from_metadata(pinned)
        if callable(self.pin) and not choices:
            await pinning.ask(ctx, self.pin, run)
        durable.resume(run, choices)
        rendered = await self.render(ctx, run)
        if (sent := rendered.used.prompt_id) is not None and all(one.prompt.prompt_id != sent for one in choices):
            run.count(sent)
        is_constant = not callable(run.status) or isinstance(run.status, Enum)
        found = durable.recorded(run, rendered, choices, ctx.conversation_id, is_constant=is_constant)
        return replace(found, is_own=leading is not None and run.reader.known_texts(self.name).is_own(leading))

    def _own_prompts(self, ctx: RunContext[AgentDepsT]) -> list[ActivePrompt[AgentDepsT]]:
        """Return the prompts of a run's agent, also one that was made for this run."""
        found: list[AbstractCapability[AgentDepsT]] = []
        if ctx.root_capability is not None:
            ctx.root_capability.apply(found.append)
        return [one for one in map(dynamic.unwrapped, found) if isinstance(one, ActivePrompt)]

    def _is_replaced(self, ctx: RunContext[AgentDepsT]) -> bool:
        """Return whether the run has another capability for the same prompts, also one that was made for this run."""
        root = ctx.root_capability
        if root is None or (self._alone_in is not None and self._alone_in() is root):
            return False  # as in the run before
        own = self._own_prompts(ctx)
        if any(not isinstance(one, InstalledPrompt) and one.agent == self.agent for one in own):
            return True
        self._alone_in = ref(root)
        return False

    async def begin(self, ctx: RunContext[AgentDepsT] | None) -> Run:
        """Begin a run, waiting for the first load if need be; without a context, one that reads memory in any case."""
        if self._has_engine and ctx is not None and durable.is_replayable(ctx):
            declarations = self.plugin.registry if self.plugin is not None else registry
            return RecordedRun(self, declarations.texts(self.name), None)
        turn, reader, name = plugins.turn, self.reader, self.name
        snapshot = reader.snapshot() or await reader.ready()
        agents, status, others = snapshot.registry.agents, self.status, overrides.in_force()
        code = agents.get(name)
        if status is None and code is not None:
            status = code.status
        texts = code.texts if code is not None else _NONE
        run = MemoryRun(self, texts, reader.history, reader, snapshot, status, others)
        run.is_plain = not others and self.version is None and self.pin is None
        if run.is_plain and not self._has_engine and name in plugins.ran:  # the first run is looked at in full
            run.is_usual = (self.inject, self.on_change, self.others) == ("system_prompt", "rewrite", "keep")
            self._plan = Plan.of(run, turn, agents)
        return run


class InstalledPrompt(ActivePrompt[AgentDepsT]):
    """What `install()` gives to agents; it gives way to an `ActivePrompt` that an agent or a run was given."""

    _suffix = "-installed"


def _two_for(agent: str | None) -> DeclarationError:
    return DeclarationError(
        f"The agent has two different ActivePrompt capabilities for {agent!r}. Keep one.", agent=agent
    )
