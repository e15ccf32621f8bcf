"""A scripted model that keeps what it was told, for tests through real agents."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

Answer = str | ModelResponse | Callable[[list[ModelMessage]], "str | ModelResponse"]


@dataclass(frozen=True)
class Heard:
    """One request as it reached the model.

    Attributes:
        messages: The messages, as Pydantic AI prepared them for the model.
        instructions: The instructions.
    """

    messages: list[ModelMessage]
    instructions: str | None

    @property
    def system(self) -> list[str]:
        """The system prompts, in order."""
        return [part.content for part in self.parts() if isinstance(part, SystemPromptPart)]

    @property
    def user(self) -> list[str]:
        """What the user said, in order."""
        return [str(part.content) for part in self.parts() if isinstance(part, UserPromptPart)]

    def parts(self) -> list[Any]:
        """All parts of all requests."""
        return [part for message in self.messages if isinstance(message, ModelRequest) for part in message.parts]

    def told(self) -> str:
        """Everything that the model could read, as one text."""
        texts = [self.instructions or ""]
        for message in self.messages:
            for part in message.parts:
                content = getattr(part, "content", None)
                texts.append(content if isinstance(content, str) else json.dumps(content, default=str))
        return "\n".join(texts)

    def count(self, text: str) -> int:
        """How often the model could read a text."""
        return self.told().count(text)


class Listener:
    """A model that answers by a script and keeps what it was told.

    Args:
        answers: What it answers, in order: a text, a response, or a function of the messages; "ok" after the last.
        inline_system: Whether it takes system prompts in the middle of a conversation as such.
        before: Called before each answer, with the number of the request.
    """

    def __init__(
        self,
        *answers: Answer,
        inline_system: bool = True,
        before: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self.heard: list[Heard] = []
        self._answers = list(answers)
        self._before = before
        self.model = FunctionModel(
            self._answer,
            stream_function=self._stream,
            model_name="listener",
            profile={"supports_inline_system_prompts": inline_system},
        )

    @property
    def last(self) -> Heard:
        """The latest request."""
        return self.heard[-1]

    async def _listen(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.heard.append(Heard(copy.deepcopy(messages), info.instructions))
        if self._before is not None:
            await self._before(len(self.heard))
        answer: Answer = self._answers.pop(0) if self._answers else "ok"
        if not isinstance(answer, str | ModelResponse):
            answer = answer(messages)
        return ModelResponse(parts=[TextPart(answer)]) if isinstance(answer, str) else answer

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return await self._listen(messages, info)

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        response = await self._listen(messages, info)
        for index, part in enumerate(response.parts):
            if isinstance(part, TextPart):
                yield part.content
            elif isinstance(part, ToolCallPart):
                yield {index: DeltaToolCall(name=part.tool_name, json_args=part.args_as_json_str())}


def call(tool: str, **arguments: Any) -> ModelResponse:
    """Return a response that calls a tool."""
    return ModelResponse(parts=[ToolCallPart(tool, arguments)])


def tool_returns(messages: list[ModelMessage]) -> list[Any]:
    """Return what tools gave back in a history."""
    return [
        part.content
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    ]
