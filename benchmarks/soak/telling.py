"""What came of it, in words and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.soak import history
from benchmarks.soak.sides import Side, Window
from benchmarks.staleness import percentile

RECOVERY = 10.0
"""Seconds after the end of a fault in which a change may still wait for the next attempt to connect or to listen."""

_SHOWN = 5
"""Failures that are shown, at most."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How the memory of a process that was there all the time has grown.

    Attributes:
        before: Its resident size after the warm-up, in bytes.
        after: The same in the end.
    """

    before: int
    after: int

    def words(self) -> str:
        """Return it in words."""
        grown = self.after - self.before
        return f"{grown / 2**20:+.1f} MB ({grown / self.before:+.1%}) on {self.before / 2**20:.0f} MB"


def staleness(side: Side) -> tuple[list[float], list[float]]:
    """Return how long texts took to be served: while nothing was broken, and since the end of what was."""
    calm: list[float] = []
    after: list[float] = []
    for pid, report in side.reports:
        served = sorted(report.served.items())
        for number, committed in sorted(side.committed.items()):
            if committed < side.started[pid]:
                continue
            # One that was replaced at once need not have been served itself.
            at = next((when for each, when in served if each >= number), None)
            if at is None:
                continue
            broken = [window for window in side.windows if _concerns(window, pid, committed, at)]
            if broken:
                after.append(max(0.0, at - max(committed, *(window.ended for window in broken))))
            else:
                calm.append(max(0.0, at - committed))
    return calm, after


def _concerns(window: Window, pid: int, committed: float, served: float) -> bool:
    return window.pid in {None, pid} and window.began <= served and committed <= window.ended + RECOVERY


def tell(side: Side, states: Sequence[history.State], seconds: float) -> tuple[list[str], list[str]]:
    """Return what happened on one side, line by line, and what failed."""
    reports = [report for _, report in side.reports]
    failures = [words for report in reports for words in report.failures]
    failures += [
        words
        for report in reports
        for seen in report.seen
        if (words := history.deviation(states, seen, side.began)) is not None
    ]
    runs = sum(report.runs for report in reports)
    slowest, late = (max(getattr(report, name) for report in reports) * 1000 for name in ("slowest", "late"))
    head = f"{side.engine}: {runs} runs in {seconds / 60:.1f} min, {len(failures)} failures"
    lines = [
        f"{head}; {len(states)} states, {len(side.windows)} faults",
        f"  slowest run {slowest:.0f} ms, where a thread that only slept woke up to {late:.0f} ms late",
    ]
    for what, values in zip(("no fault", "a fault, after its end"), staleness(side), strict=True):
        if values:
            p50, p99, worst = (
                value * 1000 for value in (percentile(values, 0.5), percentile(values, 0.99), max(values))
            )
            lines.append(
                f"  commit to served, {what}: p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms "
                f"({len(values)} measured)"
            )
    lines.append(f"  promised: {side.promise}; after a fault within one backoff, 5 s, and the reading")
    lines += [f"  {count:5d}  {what}" for what, count in sorted(side.done.items())]
    return lines, [f"{side.engine}: {words}" for words in failures]


def show(failures: Sequence[str]) -> str:
    """Return the failures that differ, the most frequent first, in words."""
    counted = Counter(failures).most_common()
    lines = [f"{count} times: {words}" if count > 1 else words for words, count in counted[:_SHOWN]]
    if (more := len(counted) - _SHOWN) > 0:
        lines.append(f"... and {more} others")
    return "\n\n".join(lines)
