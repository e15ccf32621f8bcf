"""What a process asks of its database while nothing happens. Run as a module it is such a process."""

from __future__ import annotations

import argparse
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Self

from automagik_prompts import PromptPlugin
from automagik_prompts.declaring.registry import Registry
from tests.servers import OwnServer

SETTLING = 45.0
"""Seconds after the start that do not count: connecting, seeding, the first load, and the first looks at how many
connections there are, which follow each other faster."""

_STATEMENT = re.compile(r"^(?P<time>\d+\.\d+) .*?LOG:  (?:statement|execute [^:]*): (?P<sql>.*)$", re.MULTILINE)


class Watch:
    """Counts the statements of an idle process, from outside: in the log of a PostgreSQL server of its own.

    Args:
        folder: Where the server keeps its data.
    """

    def __init__(self, folder: Path) -> None:
        # A duration of 0 logs each statement, also those of the extended protocol, once.
        self._server = OwnServer(folder, log_statement="'all'", log_line_prefix="'%n '")
        self._log = folder / "log"
        self._process = _spawn(self._server.create_database())
        self._began = time.time() + SETTLING

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        _end(self._process)
        self._server.stop()

    def wait(self, minutes: float) -> None:
        """Return when so many minutes were watched at least."""
        time.sleep(max(0.0, self._began + minutes * 60 - time.time()))

    def per_minute(self) -> tuple[float, float, Counter[str]]:
        """Return the statements per minute, the minutes watched, and how often each statement came.

        Only whole minutes count if there are some: what comes once in each would seem more often in a part of one.
        """
        minutes = (time.time() - self._began) / 60
        minutes = float(int(minutes)) or minutes
        ended = self._began + minutes * 60
        seen = Counter(
            found["sql"]
            for found in _STATEMENT.finditer(self._log.read_text())
            if self._began <= float(found["time"]) <= ended
        )
        return seen.total() / minutes, minutes, seen


def per_minute_on_sqlite(folder: Path, seconds: float) -> float:
    """Return the statements per minute of an idle process on SQLite, as its driver's trace counts them."""
    process = _spawn(f"sqlite://{folder / 'idle.db'}")
    time.sleep(5 + seconds)
    counted = _end(process)
    times = [float(line) for line in counted.split()]
    last = max(times)
    return sum(last - seconds <= at for at in times) / seconds * 60


def _spawn(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.idle", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _end(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(input="")
    if process.returncode:
        raise RuntimeError(f"The idle process ended with code {process.returncode}.")
    return out


def _traced(times: list[float]) -> None:
    """Have each connection of SQLite keep when it runs a statement."""
    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda _statement: times.append(time.monotonic()))
        return connection

    sqlite3.connect = connected  # type: ignore[assignment]  # the drivers call it by this name


def _be_idle(url: str) -> list[float]:
    """Serve one prompt until the other end of standard input is closed."""
    times: list[float] = []
    _traced(times)
    if url.startswith("postgres"):
        import asyncio

        from benchmarks.start import migrate

        asyncio.run(migrate(url))
    registry = Registry()
    registry.declare("stan", {"default": "You are Stan."}, where="benchmark")
    with (
        tempfile.TemporaryDirectory() as folder,
        PromptPlugin(url, registry=registry, cache_dir=Path(folder)) as plugin,
    ):
        plugin.resolve("stan")
        sys.stdin.read()
    return times


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.stdout.write("\n".join(map(str, _be_idle(arguments.url))))
