"""What the database has to do: with more and more versions, and for a process that is idle."""

from __future__ import annotations

import asyncio

from benchmarks import growth, idle, writes
from benchmarks.bench import OURS, Bench, ms, numbers
from benchmarks.charts import Chart
from benchmarks.measure import Samples, ratio, spread
from benchmarks.report import Section, Verdict

_ENGINES = ("SQLite", "PostgreSQL")


def versions(bench: Bench) -> Section:
    """More and more versions."""
    samples: Samples = {}
    plans: dict[str, str] = {}
    for engine in _ENGINES:
        urls = [bench.empty(engine) for _ in growth.SIZES]
        measured, plans[engine] = asyncio.run(growth.measure(urls, bench.times(100), 0, bench.progress))
        samples |= {f"{engine}/{case}": values for case, values in measured.items()}
    first, last = growth.SIZES[0], growth.SIZES[-1]
    rows, verdicts, bars = [], [], []
    for engine in _ENGINES:
        for operation in growth.OPERATIONS:
            values = [samples[f"{engine}/{operation}/{size}"] for size in growth.SIZES]
            taken = [ms(spread(one).median) for one in values]
            grown = ratio(values[-1], values[0])
            rows.append((engine, operation, *taken, str(grown)))
            bars += [
                (f"{engine}, {operation}, {size:,}", spread(one).median * 1e3, words)
                for size, one, words in zip(growth.SIZES, values, taken, strict=True)
            ]
            if operation != "poll":
                what, against = f"{operation} with {last:,} versions, {engine}", f"{taken[0]} with {first:,}"
                verdicts.append(Verdict(what, taken[-1], against, grown.value, 1.5, kind="growth"))
    return Section(
        title="Versions in the table",
        text=(
            f"{growth.AGENTS} agents with {growth.STATUSES} statuses, one active version of each, which lie all over "
            "the table. Refresh reads everything that is active and builds a snapshot; poll looks whether anything was "
            "written; create writes a version; activate activates another one. All sizes in turn, in random order."
        ),
        head=("engine", "operation", *(f"{size:,}" for size in growth.SIZES), f"{last:,} / {first:,}"),
        rows=tuple(rows),
        verdicts=tuple(verdicts),
        charts=(
            Chart(
                "performance-versions",
                "The same with more versions in the table, in milliseconds",
                tuple(bars),
                tuple(label for label, _, _ in bars),
            ),
        ),
        extra="\n\n".join(
            f"### How {engine} plans what runs more than once a minute, with {last:,} versions\n\n{plan}"
            for engine, plan in plans.items()
        ),
        data=numbers(samples),
    )


def writing(bench: Bench) -> Section:
    """Activating on PostgreSQL."""
    url = bench.empty("PostgreSQL")
    asyncio.run(writes.prepare(url))
    bench.progress("activating on PostgreSQL, one connection")
    samples = asyncio.run(writes.measure(url, bench.times(1000), 0))
    bench.progress(f"activating on PostgreSQL, {writes.PROCESSES} processes")
    turns = [writes.rates(url, max(0.5, 4 * bench.scale)) for _ in range(3)]
    best = max(turns, key=lambda one: one["activate"] / one["plain"])
    plain, own = samples["plain"], samples["activate"]
    taken = ms(spread(own).median)
    against = f"{ms(spread(plain).median)}, the same statements plainly"
    shared = f"{best['plain']:.0f}/s, the same statements plainly"
    share = best["activate"] / best["plain"]
    what = f"activate in {writes.PROCESSES} processes on different agents, PostgreSQL"
    return Section(
        title="Activating on PostgreSQL",
        text=(
            "`activate` on one connection, beside a transaction of the same statements as somebody would write it with "
            "asyncpg who checks nothing: neither the text, nor the revision that the caller expects, nor withdrawals. "
            f"They take turns in random order. Then {writes.PROCESSES} processes at once, each on an agent of its own, "
            "in three turns of which the best is given: two processor cores are shared with the server."
        ),
        head=("what", "median", "ratio"),
        rows=(
            *((case, ms(spread(values).median), str(ratio(values, plain))) for case, values in samples.items()),
            *(
                (
                    f"{writes.PROCESSES} processes, turn {number}",
                    f"{one['activate']:.0f}/s of {one['plain']:.0f}/s",
                    f"{one['activate'] / one['plain']:.2f}",
                )
                for number, one in enumerate(turns, 1)
            ),
        ),
        verdicts=(
            Verdict("activate, PostgreSQL", taken, against, ratio(own, plain).value, 1.5, kind="write"),
            Verdict(what, f"{best['activate']:.0f}/s", shared, share, 0.6, at_least=True, kind="write"),
        ),
        data=numbers(samples),
    )


def idling(bench: Bench) -> Section:
    """What an idle process asks."""
    with idle.Watch(bench.folder / "idle") as watch:
        bench.progress("statements of an idle process")
        sqlite = idle.per_minute_on_sqlite(bench.folder, max(5.0, 20 * bench.scale))
        watch.wait(max(1.0, 5.0 * bench.scale))
        per_minute, minutes, seen = watch.per_minute()
    lines = "\n".join(f"{count:>3} x {statement}" for statement, count in seen.most_common())
    return Section(
        title="An idle process",
        text=(
            f"Statements per minute of one process that serves and does nothing, in the log of a PostgreSQL server of "
            f"its own over {minutes:.1f} minutes, and by the driver's trace on SQLite. With notifications a process "
            "only proves once a minute that they arrive, and reads what is active once a minute in case they did not. "
            "Without them, and on SQLite, it looks as often as `poll_interval` says. prompt-pivot asks nothing while "
            "idle and one query for each prompt in use every 300 s; Langfuse one request for each prompt each 60 s."
        ),
        head=("process", "statements per minute"),
        rows=(
            (f"{OURS} on PostgreSQL, notified", f"{per_minute:.1f}"),
            (f"{OURS} on SQLite, polling every 0.25 s", f"{sqlite:.0f}"),
            ("prompt-pivot, 20 prompts in use, documented", f"{20 * 60 / 300:.0f}"),
            ("Langfuse, 20 prompts in use, documented", f"{20 * 60 / 60:.0f}"),
        ),
        verdicts=(
            Verdict(
                "statements of an idle process, PostgreSQL",
                f"{per_minute:.1f} /min",
                "4 /min prompt-pivot, 20 /min Langfuse, with 20 prompts in use",
                per_minute,
                2,
                "/min",
                kind="idle",
            ),
        ),
        extra=f"What PostgreSQL's log shows:\n\n```text\n{lines}\n```",
        data={"postgresql": per_minute, "minutes": minutes, "sqlite": sqlite},
    )
