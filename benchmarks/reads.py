"""Reading the active text for an agent and status from memory, and filling it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_handlebars import compile as compile_handlebars

from automagik_prompts import PromptPlugin
from automagik_prompts.declaring.registry import Registry
from benchmarks import peers
from benchmarks.measure import Samples, race
from benchmarks.texts import NAMES, VALUES, template

AGENT, STATUS = "stan", "APPROVED"
TAGS = (0, 1, 3, 5, 20)


def measure_reads(rounds: int, postgres_url: str, seed: int = 0) -> Samples:
    """Read the active text, without a tag, in every library's own way; a cached read in all of them."""
    text, name = template(0), f"{AGENT}/{STATUS}"
    plain = {(AGENT, STATUS): text}
    # Before Langfuse, which takes the tracer that it finds.
    variable = _logfire_variable(text)
    with (
        tempfile.TemporaryDirectory() as folder,
        _plugin(Path(folder), {STATUS: text}) as plugin,
        peers.langfuse_client({name: text}) as langfuse,
    ):
        urls = (f"sqlite:///{Path(folder) / 'pivot.db'}", peers.sqlalchemy_url(postgres_url))
        pivots = [asyncio.run(_pivot(url, name, text)) for url in urls]
        cases: dict[str, Callable[[], object]] = {
            "dict": lambda: plain[AGENT, STATUS],
            "automagik-prompts": lambda: plugin.resolve(AGENT, STATUS).text,
            "automagik-prompts (again)": lambda: plugin.resolve(AGENT, STATUS).text,
            "prompt-pivot, SQLite": lambda: pivots[0].get(name).template,
            "prompt-pivot, PostgreSQL": lambda: pivots[1].get(name).template,
            "Langfuse": lambda: langfuse.get_prompt(name).prompt,
            "Logfire": lambda: variable.get(label=peers.LABEL).value,
        }
        for case, call in cases.items():
            if call() != text:
                raise RuntimeError(f"{case} does not return the text.")
        return race(cases, rounds=rounds, inner=200, seed=seed)


def measure_fills(rounds: int, seed: int = 0) -> Samples:
    """Fill texts with 1, 5 and 20 tags: through the plugin, and through the engine compiled and called directly."""
    cases: dict[str, Callable[[], object]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        _plugin(Path(folder), {f"TAGS_{tags}": template(tags) for tags in TAGS}) as plugin,
        peers.langfuse_client({f"TAGS_{tags}": template(tags) for tags in TAGS}) as langfuse,
    ):
        for tags in TAGS:
            values = {name: VALUES[name] for name in NAMES[:tags]}
            engine = compile_handlebars(template(tags))
            cases[f"automagik-prompts/{tags}"] = _filling(plugin, f"TAGS_{tags}", values)
            cases[f"handlebars/{tags}"] = _engine(engine, values)
            cases[f"handlebars/{tags} (again)"] = _engine(engine, values)
            pivot = asyncio.run(_pivot(f"sqlite:///{Path(folder) / f'pivot{tags}.db'}", AGENT, template(tags)))
            cases[f"prompt-pivot/{tags}"] = _pivot_filling(pivot, values)
            cases[f"Langfuse/{tags}"] = _langfuse_filling(langfuse, f"TAGS_{tags}", values)
            for kind in ("automagik-prompts", "prompt-pivot", "Langfuse"):
                if cases[f"{kind}/{tags}"]() != engine.render(values):
                    raise RuntimeError(f"The text of {kind} differs.")
        return race(cases, rounds=rounds, inner=50, seed=seed)


def _filling(plugin: PromptPlugin, status: str, values: dict[str, str]) -> Callable[[], str]:
    return lambda: plugin.render(AGENT, status, values)


def _pivot_filling(registry: Any, values: dict[str, str]) -> Callable[[], str]:
    return lambda: registry.get(AGENT).compile_text(**values)


def _langfuse_filling(client: Any, name: str, values: dict[str, str]) -> Callable[[], str]:
    return lambda: client.get_prompt(name).compile(**values)


def _engine(engine: Any, values: dict[str, str]) -> Callable[[], str]:
    return lambda: engine.render(values)


def _plugin(folder: Path, texts: dict[str, str]) -> PromptPlugin:
    registry = Registry()
    registry.declare(AGENT, texts, where="benchmark", primary=next(iter(texts)))
    return PromptPlugin(f"sqlite://{folder / 'prompts.db'}", registry=registry, cache_dir=folder, startup_timeout=30)


async def _pivot(url: str, name: str, text: str) -> Any:
    """Return a registry of prompt-pivot that has a prompt in its cache."""
    registry = await peers.publish(url, name, text)
    # It would look for a span on each read. Its user need not have OpenTelemetry; it is here for Logfire and Langfuse.
    registry._otel = False  # noqa: SLF001  # what it sets itself where OpenTelemetry is not installed
    return registry


def _logfire_variable(text: str) -> Any:
    """Return a managed variable of Logfire's local provider, without a span for each read, which it offers too."""
    peers.configure_logfire({"stan": text}, spans=False)
    return peers.managed_prompt("stan", render=False)._variable  # noqa: SLF001  # as the capability itself reads it
