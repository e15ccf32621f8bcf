"""What listening costs a server, and how connections are given back where they are short."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.following import listening, signals
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.listener import NOTICE, Listener
from automagik_prompts.storage.repository import CHANNEL
from tests.conftest import MakePlugin
from tests.faults import execute
from tests.servers import OwnServer, credentials
from tests.waiting import until

MINUTE = 0.5
"""Seconds that stand for a minute."""

MINUTES = 8

STATEMENT = re.compile(r"^(\d+\.\d+) LOG:  (?:statement|execute [^:]*): (.*)$", re.MULTILINE)


@pytest.fixture
def telling_server(server_folder: Path) -> Iterator[OwnServer]:
    """A server that writes down each statement and when it came."""
    server = OwnServer(server_folder, log_statement="'all'", log_line_prefix="'%n '")
    yield server
    server.stop()


async def test_an_idle_process_asks_two_statements_a_minute(
    telling_server: OwnServer,
    server_folder: Path,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One reads what is active and says that the process is there, one proves that notifications arrive."""
    assert listening.SAFETY_INTERVAL == 60
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", MINUTE)
    monkeypatch.setattr(listening, "CROWD_INTERVAL", MINUTE / 12)
    monkeypatch.setattr(signals, "HEARTBEAT", MINUTE / 6)  # signs of life are no statements
    url = await asyncio.to_thread(telling_server.create_database)
    async with Database(url) as database:
        await upgrade(database)
    registry.declare("a", {"default": "text"}, where="here")
    plugin = make_plugin(url, startup_timeout=30, heartbeat=MINUTE)
    await plugin.ready()
    await until(lambda: plugin.health().listening, "notifications arrive")
    await asyncio.sleep(MINUTE)  # the first looks follow each other faster
    began = time.time()
    await asyncio.sleep(MINUTES * MINUTE)
    log = (server_folder / "log").read_text(encoding="utf-8")
    asked = [found[2] for found in STATEMENT.finditer(log) if began <= float(found[1]) <= began + MINUTES * MINUTE]
    assert len(asked) <= 2 * MINUTES
    assert {statement.split()[0] for statement in asked} == {"WITH"}
    said = [statement for statement in asked if "UPDATE prompt_processes" in statement]
    assert len(said) >= MINUTES / 2
    # Within their page, without a word to any index; the server counts that a little later.
    counts = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'prompt_processes'"
    while (found := await execute(url, counts))[0][0] < len(said):
        await asyncio.sleep(0.1)
        assert time.time() - began < 60
    assert found[0][0] == found[0][1]
    assert plugin.health().listening


async def test_who_finds_a_crowd_tells_the_others(
    postgres_url: str, registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that would look again only much later gives its connections back when another one finds them short."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    registry.declare("a", {"default": "text"}, where="here")
    settled = make_plugin(postgres_url, startup_timeout=30)
    await settled.ready()
    await until(lambda: settled.health().listening, "notifications arrive")
    monkeypatch.setattr(listening, "CROWDED", 0.0)
    monkeypatch.setattr(listening, "CROWD_INTERVAL", 0.1)
    newcomer = make_plugin(postgres_url, startup_timeout=30)
    await newcomer.ready()
    took = await until(lambda: not settled.health().listening, "it gives its connections back")
    assert took < 4  # by itself it looks after 5 s
    assert not newcomer.health().listening


async def test_a_server_that_does_not_tell_how_crowded_it_is(postgres_url: str) -> None:
    """Where the user may not know, notifications are proved all the same, and nothing counts as crowded."""
    role = f"limited_{uuid4().hex[:12]}"
    await execute(postgres_url, f"CREATE ROLE {role}", "REVOKE SELECT ON pg_stat_database FROM PUBLIC")
    connection = await asyncpg.connect(**credentials(postgres_url))
    arrived: list[str] = []
    listener = Listener(connection, arrived.append, lambda: None)
    try:
        await connection.add_listener(CHANNEL, listener._received)
        assert await listener.prove(10, limit=0.0)
        await until(lambda: arrived == [NOTICE], "the others are told")
        await connection.execute(f"SET ROLE {role}")
        assert not await listener.prove(10, limit=0.0)
        assert arrived == [NOTICE]
    finally:
        await connection.close()
        await execute(postgres_url, f"DROP ROLE {role}")
