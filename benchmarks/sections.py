"""One function for each part of the report: it measures, compares with the bar, and says what it found."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import footprint, growth, idle, peers, reads, served, start
from benchmarks.measure import Samples, added, pooled, ratio, spread
from benchmarks.report import Chart, Section, Verdict
from benchmarks.runs import COUNTS
from benchmarks.threads import CASES as THREAD_CASES
from benchmarks.threads import THREADS
from tests.servers import PostgresServer

Progress = Callable[[str], None]

OURS = "automagik-prompts"


@dataclass(frozen=True, slots=True)
class Bench:
    """What the parts share.

    Attributes:
        folder: For files that are thrown away.
        postgres: A server.
        scale: How much is measured: 1 for the report, less to try something out.
        progress: Told what is being done.
    """

    folder: Path
    postgres: PostgresServer
    scale: float
    progress: Progress

    def times(self, number: int) -> int:
        """Return how often to do what the report does so many times."""
        return max(2, round(number * self.scale))


def agent_runs(bench: Bench) -> Section:
    """One `Agent.run`, in several processes."""
    processes = 4
    parts = []
    for number in range(processes):
        bench.progress(f"agent runs, process {number + 1} of {processes}")
        parts.append(_child("benchmarks.runs", bench.times(400), number))
    samples = pooled(parts)
    titles = {
        "static": "static system prompt",
        "static (again)": "static system prompt, again: the noise",
        "empty": "an empty capability",
        "empty (again)": "an empty capability, again: the noise",
        "empty-instructions": "an empty capability, text as instructions",
        "system_prompt": "**ActivePrompt**",
        "instructions": '**ActivePrompt, inject="instructions"**',
        "installed": "**ActivePrompt by install()**",
        "managed": "ManagedPrompt",
    }
    rows, verdicts, bars = [], [], []
    for count in COUNTS:
        for case, title in titles.items():
            kind, _, control = case.partition(" ")
            name = f"{kind}/{count}{' ' + control if control else ''}"
            if name not in samples:
                continue
            own, static, empty = samples[name], samples[f"static/{count}"], samples[f"empty/{count}"]
            more = added(own, static)
            rows.append(
                (
                    f"{title}, {count} variables",
                    *_times(own),
                    str(ratio(own, static)),
                    str(ratio(own, empty)),
                    _us(more),
                )
            )
            if count == 0 or case in {"system_prompt", "managed"}:
                bars.append((f"{title.strip('*')}, {count}", more * 1e6, _us(more)))
    limits = {0: 1.02, 3: 1.03, 20: 1.06}
    for count, limit in limits.items():
        for case in ("system_prompt", "instructions", "installed"):
            own = samples[f"{case}/{count}"]
            what = f"agent run, {count} variables, {case}"
            verdicts.append(Verdict(f"{what} / empty capability", ratio(own, samples[f"empty/{count}"]).value, limit))
            if count == 0:
                verdicts.append(Verdict(f"{what} / static", ratio(own, samples[f"static/{count}"]).value, 1.08))
            theirs = added(samples[f"managed/{count}"], samples[f"static/{count}"])
            ours = added(own, samples[f"static/{count}"])
            verdicts.append(Verdict(f"{what}: added by ManagedPrompt / added by ours", theirs / ours, 5, at_least=True))
    return Section(
        title="One agent run",
        text=(
            f"`await agent.run(...)` with Pydantic AI's `TestModel`: a whole run without a model's latency, so what is "
            f"added shows as large as it ever will. {len(samples)} agents take turns in random order, "
            f"{len(samples['static/0'])} times each, in {processes} processes one after the other. Ratios are the "
            "median over the rounds of the one's time divided by the other's in the same round, with the 95 % "
            "confidence interval of that median. The filled texts are equal in all cases of one number of variables. "
            "ManagedPrompt reads Logfire's local provider, exports nothing, and records its usual span."
        ),
        head=("agent", "median", "quartiles", "/ static", "/ empty capability", "added to static"),
        rows=tuple(rows),
        verdicts=tuple(verdicts),
        charts=(
            Chart(
                "performance-runs",
                "Added to one agent run with a static system prompt, in microseconds",
                tuple(bars),
                frozenset(label for label, _, _ in bars if label.startswith("ActivePrompt")),
            ),
        ),
        data=_data(samples),
    )


def cached_reads(bench: Bench) -> Section:
    """Reading the active text."""
    bench.progress("reading the active text")
    samples = reads.measure_reads(bench.times(500), bench.postgres.create_database())
    ours = samples[OURS]
    return Section(
        title="Reading the active text",
        text=(
            "For an agent and status, in memory, no variables: `plugin.resolve(agent, status).text`, and each peer's "
            "own cached read. prompt-pivot is measured as without OpenTelemetry and Logfire without its span for each "
            "read, which is what makes them fastest; Langfuse's cache was filled over HTTP from a stub on this machine."
        ),
        head=("read", "median", "quartiles", "/ ours"),
        rows=tuple((case, *_times(values), f"{ratio(values, ours).value:.2f}") for case, values in samples.items()),
        verdicts=(
            Verdict("reading the active text", spread(ours).median * 1e6, 1, "µs"),
            *(
                Verdict(f"reading the active text: {case} / ours", ratio(values, ours).value, 1, at_least=True)
                for case, values in samples.items()
                if case not in {"dict", OURS, f"{OURS} (again)"}
            ),
        ),
        charts=(
            Chart(
                "performance-reads",
                "Reading the active text, in microseconds",
                tuple(
                    (case, spread(values).median * 1e6, _us(spread(values).median)) for case, values in samples.items()
                ),
                frozenset({OURS, f"{OURS} (again)"}),
            ),
        ),
        data=_data(samples),
    )


def filling(bench: Bench) -> Section:
    """Filling a text."""
    bench.progress("filling texts")
    samples = reads.measure_fills(bench.times(500))
    rows, verdicts = [], []
    for tags in reads.TAGS:
        engine = samples[f"handlebars/{tags}"]
        for case in (OURS, "handlebars", "handlebars (again)"):
            kind, _, control = case.partition(" ")
            values = samples[f"{kind}/{tags}{' ' + control if control else ''}"]
            rows.append((f"{case}, {tags} tags", *_times(values), str(ratio(values, engine))))
        verdicts.append(
            Verdict(f"filling {tags} tags / pydantic_handlebars", ratio(samples[f"{OURS}/{tags}"], engine).value, 1.3)
        )
    return Section(
        title="Filling a text",
        text=(
            "`plugin.render(agent, status, values)`, which finds the active version, fetches and checks each value and "
            "fills the text, beside `pydantic_handlebars` compiled once and called directly with the same dictionary."
        ),
        head=("call", "median", "quartiles", "/ pydantic_handlebars"),
        rows=tuple(rows),
        verdicts=tuple(verdicts),
        data=_data(samples),
    )


def starting(bench: Bench) -> Section:
    """Declaring and seeding many agents."""
    samples: dict[str, list[float]] = {}
    for number in range(bench.times(3)):
        for engine in ("SQLite", "PostgreSQL"):
            bench.progress(f"starting with {start.AGENTS * start.STATUSES} prompts on {engine}, round {number + 1}")
            url = _empty(bench, engine, "sqlite://")
            asyncio.run(start.migrate(url))
            samples.setdefault(f"{OURS}, cold, {engine}", []).append(_start("ours", url))
            for _ in range(2):
                samples.setdefault(f"{OURS}, unchanged, {engine}", []).append(_start("ours", url))
            for what, title in (
                ("pivot-imports", "import of one export"),
                ("pivot-creates", "one call after the other"),
            ):
                if what == "pivot-creates" and number:
                    continue  # it takes long, and nothing hangs on its second digit
                url = _empty(bench, engine, "sqlite:///")
                if engine == "PostgreSQL":
                    url = peers.sqlalchemy_url(url)
                asyncio.run(start.pivot_tables(url))
                samples.setdefault(f"prompt-pivot, {title}, {engine}", []).append(_start(what, url))
    verdicts = []
    for engine in ("SQLite", "PostgreSQL"):
        cold = median(samples[f"{OURS}, cold, {engine}"])
        theirs = median(samples[f"prompt-pivot, import of one export, {engine}"])
        verdicts += [
            Verdict(f"cold start, {engine} / prompt-pivot's import", cold / theirs, 1 / 3),
            Verdict(
                f"unchanged start, {engine} / cold start",
                median(samples[f"{OURS}, unchanged, {engine}"]) / cold,
                1 / 10,
            ),
        ]
    return Section(
        title=f"Starting with {start.AGENTS} agents of {start.STATUSES} statuses",
        text=(
            f"From the first declaration until all {start.AGENTS * start.STATUSES} texts are served from the database, "
            "in a fresh process with the libraries imported and the schema there. Cold: the database is empty. "
            "Unchanged: the texts are there, which is every start but the first of a release. prompt-pivot has no "
            "declarations; it is given the same texts by its quickest documented way, the import of one export, and "
            "one call after the other (create, version, publish). The median of the rounds."
        ),
        head=("start", "time", "rounds"),
        rows=tuple((case, _ms(median(values)), str(len(values))) for case, values in samples.items()),
        verdicts=tuple(verdicts),
        charts=(
            Chart(
                "performance-start",
                f"Starting with {start.AGENTS * start.STATUSES} prompts, in seconds",
                tuple((case, median(values), f"{median(values):.2f}") for case, values in samples.items()),
                frozenset(case for case in samples if case.startswith(OURS)),
            ),
        ),
        data=_data(samples),
    )


def importing(bench: Bench) -> Section:
    """Import time and resident memory."""
    bench.progress("import time and memory")
    text = {footprint.NAME: footprint.TEXT}
    pivot = f"sqlite:///{bench.folder / 'footprint-pivot.db'}"
    asyncio.run(_write_pivot(pivot))
    found: dict[str, list[dict[str, float]]] = {case: [] for case in footprint.LIBRARIES}
    hidden = {case: footprint.hidden_modules(case) for case in footprint.LIBRARIES}
    with peers.stub(text) as address:
        urls = {OURS: f"sqlite://{bench.folder / 'footprint.db'}", "prompt-pivot": pivot, "Langfuse": address}
        for number in range(-1, bench.times(15)):
            for case in found:
                one = footprint.measure(case, hidden[case], urls.get(case, "none"))
                if number >= 0:
                    found[case].append(one)
    samples = {f"{case}/{what}": [one[what] for one in ones] for case, ones in found.items() for what in ones[0]}
    alone = {what: median(samples[f"pydantic_ai/{what}"]) for what in ("import", "import_resident")}
    extra = {
        case: {
            what: median(samples[f"{case}/{what}"]) - alone[what.replace("serve", "import")]
            for what in ("import", "import_resident", "serve", "serve_resident")
        }
        for case in found
        if case != "pydantic_ai"
    }
    rivals = [case for case in extra if case != OURS]
    return Section(
        title="Import time and memory",
        text=(
            "What a process pays beside Pydantic AI: for the imports that an application writes, and until the first "
            "text is served, with database, cache or provider. Each in processes of its own, in turn; each process "
            "sees only the packages that installing Pydantic AI and that library brings. Pydantic AI alone takes "
            f"{_ms(alone['import'])} and {_mb(alone['import_resident'])}."
        ),
        head=("library", "import", "resident after import", "until a text is served", "resident then"),
        rows=tuple(
            (
                case,
                _ms(values["import"]),
                _mb(values["import_resident"]),
                _ms(values["serve"]),
                _mb(values["serve_resident"]),
            )
            for case, values in extra.items()
        ),
        verdicts=tuple(
            Verdict(f"{title} / least of the peers", extra[OURS][what] / min(extra[case][what] for case in rivals), 1)
            for what, title in (
                ("import", "import time"),
                ("import_resident", "memory after import"),
                ("serve_resident", "memory while serving"),
            )
        ),
        charts=(
            Chart(
                "performance-import",
                "Import time beside Pydantic AI, in milliseconds",
                tuple((case, values["import"] * 1e3, _ms(values["import"])) for case, values in extra.items()),
                frozenset({OURS}),
            ),
            Chart(
                "performance-memory",
                "Resident memory beside Pydantic AI while serving, in MB",
                tuple(
                    (case, values["serve_resident"] / 1e6, _mb(values["serve_resident"]))
                    for case, values in extra.items()
                ),
                frozenset({OURS}),
            ),
        ),
        data={"alone": alone, "beside": extra},
    )


def commit_to_served(bench: Bench) -> Section:
    """How long other processes serve the old version after a commit."""
    bench.progress(f"commit to served in {served.PROCESSES} processes")
    values = asyncio.run(served.measure(bench.postgres.create_database(), bench.times(150)))
    found = spread(values)
    return Section(
        title="From commit to served",
        text=(
            f"An activation is committed on PostgreSQL; {served.PROCESSES} other processes listen and serve. The time "
            "from the commit until a process serves the new version, for every process. Processes spread their reading "
            "over 20 ms on purpose, so that a hundred of them do not ask at once. prompt-pivot and Langfuse do not "
            "follow changes: a process of theirs serves the old version until its cache entry is too old, which by "
            "their documentation is up to 300 s and up to 60 s at the defaults."
        ),
        head=("library", "median", "p99", "longest"),
        rows=(
            (OURS, _ms(found.median), _ms(found.p99), _ms(max(values))),
            ("Langfuse, documented", "", "", "60 s"),
            ("prompt-pivot, documented", "", "", "300 s"),
        ),
        verdicts=(Verdict("commit to served, p99", found.p99 * 1e3, 50, "ms"),),
        data={"seconds": asdict(found), "measured": len(values)},
    )


def versions(bench: Bench) -> Section:
    """More and more versions."""
    samples: Samples = {}
    plans: dict[str, str] = {}
    for engine in ("SQLite", "PostgreSQL"):
        urls = [_empty(bench, engine, "sqlite://") for _ in growth.SIZES]
        measured, plans[engine] = asyncio.run(growth.measure(urls, bench.times(100), 0, bench.progress))
        samples |= {f"{engine}/{case}": values for case, values in measured.items()}
    first, last = growth.SIZES[0], growth.SIZES[-1]
    rows, verdicts, bars = [], [], []
    for engine in plans:
        for operation in growth.OPERATIONS:
            values = [samples[f"{engine}/{operation}/{size}"] for size in growth.SIZES]
            grown = ratio(values[-1], values[0])
            rows.append((engine, operation, *(_ms(spread(one).median) for one in values), str(grown)))
            bars += [
                (f"{engine}, {operation}, {size:,}", spread(one).median * 1e3, _ms(spread(one).median))
                for size, one in zip(growth.SIZES, values, strict=True)
            ]
            if operation != "poll":
                verdicts.append(Verdict(f"{operation} at {last:,} versions / at {first:,}, {engine}", grown.value, 1.5))
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
                frozenset(label for label, _, _ in bars),
            ),
        ),
        extra="\n\n".join(f"### Plans on {engine} with {last:,} versions\n\n{plan}" for engine, plan in plans.items()),
        data=_data(samples),
    )


def idling(bench: Bench, watch: idle.Watch) -> Section:
    """What an idle process asks."""
    bench.progress("statements of an idle process")
    sqlite = idle.per_minute_on_sqlite(bench.folder, max(5.0, 20 * bench.scale))
    watch.wait(max(0.2, 3.0 * bench.scale))
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
        verdicts=(Verdict("statements of an idle process, PostgreSQL", per_minute, 2, "/min"),),
        extra=f"What PostgreSQL's log shows:\n\n```text\n{lines}\n```",
        data={"postgresql": per_minute, "minutes": minutes, "sqlite": sqlite},
    )


def many_threads(bench: Bench) -> Section:
    """Agent runs in many threads."""
    parts = []
    for number in range(2):
        bench.progress(f"agent runs in {THREADS} threads, process {number + 1} of 2")
        parts.append(_child("benchmarks.threads", bench.times(20), number))
    samples = pooled(parts)
    static, empty = samples["static/0"], samples["empty/0"]
    return Section(
        title=f"{THREADS} threads",
        text=(
            f"`agent.run_sync(...)` in {THREADS} threads at once, each with an event loop of its own; the time for all "
            "of them divided by the number of runs. Cases take turns in random order."
        ),
        head=("agent", "per run", "quartiles", "/ static", "/ empty capability"),
        rows=tuple(
            (case, *_times(samples[case]), str(ratio(samples[case], static)), str(ratio(samples[case], empty)))
            for case in THREAD_CASES
        ),
        verdicts=(
            Verdict(f"run_sync in {THREADS} threads / static", ratio(samples["system_prompt/0"], static).value, 1.05),
        ),
        data=_data(samples),
    )


async def _write_pivot(url: str) -> None:
    registry = peers.pivot_registry(url)
    await registry.acreate_tables()
    await registry.acreate_prompt(footprint.NAME)
    await registry.acreate_version(footprint.NAME, footprint.TEXT, message="first")
    await registry.apublish(footprint.NAME, 1, peers.LABEL, force=True, reason="first")
    await peers.dispose(registry)


def _child(module: str, rounds: int, seed: int) -> Samples:
    command = [sys.executable, "-m", module, "--rounds", str(rounds), "--seed", str(seed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: Samples = json.loads(done.stdout)
    return found


def _start(what: str, url: str) -> float:
    command = [sys.executable, "-m", "benchmarks.start", what, url]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _empty(bench: Bench, engine: str, sqlite: str) -> str:
    """Return the URL of an empty database."""
    if engine == "PostgreSQL":
        return bench.postgres.create_database()
    return f"{sqlite}{tempfile.mkdtemp(dir=bench.folder)}/prompts.db"


def _data(samples: Samples) -> dict[str, Any]:
    return {case: {**asdict(spread(values)), "rounds": len(values)} for case, values in samples.items()}


def _times(values: Sequence[float]) -> tuple[str, str]:
    found = spread(values)
    return _us(found.median), f"{_us(found.low)} to {_us(found.high)}"


def _us(seconds: float) -> str:
    value = seconds * 1e6
    return f"{value:.2f} µs" if abs(value) < 10 else f"{value:.0f} µs"


def _ms(seconds: float) -> str:
    value = seconds * 1e3
    return f"{value:.1f} ms" if abs(value) < 100 else f"{value:.0f} ms"


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
