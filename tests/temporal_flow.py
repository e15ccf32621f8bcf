"""A workflow with its agents, as an application has them; Temporal imports this module anew for each run of it."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.durable_exec.temporal import TemporalDurability
from temporalio import activity, workflow

from automagik_prompts import ActivePrompt, PromptPlugin
from tests.durable_agents import Call, Contact, scripted, values

DATABASE_MODULES = ("tortoise", "aiosqlite", "asyncpg", "aerich")

plugin = PromptPlugin(os.environ["DURABLE_DATABASE"], disk_snapshot=False)

WORK: Call = ("work", {})
TWICE: tuple[Call, ...] = (WORK, WORK)
APPROVE: tuple[Call, ...] = (("approve", {}), WORK)


def olga(**arguments: Any) -> ActivePrompt[Contact]:
    """Return the capability with which most agents here are sent Olga's prompts."""
    return ActivePrompt("olga", lambda ctx: ctx.deps.status, variables=values, plugin=plugin, **arguments)


def agent_of(name: str, *given: Any, calls: tuple[Call, ...] = TWICE) -> Agent[Contact, str]:
    """Return a durable agent with a script."""
    engine: TemporalDurability[Contact] = TemporalDurability(
        activity_config={"start_to_close_timeout": timedelta(seconds=60)}
    )
    model = scripted(name, *calls, workflow=lambda: activity.info().workflow_id)
    agent = Agent(model, name=name, deps_type=Contact, capabilities=[*given, engine])
    agent.tool_plain(work)
    return agent


async def work() -> str:
    """Do something in an activity."""
    return "worked"


async def approve(ctx: RunContext[Contact]) -> str:
    """Change the contact's status."""
    ctx.deps.status = "APPROVED"
    return "approved"


system = agent_of("system", olga())
instructed = agent_of("instructed", olga(inject="instructions"))
by_default = agent_of("ada", ActivePrompt())
changing = agent_of("changing", olga(inject="instructions"), calls=APPROVE)
changing.tool(metadata={"temporal": False})(approve)
changing_a_copy = agent_of("changing_a_copy", olga(inject="instructions"), calls=APPROVE)
changing_a_copy.tool(approve)

AGENTS = {
    "system": system,
    "instructed": instructed,
    "by_default": by_default,
    "changing": changing,
    "changing_a_copy": changing_a_copy,
}


@workflow.defn
class Conversation:
    """Talks to one of the agents."""

    __pydantic_ai_agents__ = tuple(AGENTS.values())

    @workflow.run
    async def run(self, which: str) -> list[str]:
        """Return the history, and which modules of the database the workflow's code has loaded."""
        result = await AGENTS[which].run("Hello.", deps=Contact())
        return [result.all_messages_json().decode(), *(name for name in DATABASE_MODULES if name in sys.modules)]
