"""Starting: 200 agents with 10 statuses, declared and written to the database. Run as a module it does one start."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import warnings
from pathlib import Path

from benchmarks import peers
from benchmarks.texts import BODY

AGENTS, STATUSES = 200, 10


async def ours(url: str, folder: Path) -> float:
    """Declare everything, start, and wait until the database is read; return the seconds it took."""
    from automagik_prompts import PromptPlugin
    from automagik_prompts.declaring.registry import Registry

    start = time.perf_counter()
    registry = Registry()
    for agent in range(AGENTS):
        texts = {f"STATUS_{status}": _text(agent, status) for status in range(STATUSES)}
        registry.declare(f"agent-{agent}", texts, where="benchmark", primary="STATUS_0")
    async with PromptPlugin(url, registry=registry, startup_timeout=60, cache_dir=folder) as plugin:
        taken = time.perf_counter() - start
        served = plugin.resolve(f"agent-{AGENTS - 1}", f"STATUS_{STATUSES - 1}")
        if served.version != 1 or served.source != "database":
            raise RuntimeError(f"The plugin serves version {served.version} from {served.source.value}.")
    return taken


async def migrate(url: str) -> None:
    """Bring our schema up to date, as a release step does."""
    from automagik_prompts.schema.migrate import upgrade
    from automagik_prompts.storage.database import Database

    async with Database(url) as database:
        await upgrade(database)


async def pivot_creates(url: str, _folder: Path) -> float:
    """Create prompts of prompt-pivot with their version and label, a tenth of them; return ten times the seconds."""
    registry = peers.pivot_registry(url)
    start = time.perf_counter()
    for agent in range(AGENTS // 10):
        for status in range(STATUSES):
            name = f"agent-{agent}/STATUS_{status}"
            await registry.acreate_prompt(name)
            await registry.acreate_version(name, _pivot_text(agent, status), message="first")
            await registry.apublish(name, 1, peers.LABEL, force=True, reason="first")
    taken = (time.perf_counter() - start) * 10
    await peers.dispose(registry)
    return taken


async def pivot_imports(url: str, _folder: Path) -> float:
    """Have prompt-pivot import all prompts from one export; return the seconds it took."""
    export = peers.pivot_export(
        {
            f"agent-{agent}/STATUS_{status}": _pivot_text(agent, status)
            for agent in range(AGENTS)
            for status in range(STATUSES)
        }
    )
    registry = peers.pivot_registry(url)
    start = time.perf_counter()
    await registry.aimport_prompts(export)
    taken = time.perf_counter() - start
    await peers.dispose(registry)
    return taken


async def pivot_tables(url: str) -> None:
    """Create prompt-pivot's tables."""
    registry = peers.pivot_registry(url)
    await registry.acreate_tables()
    await peers.dispose(registry)


def _text(agent: int, status: int) -> str:
    return f"{BODY}You are agent {agent}, the contact is {status}. Greet {{{{name}}}} of {{{{company}}}}."


def _pivot_text(agent: int, status: int) -> str:
    return _text(agent, status).replace("{{", "{").replace("}}", "}")


STARTS = {"ours": ours, "pivot-creates": pivot_creates, "pivot-imports": pivot_imports}
"""What a process of this module can do; all in the schema that is there."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=STARTS)
    parser.add_argument("url")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as cache:
        sys.stdout.write(f"{asyncio.run(STARTS[arguments.what](arguments.url, Path(cache)))}\n")
