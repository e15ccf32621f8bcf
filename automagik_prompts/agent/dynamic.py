"""What Pydantic AI calls to build a request: the dynamic system prompt and the instructions of one capability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from pydantic_ai.capabilities import AbstractCapability, WrapperCapability
from pydantic_ai.messages import CapabilityInstructionSource, InstructionId, InstructionPart, ModelRequest
from pydantic_ai.tools import RunContext

from automagik_prompts.agent import run as runs
from automagik_prompts.agent.history import features
from automagik_prompts.agent.history.instructions import without_declared
from automagik_prompts.agent.rendering import RenderedPrompt
from automagik_prompts.agent.run import RunCapability

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent
    from pydantic_ai.models import ModelRequestContext

_INSTRUCTION = "prompt"


def register_system_prompt(capability: RunCapability, agent: AbstractAgent[Any, Any]) -> None:
    """Register the dynamic system prompt with an agent that is being built."""
    register = getattr(agent, "system_prompt", None)
    if register is None:
        return  # a wrapper: what it wraps was built with its own capabilities

    async def system_prompt(ctx: RunContext[Any]) -> str:
        run = runs.find(ctx, capability.name)
        if run is None:
            # In a run without this prompt, the agent's capabilities were overridden, this one with them.
            return "" if ctx.run_id is not None else (await capability.render(ctx, await capability.begin(ctx))).text
        if run.is_usual and run.fixed is not None:
            return run.fixed.text  # as it mostly is
        if run.capability.inject != "system_prompt":
            return ""  # a capability for this run only has taken over, and puts it elsewhere
        if ctx.run_id is None:
            # `Agent.system_prompt_parts()` in the middle of a run: the step it gives is not true.
            own = replace(ctx, run_id=run.key[0], conversation_id=run.began.conversation_id if run.began else None)
            found = run.prepared or await run.capability.render(own, run)
            if ctx.messages and isinstance(ctx.messages[-1], ModelRequest):
                run.prepare(found, None)  # it is asked for the request that is about to be sent
            return found.text
        rendered = _at_hand(run, ctx)
        if rendered is None:
            rendered = run.prepare(await run.capability.render(ctx, run), ctx.run_step)
        return rendered.text

    system_prompt.__qualname__ = capability.ref
    register(dynamic=True, **features.registration(capability.id, capability.on_change))(system_prompt)


def instructions_of(capability: RunCapability) -> Callable[[RunContext[Any]], Any]:
    """Return the function that gives the instructions of a request."""

    async def active_prompt(ctx: RunContext[Any]) -> InstructionPart:
        run = runs.find(ctx, capability.name) or await capability.begin(ctx)
        rendered = _at_hand(run, ctx)
        if rendered is None:
            rendered = run.prepare(await capability.render(ctx, run), ctx.run_step)
        return InstructionPart(rendered.text, name=_INSTRUCTION, dynamic=True, on_change=capability.on_change)

    # Pydantic AI looks for it in each run, and takes long to find it out.
    active_prompt.__signature__ = signature(active_prompt)  # type: ignore[attr-defined]  # `inspect` knows it
    return active_prompt


def _at_hand(run: runs.Run, ctx: RunContext[Any]) -> RenderedPrompt | None:
    """Return what a step sends, if it was found out already or takes no more than a look at `deps`."""
    found = run.prepared_for(ctx.run_step)
    if found is None and run.entry is not None and (found := run.entry.plain(ctx.deps)) is not None:
        run.prepare(found, ctx.run_step)
    return found


def instruct(request: ModelRequestContext, capability: RunCapability, text: str, declared: frozenset[str]) -> None:
    """Take the agent's texts out of what its code gives as instructions, and see that the prompt is among them."""
    parameters = request.model_request_parameters
    parts = list(parameters.instruction_parts or ())
    if _is_all(parts, text):
        return
    kept = without_declared(parts, declared)
    if capability.inject == "instructions" and not _is_among(kept, capability.id):
        # A hook has made the instructions anew.
        kept.append(_instruction(text, capability.id, capability.on_change))
    if kept != parts:
        request.model_request_parameters = replace(parameters, instruction_parts=kept)


def _instruction(text: str, capability_id: str | None, on_change: Any) -> InstructionPart:
    """Return the prompt as a part of the instructions."""
    return InstructionPart(
        text, name=_INSTRUCTION, id=_instruction_id(capability_id), dynamic=True, on_change=on_change
    )


def _is_among(parts: Sequence[InstructionPart], capability_id: str | None) -> bool:
    """Return whether the prompt is among the instructions."""
    wanted = _instruction_id(capability_id)
    return any(part.name == _INSTRUCTION and part.id == wanted for part in parts)


def _is_all(parts: Sequence[InstructionPart], text: str) -> bool:
    """Return whether instructions are the prompt and nothing else, as they mostly are."""
    return len(parts) == 1 and parts[0].name == _INSTRUCTION and parts[0].dynamic and parts[0].content == text


def unwrapped(capability: AbstractCapability[Any]) -> AbstractCapability[Any]:
    """Return the capability inside all wrappers."""
    while isinstance(capability, WrapperCapability):
        capability = capability.wrapped
    return capability


def _instruction_id(capability_id: str | None) -> InstructionId | None:
    if capability_id is None:
        return None
    return InstructionId(CapabilityInstructionSource(capability_id), name=_INSTRUCTION)
