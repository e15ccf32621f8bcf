"""From the commit of an activation until each process of a fleet serves it: at 1, 8 and 32 processes, on both engines.

`python -m benchmarks.staleness` prints the table, and with `--json` writes it to a file. Processes are forked from one
that has imported everything and started nothing, as a prefork server's are; each is told by `on_change` what it serves,
so that looking costs nothing. The clock starts before the commit is sent, so the times hold the commit itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.domain.served import PromptChange
from automagik_prompts.editing import commands, finding
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests import member
from tests.processes import Child, Launcher
from tests.servers import OwnServer

AGENT, STATUS = "stan", "default"
FLEETS = {1: 100, 8: 40, 32: 25}
"""How many processes follow how many activations: enough of them, and all of it in about three minutes."""

LOADS = (0, 10)
"""Agent runs per second in each process, while the activations come."""

_PAUSE = {"sqlite": 0.25, "postgres": 0.05}
"""Seconds between two activations, at most, besides waiting until the first is served everywhere: at random, as they
would otherwise keep time with the polling."""

_CONNECTIONS = 200
"""What the server allows: a process has two, and keeps none where they are short."""

BOUNDS = {"sqlite": 0.25, "postgres": 1.0}
"""What is promised at the 99th percentile, in seconds; without notifications the time to read comes on top."""


@dataclass(frozen=True, slots=True)
class Staleness:
    """How long a change took to be served, in seconds.

    Attributes:
        engine: `sqlite` or `postgres`.
        processes: How many followed.
        load: Agent runs per second in each of them.
        count: How many times were measured.
        p50: Half of them were shorter.
        p99: 99 of 100 were shorter.
        worst: None was longer.
    """

    engine: str
    processes: int
    load: int
    count: int
    p50: float
    p99: float
    worst: float

    def row(self) -> str:
        """Return it as a row of a Markdown table."""
        times = " | ".join(f"{value * 1000:.1f} ms" for value in (self.p50, self.p99, self.worst))
        load = f"{self.load} a second in each" if self.load else "none"
        engine = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[self.engine]
        return f"| {engine} | {self.processes} | {load} | {self.count} | {times} |"


HEADER = (
    "| engine | processes | agent runs | measured | p50 | p99 | worst |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | ---: |"
)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def measure_all(folder: Path, fleets: Mapping[int, int], engines: Iterable[str]) -> list[Staleness]:
    """Measure each engine, fleet and load.

    Args:
        folder: For files that are thrown away.
        fleets: How many processes follow how many activations.
        engines: `sqlite`, `postgres` or both.
    """
    launcher, postgres = Launcher(folder), OwnServer(folder / "postgres", max_connections=_CONNECTIONS)
    found: list[Staleness] = []
    try:
        for engine in engines:
            for processes, activations in fleets.items():
                for load in LOADS:
                    name = f"{engine}-{processes}-{load}"
                    url = postgres.create_database() if engine == "postgres" else f"sqlite://{folder / name}.db"
                    taken = asyncio.run(measure(launcher, url, processes, load, activations))
                    found.append(
                        Staleness(
                            engine,
                            processes,
                            load,
                            len(taken),
                            percentile(taken, 0.5),
                            percentile(taken, 0.99),
                            max(taken),
                        )
                    )
                    sys.stderr.write(f"{found[-1].row()}\n")
    finally:
        launcher.close()
        postgres.stop()
    return found


async def measure(launcher: Launcher, url: str, processes: int, load: int, activations: int) -> list[float]:
    """Activate one version after the other, and return the seconds until each process served each of them.

    Args:
        launcher: Where the processes come from.
        url: An empty database.
        processes: How many follow.
        load: Agent runs per second in each of them.
        activations: How many.
    """
    async with Database(url) as database:
        await upgrade(database)
        await commands.create(database, AGENT, STATUS, "Version 1.", new_agent=True, new_status=True, activate=True)
        agent = await finding.find_agent(database, AGENT)
        for number in range(activations):
            await commands.create(database, AGENT, STATUS, f"Version {number + 2}.")
        settings = {"startup_timeout": 30}
        fleet = [launcher.fork("benchmarks.staleness:follow", url, {}, settings) for _ in range(processes)]
        try:
            for child in fleet:
                child.tell("start")
            for child in fleet:
                child.answer()
                child.ask("until_version", AGENT, STATUS, 1)
                if database.dialect == "postgres":
                    child.ask("until_listening")
            for child in fleet:
                child.ask("load", load)
            committed: dict[int, float] = {}
            for number in range(2, activations + 2):
                version = await database.run(repository.get_version, agent.id, STATUS, number)
                assert version is not None  # noqa: S101  # it was written above
                committed[number] = await database.transaction(_activate, agent.id, version.id)
                await asyncio.to_thread(_until_served, fleet, number)
                await asyncio.sleep(random.uniform(0, _PAUSE[database.dialect]))
            served = [child.ask("served") for child in fleet]
        finally:
            for child in fleet:
                child.close()
    return [times[number] - at for times in served for number, at in committed.items()]


async def _activate(db: BaseDBAsyncClient, agent_id: int, prompt_id: int) -> float:
    await repository.lock_agent(db, agent_id)
    await repository.set_prompt_active(db, agent_id, prompt_id, STATUS)
    return time.monotonic()


def _until_served(fleet: Sequence[Child], version: int) -> None:
    for child in fleet:
        child.tell("until_version", AGENT, STATUS, version)
    for child in fleet:
        child.answer()


class Follower(member.Member):
    """A process that notes when it begins to serve each version."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._served: dict[int, float] = {}
        self._arrived = threading.Event()
        self.plugin.on_change(self._note)

    def _note(self, change: PromptChange) -> None:
        if change.after is not None:
            self._served.setdefault(change.after.version or 0, time.monotonic())
            self._arrived.set()

    def until_version(self, agent: str, status_key: str, version: int | None, seconds: float = 30) -> float:
        """Wait for a version without looking again and again, and return when it was served."""
        deadline = time.monotonic() + seconds
        while self.plugin.resolve(agent, status_key).version != version:
            if not self._arrived.wait(max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"version {version} did not come within {seconds} s")
            self._arrived.clear()
        return time.monotonic()

    def load(self, per_second: int) -> None:
        """Run an agent so many times a second from now on, on a thread of its own."""
        if per_second:
            threading.Thread(target=self._run_for_ever, args=[1 / per_second], daemon=True).start()

    def served(self) -> Mapping[int, float]:
        """Return when each version began to be served."""
        return dict(self._served)

    def _run_for_ever(self, pause: float) -> None:
        capability: ActivePrompt[None] = ActivePrompt(AGENT, plugin=self.plugin)
        agent = Agent(TestModel(), name=AGENT, capabilities=[capability])

        async def run() -> None:
            while True:
                await agent.run("hello")
                await asyncio.sleep(pause)

        asyncio.run(run())


def follow(
    connections: list[Connection], url: str, texts: Mapping[str, Mapping[str, str]], settings: Mapping[str, Any]
) -> None:
    """Be one of the processes until the connection is closed."""
    member._obey(Follower(connections, url, texts, settings), connections[0])  # noqa: SLF001  # made for tests


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.staleness", description=__doc__)
    parser.add_argument("--engine", choices=list(BOUNDS), help="only this one")
    parser.add_argument("--processes", type=int, choices=list(FLEETS), help="only so many")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    fleets = {arguments.processes: FLEETS[arguments.processes]} if arguments.processes else FLEETS
    engines = [arguments.engine] if arguments.engine else list(BOUNDS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = measure_all(Path(folder), fleets, engines)
    sys.stdout.write("\n".join([HEADER, *(each.row() for each in found)]) + "\n")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
