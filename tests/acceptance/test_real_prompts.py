"""Real texts: as constants and by `create` they go in, and at the model they come out byte for byte."""

from __future__ import annotations

from collections.abc import Callable

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from automagik_prompts import ActivePrompt, Source, prompt, prompts
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.validation import Format
from tests.conftest import MakePlugin


def status(ctx: RunContext[str]) -> str:
    """Return the status that the run is for."""
    return ctx.deps


def written_as(text: str) -> Format:
    """Return how a text has to be read to come out as it is: some contain braces of other languages."""
    return "text" if "{{" in text else "handlebars"


def reader() -> tuple[FunctionModel, Callable[[], str]]:
    """Return a model, and a function that returns the one system prompt that the model was told last."""
    told: list[str] = []

    def answer(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        requests = [message for message in messages if isinstance(message, ModelRequest)]
        told[:] = [part.content for request in requests for part in request.parts if isinstance(part, SystemPromptPart)]
        return ModelResponse([TextPart("Understood.")])

    def last() -> str:
        (text,) = told
        return text

    return FunctionModel(answer), last


async def test_constants(
    database_url: str, registry: Registry, make_plugin: MakePlugin, real_prompts: dict[str, str]
) -> None:
    """Every real text, declared as a constant, reaches the model byte for byte out of the database."""
    assert len(real_prompts) == 162
    texts = {f"PROMPT_{number:03}": text for number, text in enumerate(real_prompts.values())}
    constants = {key: prompt(text, format=written_as(text)) for key, text in texts.items()}
    prompts("library", primary="PROMPT_000", status=status, registry=registry)(type("Library", (), constants))

    plugin = make_plugin(database_url, startup_timeout=30)
    model, told = reader()
    agent = Agent(model, deps_type=str, capabilities=[ActivePrompt("library", plugin=plugin)])
    async with plugin:
        for key, text in texts.items():
            await agent.run("Hello", deps=key)
            assert told().encode() == text.encode(), key
            served = plugin.resolve("library", key)
            assert (served.version, served.source) == (1, Source.DATABASE)


async def test_created(
    database_url: str, registry: Registry, make_plugin: MakePlugin, real_prompts: dict[str, str]
) -> None:
    """Every real text, written by `create` as the next version of one status, reaches the model byte for byte."""
    registry.declare("library", {"default": "You are a helpful assistant."}, where="here")
    plugin = make_plugin(database_url, startup_timeout=30)
    model, told = reader()
    agent = Agent(model, capabilities=[ActivePrompt("library", plugin=plugin)])
    async with plugin:
        for version, (title, text) in enumerate(real_prompts.items(), start=2):
            change = await plugin.create("library", "default", text, format=written_as(text), name=title, activate=True)
            assert change.active_version == version
            await agent.run("Hello")
            assert told().encode() == text.encode(), title
        stored = [item.prompt_text for item in reversed(await plugin.history("library"))]
        assert stored[1:] == list(real_prompts.values())
