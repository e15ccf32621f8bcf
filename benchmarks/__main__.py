"""`make bench`: measure everything and write `docs/performance.md`, its charts and its numbers."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it has no types

from benchmarks import idle, machine, report, sections
from benchmarks.report import Section
from tests.servers import PostgresServer, credentials

_DOCS = Path(__file__).parent.parent / "docs"


def main() -> int:
    """Measure, write, and say which bars are not met; the exit code tells too."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="how much to measure; 0.1 for a quick look")
    parser.add_argument("--only", default="", help="parts of titles, separated by commas")
    parser.add_argument("--out", type=Path, default=_DOCS, help="the folder to write to")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    began, loads = time.monotonic(), [machine.load()]

    def progress(words: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {words}\n")

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        postgres = PostgresServer(root / "postgres")
        try:
            with idle.Watch(root / "idle") as watch:
                bench = sections.Bench(root / "files", postgres, arguments.scale, progress)
                bench.folder.mkdir()
                done: list[Section] = []
                for name, part in _parts(bench, watch).items():
                    if any(word in name for word in arguments.only.split(",")):
                        done.append(part())
                        loads.append(machine.load())
            facts = machine.describe(asyncio.run(_version(postgres.url)))
        finally:
            postgres.stop()
    facts |= {"load": {"first": loads[0], "highest": max(loads)}, "minutes": (time.monotonic() - began) / 60}
    arguments.out.mkdir(exist_ok=True)
    report.write(arguments.out, _introduction(facts), facts, done)
    verdicts = [verdict for section in done for verdict in section.verdicts]
    for verdict in verdicts:
        sys.stdout.write("  ".join(verdict.row()) + "\n")
    progress(f"written to {arguments.out}")
    return 0 if all(verdict.met for verdict in verdicts) else 1


def _parts(bench: sections.Bench, watch: idle.Watch) -> dict[str, Callable[[], Section]]:
    functions: dict[str, Callable[[sections.Bench], Section]] = {
        "runs": sections.agent_runs,
        "reads": sections.cached_reads,
        "filling": sections.filling,
        "starting": sections.starting,
        "importing": sections.importing,
        "served": sections.commit_to_served,
        "versions": sections.versions,
        "threads": sections.many_threads,
    }
    parts: dict[str, Callable[[], Section]] = {name: partial(part, bench) for name, part in functions.items()}
    parts["idling"] = partial(sections.idling, bench, watch)
    return parts


def _introduction(facts: dict[str, object]) -> str:
    packages = facts["packages"]
    load = facts["load"]
    assert isinstance(packages, dict)  # noqa: S101  # `machine.describe` made it
    assert isinstance(load, dict)  # noqa: S101  # made above
    versions = ", ".join(f"{name} {number}" for name, number in packages.items())
    return (
        "What this library costs, beside what people would use instead. `make bench` measures all of it in one go, "
        "writes this document, its charts and `performance.json`, and needs no network beyond this machine.\n\n"
        f"Measured on {facts['cores']} cores of {facts['processor']} with {facts['memory_gb']} GB, {facts['system']}, "
        f"Python {facts['python']}, SQLite {facts['sqlite']}, PostgreSQL {facts['postgresql']}; {versions}. The load "
        f"of the machine was {load['first']:.1f} when it began and {load['highest']:.1f} at most, of which the "
        "benchmark itself makes one to two. Cases that are compared take turns in random order, and one of them runs "
        "twice as a control: what it differs from itself is the noise."
    )


async def _version(url: str) -> str:
    connection = await asyncpg.connect(**credentials(url))
    try:
        return str(await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
