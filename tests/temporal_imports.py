"""Tries how a workflow's module may import this library: `python -m tests.temporal_imports WAY` runs such a workflow.

Nothing but that module and the driver is imported, so the process knows of this library what the module says.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module

from tests.durable_folder import FOLDER
from tests.temporal_driver import Driver
from tests.temporal_tape import Tape, replay

GIVEN = "[ActivePrompt()]"
PASSED = "with workflow.unsafe.imports_passed_through():\n    "

WAYS = {
    "plain": ("from automagik_prompts import ActivePrompt, prompt", GIVEN),
    "whole": ("import automagik_prompts\nfrom automagik_prompts import prompt", "[automagik_prompts.ActivePrompt()]"),
    "named": ("from automagik_prompts import ActivePrompt, PromptPlugin, prompt", "[ActivePrompt(plugin=PLUGIN)]"),
    "installed": ("from automagik_prompts import install, prompt\ninstall()", "[]"),
    "installed_and_given": ("from automagik_prompts import ActivePrompt, install, prompt\ninstall()", GIVEN),
    "passed_through": (PASSED + "from automagik_prompts import ActivePrompt, prompt", GIVEN),
    "named_passed_through": (
        PASSED + "from automagik_prompts import ActivePrompt, PromptPlugin, prompt",
        "[ActivePrompt(plugin=PLUGIN)]",
    ),
}
"""The lines that import it, and the agent's capabilities. To pass libraries through is what Temporal advises."""

MODULE = """
import os
from datetime import timedelta

from pydantic_ai import Agent
from pydantic_ai.durable_exec.temporal import TemporalDurability
from temporalio import workflow

{imports}

prompt("One.", agent="mia")
engine = TemporalDurability(activity_config={{"start_to_close_timeout": timedelta(seconds=60)}})
agent = Agent("test", name="mia", capabilities=[*{capabilities}, engine])


@workflow.defn
class Flow:
    __pydantic_ai_agents__ = [agent]

    @workflow.run
    async def run(self) -> str:
        result = await agent.run("Hello.")
        return result.all_messages_json().decode()
"""


async def main(way: str) -> None:
    """Run a workflow of a module that imports the library in one way, and replay it."""
    lines, capabilities = WAYS[way]
    given = capabilities.replace("PLUGIN", 'PromptPlugin(os.environ["DURABLE_DATABASE"], disk_snapshot=False)')
    (FOLDER / f"{way}_flow.py").write_text(MODULE.format(imports=lines, capabilities=given), encoding="utf-8")
    sys.path.insert(0, str(FOLDER))
    flow, tape = import_module(f"{way}_flow").Flow, Tape(way)
    found = {"history": await Driver(flow, tape).run(), "refused": await replay(flow, tape)}
    (FOLDER / f"{way}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
