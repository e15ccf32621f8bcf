"""What the parts of the benchmark share: databases, processes of their own, and how numbers are written."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.measure import Samples, ratio, spread
from tests.servers import PostgresServer

OURS = "automagik-prompts"


@dataclass
class Bench:
    """What a part is given.

    Attributes:
        folder: For files that are thrown away.
        scale: How much is measured: 1 for the report, less to try something out.
        progress: Told what is being done.
    """

    folder: Path
    scale: float
    progress: Callable[[str], None]
    _started: list[PostgresServer] = field(default_factory=list, init=False, repr=False)

    @cached_property
    def postgres(self) -> PostgresServer:
        """A server, started when it is first needed."""
        server = PostgresServer(self.folder / "postgres")
        self._started.append(server)
        return server

    def close(self) -> None:
        """Stop what was started."""
        for server in self._started:
            server.stop()

    def times(self, number: int) -> int:
        """Return how often to do what the report does so many times."""
        return max(2, round(number * self.scale))

    def empty(self, engine: str, sqlite: str = "sqlite://") -> str:
        """Return the URL of an empty database.

        Args:
            engine: `"SQLite"` or `"PostgreSQL"`.
            sqlite: How a URL of SQLite begins in the notation that is asked for.
        """
        if engine == "PostgreSQL":
            return self.postgres.create_database()
        return f"{sqlite}{tempfile.mkdtemp(dir=self.folder)}/prompts.db"


def child(module: str, *arguments: str) -> str:
    """Run a module of the benchmark in a process of its own, and return what it prints."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def sampled(module: str, rounds: int, seed: int, *arguments: str) -> Samples:
    """Have a module of the benchmark measure in a process of its own."""
    found: Samples = json.loads(child(module, "--rounds", str(rounds), "--seed", str(seed), *arguments))
    return found


def numbers(samples: Samples) -> dict[str, Any]:
    """Return what each case took, for the JSON file."""
    return {case: {**asdict(spread(values)), "rounds": len(values)} for case, values in samples.items()}


def differing(control: Sequence[float], case: Sequence[float]) -> str:
    """Return how much two equal cases differ."""
    found = ratio(control, case)
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def times(values: Sequence[float]) -> tuple[str, str]:
    """Write the median of some times, and their quartiles."""
    found = spread(values)
    return us(found.median), f"{us(found.low)} to {us(found.high)}"


def us(seconds: float) -> str:
    """Write microseconds."""
    value = seconds * 1e6
    return f"{value:.2f} µs" if abs(value) < 10 else f"{value:.0f} µs"


def ms(seconds: float) -> str:
    """Write milliseconds."""
    value = seconds * 1e3
    return f"{value:.1f} ms" if abs(value) < 100 else f"{value:.0f} ms"


def mb(size: float) -> str:
    """Write megabytes."""
    return f"{size / 1e6:.1f} MB"
