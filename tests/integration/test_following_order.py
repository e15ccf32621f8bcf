"""What is committed in whatever order, by however many at once, is what is served in the end, and is read once."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest

from automagik_prompts.domain.served import State
from automagik_prompts.domain.summaries import AgentState
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.following import listening
from automagik_prompts.following.loader import Loader
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from benchmarks import many
from tests.conftest import MakePlugin
from tests.faults import assert_follows, execute, notification
from tests.processes import Launcher
from tests.schedules import edited, in_memory, in_tables, pause, prepare, text_of, transaction
from tests.servers import credentials
from tests.waiting import DEADLINE, until

AGENTS = 12
WRITERS = 5


@asynccontextmanager
async def connections(url: str, count: int) -> AsyncIterator[list[Any]]:
    """Give some connections of the driver's, outside the library."""
    opened = [await asyncpg.connect(**credentials(url)) for _ in range(count)]
    try:
        yield opened
    finally:
        for one in opened:
            await one.close()


@pytest.fixture(autouse=True)
def log_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing to be found without the log."""
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", 600.0)
    monkeypatch.setattr(Loader, "_compare_slice", lambda *_: None)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each agent was read by itself, and under 0 how often the database was looked at."""
    counted: Counter[int] = Counter()
    get_states, get_changes = repository.get_states, repository.get_changes

    async def counting(db: Any, ids: Iterable[int]) -> list[AgentState]:
        chosen = sorted(ids)
        counted.update(chosen)
        return await get_states(db, chosen)

    async def looking(*arguments: Any) -> Any:
        counted[0] += 1
        return await get_changes(*arguments)

    monkeypatch.setattr(repository, "get_states", counting)  # counts, and does what it did
    monkeypatch.setattr(repository, "get_changes", looking)
    return counted


async def following(make_plugin: MakePlugin, url: str, agents: int = AGENTS) -> PromptPlugin:
    """Return a plugin that follows a database with some agents, and listens where that can be."""
    await prepare(url, agents)
    plugin = make_plugin(url, seed=False, poll_interval=0.05, startup_timeout=30)
    await plugin.ready()
    if plugin.settings.dialect == "postgres":
        await until(lambda: plugin.health().listening, "notifications arrive")
    return plugin


async def until_equal(plugin: PromptPlugin, url: str, seed: object) -> None:
    """Wait until the plugin serves, for every agent, what the tables have."""
    deadline = time.monotonic() + DEADLINE
    while in_memory(plugin) != (expected := await in_tables(url)):
        assert time.monotonic() < deadline, (seed, in_memory(plugin), expected)
        await asyncio.sleep(0.02)


async def test_commits_out_of_order(postgres_url: str, make_plugin: MakePlugin, reads: Counter[int]) -> None:
    """What began before and ended after a look is seen by the next one, each of them once."""
    plugin = await following(make_plugin, postgres_url)
    async with connections(postgres_url, 3) as (first, second, third):
        await first.execute("BEGIN")
        await first.execute(edited(1, "first writer"))
        await second.execute("BEGIN")
        await second.execute(edited(2, "second writer"))
        await third.execute(edited(3, "third writer"))
        await until(lambda: text_of(plugin, "a3") == "third writer", "the one that began last is seen first")
        assert (text_of(plugin, "a1"), text_of(plugin, "a2")) == ("first", "first")
        await second.execute("COMMIT")
        await until(lambda: text_of(plugin, "a2") == "second writer", "the second one is seen")
        assert text_of(plugin, "a1") == "first"
        await first.execute("COMMIT")
        await until(lambda: text_of(plugin, "a1") == "first writer", "the first one is seen")
    assert_follows(plugin, "a1", 1)
    assert {number: reads[number] for number in range(1, AGENTS + 1) if reads[number]} == {1: 1, 2: 1, 3: 1}


async def test_an_older_transaction_writes_after_a_younger_one(postgres_url: str, make_plugin: MakePlugin) -> None:
    """The same agent's number in the log goes down, and what was written last is served."""
    plugin = await following(make_plugin, postgres_url)
    async with connections(postgres_url, 2) as (older, younger):
        for turn in range(5):
            await older.execute("BEGIN")
            await older.execute("SELECT pg_current_xact_id()")
            await younger.execute(edited(1, f"younger {turn}"))
            await until(lambda turn=turn: text_of(plugin, "a1") == f"younger {turn}", "the younger is seen")  # type: ignore[misc]
            await older.execute(edited(1, f"older {turn}"))
            await older.execute("COMMIT")
            await until(lambda turn=turn: text_of(plugin, "a1") == f"older {turn}", "the older is seen")  # type: ignore[misc]


async def test_a_transaction_that_stays_open_costs_nothing(
    postgres_url: str, make_plugin: MakePlugin, reads: Counter[int]
) -> None:
    """While one is open all the time, each change is read once, and looks without a change read nothing."""
    plugin = await following(make_plugin, postgres_url)
    async with connections(postgres_url, 2) as (idle, writer):
        await idle.execute("BEGIN")
        await idle.execute(edited(AGENTS, "not yet"))
        for turn in range(10):
            for number in (1, 2):
                text = f"{number} in turn {turn}"
                await writer.execute(edited(number, text))
                await until(lambda number=number, text=text: text_of(plugin, f"a{number}") == text, "it is seen")  # type: ignore[misc]
        assert {number for number in reads if number} == {1, 2}
        # Two looks at most may find it: the one for the notification, and another one under way.
        assert reads[1] + reads[2] <= 2 * 20
        before, looks = reads[1] + reads[2], reads[0]
        while reads[0] < looks + 10:
            await execute(postgres_url, *notification(postgres_url))
            await asyncio.sleep(0.02)
        assert reads[1] + reads[2] == before
        await idle.execute("COMMIT")
        await until(lambda: text_of(plugin, f"a{AGENTS}") == "not yet", "it is seen in the end")
    assert (reads[AGENTS], reads[1] + reads[2]) == (1, before)


async def test_what_is_rolled_back_is_never_served(postgres_url: str, make_plugin: MakePlugin) -> None:
    """Neither what a transaction takes back nor what a savepoint does is seen, and what is left of it is."""
    plugin = await following(make_plugin, postgres_url)
    async with connections(postgres_url, 1) as (writer,):
        await writer.execute("BEGIN")
        await writer.execute(edited(1, "taken back"))
        await writer.execute("ROLLBACK")
        await writer.execute("BEGIN")
        await writer.execute("SAVEPOINT one")
        await writer.execute(edited(2, "taken back"))
        await writer.execute("ROLLBACK TO one")
        await writer.execute("SAVEPOINT two")
        await writer.execute(edited(3, "kept"))
        await writer.execute("RELEASE two")
        await writer.execute("COMMIT")
    await until(lambda: text_of(plugin, "a3") == "kept", "what was committed is seen")
    assert (text_of(plugin, "a1"), text_of(plugin, "a2")) == ("first", "first")


@pytest.mark.parametrize("with_an_open_one", [False, True])
async def test_many_transactions_at_once(postgres_url: str, make_plugin: MakePlugin, with_an_open_one: bool) -> None:
    """However many transactions cross, in the end each agent is served as the tables have it."""
    seed = random.randrange(10**6)
    print("seed", seed)
    plugin = await following(make_plugin, postgres_url)

    async def write(connection: Any, chance: random.Random) -> None:
        for _ in range(25):
            await connection.execute("BEGIN")
            try:
                for statement in transaction(chance, AGENTS):
                    await connection.execute(statement)
                    await pause(chance)
            except asyncpg.PostgresError:  # such as a deadlock, or an agent that somebody else deletes
                await connection.execute("ROLLBACK")

    async with connections(postgres_url, WRITERS + 1) as (idle, *writers):
        if with_an_open_one:
            await idle.execute("BEGIN")
            await idle.execute("SELECT pg_current_xact_id()")
        await asyncio.gather(*(write(one, random.Random(seed + place)) for place, one in enumerate(writers)))
        await until_equal(plugin, postgres_url, seed)


async def test_many_processes_at_once_in_a_file(sqlite_url: str, make_plugin: MakePlugin, launcher: Launcher) -> None:
    """The same for processes that write to a file."""
    seed = random.randrange(10**6)
    print("seed", seed)
    plugin = await following(make_plugin, sqlite_url)
    path = sqlite_url.partition("://")[2]
    writers = [launcher.fork("tests.schedules:write", path, seed + place, 40, AGENTS) for place in range(4)]
    try:
        for writer in writers:
            assert await asyncio.to_thread(writer.answer) == "written"
    finally:
        for writer in writers:
            writer.close()
    await until_equal(plugin, sqlite_url, seed)


@pytest.mark.parametrize("agents", [20, 2_000])
async def test_fault_69_a_change_costs_what_it_changes(
    database_url: str, make_plugin: MakePlugin, reads: Counter[int], agents: int, tmp_path: Path
) -> None:
    """However many prompts are active, an activation makes a process read one agent and write one line to disk."""
    await many.fill(database_url, agents)
    cache = tmp_path / "kept"
    plugin = make_plugin(database_url, poll_interval=0.05, seed=False, cache_dir=cache, startup_timeout=30)
    await plugin.ready()
    await until(lambda: plugin.state is State.LIVE, "everything is read")
    await until(lambda: cache.is_dir() and [*cache.iterdir()], "the file is there")
    (journal,) = await asyncio.to_thread(lambda: [*cache.iterdir()])
    await until(lambda: journal.read_bytes().count(b"\n") == agents + 1, "everything is kept")
    reads.clear()
    before = journal.stat().st_size
    async with Database(database_url) as database:
        await DatabaseEdits(database).create("agent-7", "default", "Another text.", activate=True, format="text")
    await until(lambda: plugin.resolve("agent-7").version == 2, "it is served")
    await until(lambda: journal.read_bytes().count(b"\n") == agents + 2, "it is kept")
    assert {number for number in reads if number} == {8}
    assert journal.stat().st_size - before < 300
