"""From the commit of an activation until other processes serve it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from benchmarks import served
from benchmarks.bench import OURS, Bench, ms
from benchmarks.measure import spread
from benchmarks.report import Section, Verdict


def commit_to_served(bench: Bench) -> Section:
    """How long other processes serve the old version after a commit."""
    bench.progress(f"commit to served in {served.PROCESSES} processes")
    values = asyncio.run(served.measure(bench.postgres.create_database(), bench.times(150)))
    found = spread(values)
    return Section(
        title="From commit to served",
        text=(
            f"An activation is committed on PostgreSQL; {served.PROCESSES} other processes listen and serve. The time "
            f"from the commit until a process serves the new version, for every process, {len(values)} times. "
            "Processes spread their reading over 20 ms on purpose, so that a hundred of them do not ask at once. "
            "prompt-pivot and Langfuse do not follow changes: a process of theirs serves the old version until its "
            "cache entry is too old, which by their documentation is up to 300 s and up to 60 s at the defaults. "
            "Logfire's service pushes changes over a connection that is kept (SSE), and asks each 60 s only where that "
            "cannot be had; there is no service here, so its time is not measured."
        ),
        head=("library", "median", "p99", "longest"),
        rows=(
            (OURS, ms(found.median), ms(found.p99), ms(max(values))),
            ("Langfuse, documented", "", "", "60 s"),
            ("prompt-pivot, documented", "", "", "300 s"),
            ("Logfire, documented", "pushed", "", "60 s, where it cannot push"),
        ),
        verdicts=(
            Verdict(
                f"commit to served in {served.PROCESSES} processes, p99",
                ms(found.p99),
                "60 s Langfuse, 300 s prompt-pivot",
                found.p99 * 1e3,
                50,
                "ms",
                kind="served",
            ),
        ),
        data={"seconds": asdict(found), "longest": max(values), "measured": len(values)},
    )
