"""Agent runs, one at a time and in many threads."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.bench import Bench, child, differing, numbers, sampled, times, us
from benchmarks.charts import Chart
from benchmarks.measure import Samples, added, pooled, ratio, spread
from benchmarks.report import Section, Verdict
from benchmarks.runs import AGAIN, COUNTS, SHALLOW, STREAMED
from benchmarks.threads import CASES as THREAD_CASES
from benchmarks.threads import THREADS

_PROCESSES = 3
_ROUNDS = 500

_OURS = {
    "system_prompt": "**ActivePrompt**",
    "instructions": '**ActivePrompt, inject="instructions"**',
    "installed": "**ActivePrompt by install()**",
}
_LIMITS = {0: 1.015, 3: 1.025, 20: 1.03}


@dataclass(frozen=True)
class _Race:
    """What takes turns in a process of its own.

    Attributes:
        title: What is measured.
        case: The case.
        empty: The same with an empty capability.
        limit: How many times as long it may take; `None` if there is no bar.
        static: The same with a static prompt, where it is told what is added to that.
        arguments: What else the process is given.
    """

    title: str
    case: str
    empty: str
    limit: float | None = None
    static: str | None = None
    arguments: tuple[str, ...] = ()

    def run(self, bench: Bench, other: str) -> Samples:
        """Measure it beside another case, in several processes one after the other."""
        bench.progress(f"agent runs: {self.title.replace('*', '')}")
        return pooled(
            [
                sampled(
                    "benchmarks.runs", bench.times(_ROUNDS), seed, "--cases", f"{self.case},{other}", *self.arguments
                )
                for seed in range(_PROCESSES)
            ]
        )


def _races() -> list[_Race]:
    nothing = "the hooks of ActivePrompt and a {}, doing nothing"
    races = [
        _Race(nothing.format("dynamic text"), "hooks/0", "empty/0"),
        _Race(nothing.format("function for instructions"), "hooks-instructions/0", "empty/0"),
    ]
    for count in COUNTS:
        races.append(_Race(f"an empty capability again, {count} variables", f"empty/{count}{AGAIN}", f"empty/{count}"))
        label, static = f"{count} variables", f"static/{count}"
        for kind, title in _OURS.items():
            empty = f"{'empty-named' if kind == 'installed' else 'empty'}/{count}"
            told = static if kind != "installed" else None
            races.append(_Race(f"{title}, {label}", f"{kind}/{count}", empty, _LIMITS[count], told))
        managed = f"managed/{count}", f"empty/{count}", None, static
        races.append(_Race(f"ManagedPrompt, {label}", *managed))
        races.append(_Race(f"ManagedPrompt without spans, {label}", *managed, ("--no-spans",)))
    streamed = f"{STREAMED}system_prompt/0", f"{STREAMED}empty/0"
    shallow = "an empty capability, with Pydantic AI's contexts copied by their dictionary"
    return [
        *races,
        _Race("**ActivePrompt**, ten requests", "system_prompt-ten/0", "empty-ten/0", 1.01),
        _Race("**ActivePrompt**, streamed", *streamed, 1.025),
        _Race(shallow, f"{SHALLOW}empty/0", "empty/0"),
    ]


def agent_runs(bench: Bench) -> Section:
    """One `Agent.run`, in several processes."""
    rows, bars, noise, data = [], [], [], Samples()
    verdicts: list[Verdict] = []
    more: dict[str, float] = {}
    for race in _races():
        samples = race.run(bench, race.empty)
        own, empty = samples[race.case], samples[race.empty]
        name = race.title.replace("*", "")
        data |= {f"{name}: {case}": taken for case, taken in samples.items()}
        if AGAIN in race.case:
            noise.append(ratio(own, empty).value)
        if race.static is not None:
            samples = race.run(bench, race.static)
            more[name] = added(samples[race.case], samples[race.static])
            bars.append((name, more[name] * 1e6, us(more[name])))
        told = us(more[name]) if race.static is not None else ""
        rows.append((race.title, *times(own), us(spread(empty).median), str(ratio(own, empty)), told))
        if race.limit is not None:
            against = f"{us(spread(empty).median)}, an empty capability"
            found = ratio(own, empty).value
            verdicts.append(
                Verdict(f"agent run: {name}", us(spread(own).median), against, found, race.limit, kind="run")
            )
    for count in COUNTS:
        ours = more[f"ActivePrompt, {count} variables"]
        for peer in (f"ManagedPrompt, {count} variables", f"ManagedPrompt without spans, {count} variables"):
            words, times_as_much = f"{us(more[peer])} by {peer}", more[peer] / ours
            what = f"added to a run with a static prompt, {count} variables"
            verdicts.append(Verdict(what, us(ours), words, times_as_much, 5, at_least=True, kind="managed"))
    verdicts.append(_over(bench))
    bench.progress("what an agent run calls")
    return Section(
        title="One agent run",
        text=(
            "`await agent.run(...)` with Pydantic AI's `TestModel`, and with a scripted model for ten requests and for "
            "streaming: a whole run without a model's latency, so what is added shows as large as it ever will. It "
            "waits for nothing, so the time is that of the processor for its process. Each line is a race of its own, "
            f"{_PROCESSES} processes one after the other, in which the agent and one with the same text and an empty "
            f"capability take turns in random order, {bench.times(_ROUNDS)} times each; what is added to a static "
            "prompt is from a race with that. (With more agents in a process, those of which there is one kind only "
            "are up to 1 % slower: the interpreter adapts Pydantic AI's code to the capabilities that it mostly meets, "
            "and an application has agents of one kind.) Ratios are the median "
            "over the rounds of the one's time divided by the other's in the same round, with the 95 % confidence "
            "interval of that median. ManagedPrompt reads Logfire's local provider and exports nothing. "
            "The last line is for Pydantic AI: `capabilities/combined.py` copies the run context by `copy.copy` for "
            "each hook of each capability, some twenty times more in a run with one capability than without; "
            "`object.__new__` with `__dict__.update` makes such a run that much cheaper for everybody. This library "
            "leaves it as it is."
        ),
        head=("agent", "median", "quartiles", "empty capability", "ratio", "added to static"),
        rows=tuple(rows),
        verdicts=tuple(verdicts),
        noise=f"the agent with an empty capability against itself: {min(noise):.3f} to {max(noise):.3f}",
        charts=(
            Chart(
                "performance-runs",
                "Added to one agent run with a static system prompt, in microseconds",
                tuple(bars),
                tuple(label for label, _, _ in bars if label.startswith("ActivePrompt")),
            ),
        ),
        extra=child("benchmarks.calls"),
        data=numbers(data),
    )


def _over(bench: Bench) -> Verdict:
    """Compare a version that is too much work with the values of a run."""
    samples = sampled("benchmarks.runs", bench.times(_ROUNDS), 0, "--cases", "over/3,system_prompt/3")
    own, usual = samples["over/3"], samples["system_prompt/3"]
    return Verdict(
        "agent run, 3 variables, after an attempt over the budget",
        us(spread(own).median),
        f"{us(spread(usual).median)}, a version with 3 variables",
        ratio(own, usual).value,
        5,
        kind="run",
    )


def many_threads(bench: Bench) -> Section:
    """Agent runs in many threads."""
    parts = []
    for number in range(2):
        bench.progress(f"agent runs in {THREADS} threads, process {number + 1} of 2")
        parts.append(sampled("benchmarks.threads", bench.times(20), number))
    samples = pooled(parts)
    empty, own = samples["empty/0"], samples["system_prompt/0"]
    return Section(
        title=f"{THREADS} threads",
        text=(
            f"`agent.run_sync(...)` in {THREADS} threads at once, each with an event loop of its own; the time for all "
            "of them divided by the number of runs. Cases take turns in random order."
        ),
        head=("agent", "per run", "quartiles", "/ empty capability"),
        rows=tuple((case, *times(samples[case]), str(ratio(samples[case], empty))) for case in THREAD_CASES),
        verdicts=(
            Verdict(
                f"run_sync in {THREADS} threads",
                us(spread(own).median),
                f"{us(spread(empty).median)}, an empty capability",
                ratio(own, empty).value,
                1.025,
                kind="threads",
            ),
        ),
        noise=f"the same agent twice {differing(samples['empty/0 (again)'], empty)}",
        data=numbers(samples),
    )
