"""Starting with many prompts, and what importing and serving costs in time and memory."""

from __future__ import annotations

import asyncio
from statistics import median

from benchmarks import footprint, peers, start
from benchmarks.bench import OURS, Bench, child, mb, ms, numbers
from benchmarks.charts import Chart
from benchmarks.measure import Samples
from benchmarks.report import Section, Verdict

_ENGINES = ("SQLite", "PostgreSQL")
_IMPORT, _CREATES = "import of one export", "one call after the other"


def starting(bench: Bench) -> Section:
    """Declaring and seeding many agents."""
    samples: Samples = {}
    rounds = bench.times(5)
    for number in range(rounds):
        for engine in _ENGINES:
            bench.progress(f"starting with {start.AGENTS * start.STATUSES} prompts on {engine}, {number + 1}/{rounds}")
            _start_all(bench, engine, samples, number)
    verdicts = []
    for engine in _ENGINES:
        cold, unchanged = (median(samples[f"{OURS}, {how}, {engine}"]) for how in ("cold", "unchanged"))
        for how in (_IMPORT, _CREATES):
            if (theirs := samples.get(f"prompt-pivot, {how}, {engine}")) is None:
                continue
            against = f"{ms(median(theirs))}, prompt-pivot, {how}"
            verdicts.append(
                Verdict(f"cold start, {engine}", ms(cold), against, cold / median(theirs), 1 / 3, kind="cold")
            )
        verdicts.append(
            Verdict(
                f"unchanged start, {engine}",
                ms(unchanged),
                f"{ms(cold)}, our cold start",
                unchanged / cold,
                1 / 10,
                kind="unchanged",
            )
        )
    return Section(
        title=f"Starting with {start.AGENTS} agents of {start.STATUSES} statuses",
        text=(
            f"From the first declaration until all {start.AGENTS * start.STATUSES} texts are served from the database, "
            "in a fresh process with the libraries imported and the schema there. Cold: the database is empty. "
            "Unchanged: the texts are there, which is every start but the first of a release. prompt-pivot has no "
            "declarations; it is given the same texts by its quickest documented way, the import of one export, and "
            "once by one call after the other (create, version, publish), a tenth of them, times ten. The median of "
            "the rounds."
        ),
        head=("start", "time", "shortest", "longest", "rounds"),
        rows=tuple(
            (case, ms(median(values)), ms(min(values)), ms(max(values)), str(len(values)))
            for case, values in samples.items()
        ),
        verdicts=tuple(verdicts),
        charts=(
            Chart(
                "performance-start",
                f"Starting with {start.AGENTS * start.STATUSES} prompts, in seconds",
                tuple((case, median(values), f"{median(values):.2f}") for case, values in samples.items()),
                tuple(case for case in samples if case.startswith(OURS)),
            ),
        ),
        data=numbers(samples),
    )


def _start_all(bench: Bench, engine: str, samples: Samples, number: int) -> None:
    """Start each in its own way, in a round with this number."""
    url = bench.empty(engine)
    asyncio.run(start.migrate(url))
    samples.setdefault(f"{OURS}, cold, {engine}", []).append(_start("ours", url))
    for _ in range(2):
        samples.setdefault(f"{OURS}, unchanged, {engine}", []).append(_start("ours", url))
    # Both take long, and nothing hangs on their second digit.
    for what, title, rounds in (("pivot-imports", _IMPORT, 2), ("pivot-creates", _CREATES, 1)):
        if number >= rounds:
            continue
        url = bench.empty(engine, "sqlite:///")
        if engine == "PostgreSQL":
            url = peers.sqlalchemy_url(url)
        asyncio.run(start.pivot_tables(url))
        samples.setdefault(f"prompt-pivot, {title}, {engine}", []).append(_start(what, url))


def _start(what: str, url: str) -> float:
    return float(child("benchmarks.start", what, url))


def importing(bench: Bench) -> Section:
    """Import time and resident memory."""
    bench.progress("import time and memory")
    found = _footprints(bench)
    alone = {what: median(one[what] for one in found["pydantic_ai"]) for what in ("import", "import_resident")}
    extra = {
        case: {
            what: median(one[what] for one in ones) - alone[what.replace("serve", "import")]
            for what in ("import", "import_resident", "serve", "serve_resident")
        }
        for case, ones in found.items()
        if case != "pydantic_ai"
    }
    return Section(
        title="Import time and memory",
        text=(
            "What a process pays beside Pydantic AI: for the imports that an application writes, and until the first "
            "text is served, with database, cache or provider. Each in processes of its own, in turn; each process "
            "sees only the packages that installing Pydantic AI and that library brings. Pydantic AI alone takes "
            f"{ms(alone['import'])} and {mb(alone['import_resident'])}."
        ),
        head=("library", "import", "resident after import", "until a text is served", "resident then"),
        rows=tuple(
            (
                case,
                ms(values["import"]),
                mb(values["import_resident"]),
                ms(values["serve"]),
                mb(values["serve_resident"]),
            )
            for case, values in extra.items()
        ),
        verdicts=tuple(_least(extra, what) for what in ("import", "import_resident", "serve_resident")),
        charts=(
            Chart(
                "performance-import",
                "Import time beside Pydantic AI, in milliseconds",
                tuple((case, values["import"] * 1e3, ms(values["import"])) for case, values in extra.items()),
                (OURS,),
            ),
            Chart(
                "performance-memory",
                "Resident memory beside Pydantic AI while serving, in MB",
                tuple(
                    (case, values["serve_resident"] / 1e6, mb(values["serve_resident"]))
                    for case, values in extra.items()
                ),
                (OURS,),
            ),
        ),
        data={"alone": alone, "beside": extra},
    )


def _footprints(bench: Bench) -> dict[str, list[dict[str, float]]]:
    """Measure every library in fresh processes, in turn."""
    pivot = f"sqlite:///{bench.folder / 'footprint-pivot.db'}"
    asyncio.run(_write_pivot(pivot))
    found: dict[str, list[dict[str, float]]] = {case: [] for case in footprint.LIBRARIES}
    hidden = {case: footprint.hidden_modules(case) for case in footprint.LIBRARIES}
    with peers.stub({footprint.NAME: footprint.TEXT}) as address:
        urls = {OURS: f"sqlite://{bench.folder / 'footprint.db'}", "prompt-pivot": pivot, "Langfuse": address}
        for number in range(-1, bench.times(15)):
            for case in found:
                one = footprint.measure(case, hidden[case], urls.get(case, "none"))
                if number >= 0:
                    found[case].append(one)
    return found


def _least(extra: dict[str, dict[str, float]], what: str) -> Verdict:
    """Compare with the peer that takes least."""
    title = {
        "import": "import time beside Pydantic AI",
        "import_resident": "memory after import beside Pydantic AI",
        "serve_resident": "memory while serving beside Pydantic AI",
    }[what]
    words = ms if what == "import" else mb
    rival = min((case for case in extra if case != OURS), key=lambda case: extra[case][what])
    ours, theirs = extra[OURS][what], extra[rival][what]
    kind = "import" if what == "import" else "memory"
    return Verdict(title, words(ours), f"{words(theirs)}, {rival}, the least of the peers", ours / theirs, 1, kind=kind)


async def _write_pivot(url: str) -> None:
    registry = peers.pivot_registry(url)
    await registry.acreate_tables()
    await registry.acreate_prompt(footprint.NAME)
    await registry.acreate_version(footprint.NAME, footprint.TEXT, message="first")
    await registry.apublish(footprint.NAME, 1, peers.LABEL, force=True, reason="first")
    await peers.dispose(registry)
