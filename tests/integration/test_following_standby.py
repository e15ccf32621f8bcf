"""A hot standby that is followed: behind, paused, promoted, and promoted without all that the primary had."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest

from automagik_prompts.domain.served import State
from automagik_prompts.following.loader import Loader
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin, folder_of_a_server
from tests.faults import assert_follows, execute
from tests.proxy import Proxy
from tests.schedules import edited, in_memory, in_tables, prepare, text_of
from tests.servers import OwnServer, Standby, credentials
from tests.waiting import DEADLINE, until

AGENTS = 6


@pytest.fixture
def primary(server_folder: Path) -> Iterator[OwnServer]:
    """A server that takes writes."""
    server = OwnServer(server_folder, fsync="off", full_page_writes="off", max_prepared_transactions=2)
    yield server
    server.stop()


@pytest.fixture
async def url(primary: OwnServer) -> str:
    """A database with agents on the primary."""
    found = await asyncio.to_thread(primary.create_database)
    await prepare(found, AGENTS)
    return found


@pytest.fixture
async def standby(primary: OwnServer, url: str) -> AsyncIterator[Standby]:
    """A server that follows it."""
    del url
    with folder_of_a_server() as folder:
        server = await asyncio.to_thread(Standby, primary, folder)
        yield server
        await asyncio.to_thread(server.stop)


def at(server: OwnServer, url: str) -> str:
    """Return the URL of the same database at another server."""
    return urlunsplit(urlsplit(server.url)._replace(path=urlsplit(url).path))


async def caught_up(url: str, copy: str) -> None:
    """Wait until a standby has what its primary has."""
    ((position,),) = await execute(url, "SELECT pg_current_wal_lsn()::text")
    await until_found(copy, f"SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{position}'::pg_lsn")


async def until_found(url: str, question: str) -> None:
    """Wait until a query finds something."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if await execute(url, question):
            return
        await asyncio.sleep(0.02)
    pytest.fail(question)


async def promote(copy: str) -> None:
    """Make a standby a server of its own."""
    assert await execute(copy, "SELECT pg_promote(true, 30)") == [(True,)]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """Give a connection of the driver's."""
    connection = await asyncpg.connect(**credentials(url))
    try:
        yield connection
    finally:
        await connection.close()


async def following(make_plugin: MakePlugin, url: str) -> PromptPlugin:
    """Return a plugin that follows a server that takes no writes."""
    plugin = make_plugin(url, seed=False, poll_interval=0.05, startup_timeout=30)
    await plugin.ready()
    return plugin


async def test_a_standby_is_followed(
    url: str, standby: Standby, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change on the primary is served, read once, a pause breaks nothing, and it goes on after promotion."""
    reads: Counter[int] = Counter()
    get_states, get_changes = repository.get_states, repository.get_changes

    async def counting(db: Any, ids: Any) -> Any:
        chosen = sorted(ids)
        reads.update(chosen)
        return await get_states(db, chosen)

    async def looking(*arguments: Any) -> Any:
        reads[0] += 1
        return await get_changes(*arguments)

    monkeypatch.setattr(repository, "get_states", counting)  # counts, and does what it did
    monkeypatch.setattr(repository, "get_changes", looking)
    monkeypatch.setattr(Loader, "_compare_slice", lambda *_: None)
    copy = at(standby, url)
    plugin = await following(make_plugin, copy)
    async with connected(url) as idle:
        await idle.execute("BEGIN")
        await idle.execute(edited(AGENTS, "held back"))
        for turn in range(3):
            for number in (1, 2):
                text = f"{number} in turn {turn}"
                await execute(url, edited(number, text))
                await until(lambda number=number, text=text: text_of(plugin, f"a{number}") == text, "it is seen")  # type: ignore[misc]
        assert_follows(plugin, "a1", 1)
        # Although the transaction that is open keeps the log from being forgotten.
        assert {number: times for number, times in reads.items() if number} == {1: 3, 2: 3}
        await execute(copy, "SELECT pg_wal_replay_pause()")
        await execute(url, edited(3, "while it is paused"), "DELETE FROM agents WHERE id = 4")
        await idle.execute("COMMIT")
        looks = reads[0]
        await until(lambda: reads[0] > looks + 5, "it is looked at while it is paused")
        assert (plugin.state, text_of(plugin, "a3"), text_of(plugin, "a4")) == (State.LIVE, "first", "first")
        await execute(copy, "SELECT pg_wal_replay_resume()")
        await until(lambda: text_of(plugin, "a3") == "while it is paused", "it goes on")
        await until(lambda: text_of(plugin, f"a{AGENTS}") == "held back", "what was held back is seen")
    await promote(copy)
    await execute(copy, edited(5, "after promotion"))
    await until(lambda: text_of(plugin, "a5") == "after promotion", "it goes on")
    await until(lambda: text_of(plugin, "a4") is None, "what is gone is believed, as it is no replica any more")
    await until(lambda: plugin.health().listening, "notifications arrive")
    assert plugin.state is State.LIVE
    assert in_memory(plugin) == await in_tables(copy)


async def test_what_was_committed_just_before_promotion_is_seen(url: str, standby: Standby) -> None:
    """A standby does not say which transactions go on; what ends between its last look and its promotion is seen."""
    copy = at(standby, url)
    async with connected(url) as older:
        await older.execute("BEGIN")
        await older.execute(edited(1, "ended at the last moment"))
        await execute(url, edited(2, "younger"))
        await caught_up(url, copy)
        async with Database(copy) as database:
            before = await database.run(repository.get_changes, None, 0)
            await older.execute("COMMIT")
            await caught_up(url, copy)
            await promote(copy)
            found = await database.run(repository.get_changes, before.position, 0)
            assert (before.is_replica, found.is_replica) == (True, False)
            # Nothing is known of the changes: everything is compared.
            assert found.agents is None or 1 in dict(found.agents)


async def test_fault_49_failover_to_a_copy_that_is_some_changes_behind(
    url: str, primary: OwnServer, standby: Standby, make_plugin: MakePlugin
) -> None:
    """The promoted copy lacks what was served already; it is believed at once, and followed from then on."""
    copy = at(standby, url)
    with Proxy(primary.url) as proxy:
        plugin = make_plugin(proxy.url(url), seed=False, poll_interval=0.05, startup_timeout=30)
        await plugin.ready()
        await caught_up(url, copy)
        await execute(copy, "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        await until_found(copy, "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pg_stat_wal_receiver)")
        await execute(
            url, edited(1, "lost"), "UPDATE agents SET revision = revision + 5", "DELETE FROM agents WHERE id = 2"
        )
        await execute(url, "INSERT INTO agents (id, name, variables) VALUES (99, 'lost', '[]')")
        await until(lambda: text_of(plugin, "a1") == "lost" and text_of(plugin, "a2") is None, "it was served")
        proxy.refuse()
        await asyncio.to_thread(primary.kill)
        await until(lambda: plugin.state is State.STALE, "the outage is noticed")
        await promote(copy)
        proxy._target = standby.url
        proxy.open()
        await until(lambda: text_of(plugin, "a1") == "first", "the copy is believed", 20)
        await until(lambda: plugin.state is State.LIVE, "it is followed")
        assert in_memory(plugin) == await in_tables(copy)
        await execute(copy, edited(1, "written anew"))
        await until(lambda: text_of(plugin, "a1") == "written anew", "it goes on")
