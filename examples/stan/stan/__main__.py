"""Talk to Stan: `python -m stan`, offline with a scripted model, or `python -m stan --model openai:gpt-5-mini`."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ToolCallPart, ToolReturnPart
from pydantic_ai.models import Model, infer_model

import automagik_prompts
from stan.agent import StanAgent, StanDeps
from stan.contacts import Contact
from stan.scripted import Watched, scripted, system_prompts

QUESTIONS = (
    "Hello, Ana from Padaria Aurora here. What is a bag of wheat flour?",
    "Of course: 11.222.333/0001-81. And what would 40 bags be?",
)
ANSWERS = (
    "Good morning, Ana. Prices are for registered businesses; what is your company's tax id? Checking takes a minute.",
    ToolCallPart("verify_tax_id", {"tax_id": "11.222.333/0001-81"}),
    ToolCallPart("quote", {"product": "Wheat flour type 1", "quantity": 40}),
    "Padaria Aurora is approved, thank you. A 25 kg bag is 89.90 BRL; 40 bags are 3596.00 BRL, delivery included.",
)


def main() -> None:
    """Run a conversation of two questions and show what the model is told before each of its answers."""
    parser = argparse.ArgumentParser(prog="python -m stan", description="Talk to Stan.")
    parser.add_argument("--model", help="a real model such as openai:gpt-5-mini; without it everything stays offline")
    model = choose_model(parser.parse_args().model)

    with automagik_prompts.install():  # finds `stan.prompts` by its entry point
        stan = StanAgent(Watched(model, shown()))
        deps = StanDeps(Contact("Ana"))
        history: list[ModelMessage] = []
        for question in QUESTIONS:
            print(f"\nAna:  {question}")
            result = stan.run_sync(question, deps=deps, message_history=history)
            history = result.all_messages()
            print(f"Stan: {result.output}")


def choose_model(name: str | None) -> Model:
    """Return a real model by its name, or the scripted one.

    Raises:
        SystemExit: The model's vendor package is not installed, or it lacks its key; the message says what to do.
    """
    if name is None:
        return scripted(*ANSWERS)
    try:
        return infer_model(name)
    except ImportError as error:
        vendor = name.partition(":")[0]
        raise SystemExit(
            f"{name} needs the package of its vendor. Run: pip install 'pydantic-ai-slim[{vendor}]'"
        ) from error
    except UserError as error:
        raise SystemExit(f"{name} cannot be used: {error}") from error


def shown() -> Callable[[Sequence[ModelMessage]], None]:
    """Return a function that prints what a request carries: what tools returned, and the system prompt if it is new."""
    before: list[str] = []

    def show(messages: Sequence[ModelMessage]) -> None:
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart):
                print(f"      {part.tool_name}: {part.content}")
        told = system_prompts(messages)
        if told == before:
            print("      the model is told the same as before")
            return
        print("      the model is told:")
        for text in told:
            print(textwrap.indent(text.rstrip(), "      | ", lambda _line: True))
        before[:] = told

    return show


if __name__ == "__main__":
    main()
