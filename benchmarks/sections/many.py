"""How far it goes: many active prompts in one process, and many processes that follow one server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil

from benchmarks import many
from benchmarks.bench import Bench, mb, ms
from benchmarks.many import Found
from benchmarks.report import Section, Verdict

ENGINES = ("SQLite", "PostgreSQL")
SIZES = (100, 1_000, 10_000, 100_000)
FOLLOWERS = 200

_PROCESSOR = {"SQLite": 2.0, "PostgreSQL": 1.5}


def many_prompts(bench: Bench) -> Section:
    """What a start, one activation and resting cost, with more and more active prompts."""
    sizes = SIZES if bench.scale >= 1 else SIZES[:3]
    found: dict[tuple[str, int, str], tuple[Found, Found]] = {}
    with many.release(many.TODAY, bench.folder / "today") as today:
        for engine in ENGINES:
            for size in sizes:
                url = bench.empty(engine)
                bench.progress(f"{size} active prompts on {engine}")
                asyncio.run(many.fill(url, size))
                folder = bench.folder / f"{engine}-{size}"
                rounds, idle = bench.times(30), 10.0 * bench.scale
                found[engine, size, "now"] = asyncio.run(many.measure(url, size, folder, rounds=rounds, idle=idle))
                if today is not None and size != SIZES[1]:
                    folder = bench.folder / f"{engine}-{size}-today"
                    before = many.measure(url, size, folder, rounds=bench.times(5), idle=1.0, release=today)
                    found[engine, size, "today"] = asyncio.run(before)
    return Section(
        title="Many active prompts",
        text=(
            f"So many agents with one active text of {many.LENGTH} characters each, in a database of its own, and one "
            "process that follows it and declares one of them in code: started without and with what it keeps on disk, "
            f"then {bench.times(30)} activations by another process. A thread that wakes each millisecond tells how "
            "long nobody else got the interpreter. Processor time is that of the library's own threads. *Before* is "
            f"the commit {many.TODAY}, run in turn with this one{'' if today else '; its history is not at hand here'}."
        ),
        head=(
            *(
                "engine",
                "prompts",
                "first text, cold / warm",
                "live, cold / warm",
                "commit to served",
                "processor time",
            ),
            *("longest gap, start / change", "memory / texts", "written per change", "idle"),
        ),
        rows=tuple(_row(engine, size, which, *pair) for (engine, size, which), pair in found.items()),
        verdicts=tuple(verdict for engine in ENGINES for verdict in _verdicts(engine, sizes, found)),
        data={f"{engine}/{size}/{which}": _facts(pair) for (engine, size, which), pair in found.items()},
    )


def many_followers(bench: Bench) -> Section:
    """What a server spends on those who follow it."""
    sizes, spent = (100, 10_000), dict[int, float]()
    server = _server(bench.postgres.url)
    for size in sizes:
        url = bench.postgres.create_database()
        bench.progress(f"{FOLLOWERS} followers of {size} active prompts")
        asyncio.run(many.fill(url, size))
        spent[size] = asyncio.run(many.server_time(url, size, server, FOLLOWERS, bench.times(40)))
    few, lots = (spent[size] for size in sizes)
    return Section(
        title="Many processes that follow one server",
        text=(
            f"{FOLLOWERS} followers in one process, over ten connections, each of which looks for changes and reads "
            "the one agent that was written to. Processor time is that of the server's processes for these "
            "connections. At 100 changes a minute, a thousand followers take five times this, a hundred times a minute."
        ),
        head=("active prompts", "server time per change, all followers", "of one core, at 100 changes a minute"),
        rows=tuple((f"{size:,}", ms(value), f"{value * 100 / 60 * 100:.1f} %") for size, value in spent.items()),
        verdicts=(
            Verdict(
                f"server time per change with {sizes[1]:,} active prompts, {FOLLOWERS} followers",
                ms(lots),
                f"{ms(few)} with {sizes[0]}",
                lots / few,
                1.2,
                kind="many",
            ),
        ),
        data={str(size): value for size, value in spent.items()},
    )


def _row(engine: str, size: int, which: str, cold: Found, warm: Found) -> tuple[str, ...]:
    name = engine if which == "now" else f"{engine}, before"
    return (
        name,
        f"{size:,}",
        f"{ms(cold.start['first'])} / {ms(warm.start['first'])}",
        f"{ms(cold.start['live'])} / {ms(warm.start['live'])}",
        ms(median(warm.served)),
        ms(median(warm.cpu)),
        f"{ms(max(cold.start['gap'], warm.start['gap']))} / {ms(max(warm.gaps))}",
        f"{_share(size, warm.size['resident']):.2f}" if size >= SIZES[2] else mb(warm.size["resident"]),
        f"{median(warm.written):,.0f} bytes" if which == "now" else "",
        f"{warm.idle * 100:.2f} %",
    )


def _share(size: int, resident: float) -> float:
    return resident / (size * many.LENGTH)


def _verdicts(
    engine: str, sizes: tuple[int, ...], found: dict[tuple[str, int, str], tuple[Found, Found]]
) -> list[Verdict]:
    """Return the bars of one engine, at the largest size against the smallest."""
    few, most = sizes[0], sizes[-1]
    (_, little), (cold, warm) = found[engine, few, "now"], found[engine, most, "now"]
    what = f"{engine}, {most:,} active prompts"
    gaps = [gap for size in sizes for gap in found[engine, size, "now"][1].gaps]
    # What the drivers need themselves is the same at any size.
    own = found[engine, few, "now"]
    cold_share = _share(most, cold.size["resident"] - own[0].size["resident"])
    warm_share = _share(most, warm.size["resident"] - own[1].size["resident"])
    start = max(cold.start["gap"], warm.start["gap"])
    written = median(warm.written)
    bars = [
        Verdict(
            f"{what}: processor time of one activation",
            ms(median(warm.cpu)),
            f"{ms(median(little.cpu))} with {few}",
            median(warm.cpu) / median(little.cpu),
            _PROCESSOR[engine],
            kind="many",
        ),
        Verdict(
            f"{engine}: longest gap while a change is read, 99th percentile at any size",
            ms(quantiles(gaps, n=100)[98]),
            "",
            quantiles(gaps, n=100)[98] * 1e3,
            10,
            "ms",
            kind="many",
        ),
        Verdict(f"{what}: longest gap at a start", ms(start), "", start * 1e3, 30, "ms", kind="many"),
        Verdict(
            f"{what}: memory beyond that of {few}, as a share of the texts, cold start",
            mb(cold.size["resident"]),
            mb(most * many.LENGTH),
            cold_share,
            1.3,
            kind="many",
        ),
        Verdict(
            f"{what}: the same, warm start",
            mb(warm.size["resident"]),
            mb(most * many.LENGTH),
            warm_share,
            1.3,
            kind="many",
        ),
        Verdict(
            f"{what}: memory at most, as a share of the texts",
            mb(max(cold.size["peak"], warm.size["peak"])),
            mb(most * many.LENGTH),
            _share(most, max(cold.size["peak"], warm.size["peak"])),
            1.5,
            kind="many",
        ),
        Verdict(
            f"{what}: written to disk for one change",
            f"{written:,.0f} bytes",
            f"{many.LENGTH} characters",
            written / many.LENGTH,
            3,
            kind="many",
        ),
    ]
    if (before := found.get((engine, most, "today"))) is not None:
        first, then = cold.start["first"], before[0].start["first"]
        bars.append(
            Verdict(f"{what}: first text, cold", ms(first), f"{ms(then)} before", first / then, 0.2, kind="many")
        )
    if engine == "SQLite":
        resting = (warm.idle + 1e-6) / (little.idle + 1e-6)
        bars.append(
            Verdict(
                f"{what}: an idle process",
                f"{warm.idle * 100:.2f} %",
                f"{little.idle * 100:.2f} % with {few}",
                resting,
                1.2,
                kind="many",
            )
        )
    return bars


def _facts(pair: tuple[Found, Found]) -> dict[str, Any]:
    return {"cold": many.facts(pair[0]), "warm": many.facts(pair[1])}


def _server(url: str) -> int:
    """Return the process of the server of the benchmark, by the file in its folder."""
    folder = Path(dict(part.split("=", 1) for part in url.partition("?")[2].split("&"))["host"])
    number = int((folder / "postmaster.pid").read_text().split()[0])
    return int(psutil.Process(number).pid)
