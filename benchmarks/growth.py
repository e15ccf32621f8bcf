"""More and more versions, always the same active ones: what following and editing them takes, and how it is planned."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.editing import commands
from automagik_prompts.following.memory.holding import Holding
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from benchmarks.measure import Samples
from benchmarks.texts import BODY

AGENTS, STATUSES = 100, 10
SIZES = (10_000, 100_000, 1_000_000)
"""Versions in the table; a thousandth of the largest number is active in each."""

_TEXT = BODY[:200].replace("'", "''")

_FILL = {
    "sqlite": (
        "WITH RECURSIVE v(version) AS (SELECT 1 UNION ALL SELECT version + 1 FROM v WHERE version < {versions}), "
        "s(status) AS (SELECT 0 UNION ALL SELECT status + 1 FROM s WHERE status < {statuses} - 1) "
    ),
    "postgres": (
        "WITH v AS (SELECT generate_series(1, {versions}) AS version), "
        "s AS (SELECT generate_series(0, {statuses} - 1) AS status) "
    ),
}
"""How each engine counts; `{versions}` and `{statuses}` are filled in."""


@dataclass(slots=True)
class Table:
    """A database with so many versions.

    Attributes:
        database: The database, open.
        versions: Versions of each agent and status.
        position: Up to where the changes were read.
        changed: The agent that was written to last.
        turn: Rises with each write, so that each goes to another status.
    """

    database: Database
    versions: int
    position: repository.Position | None = None
    changed: int = 1
    turn: int = 0
    holding: Holding = field(default_factory=lambda: Holding(Registry(), None))

    async def refresh(self) -> None:
        """Read the agent that was written to and compile its texts, as a process does when something was written."""
        await self.poll()
        self.holding.take(await self.database.run(repository.get_states, [self.changed]))
        self.holding.snapshot(time.monotonic())

    async def poll(self) -> None:
        """Look whether anything was written."""
        found = await self.database.run(repository.get_changes, self.position, 0)
        self.position = found.position

    async def create(self) -> None:
        """Write a new version."""
        agent, status = self._next()
        done = await commands.create(self.database, agent, status, f"{BODY} Written in turn {self.turn}.")
        self.changed = done.agent.id

    async def activate(self) -> None:
        """Activate another version of those that were there from the start."""
        agent, status = self._next()
        done = await commands.activate(self.database, agent, status, self.turn % self.versions + 1)
        self.changed = done.agent.id

    def _next(self) -> tuple[str, str]:
        self.turn += 1
        return f"agent-{self.turn * 7 % AGENTS}", f"STATUS_{self.turn * 3 % STATUSES}"


OPERATIONS: dict[str, Callable[[Table], Awaitable[None]]] = {
    "refresh": Table.refresh,
    "poll": Table.poll,
    "create": Table.create,
    "activate": Table.activate,
}


async def fill(database: Database, size: int) -> int:
    """Write so many versions by plain SQL, version after version, and return how many each status has."""
    versions = size // AGENTS // STATUSES
    counting = _FILL[database.dialect].format(versions=versions, statuses=STATUSES)
    now = "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"
    agents = ", ".join(f"('agent-{number}', 'STATUS_0', '[]', 1, {now})" for number in range(AGENTS))
    add_agents = (
        f"INSERT INTO agents (name, default_status_key, variables, revision, created_at, updated_at) VALUES {agents}"
    )
    add_prompts = (
        f"{counting}INSERT INTO prompts (agent_id, status_key, version, prompt_text, format, is_active, "
        "is_default_from_code, content_hash, author, created_at, updated_at) SELECT a.id, 'STATUS_' || s.status, "
        f"v.version, '{_TEXT}' || a.id || '/' || s.status || '/' || v.version, 'text', "
        # Any of the versions, so that the active ones lie all over the table, as they do after years.
        f"v.version = (a.id * 7919 + s.status * 104729) % {versions} + 1, "
        f"v.version = 1, '{'0' * 64}', 'benchmark', {now} FROM v, s, agents a ORDER BY v.version, a.id, s.status"
    )
    for statement in (add_agents, add_prompts):
        await database.run(_execute, statement)
    if database.dialect == "postgres":
        # What autovacuum does by itself a minute later.
        await database.run(_execute, "VACUUM ANALYZE")
    return versions


async def measure(urls: Sequence[str], rounds: int, seed: int, progress: Callable[[str], None]) -> tuple[Samples, str]:
    """Fill one database for each size, then do everything in turn in all of them, in random order.

    Args:
        urls: Empty databases of one engine, one for each of `SIZES`.
        rounds: How many rounds.
        seed: For the order.
        progress: Told what is being done.

    Returns:
        The times by `operation/size`, and the plans of what runs often at the largest size, as Markdown.
    """
    async with AsyncExitStack() as stack:
        tables: dict[int, Table] = {}
        for url, size in zip(urls, SIZES, strict=True):
            database = await stack.enter_async_context(Database(url))
            await upgrade(database)
            progress(f"filling {database.dialect} with {size} versions")
            tables[size] = Table(database, await fill(database, size))
        cases = [(operation, size) for operation in OPERATIONS for size in tables]
        order = random.Random(seed)
        samples: Samples = {f"{operation}/{size}": [] for operation, size in cases}
        progress("measuring")
        for number in range(-5, rounds):
            order.shuffle(cases)
            for operation, size in cases:
                start = time.perf_counter()
                await OPERATIONS[operation](tables[size])
                if number >= 0:
                    samples[f"{operation}/{size}"].append(time.perf_counter() - start)
        return samples, await tables[SIZES[-1]].database.run(plans)


async def _execute(db: BaseDBAsyncClient, statement: str) -> None:
    await db.execute_script(statement)


async def plans(db: BaseDBAsyncClient) -> str:
    """Return how the statements are planned that a process runs more than once a minute."""
    found: list[str] = []
    recorder = _Recorder(db)
    reads = {
        "Look": repository.get_changes(recorder, None, 0),
        "Read what was written to": repository.get_states(recorder, [1]),
    }
    for title, read in reads.items():
        await read
        statement, values = recorder.asked
        prefix = (
            "EXPLAIN QUERY PLAN "
            if db.capabilities.dialect == "sqlite"
            else "EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF) "
        )
        _, rows = await db.execute_query(prefix + statement, values)
        lines = [str(dict(row).get("detail") or dict(row).get("QUERY PLAN")) for row in rows]
        found.append(f"{title}:\n\n```sql\n{statement}\n```\n\n```text\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(found)


class _Recorder(BaseDBAsyncClient):
    """Stands before a connection and keeps the last statement that goes through it."""

    def __init__(self, db: BaseDBAsyncClient) -> None:
        self.asked: tuple[str, list[object]] = ("", [])
        self.capabilities = db.capabilities
        self._db = db

    async def execute_query(self, statement: str, values: list[object] | None = None) -> Any:
        self.asked = statement, values or []
        return await self._db.execute_query(statement, values or [])
