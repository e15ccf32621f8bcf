"""Faults 3 to 6: a process starts while the database is unreachable, jammed or empty; and what a run may cost then."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source, State
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.schema.migrations import all_migrations
from automagik_prompts.storage.database import Database
from tests.conftest import ENGINES, MakePlugin
from tests.faults import assert_follows, assert_silent, execute, lines, locked, told
from tests.processes import ROOT
from tests.proxy import PASSWORD, Proxy
from tests.ticking import TICK, Ticker
from tests.waiting import until

CODE = "Text from code: zebra."
ACTIVE = "Text from a person: okapi."
STARTUP_TIMEOUT = 1.5
MARGIN = 1.0
ATTEMPTS = 5
"""Times that something is measured which must hold at least once: other processes can hold up a machine, but code that
waits where it must not does so every time."""


@dataclass(frozen=True)
class Outage:
    """A database that does not serve.

    Attributes:
        url: Its URL.
        end: Ends the outage.
    """

    url: str
    end: Callable[[], object]


async def _upgraded(url: str) -> None:
    async with Database(url) as database:
        await upgrade(database)


@pytest.fixture(params=ENGINES)
def refusing(request: pytest.FixtureRequest, tmp_path: Path) -> Outage:
    """A server that is not running, or a file in a folder that is not there."""
    if request.param == "sqlite":
        folder = tmp_path / "not mounted"
        return Outage(f"sqlite://{folder}/prompts.db", folder.mkdir)
    url, proxy = request.getfixturevalue("postgres_url"), request.getfixturevalue("proxy")
    asyncio.run(_upgraded(url))
    proxy.refuse()
    return Outage(proxy.url(url), proxy.open)


@pytest.fixture(params=ENGINES)
def hanging(request: pytest.FixtureRequest) -> Iterator[Outage]:
    """A server that accepts connections and never answers, or a file that somebody else has locked."""
    url = request.getfixturevalue(f"{request.param}_url")
    asyncio.run(_upgraded(url))
    if request.param == "sqlite":
        with locked(url) as unlock:
            yield Outage(url, unlock)
    else:
        proxy = request.getfixturevalue("proxy")
        proxy.hang()
        yield Outage(proxy.url(url), proxy.open)


async def _timed_run(plugin: PromptPlugin, expected: str) -> float:
    began = time.monotonic()
    assert await told(plugin, "a") == expected
    return time.monotonic() - began


def _assert_served_from_code(plugin: PromptPlugin) -> None:
    explained, health = plugin.explain("a"), plugin.health()
    assert (explained.source, explained.version, explained.state) == (Source.CODE, None, State.OFFLINE)
    assert (health.ready, health.state, health.snapshot_age, health.listening) == (True, State.OFFLINE, None, False)
    for error in (explained.error, health.error, str(explained)):
        assert error is not None
        assert PASSWORD not in error


async def _assert_heals(plugin: PromptPlugin) -> None:
    await until(lambda: plugin.state is State.LIVE, "the plugin follows the database")
    assert await told(plugin, "a") == CODE
    assert_follows(plugin, "a", 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_fault_03_unreachable_at_import_and_construction(engine: str, tmp_path: Path, proxy: Proxy) -> None:
    """Importing, declaring, constructing, installing and building agents open no connection and no file."""
    proxy.hang()
    folder = tmp_path / "not mounted"
    url = f"sqlite://{folder}/prompts.db" if engine == "sqlite" else proxy.url("postgresql://postgres@/nothing")
    script = f"""
import threading
import automagik_prompts
from automagik_prompts import ActivePrompt, PromptPlugin, State, install, prompt, uninstall
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

PROMPT = prompt({CODE!r}, agent="a")
plugin = PromptPlugin(plugin_url := {url!r})
installed = install(database_url=plugin_url)
Agent(TestModel(), name="a")
Agent(TestModel(), name="b", capabilities=[ActivePrompt("a", plugin=plugin)])
for each in (plugin, installed):
    assert each.state is State.STARTING
    assert not each.health().ready
uninstall()
assert threading.active_count() == 1, threading.enumerate()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert proxy.accepted == 0
    assert not folder.exists()


async def test_fault_04_connection_refused_at_the_first_run(
    refusing: Outage,
    registry: Registry,
    make_plugin: MakePlugin,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """The code's text is served, no run after the first waits, and the plugin heals by itself."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(refusing.url, startup_timeout=STARTUP_TIMEOUT)
    first = await _timed_run(plugin, CODE)
    assert first < STARTUP_TIMEOUT + MARGIN
    later = [await _timed_run(plugin, CODE) for _ in range(5)]
    assert max(later) < STARTUP_TIMEOUT
    _assert_served_from_code(plugin)
    record_property(
        "measured", f"first run {first * 1000:.0f} ms, of at most {STARTUP_TIMEOUT} s; then {min(later) * 1000:.0f} ms"
    )
    refusing.end()
    await _assert_heals(plugin)
    assert 1 <= len(lines(caplog, logging.WARNING)) <= 2
    assert_silent(caplog, PASSWORD, CODE)


async def test_fault_05_accepted_and_never_answered(
    hanging: Outage,
    registry: Registry,
    make_plugin: MakePlugin,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """The first run waits for `startup_timeout`, no other ever again, and the event loop misses no tick meanwhile."""
    registry.declare("a", {"default": CODE}, where="here")
    worst = []
    for _ in range(ATTEMPTS):
        plugin = make_plugin(hanging.url, startup_timeout=STARTUP_TIMEOUT)
        async with Ticker() as ticker:
            first = await _timed_run(plugin, CODE)
            assert first < STARTUP_TIMEOUT + MARGIN
            later = [await _timed_run(plugin, CODE) for _ in range(5)]
            assert max(later) < STARTUP_TIMEOUT
        assert ticker.ticks > STARTUP_TIMEOUT / TICK / 2
        _assert_served_from_code(plugin)
        worst.append(ticker.worst)
        if ticker.worst < TICK:
            break
        plugin.close()
        # Is it the machine? Then a loop that does nothing is late as well.
        async with Ticker() as idle:
            await asyncio.sleep(STARTUP_TIMEOUT)
        if ticker.worst < 3 * idle.worst:
            plugin.start()
            break
    else:
        pytest.fail(f"ticks were late: {worst}")
    record_property(
        "measured",
        f"first run {first * 1000:.0f} ms, of at most {STARTUP_TIMEOUT} s; then {min(later) * 1000:.0f} ms; a tick was "
        f"at most {min(worst) * 1000:.0f} ms late",
    )
    hanging.end()
    await _assert_heals(plugin)
    assert len(lines(caplog, logging.WARNING)) <= 2 * len(worst)
    assert_silent(caplog, PASSWORD, CODE)


async def test_fault_06_schema_missing_on_a_server(
    postgres_url: str, proxy: Proxy, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """The code's text is served, one line names the command to run, and after it the plugin heals without a restart."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(proxy.url(postgres_url), startup_timeout=30)
    assert await told(plugin, "a") == CODE
    _assert_served_from_code(plugin)
    assert "automagik-prompts upgrade" in (plugin.health().error or "")
    before = proxy.accepted
    await until(lambda: proxy.accepted >= before + 2, "it is tried again")
    (line,) = lines(caplog, logging.WARNING)
    assert "automagik-prompts upgrade" in line
    await _upgraded(postgres_url)
    await _assert_heals(plugin)
    assert len(lines(caplog, logging.WARNING)) == 1
    assert_silent(caplog, PASSWORD, CODE)


async def test_fault_06_schema_lost_on_a_server_that_was_live(
    postgres_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the tables go away while they are followed, the last known good text stays and the line says what helps."""
    await _upgraded(postgres_url)
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(postgres_url, startup_timeout=30)
    await plugin.ready()
    await plugin.create("a", "default", ACTIVE, activate=True)
    await execute(
        postgres_url,
        "ALTER TABLE agents RENAME TO elsewhere",
        "SELECT pg_notify('automagik_prompts', '')",
    )
    await until(lambda: plugin.state is State.STALE, "the loss is noticed", 90)
    assert await told(plugin, "a") == ACTIVE
    explained = plugin.explain("a")
    assert (explained.source, explained.version, explained.state) == (Source.DATABASE, 2, State.STALE)
    assert "agents is not there" in (plugin.health().error or "")
    await execute(postgres_url, "ALTER TABLE elsewhere RENAME TO agents")
    await until(lambda: plugin.state is State.LIVE, "the plugin follows the database again")
    assert_follows(plugin, "a", 2)
    assert len(lines(caplog, logging.WARNING)) == 1
    assert_silent(caplog, CODE, ACTIVE)


async def test_fault_06_schema_missing_in_a_file(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """An embedded database is brought up to date by the process that finds it empty."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(sqlite_url, startup_timeout=30)
    assert await told(plugin, "a") == CODE
    await _assert_heals(plugin)
    ((applied,),) = await execute(sqlite_url, "SELECT COUNT(*) FROM aerich WHERE app = 'automagik_prompts'")
    assert applied == len(all_migrations())
    assert lines(caplog, logging.WARNING) == []


async def test_runs_do_no_input_or_output_and_wait_for_no_lock_in_any_state(
    postgres_url: str, proxy: Proxy, registry: Registry, make_plugin: MakePlugin
) -> None:
    """In every state a run reads memory only: it sends nothing, needs no lock, and never holds up the event loop."""
    await _upgraded(postgres_url)
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(proxy.url(postgres_url), startup_timeout=0.5)

    async def assert_free(state: State) -> None:
        costs = []
        for _ in range(ATTEMPTS):
            assert plugin.state is state
            sent = proxy.received
            held = threading.Event()
            with _holding(plugin, held):
                async with Ticker() as ticker:
                    for _ in range(20):
                        await told(plugin, "a")
            costs.append((proxy.received - sent, ticker.worst))
            # Following goes on meanwhile, and so may other work of this machine.
            if costs[-1][0] == 0 and costs[-1][1] < TICK:
                return
        pytest.fail(f"{state}: {costs}")

    proxy.refuse()
    await told(plugin, "a")
    await until(lambda: plugin.state is State.OFFLINE, "the outage is noticed")
    await assert_free(State.OFFLINE)
    proxy.open()
    await until(lambda: plugin.health().listening, "notifications arrive")
    await assert_free(State.LIVE)
    proxy.refuse()
    await until(lambda: plugin.state is State.STALE, "the outage is noticed")
    proxy.hang()
    await assert_free(State.STALE)
    plugin.close()
    await assert_free(State.STALE)


@contextmanager
def _holding(plugin: PromptPlugin, held: threading.Event) -> Iterator[None]:
    """Have another thread hold the plugin's lock for as long as it takes."""
    over = threading.Event()

    def hold() -> None:
        with plugin._life._lock, plugin._life.state._lock:
            held.set()
            over.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()
