"""Fault 17: the interpreter ends in any state, with nothing closed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.faults import locked
from tests.processes import ROOT
from tests.proxy import Proxy

ATTEMPTS = 5
"""Times that something is measured which must hold at least once: other processes can hold up a machine."""

BOUND = 1.0
"""Seconds from the last line of a program to the end of its process."""

_BEGIN = """
import asyncio, logging, sys, time
from automagik_prompts import PromptPlugin, prompt
from automagik_prompts.domain.served import Source, State

logging.getLogger("asyncio").setLevel(logging.ERROR)  # below, it tells of each step that a busy machine delays
PROMPT = prompt("From code, zebra.", agent="a")
plugin = PromptPlugin({url!r}, startup_timeout=0.2, disk_snapshot=False)

def until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, plugin.health()
        time.sleep(0.005)
"""

_STATES = {
    # Nothing was ever used: there is no thread.
    "unused": "",
    # The first refresh is under way and hangs.
    "hung at the start": """
assert plugin.resolve("a").source is Source.CODE
assert plugin.state is State.OFFLINE
""",
    # Everything is well, and a listener is open.
    "live": """
plugin.start()
until(lambda: plugin.state is State.LIVE)
until(lambda: plugin.health().listening or {sqlite!r})
""",
    # A refresh hangs of a process that was live, and a listener is open; it was told to go on by a line.
    "hung later": """
plugin.start()
until(lambda: plugin.state is State.LIVE)
until(lambda: plugin.health().listening or {sqlite!r})
print("live", flush=True)
sys.stdin.readline()
plugin._life.worker.wake()  # as a notification does
time.sleep(0.2)
""",
    # Closed in order, and used again.
    "closed": """
with plugin:
    until(lambda: plugin.state is State.LIVE)
assert plugin.resolve("a").text == PROMPT
assert plugin.state is State.STALE
""",
    # Inside an event loop that goes on to the end.
    "in a loop": """
async def main():
    async with asyncio.timeout(30):
        while plugin.state is not State.LIVE:
            await plugin.ready()
            await asyncio.sleep(0.005)
asyncio.run(main())
""",
}

_END = """
print("over", time.monotonic(), flush=True)
"""


def _run(script: str, *, hang: Proxy | None = None) -> float:
    """Run a script to its end, jamming the proxy when it says that it is live, and return how long its end took."""
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if hang is not None:
            assert process.stdout.readline() == "live\n"
            hang.hang()
            process.stdin.write("go on\n")
        output, errors = process.communicate(timeout=60)
        ended = time.monotonic()
    # Log lines of the library have no handler here, and go to the last resort.
    complaints = [line for line in errors.splitlines() if "Meanwhile the" not in line]
    assert (process.returncode, complaints) == (0, [])
    (over,) = [line for line in output.splitlines() if line.startswith("over")]
    return ended - float(over.split()[1])


def _assert_ends_soon(script: str, measured: Callable[[str, object], None], *, hang: Proxy | None = None) -> None:
    took = []
    for _ in range(ATTEMPTS):
        if hang is not None:
            hang.open()
        took.append(_run(script, hang=hang))
        if took[-1] < BOUND:
            measured("measured", f"it ended within {took[-1] * 1000:.0f} ms")
            return
    pytest.fail(f"the process took {took} to end")


async def _upgraded(url: str) -> None:
    async with Database(url) as database:
        await upgrade(database)


@pytest.mark.parametrize("state", _STATES)
def test_fault_17_interpreter_ends_with_a_server(
    state: str, postgres_url: str, proxy: Proxy, record_property: Callable[[str, object], None]
) -> None:
    """The process ends within a second and with code 0, and nobody complains, whatever the thread is doing."""
    asyncio.run(_upgraded(postgres_url))
    if state == "hung at the start":
        proxy.hang()
    script = (_BEGIN + _STATES[state] + _END).format(url=proxy.url(postgres_url), sqlite=False)
    _assert_ends_soon(script, record_property, hang=proxy if state == "hung later" else None)


@pytest.mark.parametrize("state", ["unused", "live", "closed", "in a loop"])
def test_fault_17_interpreter_ends_with_a_file(
    state: str, sqlite_url: str, record_property: Callable[[str, object], None]
) -> None:
    """The same with a file."""
    _assert_ends_soon((_BEGIN + _STATES[state] + _END).format(url=sqlite_url, sqlite=True), record_property)


def test_fault_17_interpreter_ends_with_a_file_that_is_locked(
    sqlite_url: str, record_property: Callable[[str, object], None]
) -> None:
    """The same while the file is locked by somebody else and SQLite waits for it."""
    asyncio.run(_upgraded(sqlite_url))
    with locked(sqlite_url):
        script = (_BEGIN + _STATES["hung at the start"] + _END).format(url=sqlite_url, sqlite=True)
        _assert_ends_soon(script, record_property)


def test_fault_17_interpreter_ends_while_a_name_is_looked_up(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The same while the name server does not answer; only a function that hangs can stand for that here."""
    hang = """
import socket, threading
looked_up = threading.Event()
def getaddrinfo(*args, **kwargs):
    looked_up.set()
    threading.Event().wait(60)
socket.getaddrinfo = getaddrinfo
"""
    end = "assert looked_up.wait(30)" + _END
    script = (hang + _BEGIN + _STATES["hung at the start"]).format(
        url="postgresql://postgres@database.example/prompts", sqlite=False
    )
    _assert_ends_soon(script + end, record_property)
    assert list(tmp_path.iterdir()) == []
