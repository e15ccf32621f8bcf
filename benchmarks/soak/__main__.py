"""Starts everything, lets it go on for a while, ends it whatever happens, and says what came of it."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from automagik_prompts.exceptions import PromptsError
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from benchmarks import soak
from benchmarks.soak import history, telling
from benchmarks.soak.runner import AGENT, STATUSES, text
from benchmarks.soak.sides import File, Server, Side, Window
from benchmarks.soak.writing import Writer
from tests.processes import Child, Launcher

PROCESSES = 3
"""Processes on each engine. The first one lives from the beginning to the end."""

WRITERS = 2
"""Writers on each engine."""

_WRITE_PAUSE = (0.2, 2.5)
_FAULT_PAUSE = (2.0, 20.0)
_FAULT_LENGTH = (0.3, 3.0)
_CALM, _WARM_UP = 0.15, 0.3
"""The shares of the time after which things begin to go wrong, and after which memory is first looked at."""

_CONVERGE = 60.0
"""Seconds within which, in the end, every process must serve what is active."""


class Soak:
    """The whole of it.

    Args:
        folder: For files that are thrown away.
        seed: What all chance comes from.
        seconds: How long it goes on.
    """

    def __init__(self, folder: Path, seed: int, seconds: float) -> None:
        self._chance = random.Random(seed)
        self._folder = folder
        self._seconds = seconds
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[str] = []
        # Ctrl-C reaches all processes of a terminal; those that are started here are ended in order instead.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._launcher = Launcher(folder)
            self._server = Server(folder / "postgres")
        finally:
            signal.signal(signal.SIGINT, before)
        self.sides = [self._server.side(), File(folder / "data").side()]

    def run(self) -> bool:
        """Do it, print what came of it, and return whether nothing went wrong."""
        for side in self.sides:
            asyncio.run(_prepare(side.url))
            side.children = [self._fork(side, number) for number in range(PROCESSES)]
        for side in self.sides:
            for child in side.children:
                _begin(side, child, self._chance)
            numbers = itertools.count(1)
            for _ in range(WRITERS):
                self._start(self._write, Writer(side, self._another(), numbers), self._another())
            self._start(self._break, side, self._another())
        began = time.monotonic()
        sys.stdout.write("started\n")
        sys.stdout.flush()
        self._wait(began, began + self._seconds * _WARM_UP)
        before = self._memory()
        self._wait(began, began + self._seconds)
        self._stop()
        for side in self.sides:
            self._converge(side)
        after = self._memory()
        self._judge()
        for pid, resident in before.items():
            sys.stdout.write(f"memory since the warm-up: {telling.Growth(resident, after[pid]).words()}\n")
        sys.stdout.write(f"failures: {len(self._failures)}\n")
        if self._failures:
            sys.stdout.write(f"\n{telling.show(self._failures)}\n")
        return not self._failures

    def _judge(self) -> None:
        """Return what happened on each side, and compare what its models were told with what was active."""
        for side in self.sides:
            side.reports += [(child.pid, child.ask("report")) for child in side.children]
            try:
                states = asyncio.run(history.read(side.url))
            except AssertionError as error:
                self._failures.append(f"{side.engine}: the database does not hold together: {error}")
            else:
                lines, failures = telling.tell(side, states, self._seconds)
                sys.stdout.write("\n".join(lines) + "\n")
                self._failures += failures
        if printed := self._launcher.output():
            self._failures.append(f"The processes have printed:\n{printed}")

    def close(self) -> None:
        """End everything that was started."""
        self._stop()
        for side in self.sides:
            for child in side.children:
                child.close()
        self._server.close()
        self._launcher.close()

    def _stop(self) -> None:
        """End what writes and what breaks; what is broken is whole then."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _another(self) -> random.Random:
        return random.Random(self._chance.random())

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception:  # noqa: BLE001  # told in the end, and it counts as a failure
                self._failures.append(traceback.format_exc())

        self._threads.append(threading.Thread(target=guarded))
        self._threads[-1].start()

    def _wait(self, began: float, until: float) -> None:
        """Wait, and show on a terminal how far it is."""
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            if sys.stderr.isatty():
                faults = sum(len(side.windows) for side in self.sides)
                passed = time.monotonic() - began
                sys.stderr.write(f"\r{passed:5.0f} of {self._seconds:.0f} s, {faults} faults")
                if passed >= self._seconds:
                    sys.stderr.write("\r" + " " * 40 + "\r")

    def _fork(self, side: Side, number: int) -> Child:
        """Start a process; `_begin` waits until it is there."""
        settings = {"disk_snapshot": True, "cache_dir": self._folder / f"cache-{side.engine}-{number}"}
        texts = {AGENT: {key: text(key, 0) for key in STATUSES}}
        child = self._launcher.fork("benchmarks.soak.runner:run_agents", side.member_url, texts, settings)
        child.tell("start")
        return child

    def _write(self, writer: Writer, chance: random.Random) -> None:
        while not self._over.wait(chance.uniform(*_WRITE_PAUSE)):
            writer.write()

    def _break(self, side: Side, chance: random.Random) -> None:
        """Break one thing after the other, each for a while."""
        kinds = [*side.faults, "a process is stopped", "a process is killed", "a process is killed in an outage"]
        # A short soak has faults too.
        shortest, longest = (
            min(pause, self._seconds / share) for pause, share in zip(_FAULT_PAUSE, (8, 4), strict=True)
        )
        self._over.wait(self._seconds * _CALM)
        while not self._over.wait(chance.uniform(shortest, longest)):
            what = chance.choice(kinds)
            window = Window(time.monotonic())
            side.windows.append(window)
            if what == "a process is stopped":
                window.pid = self._pause(chance.choice(side.children), chance)
            elif what == "a process is killed":
                window.pid = self._replace(side, chance)
            elif what == "a process is killed in an outage":
                with side.faults[side.outage](chance):
                    self._replace(side, chance)
                    self._over.wait(chance.uniform(*_FAULT_LENGTH))
            else:
                with side.faults[what](chance):
                    self._over.wait(chance.uniform(*_FAULT_LENGTH))
            window.ended = time.monotonic()
            side.done[what] += 1

    def _pause(self, child: Child, chance: random.Random) -> int:
        """Stop a process for a while, and return its id."""
        child.send_signal(signal.SIGSTOP)
        try:
            self._over.wait(chance.uniform(*_FAULT_LENGTH))
        finally:
            child.send_signal(signal.SIGCONT)
        return child.pid

    def _replace(self, side: Side, chance: random.Random) -> int:
        """Kill a process, keeping what it has done, start another one in its place, and return that one's id."""
        number = chance.randrange(1, PROCESSES)
        with side.asking:
            child = side.children[number]
            side.reports.append((child.pid, child.ask("report")))
            child.send_signal(signal.SIGKILL)
            child.close()
            side.children[number] = self._fork(side, number)
            _begin(side, side.children[number], chance)
        return side.children[number].pid

    def _memory(self) -> dict[int, int]:
        """Return the resident size of the processes that live from the beginning to the end."""
        found: dict[int, int] = {}
        for side in self.sides:
            with side.asking:
                found[side.children[0].pid] = side.children[0].ask("resident")
        return found

    def _converge(self, side: Side) -> None:
        """Publish a last text, and make sure that every process comes to serve it and says that all is well."""
        try:
            version = Writer(side, self._chance, itertools.count(1_000_000)).publish()
            for child in side.children:
                child.ask("until_version", AGENT, STATUSES[0], version, _CONVERGE)
                child.ask("until_state", "live")
        except (AssertionError, PromptsError, TimeoutError) as error:
            self._failures.append(f"{side.engine}: in the end not every process serves what is active: {error}")


def _begin(side: Side, child: Child, chance: random.Random) -> None:
    """Have a process that was started run its agents."""
    child.answer()
    child.ask("begin", chance.randrange(2**32))
    side.started[child.pid] = time.monotonic()


async def _prepare(url: str) -> None:
    async with Database(url) as database:
        await upgrade(database)


def main() -> int:
    """Do it and say what came of it; the exit code tells too."""
    parser = argparse.ArgumentParser(prog="make soak", description=soak.__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long it goes on")
    parser.add_argument("--seed", type=int, help="what all chance comes from; the one of a run that is to be repeated")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    warnings.simplefilter("ignore")
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        whole = Soak(Path(folder), seed, arguments.minutes * 60)
        try:
            return 0 if whole.run() else 1
        except KeyboardInterrupt:
            sys.stdout.write("interrupted\n")
            return 130
        finally:
            # What is being ended is not to be left half-way.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            whole.close()


if __name__ == "__main__":
    sys.exit(main())
