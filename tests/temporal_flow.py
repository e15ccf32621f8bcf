"""A workflow with an agent, as an application has it; Temporal imports this module anew for each run of it."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from datetime import timedelta

from pydantic_ai import Agent, ModelMessage, RunContext
from pydantic_ai.durable_exec.temporal import TemporalDurability
from pydantic_ai.messages import ModelResponse, SystemPromptPart, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from temporalio import workflow

from automagik_prompts import ActivePrompt, PromptPlugin, prompt_used, prompts


@prompts("flora", primary="NEW", status=lambda ctx: ctx.deps.status, variables=["name", "mood"])
class FloraPrompts:
    """Flora's prompts as the code has them."""

    NEW = "Code: you are Flora. Greet {{name}}, who is {{mood}}."


@prompts("vera", primary="NEW")
class VeraPrompts:
    """Vera's, who is served by the default plugin."""

    NEW = "Code: you are Vera."


@dataclass
class Contact:
    """Whom the agent talks to."""

    name: str = "Grace"
    status: str = "NEW"


sent: list[str] = []
mood = ["glad"]

plugin = PromptPlugin(os.environ.get("TEMPORAL_FLOW_DATABASE", "sqlite://:memory:"), disk_snapshot=False)


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call a tool twice, then end; note what was sent."""
    system = [part.content for one in messages for part in one.parts if isinstance(part, SystemPromptPart)]
    sent.append(" | ".join([*system, *([info.instructions] if info.instructions else [])]))
    calls = sum(isinstance(one, ModelResponse) for one in messages)
    if calls < 2:
        return ModelResponse([ToolCallPart("work", {}, tool_call_id=f"call-{calls}")])
    return ModelResponse([TextPart("done")])


async def values(_ctx: RunContext[Contact]) -> dict[str, object]:
    """Return a value that is another one each time."""
    return {"mood": mood[-1]}


def durability() -> TemporalDurability[Contact]:
    """Return the engine as a capability."""
    return TemporalDurability(activity_config={"start_to_close_timeout": timedelta(seconds=30)})


flora = Agent(
    FunctionModel(answer),
    name="flora",
    deps_type=Contact,
    capabilities=[ActivePrompt("flora", variables=values, plugin=plugin), durability()],
)
instructed = Agent(
    FunctionModel(answer),
    name="instructed",
    deps_type=Contact,
    capabilities=[ActivePrompt("flora", variables=values, plugin=plugin, inject="instructions"), durability()],
)
vera = Agent(FunctionModel(answer), name="vera", deps_type=Contact, capabilities=[ActivePrompt(), durability()])
AGENTS = {"flora": flora, "instructed": instructed, "vera": vera}


@flora.tool_plain
@instructed.tool_plain
@vera.tool_plain
async def work() -> str:
    """Do something."""
    return "worked"


@workflow.defn
class Conversation:
    """Runs an agent."""

    @workflow.run
    async def run(self, which: str) -> list[str]:
        """Return which version each request says that it was sent, and what the workflow's code has loaded."""
        result = await AGENTS[which].run("Hello.", deps=Contact())
        versions = [str(used[0].version) for used in prompt_used(result).requests]
        loaded = [name for name in ("tortoise", "aiosqlite", "asyncpg", "aerich") if name in sys.modules]
        with workflow.unsafe.sandbox_unrestricted():
            threads = [one.name for one in threading.enumerate() if one.name.startswith("automagik")]
        return [",".join(versions), ",".join(loaded), str(len(threads))]
