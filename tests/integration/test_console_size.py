"""The console over a database of a hundred times the size: the same statements, and hardly more work."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema import migrate
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database

TEXT = "You sell flour to bakeries. Ask {{name}} what they bake, and how much of it. " * 4
SMALL, LARGE = (20, 100), (20_000, 10_000)
"""Agents, and events of their history."""

WORK = 5.0
"""How many times as much processor time the large one may take."""

ROUNDS = 8
"""How often each page is asked for, so that what else the machine does counts for little."""

FULL = ("/", "/events", "/events?person=code")
EMPTY = ("/?chip=drifted", "/?chip=mine", "/fleet")
"""Pages that have something to show here, and those that have nothing, which costs nothing where all is small."""


async def fill(path: Path, agents: int, events: int) -> None:
    """Make a database by plain SQL."""
    async with Database(f"sqlite://{path}") as database:
        await migrate.prepare(database)
    now = datetime.now(UTC).isoformat(" ")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO agents (id, name, default_status_key, variables, revision, created_at, updated_at) "
            "VALUES (?, ?, 'default', '[\"name\"]', 1, ?, ?)",
            [(number, f"agent-{number:05d}", now, now) for number in range(1, agents + 1)],
        )
        connection.executemany(
            "INSERT INTO prompts (agent_id, status_key, version, prompt_text, format, is_active, "
            "is_default_from_code, content_hash, created_at, updated_at) "
            "VALUES (?, ?, 1, ?, 'handlebars', 1, 1, '', ?, ?)",
            [(number, key, TEXT, now, now) for number in range(1, agents + 1) for key in ("default", "NEW", "OLD")],
        )
        connection.executemany(
            "INSERT INTO prompt_events (agent_id, status_key, action, version, author, actor_id, revision, created_at) "
            "VALUES (?, 'default', ?, 1, 'code', 'code', ?, ?)",
            [(1 + at % agents, ("created", "activated")[at % 2], at, now) for at in range(events)],
        )


@asynccontextmanager
async def console(path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a browser at a console over a database."""
    plugin = PromptPlugin(
        f"sqlite://{path}",
        only=["(nobody)"],
        seed=False,
        disk_snapshot=False,
        heartbeat=0,
        poll_interval=3600,  # its own looks are none of a page's statements
        registry=Registry(),
    )
    app: Any = plugin.console(identify=lambda _: Identity(Actor("ana")))
    async with plugin, httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
        await plugin.ready()
        yield client


async def test_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page sends as many statements as over 20 agents, and takes at most five times the processor time."""
    sent: Counter[str] = Counter()
    rows = Connection.rows

    async def counted(self: Connection, statement: str, *values: object) -> list[dict[str, Any]]:
        sent["statements"] += 1
        return await rows(self, statement, *values)

    monkeypatch.setattr(Connection, "rows", counted)
    monkeypatch.setattr("automagik_prompts.editing.overall.overview.OLD", 3600.0)  # the machine may be slow
    work: dict[tuple[int, str], float] = {}
    statements: dict[tuple[int, str], int] = {}
    for agents, events in (SMALL, LARGE):
        path = tmp_path / f"{agents}.db"
        await fill(path, agents, events)
        async with console(path) as client:
            for address in (*FULL, *EMPTY):
                first = await client.get(address)
                assert first.status_code == 200, first.text
                sent.clear()
                begun = time.process_time()
                for _ in range(ROUNDS):
                    await client.get(address)
                work[agents, address] = time.process_time() - begun
                statements[agents, address] = sent["statements"]
    for address in (*FULL, *EMPTY):
        few, many = ((size[0], address) for size in (SMALL, LARGE))
        assert statements[few] == statements[many] > 0, address
        assert address in EMPTY or work[many] <= WORK * work[few], f"{address}: {work[many] / work[few]:.1f} times"
