"""`make bench`: measure everything and write `docs/performance.md`, its charts and its numbers.

Each part is measured in a process of its own: one that fails or hangs is reported as such, and loses no other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import asyncpg  # type: ignore[import-untyped]  # it has no types

from benchmarks import machine, report
from benchmarks.report import Section
from benchmarks.sections import SECTIONS
from tests.servers import PostgresServer, credentials

_DOCS = Path(__file__).parent.parent / "docs"

_LIMIT = 30 * 60.0
"""Seconds after which a part is given up."""


def main() -> int:
    """Measure, write, and say how we stand; the exit code tells whether everything could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="how much to measure; 0.1 for a quick look")
    parser.add_argument("--only", help="parts, separated by commas; what was written of the others before is kept")
    parser.add_argument("--out", type=Path, default=_DOCS, help="the folder to write to")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(SECTIONS)
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; the parts are {', '.join(SECTIONS)}")
    began = time.monotonic()

    def progress(words: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {words}\n")

    arguments.out.mkdir(parents=True, exist_ok=True)
    done = report.read(arguments.out) if arguments.only else {}
    facts = machine.describe(_postgres())
    for name in names:
        done[name] = _measured(name, arguments.scale, progress)
        # After each part, so that what was measured is there whatever happens next.
        report.write(arguments.out, facts, {name: done[name] for name in SECTIONS if name in done})
    for name in names:
        for verdict in done[name].verdicts:
            sys.stdout.write("  ".join(verdict.row()).replace("**", "") + "\n")
    failed = [name for name in names if done[name].failed]
    for name in failed:
        sys.stdout.write(f"{name} could not be measured: {done[name].failed.strip().splitlines()[-1]}\n")
    progress(f"written to {arguments.out / report.DOCUMENT}")
    return 1 if failed else 0


def _measured(name: str, scale: float, progress: Callable[[str], None]) -> Section:
    """Measure one part in a process of its own."""
    progress(name)
    began, load = time.monotonic(), [machine.load()]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+", encoding="utf-8") as log:
        out = Path(folder) / "section.json"
        command = [sys.executable, "-m", "benchmarks.section", name, str(out), "--scale", str(scale)]
        try:
            _run(command, log)
            section = report.from_json(out.read_text(encoding="utf-8"))
        except subprocess.TimeoutExpired:
            section = Section(name, failed=f"{_tail(log)}\nIt was given up after {_LIMIT / 60:.0f} minutes.")
        except subprocess.CalledProcessError as error:
            section = Section(name, failed=f"{_tail(log)}\nIt ended with code {error.returncode}.")
    load.append(machine.load())
    minutes = (time.monotonic() - began) / 60
    progress(f"{name} took {minutes:.1f} min{', and failed' if section.failed else ''}")
    date = datetime.now(UTC).date().isoformat()
    return replace(section, measured={"date": date, "minutes": minutes, "load": load, "scale": scale})


def _run(command: Sequence[str], log: IO[str]) -> None:
    """Run a part to its end; what it started ends with it if it takes too long."""
    with subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True) as process:
        try:
            code = process.wait(_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
    if code:
        raise subprocess.CalledProcessError(code, command)


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return "".join(log.readlines()[-15:]).strip()


def _postgres() -> str:
    """Return the version of PostgreSQL that is measured."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder) / "postgres")
        try:
            return asyncio.run(_version(server.url))
        finally:
            server.stop()


async def _version(url: str) -> str:
    connection = await asyncpg.connect(**credentials(url))
    try:
        return str(await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
