"""Many active prompts: what a start, one change and resting cost a process that follows, and the server of many."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psutil
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.following.loader import Loader
from automagik_prompts.following.memory.holding import Holding
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from benchmarks.texts import BODY

TODAY = "985c55e"
"""The commit before changes cost what they change."""

TEXT = (BODY * 10)[:1500]
LENGTH = len(TEXT) + 8
"""Characters of one text, with its number."""

_ROOT = Path(__file__).parents[1]
_PATIENCE = 120.0


@dataclass(slots=True)
class Found:
    """What was measured in one process, in seconds and bytes."""

    start: dict[str, float] = field(default_factory=dict)
    size: dict[str, float] = field(default_factory=dict)
    idle: float = 0.0
    served: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    written: list[float] = field(default_factory=list)


async def fill(url: str, size: int) -> None:
    """Write so many agents, each with one active version, by plain SQL."""
    async with Database(url) as database:
        await upgrade(database)
        await database.transaction(_fill, size)
        if database.dialect == "postgres":
            last = "(SELECT MAX(id) FROM agents)"
            await database.run(_execute, f"SELECT setval(pg_get_serial_sequence('agents', 'id'), {last})")


async def _fill(db: BaseDBAsyncClient, size: int) -> None:
    yes, no = ("true", "false") if db.capabilities.dialect == "postgres" else ("1", "0")
    now = "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"
    for start in range(0, size, 1000):
        numbers = range(start, min(start + 1000, size))
        agents = ", ".join(f"({number + 1}, 'agent-{number}', 'default', '[]', 1, {now})" for number in numbers)
        await db.execute_query(
            "INSERT INTO agents (id, name, default_status_key, variables, revision, created_at, updated_at) "
            f"VALUES {agents}"
        )
        rows = []
        for number in numbers:
            text = f"{TEXT} {number}"
            digest = hashlib.sha256(text.encode()).hexdigest()
            rows.append(f"({number + 1}, 'default', 1, '{_quoted(text)}', 'text', {yes}, {no}, '{digest}', {now})")
        await db.execute_query(
            "INSERT INTO prompts (agent_id, status_key, version, prompt_text, format, is_active, is_default_from_code, "
            f"content_hash, created_at, updated_at) VALUES {', '.join(rows)}"
        )


def _quoted(text: str) -> str:
    return text.replace("'", "''")


async def _execute(db: BaseDBAsyncClient, statement: str) -> None:
    await db.execute_query(statement)


class Follower:
    """A process that follows.

    Args:
        url: The database URL.
        cache: The folder of the disk snapshot.
        release: The folder of another release of the package, if it is not this one.
    """

    def __init__(self, url: str, cache: Path, release: Path | None) -> None:
        environment = {**os.environ, "PYTHONPATH": str(release or _ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, str(_ROOT / "benchmarks" / "many_follower.py"), url, str(cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def ask(self, *words: object) -> dict[str, float]:
        """Tell it to do something, and return its first answer."""
        self._process.stdin.write(" ".join(map(str, words)) + "\n")  # type: ignore[union-attr]  # it is a pipe
        self._process.stdin.flush()  # type: ignore[union-attr]  # as above
        return self.answer()

    def answer(self) -> dict[str, float]:
        """Return its next answer."""
        line = self._process.stdout.readline()  # type: ignore[union-attr]  # it is a pipe
        if not line:
            raise RuntimeError("The process that follows has ended.")
        found: dict[str, float] = json.loads(line)
        return found


async def measure(
    url: str, size: int, folder: Path, *, rounds: int, idle: float, release: Path | None = None
) -> tuple[Found, Found]:
    """Measure a cold and a warm start of a process, and in the second one activations and resting."""
    cold, warm = Found(), Found()
    await asyncio.to_thread(folder.mkdir)
    with Follower(url, folder, release) as follower:
        cold.start = follower.answer()
        await asyncio.sleep(1 + size / 5000)  # what need not be done at once
        cold.size = follower.ask("size")
    with Follower(url, folder, release) as follower:
        warm.start = follower.answer()
        await asyncio.sleep(1 + size / 5000)
        warm.size = follower.ask("size")
        async with Database(url) as database:
            edits = DatabaseEdits(database)
            for number in range(rounds):
                await _activated(edits, follower, f"agent-{(number * 37 + 1) % size}", folder, warm)
        warm.idle = follower.ask("idle", idle)["cpu"] / idle
    return cold, warm


async def _activated(edits: DatabaseEdits, follower: Follower, name: str, folder: Path, found: Found) -> None:
    """Have an activation followed."""
    draft = await edits.create(name, "default", f"{TEXT} {time.time_ns()}", format="text")
    if draft.prompt is None:
        raise RuntimeError("Nothing was written.")
    await asyncio.sleep(0.4)
    before = _bytes(folder)
    follower.ask("served", name, draft.prompt.version)
    await edits.activate(name, "default", draft.prompt.version)
    committed = time.monotonic()
    answer = await asyncio.to_thread(follower.answer)
    found.served.append(max(0.0, answer["at"] - committed))
    found.cpu.append(answer["cpu"])
    found.gaps.append(answer["gap"])
    found.written.append(_bytes(folder) - before)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


async def server_time(url: str, size: int, server: int, followers: int, changes: int) -> float:
    """Return the processor time that a server needs for each change, with so many processes that follow, in seconds."""
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(Database(url)) for _ in range(10)]
        loaders = await _loaders(databases, followers)
        edits, spent, name = DatabaseEdits(databases[0]), 0.0, urlsplit(url).path.lstrip("/")
        for number in range(changes):
            agent = f"agent-{(number * 41 + 3) % size}"
            await edits.create(agent, "default", f"{TEXT} {time.time_ns()}", activate=True)
            before = _processor_time(server, name)
            for place, loader in enumerate(loaders):
                await _followed(loader, databases[place % len(databases)])
            spent += _processor_time(server, name) - before
    return spent / changes


async def _loaders(databases: Sequence[Database], count: int) -> list[Loader]:
    """Return what follows in so many processes; they share what they have read, as they have no room for more."""

    async def nothing(_holding: Holding, _seconds: float) -> bool:
        return False

    served: Snapshot | None = None
    loaders: list[Loader] = []
    for number in range(count):
        loader = Loader(Registry(), served, nothing)
        served = await _followed(loader, databases[number % len(databases)])
        loaders.append(loader)
    return loaders


async def _followed(loader: Loader, database: Database) -> Snapshot | None:
    await loader.look(database, forced=True)
    read = [snapshot async for snapshot in loader.read(database)]
    return read[-1] if read else None


def _processor_time(server: int, database: str) -> float:
    """Return the processor time of the processes that serve the connections to a database, in seconds."""
    total = 0.0
    for process in psutil.Process(server).children():
        with suppress(psutil.NoSuchProcess):
            if database in (words := " ".join(process.cmdline())) and "autovacuum" not in words:
                times = process.cpu_times()
                total += times.user + times.system
    return total


@contextmanager
def release(commit: str, folder: Path) -> Iterator[Path | None]:
    """Give a folder with the package as it was at a commit; `None` where the history is not at hand."""
    done = subprocess.run(
        [shutil.which("git") or "git", "archive", commit, "automagik_prompts", "aerich_migrations"],
        cwd=_ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        yield None
        return
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    yield folder


def facts(found: Found) -> dict[str, Any]:
    """Return what was measured, for the JSON file."""
    return {
        "start": found.start,
        "size": found.size,
        "idle": found.idle,
        "served": found.served,
        "cpu": found.cpu,
        "gaps": found.gaps,
        "written": found.written,
    }
