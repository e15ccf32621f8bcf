"""The first agent run of a process, and how long it holds the event loop. Run as a module it is one such process."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

TEXT, NAME = "You are a helpful assistant.", "stan"

TICK = 0.001
"""Seconds after which the event loop is asked again."""


def _static(_url: str) -> Agent[Any, str]:
    return Agent(TestModel(), system_prompt=TEXT)


def _default(url: str) -> Agent[Any, str]:
    os.environ["AUTOMAGIK_PROMPTS_DATABASE_URL"] = url
    from automagik_prompts import ActivePrompt, prompt

    prompt(TEXT, agent=NAME)
    return Agent(TestModel(), capabilities=[ActivePrompt(NAME)])


def _explicit(url: str) -> Agent[Any, str]:
    from automagik_prompts import ActivePrompt, PromptPlugin, prompt

    prompt(TEXT, agent=NAME)
    return Agent(TestModel(), capabilities=[ActivePrompt(NAME, plugin=PromptPlugin(url))])


def _managed(url: str) -> Agent[Any, str]:
    from benchmarks import peers

    peers.configure_logfire({NAME: TEXT}, spans=url == "spans")
    return Agent(TestModel(), capabilities=[peers.managed_prompt(NAME, render=False)])


def _pivot(url: str) -> Agent[Any, str]:
    from benchmarks import peers

    registry = peers.pivot_registry(url)
    agent: Agent[Any, str] = Agent(TestModel())

    async def system_prompt() -> str:
        found = registry.get(NAME) if url.startswith("sqlite") else await registry.aget(NAME)
        return str(found.template)

    agent.system_prompt(system_prompt)
    return agent


def _langfuse(url: str) -> Agent[Any, str]:
    from langfuse import Langfuse

    from benchmarks import peers

    client = Langfuse(**peers.LANGFUSE_KEYS, base_url=url)
    agent: Agent[Any, str] = Agent(TestModel())

    async def system_prompt() -> str:
        # Its client has no coroutine for this; in a thread the loop is free meanwhile.
        return str((await asyncio.to_thread(client.get_prompt, NAME)).prompt)

    agent.system_prompt(system_prompt)
    return agent


_AGENTS: dict[str, Callable[[str], Agent[Any, str]]] = {
    "static": _static,
    "default": _default,
    "explicit": _explicit,
    "managed": _managed,
    "pivot": _pivot,
    "langfuse": _langfuse,
}


async def _first(agent: Agent[Any, str]) -> dict[str, float]:
    """Run an agent, and return how long that took and the longest time in which the loop did nothing else."""
    worst, is_done = 0.0, False

    async def tick() -> None:
        nonlocal worst
        while not is_done:
            start = time.perf_counter()
            await asyncio.sleep(TICK)
            worst = max(worst, time.perf_counter() - start - TICK)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.05)
    worst, start = 0.0, time.perf_counter()
    await agent.run("Good morning")
    taken, is_done = time.perf_counter() - start, True
    await ticking
    return {"gap": worst, "first": taken}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=_AGENTS)
    parser.add_argument("url")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    # What any first run imports is not what is measured.
    asyncio.run(_first(_static("")))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUTOMAGIK_PROMPTS_CACHE_DIR"] = str(Path(folder))
        found = asyncio.run(_first(_AGENTS[arguments.case](arguments.url)))
        json.dump(found, sys.stdout)
        sys.stdout.flush()
        os._exit(0)  # clients of peers would still send what they have measured
