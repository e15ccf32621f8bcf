"""A durable agent under DBOS, run as a process that can be killed in a tool; says what its model was sent.

`python -m tests.durable_program WHAT CONFIGURATION`: `begin` starts a workflow and dies in the middle of it, `recover`
goes on with it, `fresh` starts another one and lets it end, `plain` runs the agent without a workflow.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbos import DBOS, SetWorkflowID
from pydantic_ai import Agent, ModelMessage, ModelMessagesTypeAdapter, RunContext
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.messages import ModelRequest, ModelResponse, SystemPromptPart, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from automagik_prompts import ActivePrompt, PromptPlugin, prompt_used, prompts

WHAT = sys.argv[1]
GIVEN: dict[str, Any] = json.loads(sys.argv[2])
FOLDER = Path(GIVEN["folder"])
WORKFLOW = "the-conversation"

DBOS(config={"name": "durable-tests", "system_database_url": GIVEN["system"]})
plugin = PromptPlugin(GIVEN["database"], disk_snapshot=False)
if not GIVEN["explicit"]:
    plugin.start()  # and so it is the default


@prompts("stan", primary="NEW", variables=["name", "mood", "today"])
class StanPrompts:
    """Stan's prompts as the code has them."""

    NEW = "Code: you are Stan. Greet {{name}}, who is {{mood}}. Today is {{today}}."
    APPROVED = "Code: {{name}} is approved."


@dataclass
class Contact:
    """Whom the agent talks to."""

    name: str = "Ada"
    status: str = "NEW"


async def values(_ctx: RunContext[Contact]) -> dict[str, object]:
    """Return a value that is another one in each process, as if it were read from somewhere."""
    await asyncio.sleep(0)
    return {"mood": GIVEN["mood"]}


def note(kind: str, **facts: object) -> None:
    """Write down what happened, in a file that outlives the process."""
    with (FOLDER / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, **facts}) + "\n")


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call a tool twice, then end; write down what was sent."""
    system = [part.content for one in messages for part in one.parts if isinstance(part, SystemPromptPart)]
    note("request", prompt=[*system, *([info.instructions] if info.instructions else [])])
    calls = sum(isinstance(one, ModelResponse) for one in messages)
    if calls < 2:
        return ModelResponse([ToolCallPart("work", {"number": calls}, tool_call_id=f"call-{calls}")])
    return ModelResponse([TextPart("done")])


agent = Agent(
    FunctionModel(answer),
    name="stan",
    deps_type=Contact,
    capabilities=[
        ActivePrompt(
            "stan",
            lambda ctx: ctx.deps.status,
            variables=values,
            inject=GIVEN["inject"],
            pin=GIVEN.get("pin"),
            plugin=plugin if GIVEN["explicit"] else None,
        ),
        DBOSDurability(),
    ],
)


@agent.tool
async def work(ctx: RunContext[Contact], number: int) -> str:
    """Do something; die in the second call, or change the contact's status in the first one."""
    if number == 1 and WHAT == "begin":
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 0 and GIVEN.get("changes"):
        ctx.deps.status = "APPROVED"
    return "worked"


@DBOS.workflow()
async def conversation(history: str) -> str:
    """Run the agent, and return its messages as JSON."""
    messages = ModelMessagesTypeAdapter.validate_json(history)
    result = await agent.run("Hello.", deps=Contact(), message_history=messages, conversation_id="one")
    return result.all_messages_json().decode()


def told(history: str) -> list[dict[str, object]]:
    """Return what a history says of each request."""
    messages = ModelMessagesTypeAdapter.validate_json(history)
    used = prompt_used(messages)
    requests = [message for message in messages if isinstance(message, ModelRequest)]
    system = [part.content for message in requests for part in message.parts if isinstance(part, SystemPromptPart)]
    return [
        {
            "version": sent[0].version,
            "status": sent[0].status_key,
            "prompt": [*system, *([request.instructions] if request.instructions else [])],
        }
        for sent, request in zip(used.requests, requests, strict=True)
    ]


async def main() -> None:
    """Do what was asked."""
    if WHAT == "plain":
        result = await agent.run("Hello.", deps=Contact())
        history = result.all_messages_json().decode()
    else:
        DBOS.launch()
        if WHAT == "recover":
            handle: Any = await DBOS.retrieve_workflow_async(WORKFLOW)
            history = await handle.get_result()
        else:
            given = GIVEN.get("history") or "[]"
            with SetWorkflowID(WORKFLOW if WHAT == "begin" else f"{WORKFLOW}-{WHAT}-{GIVEN['mood']}"):
                history = await conversation(given)
    (FOLDER / f"{WHAT}.json").write_text(history, encoding="utf-8")
    print("TOLD", json.dumps(told(history)))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    finally:
        plugin.close()
        if WHAT != "plain":
            DBOS.destroy()
