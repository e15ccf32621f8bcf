"""The smallest agent with a prompt from the database.

python examples/simple.py                              offline, with a scripted model
python examples/simple.py --model openai:gpt-5-mini    with a real one
"""

from __future__ import annotations

import argparse

from pydantic_ai import Agent
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, TextPart
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.function import AgentInfo, FunctionModel

import automagik_prompts
from automagik_prompts import prompt

# Still a plain string. Declaring it makes it version 1 of simple/default in the database.
AGENT_PROMPT = prompt(
    "You are a helpful assistant. Today is {{today}}. Answer in one sentence, and say so when you do not know.",
    agent="simple",
    name="Default SimpleAgent Prompt",
)


class SimpleAgent(Agent[None, str]):
    """An assistant; its name is what joins it to its prompt."""

    def __init__(self, model: Model) -> None:
        super().__init__(model, name="simple", deps_type=type(None))


def scripted(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Answer without a model vendor."""
    return ModelResponse([TextPart("A prompt is what a model is told before it is asked.")])


def choose_model(name: str | None) -> Model:
    """Return a real model by its name, or the scripted one."""
    if name is None:
        return FunctionModel(scripted)
    try:
        return infer_model(name)
    except ImportError as error:
        vendor = name.partition(":")[0]
        raise SystemExit(
            f"{name} needs the package of its vendor. Run: pip install 'pydantic-ai-slim[{vendor}]'"
        ) from error
    except UserError as error:
        raise SystemExit(f"{name} cannot be used: {error}") from error


def main() -> None:
    """Ask one question; print what the model was told and what it answered."""
    parser = argparse.ArgumentParser(description="Ask the simplest agent one question.")
    parser.add_argument("--model", help="a real model such as openai:gpt-5-mini; without it everything stays offline")
    model = choose_model(parser.parse_args().model)

    with automagik_prompts.install() as plugin:
        result = SimpleAgent(model).run_sync("What is a prompt?")
        for message in result.all_messages():
            for part in message.parts if isinstance(message, ModelRequest) else ():
                if isinstance(part, SystemPromptPart):
                    print(f"The model was told: {part.content}")
        print(f"It answered: {result.output}")
        print(plugin.explain("simple"))


if __name__ == "__main__":
    main()
