"""What importing costs, and what is resident once a text is served. Run as a module it is one such process.

Each process sees only the packages that installing Pydantic AI and the library in question would bring: a peer's own
dependencies do not count as Pydantic AI's because they happen to be there.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.abc
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TEXT = "You are a helpful assistant."
NAME = "stan"

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "pydantic_ai": (),
    "automagik-prompts": ("automagik-prompts[postgres]",),
    "ManagedPrompt": ("pydantic-ai-harness[logfire]",),
    "prompt-pivot": ("prompt-pivot", "asyncpg"),
    "Langfuse": ("langfuse",),
}
"""What is installed beside Pydantic AI, by case."""


def hidden_modules(case: str) -> list[str]:
    """Return the packages that are installed here but would not be there in this case."""
    wanted = _closure(["pydantic-ai-slim", "psutil", "packaging", *LIBRARIES[case]])
    mine: set[str] = set()
    others: set[str] = set()
    for installed in distributions():
        modules = {module for file in installed.files or () for module in _modules(file.parts)}
        (mine if canonicalize_name(installed.name) in wanted else others).update(modules)
    return sorted(others - mine)


def _modules(parts: Sequence[str]) -> tuple[str, ...]:
    """Return the package that a file belongs to, and its sub-package: `opentelemetry` belongs to many distributions."""
    if len(parts) < 2 or not parts[0].isidentifier():
        return ()
    return (parts[0], f"{parts[0]}.{parts[1]}") if len(parts) > 2 else (parts[0],)


def _closure(requirements: Iterable[str]) -> set[str]:
    """Return the distributions that installing these brings."""
    seen: set[tuple[str, str]] = set()
    queue = [Requirement(text) for text in requirements]
    while queue:
        requirement = queue.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in seen:
                continue
            try:
                found = [Requirement(text) for text in requires(requirement.name) or ()]
            except PackageNotFoundError:
                continue  # for another platform
            seen.add(key)
            queue += [one for one in found if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def measure(case: str, hidden: Sequence[str], url: str) -> dict[str, float]:
    """Import and serve in a fresh process, and return what it cost: seconds and bytes."""
    command = [sys.executable, "-m", "benchmarks.footprint", case, url, json.dumps(hidden)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


class _Hidden(importlib.abc.MetaPathFinder):
    """Makes installed packages look as if they were not."""

    def __init__(self, packages: Iterable[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(self, fullname: str, *_search: object) -> ModuleSpec | None:
        if fullname in self.packages:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def _nothing(_url: str) -> Callable[[], str]:
    return lambda: TEXT


def _ours(url: str) -> Callable[[], str]:
    from automagik_prompts import ActivePrompt, PromptPlugin, prompt

    async def serve() -> str:
        with tempfile.TemporaryDirectory() as folder:
            async with PromptPlugin(url, startup_timeout=30, cache_dir=Path(folder)) as plugin:
                ActivePrompt(NAME, plugin=plugin)
                return plugin.resolve(NAME).text

    def run() -> str:
        prompt(TEXT, agent=NAME)
        return asyncio.run(serve())

    return run


def _managed(_url: str) -> Callable[[], str]:
    import logfire  # noqa: F401  # the application imports it to configure it
    from pydantic_ai_harness.logfire import ManagedPrompt

    from benchmarks import peers

    def run() -> str:
        peers.configure_logfire({NAME: TEXT})
        prompt = ManagedPrompt[None](NAME, default="The code's default.", label=peers.LABEL)
        return str(prompt._variable.get(label=peers.LABEL).value)  # noqa: SLF001  # as the capability reads it

    return run


def _pivot(url: str) -> Callable[[], str]:
    from promptpivot import PromptRegistry
    from sqlalchemy import create_engine

    return lambda: str(PromptRegistry(create_engine(url)).get(NAME).template)


def _langfuse(url: str) -> Callable[[], str]:
    from langfuse import Langfuse

    from benchmarks.peers import LANGFUSE_KEYS

    def run() -> str:
        client = Langfuse(**LANGFUSE_KEYS, base_url=url)
        return str(client.get_prompt(NAME).prompt)

    return run


_IMPORTS = {
    "pydantic_ai": _nothing,
    "automagik-prompts": _ours,
    "ManagedPrompt": _managed,
    "prompt-pivot": _pivot,
    "Langfuse": _langfuse,
}


def _process(case: str, url: str, hidden: Sequence[str]) -> dict[str, float]:
    sys.meta_path.insert(0, _Hidden(hidden))
    process = psutil.Process()
    start = time.perf_counter()
    import pydantic_ai  # noqa: F401  # what is measured

    serve = _IMPORTS[case](url)
    imported, resident = time.perf_counter(), process.memory_info().rss
    if serve() != TEXT:
        raise RuntimeError(f"{case} does not serve the text.")
    return {
        "import": imported - start,
        "import_resident": resident,
        "serve": time.perf_counter() - start,
        "serve_resident": process.memory_info().rss,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=LIBRARIES)
    parser.add_argument("url")
    parser.add_argument("hidden", type=json.loads)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    json.dump(_process(arguments.case, arguments.url, arguments.hidden), sys.stdout)
