"""What an agent run calls, counted by the profiler: the same on every machine. Run as a module it prints Markdown."""

from __future__ import annotations

import asyncio
import cProfile
import gc
import pstats
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_ai import Agent

import automagik_prompts
from automagik_prompts.declaring.registry import Registry
from benchmarks.report import table
from benchmarks.runs import STREAMED, call, case, make_agents, make_plugin

CASES = (
    "static/0",
    "empty/0",
    "system_prompt/0",
    "installed/0",
    "instructions/0",
    "system_prompt/3",
    "system_prompt/20",
    "empty-ten/0",
    "system_prompt-ten/0",
    f"{STREAMED}empty/0",
    f"{STREAMED}system_prompt/0",
)
RUNS = 100
_SHOWN = 15
_TEXT = (
    "Function calls of one run, counted by the profiler, which are the same on every machine; how many of them are of "
    "this library with the built-in functions that it calls, and their share of the time under the profiler. What an "
    "agent has more than these over a static one is Pydantic AI's, for having a capability with hooks and a dynamic "
    "system prompt."
)
_PACKAGE = str(Path(automagik_prompts.__file__).parent)

Place = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one run.

    Attributes:
        all: How many.
        ours: How many of functions of this library, and how many of built-in ones these make.
        share: Which share of the time under the profiler these take.
        places: Calls and seconds by function of this library, without what it calls.
    """

    all: float
    ours: float
    share: float
    places: dict[Place, tuple[float, float]]


async def count(agent: Agent[Any, str], runs: int = RUNS, **options: Any) -> Calls:
    """Count what a run of an agent calls.

    Args:
        agent: The agent.
        runs: How many runs.
        options: What else `Agent.run` is given.
    """
    return await count_calls(case(agent, **options), runs)


async def count_calls(run: Callable[[], Awaitable[object]], runs: int = RUNS) -> Calls:
    """Count what is called, on average over some times after a few that do not count."""
    for _ in range(5):
        await run()
    profile = cProfile.Profile()
    gc.collect()
    gc.disable()  # it would count for whichever function it happens to come in
    try:
        profile.enable()
        for _ in range(runs):
            await run()
        profile.disable()
    finally:
        gc.enable()
    stats: dict[Place, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # it is documented all the same
    every, ours, seconds, own = 0, 0, 0.0, 0.0
    places: dict[Place, tuple[float, float]] = {}
    for place, (_, calls, taken, _, callers) in stats.items():
        every += calls
        seconds += taken
        if place[0].startswith(_PACKAGE):
            ours += calls
            own += taken
            places[place] = (calls / runs, taken / runs)
        elif place[0] == "~":
            made = [found for caller, found in callers.items() if caller[0].startswith(_PACKAGE)]
            ours += sum(found[1] for found in made)
            own += sum(found[2] for found in made)
    return Calls(every / runs, ours / runs, own / seconds, places)


async def counted(runs: int = RUNS) -> dict[str, Calls]:
    """Count for each case."""
    with tempfile.TemporaryDirectory() as folder:
        # Since Python 3.12 a profile counts what other threads call as well: the plugin's is to rest meanwhile.
        async with make_plugin(Path(folder), Registry(), poll_interval=60.0) as plugin:
            await asyncio.sleep(0.5)
            agents = make_agents(plugin)
            return {name: await count_calls(call(name, agents), runs) for name in CASES}


def markdown(found: dict[str, Calls]) -> str:
    """Write it."""
    static = found["static/0"].all
    rows = [
        (name, f"{one.all:.0f}", f"{one.all - static:+.0f}", f"{one.ours:.0f}", f"{one.share:.1%}")
        for name, one in found.items()
    ]
    places = sorted(found["system_prompt/0"].places.items(), key=lambda item: -item[1][1])[:_SHOWN]
    functions = [
        (f"`{Path(file).stem}.{name}`", f"{calls:.0f}", f"{seconds * 1e6:.1f} µs")
        for (file, _, name), (calls, seconds) in places
    ]
    return "\n\n".join(
        (
            "### What a run calls",
            _TEXT,
            table(("agent", "calls", "more than static", "of this library", "share of the time"), rows),
            "Where this library's time goes in `system_prompt/0`, under the profiler, which makes each call dearer:",
            table(("function", "calls", "time"), functions),
        )
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.write(markdown(asyncio.run(counted())))
