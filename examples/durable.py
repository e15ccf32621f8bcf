"""A durable run that is killed in the middle, and goes on under the version that it began with; offline, with DBOS.

pip install automagik-prompts dbos && python examples/durable.py
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile

try:
    from dbos import DBOS, SetWorkflowID
    from pydantic_ai.durable_exec.dbos import DBOSDurability
except ImportError:
    sys.exit("This example needs DBOS: pip install dbos")
from pydantic_ai import Agent, ModelMessage
from pydantic_ai.messages import ModelResponse, SystemPromptPart, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from automagik_prompts import ActivePrompt, PromptPlugin, prompt, prompt_used

STEP, FOLDER = sys.argv[1:] if len(sys.argv) > 1 else ("", "")
prompt("You sell flour. Be brief.", agent="seller")


def scripted(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Stand in for a model: look the stock up, then answer; say what the prompt was."""
    told = next(part.content for part in messages[0].parts if isinstance(part, SystemPromptPart))
    print("   the model is told:", told, flush=True)
    if len(messages) == 1:
        return ModelResponse([ToolCallPart("look_up", {})])
    return ModelResponse([TextPart("There are 40 bags.")])


plugin = PromptPlugin(f"sqlite://{FOLDER}/prompts.db")
# The engine is a capability beside the prompt; nothing else changes.
agent = Agent(FunctionModel(scripted), name="seller", capabilities=[ActivePrompt(plugin=plugin), DBOSDurability()])


@agent.tool_plain
def look_up() -> str:
    """Look the stock up; in the first process, as if somebody had pulled the plug."""
    if STEP == "begin":
        os.kill(os.getpid(), signal.SIGKILL)
    return "40 bags"


async def converse() -> None:
    """Begin a workflow, or go on with the one that was begun."""
    DBOS(config={"name": "durable-example", "system_database_url": f"sqlite:///{FOLDER}/dbos.db"})

    @DBOS.workflow()
    async def sell() -> str:
        result = await agent.run("Is there any flour?")
        versions = [used.version for [used] in prompt_used(result).requests]
        return f"{result.output} The history says: versions {versions}"

    DBOS.launch()  # this also goes on with what was under way when a process died
    if STEP == "recover":
        print("   answer:", await (await DBOS.retrieve_workflow_async("one")).get_result())
    else:
        with SetWorkflowID("one" if STEP == "begin" else "two"):
            print("   answer:", await sell())
    DBOS.destroy()


def main() -> None:
    """Play the story, each part in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for step, told in (
            ("begin", "1. A run begins under version 1, and its process is killed in a tool:"),
            ("edit", "2. Somebody activates version 2."),
            ("recover", "3. Another process goes on with the run, under version 1:"),
            ("fresh", "4. A run that begins now has version 2:"),
        ):
            print(told, flush=True)
            command = [sys.executable, __file__, step, folder]
            subprocess.run(command, stderr=subprocess.DEVNULL, check=False)  # noqa: S603  # this very file


if STEP == "edit":
    asyncio.run(plugin.create("seller", "default", "You sell flour. Greet everybody by name.", activate=True))
elif STEP:
    asyncio.run(converse())
else:
    main()
plugin.close()
