"""Agent runs in 32 threads at once, each with its own event loop. Run as a module it measures once and prints JSON."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic_ai import Agent

from automagik_prompts.declaring.registry import Registry
from benchmarks.measure import Samples
from benchmarks.runs import make_agents, make_plugin
from benchmarks.texts import Deps

THREADS = 32
RUNS = 8
"""Runs of each thread in one turn."""

CASES = ("empty/0", "empty/0 (again)", "system_prompt/0")


def measure(rounds: int, seed: int) -> Samples:
    """Have all threads run one agent, then all of them another one, in another order in each round."""
    order, names = random.Random(seed), list(CASES)
    samples: Samples = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, make_plugin(Path(folder), Registry()) as plugin:
        agents = make_agents(plugin)
        with ThreadPoolExecutor(THREADS) as pool:
            for number in range(-2, rounds):
                order.shuffle(names)
                for name in names:
                    agent = agents[name]
                    start = time.perf_counter()
                    list(pool.map(lambda _, agent=agent: _run(agent), range(THREADS)))
                    if number >= 0:
                        samples[name].append((time.perf_counter() - start) / THREADS / RUNS)
    return samples


def _run(agent: Agent[Any, str]) -> None:
    for _ in range(RUNS):
        agent.run_sync("Good morning, what do the blue ones cost?", deps=Deps())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    json.dump(measure(arguments.rounds, arguments.seed), sys.stdout)
