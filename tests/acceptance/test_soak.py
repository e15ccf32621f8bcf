"""The soak that a person runs by `make soak`, for a few seconds; and that it would notice what it looks for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak import history
from benchmarks.soak.runner import Report, Seen
from benchmarks.soak.sides import Side, Window
from benchmarks.soak.telling import staleness
from tests.processes import ROOT

COMMAND = (sys.executable, "-m", "benchmarks.soak", "--minutes")
TIMEOUT = 120.0

STATES = [
    {"default": ("default", number), "OTHER": other}
    for number, other in enumerate([("OTHER", 0), ("OTHER", 7), ("default", 2), ("OTHER", 0)])
]


def test_a_few_seconds_of_it() -> None:
    """Nothing fails, and all that it measures is told."""
    done = subprocess.run(
        [*COMMAND, "0.05", "--seed", "4"], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "seed 4"
    assert [line.partition(":")[0] for line in lines if " runs in " in line] == ["PostgreSQL", "SQLite"]
    assert [line for line in lines if line.startswith("memory since the warm-up: ")]
    assert lines[-1] == "failures: 0"
    assert done.stderr == ""


def test_whoever_interrupts_it_finds_nothing_left(server_folder: Path) -> None:
    """It ends at once, and with it all that it started, and its files."""
    server_folder.chmod(0o755)
    environment = {**os.environ, "TMPDIR": str(server_folder)}
    with subprocess.Popen(
        [*COMMAND, "1"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # As a terminal's shell does; tests that run in the background may have been told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("seed ")
        assert process.stdout.readline() == "started\n"
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT)
    assert out == "interrupted\n"
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    # The embedded server's package leaves a lock of its own.
    assert [path.name for path in server_folder.iterdir() if path.name != ".lockfile"] == []


def _seen(*told: tuple[str, str, int]) -> list[Seen]:
    return [Seen(float(at), status_key, (key, number)) for at, (status_key, key, number) in enumerate(told)]


def test_what_was_followed_is_right() -> None:
    """States may be left out; one that returned, or a fallback that is documented, is no step back."""
    for seen in (
        [],
        _seen(("default", "default", 0), ("default", "default", 3)),
        _seen(("OTHER", "OTHER", 0), ("OTHER", "OTHER", 7), ("OTHER", "OTHER", 0)),
        _seen(("OTHER", "OTHER", 7), ("OTHER", "default", 2), ("default", "default", 2), ("OTHER", "OTHER", 0)),
    ):
        assert history.deviation(STATES, seen, {}) is None


def test_what_was_not_is_found() -> None:
    """A step back, a text that never was active in that status, and one that nobody had written yet."""
    for seen, words in (
        (_seen(("default", "default", 2), ("default", "default", 1)), "something newer before"),
        (_seen(("default", "default", 3), ("OTHER", "OTHER", 7)), "something newer before"),
        (_seen(("OTHER", "default", 1)), "never was active"),
        (_seen(("default", "default", 9)), "never was active"),
    ):
        assert words in str(history.deviation(STATES, seen, {}))
    early = _seen(("default", "default", 1))
    assert "before anybody had written it" in str(history.deviation(STATES, early, {1: 5.0}))


def test_calm_and_broken_times_are_told_apart() -> None:
    """What was broken counts from its end on, and only for the process that it was about."""
    side = Side("an engine", "", "", "", {}, "")
    side.committed = {1: 100.0, 2: 200.0}
    side.windows = [Window(199.0, 203.0, pid=1)]
    for pid in (1, 2):
        side.started[pid] = 50.0
        side.reports.append((pid, Report(0, (), 0.0, 0.0, (), {1: 100.25, 2: 203.5})))
    assert staleness(side) == ([0.25, 0.25, 3.5], [0.5])
