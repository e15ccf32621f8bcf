"""Faults 10, 12, 13, 14 and 22: many processes, forked, of two releases, cold, all at once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest

from automagik_prompts.database_url import sqlite_path
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.following import listening
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.schema.migrations import all_migrations
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_followed, execute
from tests.launcher import MAX_CONNECTIONS
from tests.processes import Child, Launcher
from tests.servers import OwnServer, credentials
from tests.waiting import DEADLINE, until

CODE = "From code, zebra."
TEXTS = {"a": {"default": CODE}}
WORKERS = 4
AT_ONCE = 50
COLD = 100
CONNECTIONS = 20


def _fork(
    launcher: Launcher, members: list[Child], url: str, *, count: int = 1, text: str = CODE, spares: int = 0
) -> list[Child]:
    """Fork members of a fleet, to be closed with the others."""
    texts = {"a": {"default": text}}
    new = [launcher.fork("tests.member:serve", url, texts, spares=spares) for _ in range(count)]
    members += new
    return new


@pytest.fixture
def members() -> Iterator[list[Child]]:
    """Processes that end with the test."""
    members: list[Child] = []
    yield members
    for member in members:
        member.hang_up()
    assert {member.close() for member in members} <= {0, None}


def _all_at_once(members: Sequence[Child], name: str, *arguments: object) -> list[Any]:
    for member in members:
        member.tell(name, *arguments)
    return [member.answer() for member in members]


def _assert_all_serve(members: Sequence[Child], version: int, text: str) -> None:
    _all_at_once(members, "until_version", "a", "default", version)
    _all_at_once(members, "until_well")  # what they wrote beside one another may have to be tried again
    for member in members:
        assert member.ask("run", "a") == text
        assert_followed(member.ask("explain", "a"), member.ask("health"), version)


def _complaints(members: Sequence[Child]) -> list[str]:
    return [line for member in members for level, line in member.ask("lines") if level != "INFO"]


def test_fault_10_prefork(database_url: str, launcher: Launcher, members: list[Child]) -> None:
    """Workers forked from a started master serve at once and follow, and so does the master; also when it has gone."""
    (master,) = _fork(launcher, members, database_url, spares=WORKERS)
    master.ask("start")
    master.ask("until_state", "live")
    workers = master.forked()
    members += workers
    for worker in workers:
        before = worker.ask("health")
        # Nothing is followed before the first use; what the master read is served all the same, and its age is known.
        assert (before.ready, before.state, before.listening) == (True, State.STARTING, False)
        assert before.snapshot_age is not None
        assert worker.ask("resolve", "a") == (1, "database", CODE)
    _all_at_once(workers, "until_state", "live")
    with launcher.fork("tests.member:serve", database_url, TEXTS) as writer:
        assert writer.ask("create_and_activate", "a", "default", "second") == 2
    _assert_all_serve([*workers, master], 2, "second")

    # The master, then the only other one who has the database open, ends its part: what is the workers' stays.
    master.ask("close")
    assert master.ask("health").state is State.STALE
    with launcher.fork("tests.member:serve", database_url, TEXTS) as writer:
        assert writer.ask("create_and_activate", "a", "default", "third") == 3
    _assert_all_serve(workers, 3, "third")
    assert _complaints([*workers, master]) == []
    if (path := sqlite_path(database_url)) is not None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_fault_10_forked_at_any_moment(database_url: str, launcher: Launcher, members: list[Child]) -> None:
    """Forking again and again while the master's thread is reading leaves no lock held, no worker blind."""
    (writer,) = _fork(launcher, members, database_url)
    master = launcher.fork("tests.member:serve", database_url, TEXTS, {"poll_interval": 0.01}, spares=8)
    members.append(master)
    master.ask("start")
    master.ask("until_state", "live")
    writer.tell("create_many", "a", "default", 30)
    workers = master.forked()
    members += workers
    _all_at_once(workers, "resolve", "a")
    latest = writer.answer()
    _assert_all_serve([*workers, master], latest, f"text {latest}")
    assert _complaints([*workers, master]) == []


def test_fault_64_forked_beside_busy_writers(sqlite_url: str, launcher: Launcher, members: list[Child]) -> None:
    """Workers forked again and again while two others write, and while the master itself waits to write, all follow."""
    (master,) = _fork(launcher, members, sqlite_url, spares=MAX_CONNECTIONS - 1)
    master.ask("start")
    master.ask("until_state", "live")
    path = sqlite_path(sqlite_url)
    assert path is not None
    writers = [launcher.fork("tests.writers:keep_busy", str(path)) for _ in range(2)]
    # It waits for its turn to write when it is forked for the first time.
    master.ask("declare_and_until_written", "b", "another text")
    workers = master.forked()
    members += workers
    _all_at_once(workers, "resolve", "a")
    for writer in writers:
        writer.close()
    assert master.ask("create_and_activate", "a", "default", "second") == 2
    _assert_all_serve([*workers, master], 2, "second")
    assert not [line for line in _complaints([*workers, master]) if "no agent of this process" not in line]


def test_fault_10_forked_while_the_file_cannot_be_let_go(
    sqlite_url: str, launcher: Launcher, members: list[Child]
) -> None:
    """A worker that could not follow safely says so, and serves what was read before."""
    # The master's write waits longer for the other one than a fork does.
    (master,) = _fork(launcher, members, f"{sqlite_url}?busy_timeout=30000", spares=1)
    master.ask("start")
    master.ask("until_state", "live")
    path = sqlite_path(sqlite_url)
    assert path is not None
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        master.ask("declare_and_until_written", "b", "another text")
        (worker,) = master.forked()
    members.append(worker)
    assert worker.ask("run", "a") == CODE
    health = worker.ask("health")
    assert (health.ready, health.state) == (True, State.STALE)
    assert "forked" in health.error
    assert "forked" in worker.ask("explain", "a").error
    (line,) = [line for line in _complaints([worker]) if "no agent of this process" not in line]
    assert "Start this worker again" in line
    # The master goes on as before.
    assert master.ask("create_and_activate", "a", "default", "second") == 2
    assert master.ask("health").state is State.LIVE
    assert worker.ask("run", "a") == CODE


async def test_fault_12_old_and_new_code_side_by_side(
    database_url: str, launcher: Launcher, members: list[Child]
) -> None:
    """Both releases serve the newer text, then a person's; however often they start, nothing is written twice."""

    def started(text: str) -> Child:
        (member,) = _fork(launcher, members, database_url, text=text)
        member.ask("start")
        member.ask("until_state", "live")
        return member

    async def written() -> list[tuple[object, ...]]:
        return await execute(database_url, "SELECT action, version, author FROM prompt_events ORDER BY id")

    old, new = "text of the old release", "text of the new release"
    running = [started(old)]
    assert running[0].ask("run", "a") == old
    running.append(started(new))
    _assert_all_serve(running, 2, new)
    history = await written()
    assert history == [
        ("created", 1, "code"),
        ("activated", 1, "code"),
        ("created", 2, "code"),
        ("activated", 2, "code"),
    ]

    # Processes of both releases start again in any order, as in a deploy that takes its time.
    for text in (old, new, old, old, new):
        running.append(started(text))
        _assert_all_serve(running, 2, new)
    assert await written() == history

    assert running[0].ask("create_and_activate", "a", "default", "decided by ann") == 3
    _assert_all_serve(running, 3, "decided by ann")
    running += [started(old), started(new)]
    _assert_all_serve(running, 3, "decided by ann")
    assert await written() == [*history, ("created", 3, "ann"), ("activated", 3, "ann")]
    assert await execute(database_url, "SELECT COUNT(*) FROM prompts") == [(3,)]
    assert _complaints(running) == []


async def test_fault_13_fifty_processes_upgrade_an_empty_database(
    empty_url: str, launcher: Launcher, members: list[Child], record_property: Callable[[str, object], None]
) -> None:
    """One of them applies every step, all fifty succeed, and the schema is complete."""
    fleet = _fork(launcher, members, empty_url, count=AT_ONCE)
    began = time.monotonic()
    applied = _all_at_once(fleet, "upgrade_alone")
    record_property("measured", f"{AT_ONCE} processes were done after {time.monotonic() - began:.1f} s")
    assert sorted(map(len, applied)) == [0] * (AT_ONCE - 1) + [len(all_migrations())]
    ((recorded,),) = await execute(empty_url, "SELECT COUNT(*) FROM aerich WHERE app = 'automagik_prompts'")
    assert recorded == len(all_migrations())
    _all_at_once(fleet[:WORKERS], "start")
    _assert_all_serve(fleet[:WORKERS], 1, CODE)
    assert _complaints(fleet) == []


async def test_fault_14_fifty_processes_declare_the_same_constant(
    database_url: str, launcher: Launcher, members: list[Child], record_property: Callable[[str, object], None]
) -> None:
    """One version results, activated once, and every process knows it."""
    fleet = _fork(launcher, members, database_url, count=AT_ONCE)
    began = time.monotonic()
    done = _all_at_once(fleet, "seed_alone")
    record_property("measured", f"{AT_ONCE} processes were done after {time.monotonic() - began:.1f} s")
    assert sorted(done) == [[]] * (AT_ONCE - 1) + [["created"]]
    rows = await execute(database_url, "SELECT version, is_active FROM prompts")
    assert [(version, bool(active)) for version, active in rows] == [(1, True)]
    assert await execute(database_url, "SELECT action FROM prompt_events ORDER BY id") == [("created",), ("activated",)]
    assert await execute(database_url, "SELECT COUNT(*) FROM agents") == [(1,)]
    _all_at_once(fleet[:WORKERS], "start")
    _assert_all_serve(fleet[:WORKERS], 1, CODE)


async def test_what_is_under_way_ends_before_the_connection_is_given_back(
    postgres_url: str, registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where connections become short while somebody edits, the edit is done, and on the connection it began with."""
    monkeypatch.setattr(listening, "CROWD_INTERVAL", 0.1)
    async with Database(postgres_url) as database:
        await upgrade(database)
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(postgres_url, startup_timeout=30)
    await plugin.ready()
    await until(lambda: plugin.health().listening, "notifications arrive")
    holder = await asyncpg.connect(**credentials(postgres_url))
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE aerich IN ACCESS EXCLUSIVE MODE")  # an edit looks at the schema first
            edit = asyncio.create_task(plugin.create("a", "default", "second", activate=True))
            await _until_waiting(holder)
            monkeypatch.setattr(listening, "CROWDED", 0.0)
            await until(lambda: not plugin.health().listening, "the process gives its connections back")
            assert not edit.done()
    finally:
        await holder.close()
    assert (await edit).active_version == 2
    await until(lambda: plugin.resolve("a").version == 2, "it is served")
    assert plugin.state is State.LIVE


async def _until_waiting(connection: Any) -> None:
    waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(DEADLINE):
        while await connection.fetchval(waiting) == 0:  # noqa: ASYNC110  # the event happens in the server
            await asyncio.sleep(0.01)


@pytest.fixture
def small_server(server_folder: Path) -> Iterator[OwnServer]:
    """A server that allows 20 connections."""
    server = OwnServer(server_folder, max_connections=CONNECTIONS, fsync="off")
    yield server
    server.stop()


def test_fault_22_hundred_cold_processes_against_twenty_connections(
    small_server: OwnServer,
    launcher: Launcher,
    members: list[Child],
    record_property: Callable[[str, object], None],
) -> None:
    """All serve a text at once, all follow soon, and all see an activation; nobody keeps what others need."""
    url = small_server.create_database()

    async def prepare() -> None:
        async with Database(url) as database:
            await upgrade(database)

    asyncio.run(prepare())
    fleet = _fork(launcher, members, url, count=COLD)
    began = time.monotonic()
    served = set(_all_at_once(fleet, "start_and_resolve", "a"))
    first = time.monotonic() - began
    assert served <= {(1, "database", CODE), (None, "code", CODE)}
    _all_at_once(fleet, "until_state", "live", 60)
    live = time.monotonic() - began
    (writer,) = _fork(launcher, members, url)
    assert writer.ask("create_and_activate_patiently", "a", "default", "second") == 2
    began = time.monotonic()
    _all_at_once(fleet, "until_version", "a", "default", 2, 60)
    record_property(
        "measured",
        f"{COLD} processes served a text after {first:.1f} s, followed after {live:.1f} s, and served an activation "
        f"after {time.monotonic() - began:.1f} s",
    )
    assert set(_all_at_once(fleet[:WORKERS], "run", "a")) == {"second"}
    assert {explained.version for explained in _all_at_once(fleet, "explain", "a")} == {2}
    for health in _all_at_once(fleet, "health"):
        assert (health.ready, health.state) == (True, State.LIVE)
        assert health.snapshot_age is not None
        assert health.snapshot_age < 30
    for member in fleet:
        # A process tells that it begins without the database and why, and that it is over; on a busy machine one may
        # lose it once more for a while, and tells that too.
        *before, last = [level for level, _ in member.ask("lines")]
        assert last == "INFO"
        assert before in ([], ["WARNING"], ["WARNING", "WARNING"], ["WARNING", "INFO", "WARNING"])
