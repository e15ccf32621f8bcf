"""From the commit of an activation until other processes serve it. Run as a module it is one of the others."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from automagik_prompts import PromptPlugin
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.editing import commands
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database

PROCESSES = 8
AGENT, STATUS = "stan", "default"

_LOOK = 0.0005
"""Seconds between two looks of a process at what it serves; the result is no more exact than that."""


async def measure(url: str, activations: int) -> list[float]:
    """Activate one version after the other; return the seconds until each of the processes served each of them.

    Args:
        url: An empty PostgreSQL database.
        activations: How many.
    """
    async with Database(url) as database:
        await upgrade(database)
        await commands.create(database, AGENT, STATUS, "Version 1.", new_agent=True, new_status=True, activate=True)
        for number in range(activations):
            await commands.create(database, AGENT, STATUS, f"Version {number + 2}.")
        processes = [_Follower(url) for _ in range(PROCESSES)]
        taken: list[float] = []
        try:
            for process in processes:
                await process.told()  # that it listens
            for number in range(activations):
                await commands.activate(database, AGENT, STATUS, number + 2)
                # The clock is the same in all processes of a machine.
                committed = time.monotonic()
                taken += [max(0.0, await process.told() - committed) for process in processes]
        finally:
            for process in processes:
                process.end()
    return taken


class _Follower:
    """Another process that serves from the same database.

    Args:
        url: The database.
    """

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "benchmarks.served", url]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    async def told(self) -> float:
        """Return the time at which it next had news."""
        if self._process.stdout is None:
            raise RuntimeError("The process has no output.")
        return float(await asyncio.to_thread(self._process.stdout.readline))

    def end(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


def _follow(url: str) -> None:
    """Write the time to standard output once notifications arrive, and whenever another version is served."""
    with (
        tempfile.TemporaryDirectory() as folder,
        PromptPlugin(url, registry=Registry(), cache_dir=Path(folder)) as plugin,
    ):
        while not plugin.health().listening:
            time.sleep(0.01)
        version = None
        while True:
            if (served := plugin.resolve(AGENT, STATUS).version) != version:
                sys.stdout.write(f"{time.monotonic()}\n")
                sys.stdout.flush()
                version = served
            time.sleep(_LOOK)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    _follow(arguments.url)
