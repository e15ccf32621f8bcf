"""Carrying the prompt as OpenTelemetry baggage while the model is asked, where a plugin is set to do so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_ai.capabilities import AbstractCapability, WrapperCapability
from pydantic_ai.tools import AgentDepsT, RunContext

from automagik_prompts.agent import run as runs
from automagik_prompts.agent import telemetry

if TYPE_CHECKING:
    from pydantic_ai.capabilities.abstract import WrapModelRequestHandler
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import ModelRequestContext


@dataclass
class _Carrying(WrapperCapability[AgentDepsT]):
    """A capability of its own, as a hook around each model request costs every run, also where nobody wants baggage."""

    async def wrap_model_request(
        self, ctx: RunContext[AgentDepsT], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        """Find out what the request sends before it is sent, and carry it."""
        own: Any = self.wrapped
        run = runs.find(ctx, own.name)
        if run is None or run.capability is not own or run.span is None:
            return await handler(request_context)
        step = ctx.run_step
        rendered = run.take(step)
        if rendered is None and own.inject == "system_prompt":
            rendered = await own.render(ctx, run)
        if rendered is None:
            return await handler(request_context)
        run.prepare(rendered, step)
        with telemetry.baggage_set(telemetry.attributes_of(rendered.used)):
            return await handler(request_context)


def carrying(capability: Any) -> AbstractCapability[Any]:
    """Return a capability that does what another one does, and carries its prompt."""
    return _Carrying(capability)
