"""Faults 28 to 30: two people at once, a transaction that rolls back, a replica that is behind."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.served import State
from automagik_prompts.editing import commands
from automagik_prompts.exceptions import ConflictError
from automagik_prompts.following.serving import Serving
from automagik_prompts.schema import migrate
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_follows, execute, told
from tests.servers import PostgresServer
from tests.waiting import until


class RefusedError(Exception):
    """What makes a transaction roll back."""


async def test_fault_28_two_people_activate_different_versions(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """On the same assumption one wins, the other gets a conflict that says so, and there is always one active."""
    registry.declare("a", {"default": "first"}, where="here")
    ann, bob = make_plugin(database_url, author="ann"), make_plugin(database_url, author="bob")
    await ann.ready()
    for text in ("second", "third"):
        await ann.create("a", "default", text)
    watched: set[int] = set()
    done = asyncio.Event()

    async def watch() -> None:
        async with Database(database_url) as database:
            while not done.is_set():
                watched.add(await database.run(_count_active))

    watching = asyncio.create_task(watch())
    revision = (await ann.activate("a", "default", 1)).agent.revision
    for _ in range(15):
        results = await asyncio.gather(
            ann.activate("a", "default", 2, expected_revision=revision),
            bob.activate("a", "default", 3, expected_revision=revision),
            return_exceptions=True,
        )
        won = [result for result in results if isinstance(result, EditResult)]
        lost = [result for result in results if isinstance(result, ConflictError)]
        assert (len(won), len(lost)) == (1, 1), results
        assert (lost[0].agent, lost[0].expected, lost[0].actual) == ("a", revision, revision + 1)
        assert "somebody else wrote to it" in lost[0].message
        revision = won[0].agent.revision
        assert [prompt.version for prompt in await ann.history("a") if prompt.is_active] == [won[0].active_version]
    done.set()
    await watching
    assert watched == {1}
    winner = won[0].active_version
    await until(lambda: {plugin.resolve("a").version for plugin in (ann, bob)} == {winner}, "both serve the winner")
    assert winner is not None
    for plugin in (ann, bob):
        assert_follows(plugin, "a", winner)


async def _count_active(db: BaseDBAsyncClient) -> int:
    _, rows = await db.execute_query("SELECT COUNT(*) AS n FROM prompts WHERE is_active = true")
    return int(dict(rows[0])["n"])


async def test_fault_29_activation_that_rolls_back(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """An activation whose transaction rolls back, notification and all, is never served by anybody."""
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("a", "default", "never served")
    if plugin.settings.dialect == "postgres":
        await until(lambda: plugin.health().listening, "notifications arrive")
    served: list[int | None] = []
    take = plugin._life.state.take

    def noting(serving: Serving) -> None:
        if serving.snapshot is not None:
            served.append(serving.snapshot.select("a", None).prompt.version)
        take(serving)

    plugin._life.state.take = noting  # type: ignore[method-assign]  # sees each snapshot, however short it lives
    # The plugin's thread keeps what it was given when it started, so it starts anew.
    plugin.close()
    plugin.start()
    await until(lambda: plugin.state is State.LIVE and served, "it follows again")
    async with Database(database_url) as database:
        agent = await database.run(repository.get_agent, "a")
        assert agent is not None

        async def activate_and_fail(db: BaseDBAsyncClient) -> None:
            # The first statement writes: SQLite lets nobody do so who has read what another one wrote to since.
            await repository.lock_agent(db, agent.id)
            second = await repository.get_version(db, agent.id, "default", 2)
            assert second is not None
            assert await repository.set_prompt_active(db, agent.id, second.id, "default") is not None
            assert (await repository.get_active_prompt(db, agent.id, "default")) is not None
            raise RefusedError

        for _ in range(10):
            with suppress(RefusedError):
                await database.transaction(activate_and_fail)
        # What comes after it and is committed is served: everything before has been seen by then.
        await commands.create(database, "a", "default", "third", activate=True)
    await until(lambda: plugin.resolve("a").version == 3, "the activation that was committed is served")
    assert set(served) == {1, 3}
    assert await told(plugin, "a") == "third"
    assert_follows(plugin, "a", 3)


async def test_fault_30_database_restored_from_a_backup(
    postgres: PostgresServer, postgres_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """An older copy under the database's name, on a server that follows no other, was put there on purpose."""
    async with Database(postgres_url) as database:
        await migrate.upgrade(database)
    registry.declare("a", {"default": "first"}, where="here")
    registry.declare("b", {"default": "first"}, where="here")
    plugin = make_plugin(postgres_url, poll_interval=0.05)
    await plugin.ready()
    backup = await asyncio.to_thread(_copy, postgres, postgres_url)
    try:
        await plugin.create("a", "default", "second", activate=True)
        await asyncio.to_thread(_swap, postgres, postgres_url, backup)
        await until(lambda: plugin.resolve("a").version == 1, "the backup is believed")
        assert_follows(plugin, "a", 1)
        async with Database(postgres_url) as database:
            await commands.create(database, "a", "default", "third", activate=True)
        await until(lambda: plugin.resolve("a").text == "third", "it is followed")
        assert (plugin.state, plugin.health().error) == (State.LIVE, None)
    finally:
        await asyncio.to_thread(postgres.drop_database, backup)


async def test_fault_30_sqlite_file_replaced_by_an_older_one(
    sqlite_url: str, tmp_path: Path, registry: Registry, make_plugin: MakePlugin
) -> None:
    """The same for a file that is put back under a running process, also where all numbers are the same again."""
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(sqlite_url, poll_interval=0.05)
    await plugin.ready()
    await execute(sqlite_url, "PRAGMA wal_checkpoint(TRUNCATE)")
    path, old = tmp_path / "prompts.db", tmp_path / "old.db"
    shutil.copyfile(path, old)
    await plugin.create("a", "default", "second", activate=True)
    _restore(old, path)
    await until(lambda: plugin.resolve("a").version == 1, "the older file is believed")
    assert_follows(plugin, "a", 1)
    await plugin.create("a", "default", "another second", activate=True)
    assert await told(plugin, "a") == "another second"


def _restore(old: Path, path: Path) -> None:
    """Put a backup in the place of a database file, without the log, which belongs to the file that goes."""
    old.replace(path)
    for left in path.parent.glob(f"{path.name}-*"):
        left.unlink()


_numbers = itertools.count()


def _copy(postgres: PostgresServer, url: str) -> str:
    """Make a copy of a database as it stands, cutting its connections, and return the copy's URL."""
    name = urlsplit(url).path.lstrip("/")
    copy = f"{name}_{next(_numbers)}"
    postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    _persistently(postgres, f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')
    for known in (name, copy):
        postgres.execute(f'ALTER DATABASE "{known}" ALLOW_CONNECTIONS true')
    return urlunsplit(urlsplit(url)._replace(path=f"/{copy}"))


def _swap(postgres: PostgresServer, url: str, other: str) -> None:
    """Put another database in the place of one, cutting its connections, as a failover does."""
    name, copy = (urlsplit(each).path.lstrip("/") for each in (url, other))
    postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    _persistently(postgres, f'ALTER DATABASE "{name}" RENAME TO "{name}_away"')
    _persistently(postgres, f'ALTER DATABASE "{copy}" RENAME TO "{name}"')
    _persistently(postgres, f'ALTER DATABASE "{name}_away" RENAME TO "{copy}"')


def _persistently(postgres: PostgresServer, statement: str) -> None:
    """Run a statement that needs a database without connections; ones that were terminated may take a moment to go."""
    for attempt in itertools.count():
        try:
            postgres.execute(statement)
        except Exception:
            if attempt == 50:
                raise
        else:
            return
