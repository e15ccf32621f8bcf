"""Activating on PostgreSQL, beside a plain transaction of the same statements. Run as a module it is one writer."""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types

from automagik_prompts.editing import commands
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from benchmarks.measure import Samples

PROCESSES = 8
STATUS = "default"

_LOCK = "UPDATE agents SET revision = revision + 1, updated_at = CURRENT_TIMESTAMP WHERE id = $1 RETURNING revision"
_REST = "UPDATE prompts SET is_active = false WHERE agent_id = $1 AND status_key = $2 AND is_active RETURNING version"
_RISE = "UPDATE prompts SET is_active = true WHERE id = $1"
_POINT = "UPDATE agents SET active_default_prompt_id = $2 WHERE id = $1"
_EVENT = (
    "INSERT INTO prompt_events (agent_id, status_key, action, prompt_id, version, from_version, revision, created_at) "
    "VALUES ($1, $2, 'activated', $3, $4, $5, $6, CURRENT_TIMESTAMP)"
)


async def prepare(url: str) -> None:
    """Make agents with two versions each."""
    async with Database(url) as database:
        await upgrade(database)
        for number in range(PROCESSES):
            for text in ("One.", "Two."):
                await commands.create(
                    database, f"agent-{number}", STATUS, text, activate=True, new_agent=True, new_status=True
                )


async def measure(url: str, rounds: int, seed: int) -> Samples:
    """Activate one version and the other in turn, in both ways on one connection each, in random order."""
    order = random.Random(seed)
    samples: Samples = {"plain": [], "plain (again)": [], "activate": []}
    async with Database(url) as database:
        connection = await asyncpg.connect(url)
        try:
            for number in range(-20, rounds):
                names = list(samples)
                order.shuffle(names)
                for name in names:
                    version = 1 + number % 2
                    start = time.perf_counter()
                    if name == "activate":
                        await commands.activate(database, "agent-0", STATUS, version)
                    else:
                        await _plain(connection, "agent-1", version)
                    if number >= 0:
                        samples[name].append(time.perf_counter() - start)
        finally:
            await connection.close()
    return samples


async def _plain(connection: Any, agent: str, version: int) -> None:
    """Do what an activation writes, as somebody would who knows the tables and checks nothing."""
    found = await connection.fetchrow(
        "SELECT a.id, p.id AS prompt_id FROM agents a JOIN prompts p ON p.agent_id = a.id "
        "WHERE a.name = $1 AND p.status_key = $2 AND p.version = $3",
        *(agent, STATUS, version),
    )
    async with connection.transaction():
        revision = await connection.fetchval(_LOCK, found["id"])
        before = await connection.fetchval(_REST, found["id"], STATUS)
        await connection.execute(_RISE, found["prompt_id"])
        await connection.execute(_POINT, found["id"], found["prompt_id"])
        await connection.execute(_EVENT, found["id"], STATUS, found["prompt_id"], version, before, revision)


def rates(url: str, seconds: float) -> dict[str, float]:
    """Return how often per second several processes activate, each on an agent of its own, in both ways."""
    return {way: sum(_writers(url, way, seconds)) / seconds for way in ("plain", "activate")}


def _writers(url: str, way: str, seconds: float) -> list[int]:
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.writes", url, way, f"agent-{number}", str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None  # noqa: S101  # it is a pipe
            writer.stdout.readline()
        for writer in writers:
            assert writer.stdin is not None  # noqa: S101  # it is a pipe
            writer.stdin.write("go\n")
            writer.stdin.flush()
        return [int(writer.communicate(timeout=seconds + 60)[0]) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


async def _write(url: str, way: str, agent: str, seconds: float) -> int:
    async with Database(url) as database:
        connection = await asyncpg.connect(url)
        try:

            def activate(version: int) -> Awaitable[object]:
                if way == "plain":
                    return _plain(connection, agent, version)
                return commands.activate(database, agent, STATUS, version)

            return await _count(activate, seconds)
        finally:
            await connection.close()


async def _count(activate: Callable[[int], Awaitable[object]], seconds: float) -> int:
    """Wait for a word, and return how often something could be done in so many seconds."""
    for number in range(10):
        await activate(1 + number % 2)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        await activate(1 + count % 2)
        count += 1
    return count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("way")
    parser.add_argument("agent")
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    sys.stdout.write(str(asyncio.run(_write(given.url, given.way, given.agent, given.seconds))))
