"""The memory of a process that has read many prompts. Run as a module it is one such process, and prints bytes."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pydantic_ai  # noqa: F401  # what a process has in any case

SIZES = (1, 1_000, 10_000)
LENGTH = 300
CASES = ("automagik-prompts", "Langfuse", "ManagedPrompt")


def texts(size: int) -> dict[str, str]:
    """Return prompts by name, all of them different."""
    return {f"prompt_{number}": f"Prompt {number}. ".ljust(LENGTH, "x") for number in range(size)}


async def fill(url: str, prompts: Mapping[str, str]) -> None:
    """Write prompts into an empty database."""
    # Imported here, so that the process of a peer does not have it.
    from automagik_prompts.declaring.registry import Registry
    from automagik_prompts.editing.direct import DatabaseEdits
    from automagik_prompts.schema.migrate import upgrade
    from automagik_prompts.storage.database import Database

    registry = Registry()
    for name, text in prompts.items():
        registry.declare(name, {"default": text}, where="benchmark")
    async with Database(url) as database:
        await upgrade(database)
        await DatabaseEdits(database, registry.agents).sync()


def _ours(url: str, names: list[str]) -> Callable[[], object]:
    from automagik_prompts import PromptPlugin
    from automagik_prompts.declaring.registry import Registry

    async def read() -> object:
        with tempfile.TemporaryDirectory() as folder:
            plugin = PromptPlugin(url, registry=Registry(), startup_timeout=60, cache_dir=Path(folder)).start()
            await plugin.ready()
            found = [plugin.resolve(name).text for name in names]
            _tell()
            return found

    return lambda: asyncio.run(read())


def _langfuse(url: str, names: list[str]) -> Callable[[], object]:
    from langfuse import Langfuse

    from benchmarks.peers import LANGFUSE_KEYS

    client = Langfuse(**LANGFUSE_KEYS, base_url=url)

    def read() -> object:
        found = [client.get_prompt(name).prompt for name in names]
        _tell()
        return found

    return read


def _managed(_url: str, names: list[str]) -> Callable[[], object]:
    from benchmarks import peers

    def read() -> object:
        peers.configure_logfire(texts(len(names)))
        own = [peers.managed_prompt(name, render=False)._variable for name in names]  # noqa: SLF001  # as it is read
        found = [variable.get(label=peers.LABEL).value for variable in own]
        _tell()
        return found

    return read


_READERS = {"automagik-prompts": _ours, "Langfuse": _langfuse, "ManagedPrompt": _managed}
_BEFORE = psutil.Process().memory_info().rss


def _tell() -> None:
    """Print what is resident more than at first, and end: clients of peers would still send something."""
    sys.stdout.write(str(psutil.Process().memory_info().rss - _BEFORE))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=_READERS)
    parser.add_argument("url")
    parser.add_argument("size", type=int)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    _READERS[arguments.case](arguments.url, list(texts(arguments.size)))()
