"""What lets Stan be tried without a model vendor: a scripted model, and a look at what any model is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings


def scripted(*answers: str | ToolCallPart) -> FunctionModel:
    """Return a model that gives these answers, one for each request."""
    script = iter(answers)

    def answer(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        given = next(script, None)
        if given is None:
            raise LookupError("The script has no answer left for this request.")
        return ModelResponse([TextPart(given) if isinstance(given, str) else given])

    return FunctionModel(answer)


class Watched(WrapperModel):
    """Passes each request on to a model, after showing what that model is told.

    Args:
        model: The model, or the name of one.
        show: Takes the messages of each request.
    """

    def __init__(self, model: Model | str, show: Callable[[Sequence[ModelMessage]], None]) -> None:
        super().__init__(model)
        self._show = show

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Show the messages and pass them on."""
        self._show(messages)
        return await self.wrapped.request(messages, model_settings, model_request_parameters)


def system_prompts(messages: Sequence[ModelMessage]) -> list[str]:
    """Return the system prompts among messages; with Stan there is always exactly one."""
    requests = [message for message in messages if isinstance(message, ModelRequest)]
    return [part.content for request in requests for part in request.parts if isinstance(part, SystemPromptPart)]
