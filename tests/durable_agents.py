"""What programs with durable agents share, whatever engine they have: prompts, and models that note what they are sent.

In their folder `mood.txt` says what another system would say, and `sent.jsonl`
is what models were sent, by all processes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from pydantic_ai import ModelMessage, RunContext
from pydantic_ai.messages import ModelResponse, SystemPromptPart, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from automagik_prompts import prompts
from tests.durable_folder import FOLDER

Call = tuple[str, dict[str, object]]
"""The name of a tool, and its arguments."""


@prompts("olga", primary="NEW", variables=["name", "mood", "today"])
class OlgaPrompts:
    """Prompts with values, for two statuses."""

    NEW = "One: you are Olga. Greet {{name}}, who is {{mood}}. Today is {{today}}."
    APPROVED = "One: {{name}} is approved."


@prompts("ada", primary="NEW")
class AdaPrompts:
    """A prompt without a value."""

    NEW = "One: you are Ada."


@prompts("ivy", primary="NEW")
class IvyPrompts:
    """A prompt that an agent is given by `install()`."""

    NEW = "One: you are Ivy."


@dataclass
class Contact:
    """Whom an agent talks to.

    Attributes:
        name: The name.
        status: The status.
        is_deadly: Whether the process may die in a tool of this run.
        helped: The histories of runs inside of tools.
    """

    name: str = "Grace"
    status: str = "NEW"
    is_deadly: bool = True
    helped: list[str] = field(default_factory=list)


async def values(_ctx: RunContext[Contact]) -> dict[str, object]:
    """Return what another system says at the moment."""
    return {"mood": (FOLDER / "mood.txt").read_text(encoding="utf-8")}


def scripted(agent: str, *calls: Call, workflow: Callable[[], str | None] = lambda: None) -> FunctionModel:
    """Return a model that makes some tool calls, one after the other, and ends; it writes down what it is sent.

    Args:
        agent: The name of its agent.
        calls: The calls.
        workflow: Returns the id of the present workflow.
    """

    def next_call(messages: list[ModelMessage], info: AgentInfo) -> Call | None:
        system = [part.content for one in messages for part in one.parts if isinstance(part, SystemPromptPart)]
        note = {"agent": agent, "workflow": workflow(), "prompt": [*system, *filter(None, [info.instructions])]}
        with (FOLDER / "sent.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(note) + "\n")
        asked = [at for at, one in enumerate(messages) if any(isinstance(part, UserPromptPart) for part in one.parts)]
        answered = sum(isinstance(one, ModelResponse) for one in messages[asked[-1] :])
        return calls[answered] if answered < len(calls) else None

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        call = next_call(messages, info)
        # The same id in each process, as a replay compares them.
        part = ToolCallPart(*call, tool_call_id=f"call-{len(messages)}") if call is not None else TextPart("done")
        return ModelResponse([part])

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        if (call := next_call(messages, info)) is not None:
            yield {0: DeltaToolCall(call[0], json.dumps(call[1]), tool_call_id=f"call-{len(messages)}")}
        else:
            yield "do"
            yield "ne"

    return FunctionModel(answer, stream_function=stream, profile={"supports_inline_system_prompts": True})
