"""Fault 46: a connection pooler between a process and its server, which gives each transaction another connection."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import downgrade, upgrade
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.listener import Listener, UndeliveredError
from tests.acceptance.commands import REPOSITORY, environment, run
from tests.conftest import MakePlugin, folder_of_a_server
from tests.faults import assert_follows, assert_silent, lines, told
from tests.pooler import PROGRAM, Mode, Pooler
from tests.processes import Launcher
from tests.proxy import PASSWORD
from tests.servers import PostgresServer
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="PgBouncer IS MISSING, so nothing is known about poolers: install the package pgbouncer"
)

ROUNDS = 30
SERVED_WITHIN = 4.0
"""Seconds within which a change must be found by polling each second, on a busy machine."""

NEVER = 600.0
"""Seconds between two looks where only a notification can bring a change in time."""


@contextmanager
def pooling(server: PostgresServer, mode: Mode) -> Iterator[Pooler]:
    """Start a pooler in front of a server and end it."""
    with folder_of_a_server() as folder:
        pooler = Pooler(folder, server.url, mode)
        try:
            yield pooler
        finally:
            pooler.stop()


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer) -> Iterator[Pooler]:
    """A pooler that gives each transaction another connection."""
    with pooling(postgres, "transaction") as pooler:
        yield pooler


@pytest.fixture(scope="module")
def session_pooler(postgres: PostgresServer) -> Iterator[Pooler]:
    """A pooler that keeps a connection for whoever has it."""
    with pooling(postgres, "session") as pooler:
        yield pooler


@pytest.fixture
async def ready_url(postgres_url: str) -> str:
    """A database with the schema of this release, past any pooler."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    return postgres_url


@pytest.mark.parametrize("options", ["", "?statement_cache_size=0"], ids=["no option", "no cache"])
async def test_fault_46_every_write_works(
    pooler: Pooler,
    postgres_url: str,
    options: str,
    tmp_path: Path,
    make_plugin: MakePlugin,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """Upgrades, seeding and all edits work, from several connections at once, whatever the URL says of statements."""
    url = pooler.url(postgres_url, options)
    async with Database(url) as database:
        assert len(await upgrade(database)) > 1
        await downgrade(database, 1)
        assert len(await upgrade(database)) > 1
    plugins = []
    for name in ("a", "b", "c"):
        registry = Registry()
        registry.declare(name, {"default": f"{name} from code"}, where="here")
        plugins.append(make_plugin(url, registry=registry, cache_dir=tmp_path / name, startup_timeout=30))

    async def write(plugin: PromptPlugin, name: str) -> None:
        await plugin.ready()
        for number in range(ROUNDS):
            version = 2 + number
            done = await plugin.create(name, "default", f"{name} {number}", author="ann", activate=True)
            assert done.active_version == version
            assert (await plugin.rollback(name, "default")).active_version == version - 1
            assert (await plugin.activate(name, "default", version)).active_version == version

    began = time.monotonic()
    await asyncio.gather(*(write(plugin, name) for plugin, name in zip(plugins, "abc", strict=True)))
    record_property("measured", f"{ROUNDS * 9} writes in {time.monotonic() - began:.1f} s")
    for plugin, name in zip(plugins, "abc", strict=True):
        assert await told(plugin, name) == f"{name} {ROUNDS - 1}"
        assert plugin.state is State.LIVE
    assert [line for line in lines(caplog, logging.WARNING) if "A pooler stands between" not in line] == []


async def test_fault_46_changes_are_found_by_polling(
    pooler: Pooler,
    ready_url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    launcher: Launcher,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """No notification comes through, so none is believed in: the interval is short, and all that tells says why."""
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(pooler.url(ready_url), startup_timeout=30)
    await plugin.ready()
    await until(lambda: plugin.health().unheard, "it is known that notifications do not arrive")
    health = plugin.health()
    assert (health.ready, health.state, health.error, health.listening) == (True, State.LIVE, None, False)
    assert "found by polling every 1 s. Give AUTOMAGIK_PROMPTS_LISTEN_URL" in (health.unheard or "")
    assert plugin.explain("a").notes == (health.unheard,)
    assert lines(caplog, logging.WARNING) == [health.unheard]
    took = []
    with launcher.fork("tests.member:serve", pooler.url(ready_url), {"a": {"default": "first"}}) as writer:
        for version in (2, 3, 4):
            assert writer.ask("create_and_activate", "a", "default", f"version {version}") == version
            committed = writer.ask("last_commit")
            await until(lambda version=version: plugin.resolve("a").version == version, "it is served", SERVED_WITHIN)  # type: ignore[misc]  # bound now
            took.append(time.monotonic() - committed)
            assert await told(plugin, "a") == f"version {version}"
    record_property("measured", f"served {max(took) * 1000:.0f} ms after the commit, at most, by polling each second")


async def test_fault_46_ones_own_notification_proves_nothing(pooler: Pooler, ready_url: str) -> None:
    """The pooler delivers what was sent on the listening connection, and nothing that was sent on another."""
    url = pooler.url(ready_url)
    listener = await Listener.connect(url, 5, lambda _payload: None, lambda: None)
    try:
        assert not listener.is_direct
        await listener.prove(5, limit=1.0)
        with pytest.raises(UndeliveredError):
            await listener.prove(2, limit=1.0, sender=url)
    finally:
        listener.terminate()


def test_fault_46_doctor_says_why(pooler: Pooler, ready_url: str, tmp_path: Path) -> None:
    """The command finds the pooler, says what it costs and names both ways out; with a direct way all is well."""
    doctor = [sys.executable, "-m", "automagik_prompts", "doctor"]
    more = {"PYTHONPATH": str(REPOSITORY), "AUTOMAGIK_PROMPTS_DATABASE_URL": pooler.url(ready_url), "COLUMNS": "400"}
    said = run(*doctor, cwd=tmp_path, env=environment(tmp_path, **more))
    assert re.search(r"warning +notifications: A pooler stands between this process and the server", said)
    assert "Give AUTOMAGIK_PROMPTS_LISTEN_URL a direct way to the server, or use the pooler in session mode." in said
    said = run(*doctor, cwd=tmp_path, env=environment(tmp_path, **more, AUTOMAGIK_PROMPTS_LISTEN_URL=ready_url))
    assert "notifications: delivered; changes are seen at once" in said


async def _assert_served_at_once(plugin: PromptPlugin, launcher: Launcher, url: str) -> None:
    """Make sure that a process which looks hardly ever by itself sees what another one activates."""
    await plugin.ready()
    await until(lambda: plugin.health().listening, "notifications arrive")
    assert plugin.health().unheard is None
    with launcher.fork("tests.member:serve", url, {"a": {"default": "first"}}) as writer:
        assert writer.ask("create_and_activate", "a", "default", "second") == 2
    await until(lambda: plugin.resolve("a").version == 2, "it is served", SERVED_WITHIN)
    assert await told(plugin, "a") == "second"
    assert_follows(plugin, "a", 2)


async def test_fault_46_listening_past_the_pooler(
    pooler: Pooler, ready_url: str, registry: Registry, make_plugin: MakePlugin, launcher: Launcher
) -> None:
    """With a direct way to listen at, changes that were written through the pooler are seen at once."""
    registry.declare("a", {"default": "first"}, where="here")
    url = pooler.url(ready_url)
    plugin = make_plugin(url, listen_url=ready_url, poll_interval=NEVER, startup_timeout=30)
    await _assert_served_at_once(plugin, launcher, url)


async def test_fault_46_session_mode(
    session_pooler: Pooler, ready_url: str, registry: Registry, make_plugin: MakePlugin, launcher: Launcher
) -> None:
    """A pooler that keeps a connection for whoever has it delivers notifications, and they are believed in."""
    registry.declare("a", {"default": "first"}, where="here")
    url = session_pooler.url(ready_url)
    plugin = make_plugin(url, poll_interval=NEVER, startup_timeout=30)
    await _assert_served_at_once(plugin, launcher, url)


@pytest.mark.parametrize("wrong", ["the pooler again", "another database", "nobody there"])
async def test_fault_46_listening_at_the_wrong_place(
    pooler: Pooler,
    ready_url: str,
    postgres: PostgresServer,
    registry: Registry,
    make_plugin: MakePlugin,
    caplog: pytest.LogCaptureFixture,
    wrong: str,
) -> None:
    """Where the second way does not do what it is for, that is said by its name, and polling goes on."""
    listen_url, words = {
        "the pooler again": (pooler.url(ready_url), "A pooler stands between AUTOMAGIK_PROMPTS_LISTEN_URL and the ser"),
        "another database": (postgres.url, "It must name the same database of the same server"),
        "nobody there": (f"postgresql://postgres:{PASSWORD}@127.0.0.1:1/x", "cannot be listened at (ConnectionRefused"),
    }[wrong]
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(pooler.url(ready_url), listen_url=listen_url, startup_timeout=30)
    await plugin.ready()
    await until(lambda: plugin.health().unheard, "it is known that notifications do not arrive")
    assert words in (plugin.health().unheard or "")
    assert not plugin.health().listening
    await make_plugin(ready_url, registry=Registry(), seed=False).create("a", "default", "second", activate=True)
    await until(lambda: plugin.resolve("a").version == 2, "it is served", SERVED_WITHIN)
    assert_silent(caplog, PASSWORD)
