"""A database that is restored under processes that follow it: what is there is served soon, later writes at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from automagik_prompts.domain.served import State
from automagik_prompts.following import listening
from automagik_prompts.following.memory.packing import hash_of
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import execute, notification
from tests.schedules import in_memory, in_tables, prepare, text_of
from tests.servers import PostgresServer
from tests.tampering import unkept
from tests.waiting import DEADLINE, until

AGENTS = 2 * repository.SLICE + 50
SLICES = 3
"""Looks after which each agent was compared."""

TABLES = ("prompt_changes", "prompt_events", "prompt_requests", "prompt_drafts", "prompt_bases", "prompts", "agents")
REWRITE = "UPDATE prompts SET prompt_text = '{text}', content_hash = '{hash}', format = '{format}'"
SWITCH = (
    "BEGIN",
    "UPDATE prompts SET is_active = false WHERE agent_id = 7",
    "UPDATE prompts SET is_active = true WHERE agent_id = 7 AND version = 2",
    "COMMIT",
)


def rewritten(text: str, format: str = "text") -> str:
    """Return the statement that gives all versions another text."""
    return REWRITE.format(text=text, hash=hash_of(text), format=format)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the database was looked at."""
    seen: list[float] = []
    get_changes = repository.get_changes

    async def looking(*arguments: Any) -> Any:
        seen.append(time.monotonic())
        return await get_changes(*arguments)

    monkeypatch.setattr(repository, "get_changes", looking)  # counts, and does what it did
    return seen


async def following(make_plugin: MakePlugin, url: str) -> PromptPlugin:
    """Return a plugin that serves all agents of a database, and listens."""
    await prepare(url, AGENTS)
    plugin = make_plugin(url, seed=False, poll_interval=0.1, startup_timeout=30)
    await plugin.ready()
    await until(lambda: plugin.health().listening, "notifications arrive")
    await until_equal(plugin, url)
    return plugin


async def until_equal(plugin: PromptPlugin, url: str) -> None:
    """Wait until the plugin serves, for every agent, what the tables have."""
    deadline = time.monotonic() + DEADLINE
    while in_memory(plugin) != (expected := await in_tables(url)):
        differing = {name: text for name, text in expected.items() if text_of(plugin, name) != text}
        assert time.monotonic() < deadline, (len(differing), sorted(differing.items())[:3])
        await asyncio.sleep(0.02)


Restore = Callable[[PostgresServer, str, Path], None]


def _clean(server: PostgresServer, url: str, dump: Path) -> None:
    server.call("pg_restore", "--clean", "--single-transaction", "-d", url, str(dump))


def _step_by_step(server: PostgresServer, url: str, dump: Path) -> None:
    server.call("pg_restore", "--clean", "-d", url, str(dump))


def _data_alone(server: PostgresServer, url: str, dump: Path) -> None:
    asyncio.run(_emptied(url))
    server.call("pg_restore", "--data-only", "--disable-triggers", "-d", url, str(dump))


async def _emptied(url: str) -> None:
    await execute(url, "SET session_replication_role = replica", f"TRUNCATE {', '.join(TABLES)}")


@pytest.mark.parametrize("restore", [_clean, _step_by_step, _data_alone])
async def test_tables_are_restored_from_a_dump(
    restore: Restore,
    postgres: PostgresServer,
    postgres_url: str,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tables that are made anew, or filled anew, are followed; an activation afterwards is served as ever."""
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", 0.3)
    plugin = await following(make_plugin, postgres_url)
    dump = postgres.folder / f"{postgres_url.rpartition('/')[2].partition('?')[0]}.dump"
    chosen = [argument for table in TABLES for argument in ("-t", table)]
    await asyncio.to_thread(postgres.call, "pg_dump", "-Fc", *chosen, "-f", str(dump), postgres_url)
    await execute(postgres_url, rewritten("second"), "DELETE FROM agents WHERE id = 3")
    await until_equal(plugin, postgres_url)
    await asyncio.to_thread(restore, postgres, postgres_url, dump)
    dump.unlink()
    await until_equal(plugin, postgres_url)
    assert {text_of(plugin, name) for name in ("a1", "a3", f"a{AGENTS}")} == {"first"}
    await until(lambda: plugin.state is State.LIVE, "it is followed")
    await until(lambda: plugin.health().listening, "notifications arrive")
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", 600.0)
    change = "UPDATE prompts SET prompt_text = 'x', content_hash = '' WHERE version = 2"
    await execute(postgres_url, *unkept(postgres_url), change, *SWITCH)
    await until(lambda: text_of(plugin, "a7") == "x", "it is served")


async def test_a_schema_is_dropped_and_restored(
    postgres: PostgresServer, postgres_url: str, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While there are no tables the last known texts are served and it is said; then it is followed again."""
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", 0.3)
    plugin = await following(make_plugin, postgres_url)
    dump = postgres.folder / f"{postgres_url.rpartition('/')[2].partition('?')[0]}.dump"
    await asyncio.to_thread(postgres.call, "pg_dump", "-Fc", "-f", str(dump), postgres_url)
    await execute(postgres_url, rewritten("second"))
    await until_equal(plugin, postgres_url)
    await execute(postgres_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    await until(lambda: plugin.state is State.STALE, "it is noticed")
    assert text_of(plugin, "a1") == "second"
    await asyncio.to_thread(postgres.call, "pg_restore", "-d", postgres_url, str(dump))
    dump.unlink()
    await until_equal(plugin, postgres_url)
    await until(lambda: plugin.state is State.LIVE, "it is followed")
    await until(lambda: plugin.health().listening, "notifications arrive")
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", 600.0)
    change = "UPDATE prompts SET prompt_text = 'x', content_hash = '' WHERE version = 2"
    await execute(postgres_url, *unkept(postgres_url), change, *SWITCH)
    await until(lambda: text_of(plugin, "a7") == "x", "it is served")


@pytest.mark.parametrize("numbers", ["older", "the same"])
async def test_a_backup_that_no_trigger_sees(
    numbers: str, postgres_url: str, make_plugin: MakePlugin, looks: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that go round the log, with all numbers as they were, are found by slices; a change after them at once."""
    plugin = await following(make_plugin, postgres_url)
    backup = [f"CREATE TABLE backup.{table} AS TABLE {table}" for table in TABLES]
    if numbers == "older":
        await execute(postgres_url, "CREATE SCHEMA backup", *backup, rewritten("second"))
        await execute(postgres_url, "UPDATE agents SET revision = revision + 1")
    else:
        # Other texts in another format under the same ids, numbers and revisions.
        other = rewritten("first", "handlebars").replace("prompts", "backup.prompts")
        await execute(postgres_url, rewritten("second"), "CREATE SCHEMA backup", *backup, other)
    await until_equal(plugin, postgres_url)
    await until(lambda: time.monotonic() - looks[-1] > 0.5, "what it was notified of is over")
    before = len(looks)
    await execute(
        postgres_url,
        "SET session_replication_role = replica",
        "BEGIN",
        f"TRUNCATE {', '.join(TABLES)}",
        *(f"INSERT INTO {table} SELECT * FROM backup.{table}" for table in TABLES),
        "COMMIT",
    )
    assert text_of(plugin, "a9") == "second"
    assert len(looks) == before  # nobody was notified
    await execute(postgres_url, rewritten("by version") + " WHERE version = 2", *SWITCH)
    await until(lambda: text_of(plugin, "a7") == "by version", "what is written is served at once")
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", 0.1)
    await execute(postgres_url, *notification(postgres_url))
    await until_equal(plugin, postgres_url)
    seen = len(looks) - before
    assert {text_of(plugin, f"a{number}") for number in range(8, AGENTS + 1)} == {"first"}
    # Those for what was written, twice each as reading begins with a look, and those of one round of slices.
    assert seen <= 2 * (SLICES + 4), seen
    await until(lambda: not plugin.health().problems, "nothing is wrong")
    assert plugin.state is State.LIVE


async def test_a_copy_in_a_databases_place_is_another_one(postgres: PostgresServer, postgres_url: str) -> None:
    """A copy whose tables have the same numbers, on the same server, is told apart: nothing is taken for known."""
    await prepare(postgres_url, 1)
    name = urlsplit(postgres_url).path.lstrip("/")
    copy = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}_copy"))
    await asyncio.to_thread(postgres.execute, f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}"')
    try:
        async with Database(postgres_url) as one, Database(copy) as other:
            before = await one.run(repository.get_changes, None, 0)
            assert (await one.run(repository.get_changes, before.position, 0)).agents == ()
            assert (await other.run(repository.get_changes, before.position, 0)).agents is None
    finally:
        await asyncio.to_thread(postgres.drop_database, copy)
