"""The first agent run of a process, and the memory of one that serves many prompts, with this library and its peers."""

from __future__ import annotations

import asyncio
import json
import tempfile
from statistics import median

from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from benchmarks import first, memory, peers
from benchmarks.bench import Bench, child, mb, ms
from benchmarks.report import Section, Verdict

_STATIC = "a static prompt"
_BARS = {"SQLite": 20.0, "PostgreSQL": 25.0}


def first_run(bench: Bench) -> Section:
    """How long the first run of a process holds the event loop."""
    found: dict[str, list[dict[str, float]]] = {}
    postgres = bench.empty("PostgreSQL")
    asyncio.run(_migrate(postgres))
    pivot_sqlite, pivot_postgres = bench.empty("SQLite", "sqlite:///"), bench.empty("PostgreSQL")
    pivot_urls = {"SQLite": pivot_sqlite, "PostgreSQL": peers.sqlalchemy_url(pivot_postgres)}
    for url in pivot_urls.values():
        asyncio.run(peers.publish(url, first.NAME, first.TEXT))
    with peers.stub({first.NAME: first.TEXT}) as address:
        for number in range(bench.times(15)):
            bench.progress(f"the first run of a process, {number + 1}/{bench.times(15)}")
            cases = {
                _STATIC: ("static", "none"),
                **{f"ActivePrompt, SQLite{words}": (how, _fresh(bench)) for how, words in _WAYS.items()},
                **{f"ActivePrompt, PostgreSQL{words}": (how, postgres) for how, words in _WAYS.items()},
                "ManagedPrompt": ("managed", "spans"),
                "ManagedPrompt without spans": ("managed", "none"),
                **{f"prompt-pivot, {engine}": ("pivot", url) for engine, url in pivot_urls.items()},
                "Langfuse, asked in a thread": ("langfuse", address),
            }
            for case, (how, url) in cases.items():
                found.setdefault(case, []).append(json.loads(child("benchmarks.first", how, url)))
    gaps = {case: median(one["gap"] for one in ones) for case, ones in found.items()}
    firsts = {case: median(one["first"] for one in ones) for case, ones in found.items()}
    return Section(
        title="The first run of a process",
        text=(
            "A process has built its agent, and its event loop runs: the longest time in which the loop does nothing "
            "else during the first run, and the whole of that run, each the median of fresh processes in turn. What "
            "any first run of Pydantic AI imports was imported before. This library imports the database's part on the "
            "plugin's thread; on SQLite the first process also makes the schema and writes the code's text. "
            "prompt-pivot reads its row on the loop, Langfuse over HTTP from a stub on this machine, and ManagedPrompt "
            "from Logfire's local provider, which asks nobody."
        ),
        head=("agent", "longest gap", "first run"),
        rows=tuple((case, ms(gaps[case]), ms(firsts[case])) for case in found),
        verdicts=tuple(
            Verdict(
                f"first run: longest gap, {engine}{words}",
                ms(gaps[f"ActivePrompt, {engine}{words}"]),
                f"{ms(gaps['prompt-pivot, ' + engine])}, prompt-pivot; {ms(gaps['ManagedPrompt without spans'])}, "
                "ManagedPrompt without spans",
                gaps[f"ActivePrompt, {engine}{words}"] * 1e3,
                bar,
                "ms",
                kind="first",
            )
            for engine, bar in _BARS.items()
            for words in _WAYS.values()
        ),
        data={case: {"gap": gaps[case], "first": firsts[case]} for case in found},
    )


def memory_of_many(bench: Bench) -> Section:
    """What is resident once so many prompts have been read."""
    rows = []
    data: dict[str, float] = {}
    for size in memory.SIZES:
        texts = memory.texts(size)
        bench.progress(f"memory with {size:,} prompts")
        url = _fresh(bench)
        asyncio.run(memory.fill(url, texts))
        with peers.stub(texts) as address:
            for case, where in (("automagik-prompts", url), ("Langfuse", address), ("ManagedPrompt", "none")):
                data[f"{case}, {size}"] = float(child("benchmarks.memory", case, where, str(size)))
        characters = sum(map(len, texts.values()))
        taken = (mb(data[f"{case}, {size}"]) for case in memory.CASES)
        rows.append((f"{size:,}", mb(characters), *taken))
    return Section(
        title="Memory with many prompts",
        text=(
            f"Resident memory beyond that of a process with Pydantic AI, once each of so many prompts of "
            f"{memory.LENGTH} characters was read: from SQLite, over HTTP from a stub on this machine, and from "
            "Logfire's local provider. prompt-pivot keeps 500 prompts at most by default and reads the others again, "
            "so it is left out."
        ),
        head=("prompts", "characters", *memory.CASES),
        rows=tuple(rows),
        data=data,
    )


_WAYS = {"default": "", "explicit": ", explicit plugin"}


def _fresh(bench: Bench) -> str:
    return f"sqlite://{tempfile.mkdtemp(dir=bench.folder)}/prompts.db"


async def _migrate(url: str) -> None:
    async with Database(url) as database:
        await upgrade(database)
