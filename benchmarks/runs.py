"""Agent runs: what the prompt of a plugin adds to one `Agent.run`. Run as a module it measures once and prints JSON."""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability, combined
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from automagik_prompts import ActivePrompt, PromptPlugin
from automagik_prompts.declaring.registry import Registry
from benchmarks import peers
from benchmarks.measure import Samples, race_async
from benchmarks.texts import Deps, LargeDeps, filled, template

COUNTS = (0, 3, 20)
"""How many variables the texts have."""

TEN = 10
"""Requests of a run with tools."""

AGAIN, STREAMED, SHALLOW = " (again)", "streamed-", "shallow-"
"""How cases are called that are there twice, whose answer is streamed, and in which contexts are copied otherwise."""

QUESTION = "Good morning, what do the blue ones cost?"


@dataclass
class Empty(AbstractCapability[Any]):
    """A capability that does nothing: what any capability costs."""


@dataclass
class Hooked(AbstractCapability[Any]):
    """A capability that has the hooks of ours and does nothing in them: Pydantic AI's share of what ours costs."""

    async def wrap_run(self, ctx: Any, *, handler: Any) -> Any:  # noqa: ARG002  # as it is called
        """Do nothing."""
        return await handler()

    async def for_run(self, ctx: Any) -> Any:  # noqa: ARG002  # as it is called
        """Do nothing."""
        return self

    async def before_model_request(self, ctx: Any, request_context: Any) -> Any:  # noqa: ARG002  # as it is called
        """Do nothing."""
        return request_context

    async def wrap_output_process(self, ctx: Any, *, output: Any, handler: Any, **_more: Any) -> Any:  # noqa: ARG002  # as above
        """Do nothing."""
        return await handler(output)


def make_plugin(folder: Path, registry: Registry, **options: Any) -> PromptPlugin:
    """Return a plugin with the benchmark's prompts, on SQLite, at its defaults but for these options."""
    for count in COUNTS:
        registry.declare(f"agent-{count}", {"default": template(count)}, where="benchmark")
    exposed = ["orders[].items[]"]
    registry.declare("agent-over", {"default": template(3)}, where="benchmark", variables=exposed)
    return PromptPlugin(f"sqlite://{folder / 'prompts.db'}", registry=registry, cache_dir=folder, **options)


def make_agents(plugin: PromptPlugin, *, managed: bool = False) -> dict[str, Agent[Any, str]]:
    """Return the agents to compare, by the name of the case.

    Args:
        plugin: What serves our prompts.
        managed: Whether Harness' `ManagedPrompt` takes part.
    """
    model, agents = TestModel(), {}
    for count in COUNTS:
        agents[f"static/{count}"] = Agent(model, system_prompt=filled(count))
        for control in ("", AGAIN):
            agents[f"empty/{count}{control}"] = Agent(model, system_prompt=filled(count), capabilities=[Empty()])
        agents[f"hooks/{count}"] = _hooked(model, filled(count))
        agents[f"hooks-instructions/{count}"] = Agent(model, capabilities=[Instructed(text=filled(count))])
        name = f"agent-{count}"
        agents[f"system_prompt/{count}"] = Agent(model, capabilities=[ActivePrompt(name, plugin=plugin)])
        agents[f"instructions/{count}"] = Agent(
            model, capabilities=[ActivePrompt(name, plugin=plugin, inject="instructions")]
        )
        plugin.install()
        agents[f"installed/{count}"] = Agent(model, name=name)
        plugin.uninstall()
        # The name saves Pydantic AI the search for one in each run.
        agents[f"empty-named/{count}"] = Agent(model, name=name, system_prompt=filled(count), capabilities=[Empty()])
        if managed:
            prompt = peers.managed_prompt(f"agent_{count}", render=count > 0)
            agents[f"managed/{count}"] = Agent(model, capabilities=[prompt])
    talking = FunctionModel(_talking, stream_function=_streaming)
    agents["empty-ten/0"] = _busy(Agent(talking, system_prompt=filled(0), capabilities=[Empty()]))
    agents["system_prompt-ten/0"] = _busy(Agent(talking, capabilities=[ActivePrompt("agent-0", plugin=plugin)]))
    return agents


def _busy(agent: Agent[Any, str]) -> Agent[Any, str]:
    """Give an agent a tool, which its model calls nine times before it answers."""

    @agent.tool_plain
    def look() -> str:
        return "nothing"

    return agent


def _talking(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    asked = sum(isinstance(message, ModelResponse) for message in messages)
    return ModelResponse([ToolCallPart("look", {}) if asked < TEN - 1 else TextPart("They cost four.")])


async def _streaming(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
    yield "They cost four."


async def make_over(plugin: PromptPlugin) -> Agent[Any, str]:
    """Return an agent whose version takes too much work with the values of a run, which is sent the code's text."""
    loops = "{{#each orders}}{{#each items}}{{this}}{{/each}}{{/each}}"
    await plugin.create("agent-over", "default", template(3) + loops, activate=True)
    return Agent(TestModel(), capabilities=[ActivePrompt("agent-over", plugin=plugin)])


def _hooked(model: TestModel, text: str) -> Agent[Any, str]:
    agent: Agent[Any, str] = Agent(model, capabilities=[Hooked()])

    async def system_prompt() -> str:
        return text

    agent.system_prompt(dynamic=True)(system_prompt)
    return agent


@dataclass
class Instructed(Hooked):
    """The same with a function for instructions."""

    text: str = ""

    def get_instructions(self) -> Any:
        """Give a function that returns a text."""

        async def instructions(_ctx: Any) -> str:
            return self.text

        return instructions


async def measure(names: Sequence[str], rounds: int, seed: int, *, spans: bool = True) -> Samples:
    """Run some agents, each of them once in each round.

    Args:
        names: The cases.
        rounds: How many rounds.
        seed: For their order.
        spans: Whether Logfire records a span for each prompt, as it does by default.
    """
    managed = any(name.startswith("managed") for name in names)
    if managed:
        peers.configure_logfire({f"agent_{count}": template(count) for count in COUNTS}, spans=spans)
    with tempfile.TemporaryDirectory() as folder:
        async with make_plugin(Path(folder), Registry()) as plugin:
            agents = make_agents(plugin, managed=managed)
            agents["over/3"] = await make_over(plugin)
            cases = {name: call(name, agents) for name in names}
            return await race_async(cases, rounds=rounds, warmup=max(5, rounds // 10), seed=seed)


def _shallow(context: Any) -> Any:
    """Copy a run context as `copy.copy` does, without asking it how it is to be copied."""
    made = object.__new__(type(context))
    made.__dict__.update(context.__dict__)
    return made


def call(name: str, agents: Mapping[str, Agent[Any, str]]) -> Callable[[], Awaitable[object]]:
    """Return what does a case once."""
    if name.startswith(SHALLOW):
        run, usual = case(agents[name.removeprefix(SHALLOW)]), combined.copy  # type: ignore[attr-defined]  # as it is

        async def shallow() -> object:
            combined.copy = _shallow  # type: ignore[attr-defined,assignment]  # here only, to show what it would bring
            try:
                return await run()
            finally:
                combined.copy = usual  # type: ignore[attr-defined]  # as above

        return shallow
    if name.startswith("over"):
        return case(agents[name], deps=LargeDeps())
    if not name.startswith(STREAMED):
        return case(agents[name])
    agent = agents[name.removeprefix(STREAMED)]

    async def streamed() -> str:
        async with agent.run_stream(QUESTION, deps=Deps()) as result:
            return await result.get_output()

    return streamed


def case(agent: Agent[Any, str], **options: Any) -> Callable[[], Awaitable[object]]:
    """Return what runs an agent once."""
    given = {"deps": Deps(), **options}
    return functools.partial(agent.run, QUESTION, **given)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--no-spans", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found = measure(arguments.cases.split(","), arguments.rounds, arguments.seed, spans=not arguments.no_spans)
    json.dump(asyncio.run(found), sys.stdout)
