"""Reading the active text, and filling it."""

from __future__ import annotations

from benchmarks import reads
from benchmarks.bench import OURS, Bench, differing, numbers, times, us
from benchmarks.charts import Chart
from benchmarks.measure import ratio, spread
from benchmarks.report import Section, Verdict

_CONTROL = f"{OURS} (again)"


def cached_reads(bench: Bench) -> Section:
    """Reading the active text."""
    bench.progress("reading the active text")
    samples = reads.measure_reads(bench.times(500), bench.postgres.create_database())
    ours = samples[OURS]
    taken = us(spread(ours).median)
    return Section(
        title="Reading the active text",
        text=(
            "For an agent and status, in memory, no variables: `plugin.resolve(agent, status).text`, and each peer's "
            "own cached read. prompt-pivot is measured as without OpenTelemetry and Logfire without its span for each "
            "read, which is what makes them fastest; Langfuse's cache was filled over HTTP from a stub on this machine."
        ),
        head=("read", "median", "quartiles", "/ ours"),
        rows=tuple((case, *times(values), f"{ratio(values, ours).value:.2f}") for case, values in samples.items()),
        verdicts=(
            Verdict(
                "reading the active text",
                taken,
                f"{us(spread(samples['dict']).median)}, one look into a dictionary",
                ratio(ours, samples["dict"]).value,
                3,
                kind="read",
            ),
            *(
                Verdict(
                    "reading the active text",
                    taken,
                    f"{us(spread(values).median)}, {case}",
                    ratio(values, ours).value,
                    1,
                    at_least=True,
                    kind="read",
                )
                for case, values in samples.items()
                if case not in {"dict", OURS, _CONTROL}
            ),
        ),
        noise=f"the same read twice {differing(samples[_CONTROL], ours)}",
        charts=(
            Chart(
                "performance-reads",
                "Reading the active text, in microseconds",
                tuple(
                    (case, spread(values).median * 1e6, us(spread(values).median)) for case, values in samples.items()
                ),
                (OURS, _CONTROL),
            ),
        ),
        data=numbers(samples),
    )


def filling(bench: Bench) -> Section:
    """Filling a text."""
    bench.progress("filling texts")
    samples = reads.measure_fills(bench.times(500))
    rows, verdicts = [], []
    for tags in reads.TAGS:
        engine, own = samples[f"handlebars/{tags}"], samples[f"{OURS}/{tags}"]
        for case in (OURS, "handlebars", "handlebars (again)", "prompt-pivot", "Langfuse"):
            kind, _, control = case.partition(" ")
            values = samples[f"{kind}/{tags}{' ' + control if control else ''}"]
            rows.append((f"{case}, {tags} tags", *times(values), str(ratio(values, engine))))
        against = f"{us(spread(engine).median)}, pydantic_handlebars"
        for peer in ("prompt-pivot", "Langfuse"):
            theirs = samples[f"{peer}/{tags}"]
            words, times_as_much = f"{us(spread(theirs).median)}, {peer}", ratio(theirs, own).value
            what = f"filling {tags} tags"
            verdicts.append(Verdict(what, us(spread(own).median), words, times_as_much, 1, at_least=True, kind="fill"))
        if not tags:
            continue  # nothing is filled: the engine returns its text
        verdicts.append(
            Verdict(f"filling {tags} tags", us(spread(own).median), against, ratio(own, engine).value, 1.3, kind="fill")
        )
    return Section(
        title="Filling a text",
        text=(
            "`plugin.render(agent, status, values)`, which finds the active version, fetches and checks each value and "
            "fills the text, beside `pydantic_handlebars` compiled once and called directly with the same dictionary. "
            "A text whose tags only name variables is filled without the engine; any other one by the engine."
        ),
        head=("call", "median", "quartiles", "/ pydantic_handlebars"),
        rows=tuple(rows),
        verdicts=tuple(verdicts),
        noise=f"the same call twice {differing(samples['handlebars/5 (again)'], samples['handlebars/5'])}",
        data=numbers(samples),
    )
