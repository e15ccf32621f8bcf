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


@prompts("stan", primary="NEW", status=lambda ctx: ctx.deps.status, variables=["name", "mood"])
class StanPrompts:
    """Stan's prompts as the code has them."""

    NEW = "Code: you are Stan. Greet {{name}}, who is {{mood}}."


@prompts("ada", primary="NEW")
class AdaPrompts:
    """Ada's, who is served by the default plugin."""

    NEW = "Code: you are Ada."


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


stan = Agent(
    FunctionModel(answer),
    name="stan",
    deps_type=Contact,
    capabilities=[ActivePrompt("stan", variables=values, plugin=plugin), durability()],
)
instructed = Agent(
    FunctionModel(answer),
    name="instructed",
    deps_type=Contact,
    capabilities=[ActivePrompt("stan", variables=values, plugin=plugin, inject="instructions"), durability()],
)
ada = Agent(FunctionModel(answer), name="ada", deps_type=Contact, capabilities=[ActivePrompt(), durability()])
AGENTS = {"stan": stan, "instructed": instructed, "ada": ada}


@stan.tool_plain
@instructed.tool_plain
@ada.tool_plain
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
