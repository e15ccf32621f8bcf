"""Faults 48, 50 and 65: a database that is put back or goes missing, more than a link carries, and cold starts."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source, State
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.following import loader
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_follows, told
from tests.proxy import Proxy
from tests.waiting import until

CODE = "From code."
PERSON = "From a person."


async def edited(url: str, agent: str, text: str) -> None:
    """Write and activate a version in another process' way."""
    async with Database(url) as database:
        await DatabaseEdits(database).create(agent, "default", text, activate=True, new_agent=True, new_status=True)


def copied(source: Path, target: Path) -> None:
    """Write all of one database file into another one, as SQLite's own backup does, while others have it open."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target, timeout=10)) as other:
        one.backup(other)


def removed(path: Path) -> None:
    """Remove a database file with its log."""
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()


@pytest.mark.parametrize("way_on", ["put back", "anew"])
async def test_fault_48_started_while_the_file_is_missing(
    sqlite_url: str, tmp_path: Path, registry: Registry, make_plugin: MakePlugin, way_on: str
) -> None:
    """Where disk has what code does not, a missing file is an outage; the message names both ways on, and both work."""
    registry.declare("a", {"default": CODE}, where="here")
    first = make_plugin(sqlite_url)
    await first.create("a", "default", PERSON, activate=True)
    first.close()
    path, away = tmp_path / "prompts.db", tmp_path / "away.db"
    copied(path, away)
    removed(path)
    plugin = make_plugin(sqlite_url, poll_interval=0.05)
    await plugin.ready()
    assert await told(plugin, "a") == PERSON
    await until(lambda: plugin.state is State.STALE, "the file is known to be missing")
    health = plugin.health()
    assert health.error is not None
    assert "Put it back" in health.error
    assert "automagik-prompts upgrade" in health.error
    assert plugin.explain("a").source is Source.DISK
    assert not path.exists()
    if way_on == "put back":
        away.rename(path)
        await until(lambda: plugin.state is State.LIVE, "it is followed")
        assert_follows(plugin, "a", 2)
        assert await told(plugin, "a") == PERSON
    else:
        async with Database(sqlite_url) as database:
            await upgrade(database)
        await until(lambda: plugin.state is State.LIVE, "it is followed")
        await until(lambda: plugin.resolve("a").version == 1, "the code's text is its first version")
        assert await told(plugin, "a") == CODE


async def test_fault_48_nothing_is_lost_where_disk_has_what_code_has(
    sqlite_url: str, tmp_path: Path, registry: Registry, make_plugin: MakePlugin
) -> None:
    """Where nobody has written anything a missing file is made anew, as at the very first start."""
    registry.declare("a", {"default": CODE}, where="here")
    first = make_plugin(sqlite_url)
    await first.ready()
    await until(lambda: first.resolve("a").version == 1, "it is written")
    first.close()
    removed(tmp_path / "prompts.db")
    plugin = make_plugin(sqlite_url)
    await plugin.ready()
    await until(lambda: plugin.state is State.LIVE, "it begins anew")
    assert (tmp_path / "prompts.db").exists()
    assert_follows(plugin, "a", 1)


async def test_fault_48_restored_with_the_same_numbers(
    sqlite_url: str, tmp_path: Path, registry: Registry, make_plugin: MakePlugin
) -> None:
    """A backup is restored into the open file and written to at once, so that all numbers are what they were."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(sqlite_url, poll_interval=0.05)
    await plugin.ready()
    path, backup, other = tmp_path / "prompts.db", tmp_path / "backup.db", tmp_path / "other.db"
    copied(path, backup)
    await edited(sqlite_url, "a", PERSON)
    await until(lambda: plugin.resolve("a").version == 2, "it is served")
    copied(backup, other)
    await edited(f"sqlite://{other}", "a", "Another person's.")
    await asyncio.to_thread(copied, other, path)
    await until(lambda: plugin.resolve("a").text == "Another person's.", "what was restored is served")
    assert_follows(plugin, "a", 2)
    await asyncio.to_thread(copied, backup, path)
    await until(lambda: plugin.resolve("a").version == 1, "an older state is served too")
    await edited(sqlite_url, "a", "After that.")
    await until(lambda: plugin.resolve("a").text == "After that.", "and what is written then")
    assert_follows(plugin, "a", 2)


async def filled(url: str, agents: int, length: int) -> None:
    """Write agents that only the database knows, each with one long text."""
    async with Database(url) as database:
        await upgrade(database)
        edits = DatabaseEdits(database)
        for number in range(agents):
            text = f"{number} " * (length // 6)
            await edits.create(f"only-{number:03}", "default", text, format="text", activate=True, new_agent=True)


async def test_fault_50_more_than_a_link_carries_in_time(
    proxy: Proxy, postgres_url: str, registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is kept from attempt to attempt, so that a slow link ends in `live`; code's agents come first."""
    await filled(postgres_url, agents=60, length=100_000)
    registry.declare("a", {"default": CODE}, where="here")
    # A tenth of the real one, as are the link and what is read.
    monkeypatch.setattr(loader, "OPERATION_TIMEOUT", 1.0)
    proxy.narrow(1_000_000)
    plugin = make_plugin(proxy.url(postgres_url), startup_timeout=5, poll_interval=0.2)
    began = time.monotonic()
    await plugin.ready()
    assert await told(plugin, "a") == CODE
    await until(lambda: plugin.state is State.LIVE, "everything is read", 60)
    assert time.monotonic() - began > 3  # it does not fit in one attempt
    assert plugin.resolve("only-059").text.startswith("59 59 ")
    await edited(postgres_url, "only-007", "Short.")
    await until(lambda: plugin.resolve("only-007").text == "Short.", "it is followed")


async def test_fault_65_an_agent_that_only_the_database_knows(
    proxy: Proxy, postgres_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """While it is being read a run waits within its bound, then says so, and is served as soon as it is there."""
    await filled(postgres_url, agents=40, length=100_000)
    registry.declare("a", {"default": CODE}, where="here")
    proxy.narrow(1_500_000)
    plugin = make_plugin(proxy.url(postgres_url), startup_timeout=0.6)
    with pytest.raises(NoActivePromptError, match="has not been read to its end"):
        await told(plugin, "only-039")
    assert plugin.state is State.STARTING
    assert not plugin.health().ready or plugin.health().agents < 41
    await until(lambda: plugin.state is State.LIVE, "everything is read", 60)
    assert (await told(plugin, "only-039")).startswith("39 39 ")
