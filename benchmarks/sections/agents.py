"""Agent runs, one at a time and in many threads."""

from __future__ import annotations

from benchmarks.bench import Bench, child, differing, numbers, sampled, times, us
from benchmarks.charts import Chart
from benchmarks.measure import Samples, added, pooled, ratio, spread
from benchmarks.report import Section, Verdict
from benchmarks.runs import COUNTS
from benchmarks.threads import CASES as THREAD_CASES
from benchmarks.threads import THREADS

_PROCESSES = 6
_LIMITS = {0: 1.02, 3: 1.03, 20: 1.06}
_TITLES = {
    "static": "static system prompt",
    "static (again)": "static system prompt, again: the noise",
    "empty": "an empty capability",
    "empty (again)": "an empty capability, again: the noise",
    "hooks": "the hooks of ActivePrompt and a dynamic text, doing nothing",
    "empty-instructions": "an empty capability, text as instructions",
    "system_prompt": "**ActivePrompt**",
    "instructions": '**ActivePrompt, inject="instructions"**',
    "installed": "**ActivePrompt by install()**",
    "managed": "ManagedPrompt",
    "over": "**ActivePrompt, a version that is too much work with the values of the run**",
}
_OURS = ("system_prompt", "instructions", "installed")


def agent_runs(bench: Bench) -> Section:
    """One `Agent.run`, in several processes."""
    parts = []
    for number in range(_PROCESSES):
        bench.progress(f"agent runs, process {number + 1} of {_PROCESSES}")
        parts.append(sampled("benchmarks.runs", bench.times(250), number))
    samples = pooled(parts)
    bench.progress("what an agent run calls")
    rows, bars = [], []
    for count in COUNTS:
        static, empty = samples[f"static/{count}"], samples[f"empty/{count}"]
        for case, title in _TITLES.items():
            kind, _, control = case.partition(" ")
            own = samples.get(f"{kind}/{count}{' ' + control if control else ''}")
            if own is None:
                continue
            more = added(own, static)
            label = f"{title}, {count} variables"
            rows.append((label, *times(own), str(ratio(own, static)), str(ratio(own, empty)), us(more)))
            if case in {*_OURS, "managed"}:
                bars.append((label.replace("*", ""), more * 1e6, us(more)))
    return Section(
        title="One agent run",
        text=(
            "`await agent.run(...)` with Pydantic AI's `TestModel`: a whole run without a model's latency, so what is "
            f"added shows as large as it ever will. It waits for nothing, so the time is that of the processor for "
            f"its process. {len(samples)} agents take turns in random order, "
            f"{len(samples['static/0'])} times each, in {_PROCESSES} processes one after the other. Ratios are the "
            "median over the rounds of the one's time divided by the other's in the same round, with the 95 % "
            "confidence interval of that median. The filled texts are equal in all cases of one number of variables. "
            "ManagedPrompt reads Logfire's local provider, exports nothing, and records its usual span."
        ),
        head=("agent", "median", "quartiles", "/ static", "/ empty capability", "added to static"),
        rows=tuple(rows),
        verdicts=(
            *(verdict for count in COUNTS for case in _OURS for verdict in _verdicts(samples, case, count)),
            Verdict(
                "agent run, 3 variables, after an attempt over the budget",
                us(spread(samples["over/3"]).median),
                f"{us(spread(samples['system_prompt/3']).median)}, a version with 3 variables",
                ratio(samples["over/3"], samples["system_prompt/3"]).value,
                5,
                kind="run",
            ),
        ),
        noise=(
            f"the same agent twice, static {differing(samples['static/0 (again)'], samples['static/0'])}, with an "
            f"empty capability {differing(samples['empty/0 (again)'], samples['empty/0'])}"
        ),
        charts=(
            Chart(
                "performance-runs",
                "Added to one agent run with a static system prompt, in microseconds",
                tuple(bars),
                tuple(label for label, _, _ in bars if label.startswith("ActivePrompt")),
            ),
        ),
        extra=child("benchmarks.calls"),
        data=numbers(samples),
    )


def _verdicts(samples: Samples, case: str, count: int) -> list[Verdict]:
    """Compare one of our agents with its bars."""
    own, static = samples[f"{case}/{count}"], samples[f"static/{count}"]
    empty, managed = samples[f"empty/{count}"], samples[f"managed/{count}"]
    what, taken = f"agent run, {count} variables, {case}", us(spread(own).median)
    capability = f"{us(spread(empty).median)}, an empty capability"
    found = [Verdict(what, taken, capability, ratio(own, empty).value, _LIMITS[count], kind="run")]
    if count == 0:
        prompt = f"{us(spread(static).median)}, a static system prompt"
        found.append(Verdict(what, taken, prompt, ratio(own, static).value, 1.08, kind="run"))
    ours, theirs = added(own, static), added(managed, static)
    added_by = f"{us(theirs)} added by ManagedPrompt"
    found.append(
        Verdict(f"{what}, added to static", us(ours), added_by, theirs / ours, 5, at_least=True, kind="managed")
    )
    return found


def many_threads(bench: Bench) -> Section:
    """Agent runs in many threads."""
    parts = []
    for number in range(2):
        bench.progress(f"agent runs in {THREADS} threads, process {number + 1} of 2")
        parts.append(sampled("benchmarks.threads", bench.times(20), number))
    samples = pooled(parts)
    static, empty, own = samples["static/0"], samples["empty/0"], samples["system_prompt/0"]
    return Section(
        title=f"{THREADS} threads",
        text=(
            f"`agent.run_sync(...)` in {THREADS} threads at once, each with an event loop of its own; the time for all "
            "of them divided by the number of runs. Cases take turns in random order."
        ),
        head=("agent", "per run", "quartiles", "/ static", "/ empty capability"),
        rows=tuple(
            (case, *times(samples[case]), str(ratio(samples[case], static)), str(ratio(samples[case], empty)))
            for case in THREAD_CASES
        ),
        verdicts=(
            Verdict(
                f"run_sync in {THREADS} threads",
                us(spread(own).median),
                f"{us(spread(static).median)}, a static system prompt",
                ratio(own, static).value,
                1.05,
                kind="threads",
            ),
        ),
        noise=f"the same agent twice {differing(samples['static/0 (again)'], static)}",
        data=numbers(samples),
    )
