"""A fleet of real processes: who follows, who is stopped, who is dead, and who may not say that it is there."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from automagik_prompts.database_url import sqlite_path
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.running.fleet import Fleet, Following
from automagik_prompts.domain.served import State
from automagik_prompts.domain.summaries import Changes
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.following import listening
from automagik_prompts.following.fleet import heartbeat
from automagik_prompts.following.memory import doubt
from automagik_prompts.schema.migrate import downgrade, upgrade
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin, folder_of_a_server
from tests.faults import execute, lines, told
from tests.pooler import PROGRAM, Pooler
from tests.processes import Child, Launcher
from tests.servers import OwnServer, PostgresServer, Standby
from tests.waiting import until

COUNT = 8
TEXTS = {"stan": {"default": "You are Stan."}}
PACE = 0.4
"""Seconds between two signs of life, where a test does not wait for minutes."""


@pytest.fixture
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process that is notified look each second all the same, and not each minute."""
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", 1.0)


@pytest.fixture
def members() -> Iterator[list[Child]]:
    """Processes that end with the test, whatever was done to them."""
    members: list[Child] = []
    yield members
    for member in members:
        member.send_signal(signal.SIGCONT)
        member.hang_up()
    assert {member.close() for member in members} <= {0, None, -signal.SIGKILL}


def started(launcher: Launcher, members: list[Child], url: str, count: int = COUNT, **settings: object) -> list[Child]:
    """Start processes that follow a database."""
    new = [launcher.fork("tests.member:serve", url, TEXTS, settings) for _ in range(count)]
    members += new
    for member in new:
        member.tell("start")
    for member in new:
        member.answer()
    return new


async def fleet_of(url: str) -> Fleet:
    """Return the fleet as any program sees it."""
    async with Database(url) as database:
        return await DatabaseEdits(database).fleet()


async def living(url: str) -> set[int]:
    """Return the process ids of those that count as alive."""
    return {one.pid for one in (await fleet_of(url)).processes if one.is_alive}


async def until_living(url: str, wanted: set[int], seconds: float = 30.0) -> float:
    """Wait until exactly these count as alive, and return how long it took."""
    began = time.monotonic()
    while (found := await living(url)) != wanted:
        assert time.monotonic() - began < seconds, (found, wanted)
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def activate(url: str, version: int, wait: float) -> EditResult:
    """Write the next version, make it the active one, and wait for the fleet."""
    async with Database(url) as database:
        edit = DatabaseEdits(database)
        await edit.create("stan", "default", f"Version {version}.", author="ann")
        return await edit.activate("stan", "default", version, wait=wait)


async def test_who_is_stopped_is_named_in_time(database_url: str, launcher: Launcher, members: list[Child]) -> None:
    """Eight processes take a change and say so at once; one that is stopped is named when the time is over."""
    started(launcher, members, database_url)
    await until_living(database_url, {member.pid for member in members})
    done = await activate(database_url, 2, 30)
    assert done.followers is not None
    assert {one.following for one in done.followers.processes} == {Following.SERVES}
    assert len(done.followers.processes) == COUNT
    stopped = members[3]
    stopped.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    done = await activate(database_url, 3, 8)
    assert 8 <= time.monotonic() - began < 20
    assert done.active_version == 3
    assert done.followers is not None
    assert [(one.process.pid, one.following) for one in done.followers.late] == [(stopped.pid, Following.BEHIND)]
    assert len(done.followers.processes) == COUNT
    stopped.send_signal(signal.SIGCONT)
    stopped.ask("until_version", "stan", "default", 3)
    done = await activate(database_url, 4, 30)
    assert done.followers is not None
    assert not done.followers.late


@pytest.mark.parametrize("pace", [pytest.param(60.0, marks=pytest.mark.soak, id="in full"), pytest.param(PACE)])
async def test_who_is_killed_drops_out(
    database_url: str, launcher: Launcher, members: list[Child], pace: float
) -> None:
    """A dead process counts as alive for two and a half signs of life at most, 150 s; nobody waits for it any more."""
    started(launcher, members, database_url, heartbeat=pace)
    await until_living(database_url, {member.pid for member in members})
    killed = members[0]
    killed.send_signal(signal.SIGKILL)
    took = await until_living(database_url, {member.pid for member in members[1:]}, 180.0)
    assert took <= pace * 2.5 + 30
    (dead,) = [one for one in (await fleet_of(database_url)).processes if not one.is_alive]
    assert dead.pid == killed.pid
    done = await activate(database_url, 2, 30)
    assert done.followers is not None
    assert {one.process.pid for one in done.followers.processes} == {member.pid for member in members[1:]}
    assert not done.followers.late


async def test_who_ends_says_goodbye(database_url: str, launcher: Launcher, members: list[Child]) -> None:
    """A process that is closed, or that ends in order, is gone at once, and what it has sent counts."""
    first, second = started(launcher, members, database_url, 2)
    await until_living(database_url, {first.pid, second.pid})
    for _ in range(3):
        first.ask("run", "stan")
    second.ask("run", "stan")
    first.ask("close")
    await until_living(database_url, {second.pid})
    second.hang_up()
    await until_living(database_url, set())
    assert (await fleet_of(database_url)).processes == ()
    async with Database(database_url) as database:
        sent = await DatabaseEdits(database).usage("stan")
    assert sent["default", 1].recent == 4


async def test_what_a_short_process_has_sent_counts(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """A script that ends before it was ever in the fleet is not in it, and its run counts all the same."""
    registry.declare("stan", {"default": "code"}, where="here")
    async with Database(database_url) as database:
        await DatabaseEdits(database).create("stan", "default", "code", activate=True, new_agent=True, new_status=True)
    for _ in range(3):
        plugin = make_plugin(database_url, startup_timeout=30)
        await plugin.ready()
        await told(plugin, "stan")
        plugin.close()
    assert await sent(database_url) == {1: 3}
    assert (await fleet_of(database_url)).processes == ()


async def test_a_plugin_that_begins_again_is_another_process(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """Closed and started once more it is there again, and what it has sent counts once."""
    registry.declare("stan", {"default": "You are Stan."}, where="here")
    plugin = make_plugin(database_url, startup_timeout=30)
    for count in (1, 2):
        plugin.start()
        await until(lambda: plugin.state is State.LIVE, "it follows")
        await until_living(database_url, {os.getpid()})
        assert await told(plugin, "stan") == "You are Stan."
        await asyncio.to_thread(plugin.close)
        assert (await fleet_of(database_url)).processes == ()
        assert await sent(database_url) == {1: count}


async def test_a_forked_child_is_a_process_of_its_own(
    database_url: str, launcher: Launcher, members: list[Child]
) -> None:
    """Parent and child both say that they are there; the child does not count its parent's runs once more."""
    parent = launcher.fork("tests.member:serve", database_url, TEXTS, {}, spares=1)
    members.append(parent)
    parent.ask("start")
    await until_living(database_url, {parent.pid})
    parent.ask("run", "stan")
    (child,) = parent.forked()
    members.append(child)
    child.ask("run", "stan")
    await until_living(database_url, {parent.pid, child.pid})
    parent.ask("run", "stan")
    parent.ask("close")
    child.ask("close")
    async with Database(database_url) as database:
        sent = await DatabaseEdits(database).usage("stan")
    assert sent["default", 1].recent == 3


async def test_who_was_taken_for_dead_begins_anew(database_url: str, launcher: Launcher, members: list[Child]) -> None:
    """What was summed up while it slept does not count twice, and the process is there again."""
    (member,) = started(launcher, members, database_url, 1, heartbeat=PACE)
    await until_living(database_url, {member.pid})
    member.ask("run", "stan")
    began = time.monotonic()
    while not (await sent(database_url)):
        assert time.monotonic() - began < 30
        await asyncio.sleep(0.05)
    member.send_signal(signal.SIGSTOP)
    await until_living(database_url, set())
    async with Database(database_url) as database:
        ((before,),) = await execute(database_url, "SELECT id FROM prompt_processes")
        await execute(database_url, "DELETE FROM prompt_processes")
        await database.transaction(repository.forget_dead)
    assert await sent(database_url) == {1: 1}
    member.send_signal(signal.SIGCONT)
    member.ask("run", "stan")
    await until_living(database_url, {member.pid})
    while await sent(database_url) != {1: 2}:
        assert time.monotonic() - began < 60, await sent(database_url)
        await asyncio.sleep(0.05)
    ((after,),) = await execute(database_url, "SELECT id FROM prompt_processes")
    assert after != before


async def sent(url: str) -> dict[int, int]:
    """Return to how many runs each version was sent."""
    async with Database(url) as database:
        return {number: one.runs for number, one in (await database.run(repository.get_usage)).items()}


async def test_what_cannot_be_served_is_named(
    database_url: str, registry: Registry, make_plugin: MakePlugin, launcher: Launcher, members: list[Child]
) -> None:
    """A process that has taken the change, and cannot serve the version, does not count as serving it."""
    registry.declare("stan", {"default": "You are Stan. {{name}}"}, where="here")
    plugin = make_plugin(database_url, startup_timeout=30, release="new")
    await plugin.ready()
    old = started(launcher, members, database_url, 1, release="old")[0]
    await until_living(database_url, {os.getpid(), old.pid})
    await plugin.create("stan", "default", "Hello {{name}}, {{name}}.", author="ann")
    latest = max(one.version for one in await plugin.history("stan", "default"))
    done = await plugin.activate("stan", "default", latest, wait=20)
    assert done.followers is not None
    found = {one.process.release: one for one in done.followers.processes}
    assert found["new"].following is Following.SERVES
    assert found["old"].following is Following.REFUSES
    assert "name" in found["old"].reason
    assert [one.process.release for one in done.followers.late] == ["old"]
    assert "cannot serve it: " in str(found["old"])


async def test_a_process_of_some_agents_is_not_waited_for(
    database_url: str, registry: Registry, make_plugin: MakePlugin, launcher: Launcher, members: list[Child]
) -> None:
    """One that follows other agents only serves nothing of this one."""
    started(launcher, members, database_url, 1)
    registry.declare("lea", {"default": "You are Lea."}, where="here")
    plugin = make_plugin(database_url, startup_timeout=30, only=["lea"])
    await plugin.ready()
    await until_living(database_url, {os.getpid(), members[0].pid})
    done = await activate(database_url, 2, 20)
    assert done.followers is not None
    found = {one.process.pid: one.following for one in done.followers.processes}
    assert found == {os.getpid(): Following.APART, members[0].pid: Following.SERVES}
    assert not done.followers.late


async def test_no_sign_of_life_writes_nothing(database_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """With heartbeat=0 a process follows, and says nothing of itself."""
    registry.declare("stan", {"default": "You are Stan."}, where="here")
    plugin = make_plugin(database_url, startup_timeout=30, heartbeat=0)
    await plugin.ready()
    assert (await activate(database_url, 2, 0)).active_version == 2
    await until(lambda: plugin.resolve("stan").version == 2, "it follows")
    assert (await fleet_of(database_url)).processes == ()
    assert plugin.health().unreported is None
    assert not plugin._life.sent.maxlen


@pytest.mark.usefixtures("looking_often")
async def test_a_reader_is_unknown_and_no_error(
    server_folder: Path, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A user who may only read follows; neither side logs a word of it, and the fleet says that one more follows."""
    server = OwnServer(server_folder)
    try:
        url = await asyncio.to_thread(server.create_database)
        async with Database(url) as database:
            await upgrade(database)
        await activate_first(url)
        await execute(
            url,
            "CREATE ROLE reader LOGIN",
            "GRANT SELECT ON agents, prompts, prompt_changes, prompt_events, aerich TO reader",
        )
        parts = urlsplit(url)
        plugin = make_plugin(
            urlunsplit(parts._replace(netloc="reader@")),
            seed=False,
            startup_timeout=30,
            heartbeat=PACE,
            registry=registry,
        )
        await plugin.ready()
        await until(lambda: plugin.health().listening, "notifications arrive")
        await until(lambda: plugin.health().unreported, "it is known that it may not write")
        assert "its user may not write to prompt_processes. Give it SELECT" in (plugin.health().unreported or "")
        for version in (2, 3):
            done = await activate(url, version, 0)
            assert done.followers is not None
            assert (done.followers.processes, done.followers.unknown) == ((), 1)
            await until(lambda version=version: plugin.resolve("stan").version == version, "it follows")  # type: ignore[misc]  # bound now
        assert plugin.state is State.LIVE
        assert (await fleet_of(url)).unknown == 1
        log = (server_folder / "log").read_text(encoding="utf-8")
        assert "prompt_processes" not in log
        assert not [line for line in lines(caplog, 20) if "fleet" in line]
        # What it may write is written: the counts need one more right.
        await execute(url, "GRANT INSERT, UPDATE, SELECT ON prompt_processes TO reader")
        await until(lambda: "prompt_usage" in (plugin.health().unreported or ""), "it is in the fleet")
        await until_living(url, {os.getpid()})
        await execute(
            url,
            "GRANT INSERT, UPDATE, SELECT, DELETE ON prompt_usage TO reader",
            "GRANT USAGE ON prompt_usage_id_seq TO reader",
        )
        await until(lambda: plugin.health().unreported is None, "its runs are counted")
    finally:
        server.stop()


async def activate_first(url: str) -> None:
    """Write an agent with one active version."""
    async with Database(url) as database:
        await DatabaseEdits(database).create(
            "stan", "default", "First.", activate=True, new_agent=True, new_status=True, author="ann"
        )


async def test_a_standby_is_followed_without_a_word(
    server_folder: Path, registry: Registry, make_plugin: MakePlugin
) -> None:
    """Who follows a standby cannot say so, and knows; the standby's log stays clean."""
    primary = OwnServer(server_folder, fsync="off")
    try:
        url = await asyncio.to_thread(primary.create_database)
        async with Database(url) as database:
            await upgrade(database)
        await activate_first(url)
        with folder_of_a_server() as folder:
            standby = await asyncio.to_thread(Standby, primary, folder)
            try:
                copy = urlunsplit(urlsplit(standby.url)._replace(path=urlsplit(url).path))
                plugin = make_plugin(copy, seed=False, startup_timeout=30, heartbeat=PACE, registry=registry)
                await plugin.ready()
                await until(lambda: plugin.health().unreported, "it is known that it cannot write")
                assert "the server is a standby" in (plugin.health().unreported or "")
                assert plugin.state is State.LIVE
                assert "prompt_processes" not in (folder / "log").read_text(encoding="utf-8")
                plugin.close()
            finally:
                await asyncio.to_thread(standby.stop)
    finally:
        primary.stop()


@pytest.mark.skipif(PROGRAM is None, reason="PgBouncer IS MISSING: install the package pgbouncer")
async def test_behind_a_pooler(postgres: PostgresServer, postgres_url: str, launcher: Launcher) -> None:
    """Where each transaction gets another connection, processes say that they are there and follow by polling."""
    members: list[Child] = []
    async with Database(postgres_url) as database:
        await upgrade(database)
    with folder_of_a_server() as folder:
        pooler = Pooler(folder, postgres.url, "transaction")
        try:
            started(launcher, members, pooler.url(postgres_url), 3)
            await until_living(postgres_url, {member.pid for member in members})
            done = await activate(postgres_url, 2, 30)
            assert done.followers is not None
            assert [one.following for one in done.followers.processes] == [Following.SERVES] * 3
            for member in members:
                assert member.ask("health").unreported is None
        finally:
            for member in members:
                member.hang_up()
            assert {member.close() for member in members} <= {0}
            pooler.stop()


async def test_a_locked_file_hinders_nobody(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody else holds the file's lock, a process follows without waiting, and says later that it is there."""
    monkeypatch.setattr(heartbeat, "AGAIN", (0.1, 0.2))
    registry.declare("stan", {"default": "You are Stan."}, where="here")
    plugin = make_plugin(sqlite_url, startup_timeout=30, heartbeat=PACE, poll_interval=0.05)
    await plugin.ready()
    await until_living(sqlite_url, {os.getpid()})
    path = sqlite_path(sqlite_url)
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await until(lambda: plugin.health().unreported, "it cannot say that it is there")
        assert "is locked by another program" in (plugin.health().unreported or "")
        began = time.monotonic()
        looked = plugin.health().snapshot_age or 0.0
        while time.monotonic() - began < 1.0:
            looked = max(looked, plugin.health().snapshot_age or 0.0)
            await asyncio.sleep(0.01)
        assert looked < 1.0  # it looks at the file all the while
        assert plugin.state is State.LIVE
        other.execute("ROLLBACK")
    await until(lambda: plugin.health().unreported is None, "it says that it is there")


@pytest.mark.usefixtures("looking_often")
async def test_an_older_schema_is_followed(postgres_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """A server without the tables is followed as before; when they come, the process is in the fleet by itself."""
    async with Database(postgres_url) as database:
        await upgrade(database)
        await activate_first(postgres_url)
        await downgrade(database, 8)
        plugin = make_plugin(postgres_url, seed=False, startup_timeout=30, heartbeat=PACE, registry=registry)
        await plugin.ready()
        await until(lambda: plugin.health().unreported, "it is known that there is no table")
        assert "Run: automagik-prompts upgrade" in (plugin.health().unreported or "")
        assert plugin.state is State.LIVE
        await upgrade(database)
    await until(lambda: plugin.health().unreported is None, "the tables are there")
    await until_living(postgres_url, {os.getpid()})


async def test_signs_of_life_in_a_file_make_nobody_compare(
    sqlite_url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    launcher: Launcher,
    members: list[Child],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What others say of themselves is a write to the file; all agents are compared for it only now and then."""
    registry.declare("stan", {"default": "You are Stan."}, where="here")
    plugin = make_plugin(sqlite_url, startup_timeout=30, heartbeat=0, poll_interval=0.02)
    await plugin.ready()
    started(launcher, members, sqlite_url, 3, heartbeat=0.1)
    await until_living(sqlite_url, {member.pid for member in members})
    rounds: list[bool] = []
    looked = doubt.Doubt.looked

    def looking(self: doubt.Doubt, found: Changes, *, is_written: bool) -> None:
        before = self.is_raised
        looked(self, found, is_written=is_written)
        if is_written:
            rounds.append(self.is_raised and not before)

    monkeypatch.setattr(doubt, "COMPARE_ANYWAY", float("inf"))
    monkeypatch.setattr(doubt.Doubt, "looked", looking)
    await until(lambda: len(rounds) > 30, "others have written")
    # Each of them tidies up once, which is a write like any other; and a word may come in the middle of a look.
    assert rounds.count(True) < 10
    # A restore that comes in between is found all the same, at the next sign of life.
    monkeypatch.setattr(doubt, "COMPARE_ANYWAY", 0.0)
    rounds.clear()
    await until(lambda: any(rounds), "all agents are compared")


async def test_a_change_is_said_but_not_each_time(
    database_url: str, registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred changes in a row are a few words to the fleet, and the last one is among them."""
    written: list[Any] = []
    said = heartbeat.Heartbeat._said

    def saying(self: heartbeat.Heartbeat, *arguments: Any) -> None:
        written.append(arguments)
        said(self, *arguments)

    monkeypatch.setattr(heartbeat.Heartbeat, "_said", saying)
    monkeypatch.setattr(heartbeat, "REST", 1.0)
    registry.declare("stan", {"default": "You are Stan."}, where="here")
    plugin = make_plugin(database_url, startup_timeout=30, poll_interval=0.02)
    await plugin.ready()
    await until(lambda: written, "it has said that it is there")
    began = time.monotonic()
    for number in range(50):
        await plugin.create("stan", "default", f"Text {number}.", activate=True, author="ann")
    done = await plugin.activate("stan", "default", 20, wait=20)
    assert done.followers is not None
    assert not done.followers.late
    assert len(written) <= 3 + (time.monotonic() - began) / 1.0
