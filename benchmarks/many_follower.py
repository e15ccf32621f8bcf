"""A process that follows a database with many active prompts, and measures itself; told what to do line by line.

It uses nothing but public names, so that an older release can be measured by it as well.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from automagik_prompts import PromptChange, PromptPlugin, prompt

WATCHED = "agent-7"
"""The one agent that the code of this process declares."""


class Ticker:
    """A thread that wakes each millisecond and notes when it could not: how long others have held the interpreter."""

    def __init__(self) -> None:
        self.thread = 0
        self._worst = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self.thread = threading.get_native_id()
        last = time.perf_counter()
        while True:
            time.sleep(0.001)
            now = time.perf_counter()
            self._worst, last = max(self._worst, now - last), now

    def worst(self) -> float:
        """Return the longest gap since this was asked for last, in seconds."""
        found, self._worst = self._worst, 0.0
        return found


class Collector:
    """How long the garbage collector takes at most."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._began = 0.0
        gc.callbacks.append(self._called)

    def _called(self, phase: str, _facts: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._began = now
        else:
            self.worst = max(self.worst, now - self._began)


def resident() -> int:
    """Return the resident size, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak() -> int:
    """Return the largest resident size so far, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def busy(ticker: Ticker) -> float:
    """Return the processor time of all threads but this one and the ticker's, in seconds: that of the library's own."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) not in {threading.get_native_id(), ticker.thread}:
            with suppress(OSError):  # it has ended
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


async def main(url: str, cache: str) -> None:
    """Follow, say how the start was, and then measure what each line names."""
    prompt("What the code says.", agent=WATCHED)
    gc.collect()
    before, ticker, collector = resident(), Ticker(), Collector()
    began, cpu = time.perf_counter(), time.process_time()
    plugin = PromptPlugin(url, cache_dir=Path(cache), startup_timeout=60, seed=False)
    plugin.start()
    await plugin.ready()
    first = time.perf_counter() - began
    while plugin.state.value != "live":  # noqa: ASYNC110  # an older release has no event for it
        await asyncio.sleep(0.002)
    live = time.perf_counter() - began
    say(
        first=first,
        live=live,
        cpu=time.process_time() - cpu,
        gap=ticker.worst(),
        collector=collector.worst,
        peak=peak() - before,
    )
    loop, changes = asyncio.get_running_loop(), asyncio.Queue[tuple[str, int | None, float]]()

    @plugin.on_change
    def changed(change: PromptChange) -> None:
        version = change.after.version if change.after is not None else None
        loop.call_soon_threadsafe(changes.put_nowait, (change.agent, version, time.monotonic()))

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, *arguments = line.split()
        if command == "served":
            name, version = arguments
            cpu, _ = busy(ticker), ticker.worst()
            say()
            while (change := await changes.get())[:2] != (name, int(version)):
                pass
            await asyncio.sleep(0.2)
            say(at=change[2], cpu=busy(ticker) - cpu, gap=ticker.worst())
        elif command == "idle":
            cpu = busy(ticker)
            await asyncio.sleep(float(arguments[0]))
            say(cpu=busy(ticker) - cpu)
        elif command == "size":
            gc.collect()
            say(resident=resident() - before, peak=peak() - before)
    plugin.close()


def say(**facts: Any) -> None:
    """Answer with one line."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
