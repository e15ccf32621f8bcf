"""Faults 45 and 51: connections that die without a word, and answers that take long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import ModuleType

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.following import listening, loader, opening, signals
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime import lifecycle
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage import postgres as client
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects import postgres as dialect
from tests.conftest import MakePlugin
from tests.faults import assert_follows, assert_silent, lines, told
from tests.proxy import PASSWORD, Proxy
from tests.waiting import until

REPLACED_WITHIN = 30.0
"""Seconds within which a connection must be replaced that has died without a word."""

BOUNDS: tuple[tuple[ModuleType, str], ...] = (
    (signals, "HEARTBEAT"),
    (listening, "PROOF_TIMEOUT"),
    (loader, "OPERATION_TIMEOUT"),
    (opening, "CLOSE_TIMEOUT"),
    (lifecycle, "CALL_TIMEOUT"),
    (dialect, "ALIVE_TIMEOUT"),
    (client, "CONNECT_TIMEOUT"),
    (client, "ACQUIRE_TIMEOUT"),
    (client, "IDLE_LIFETIME"),
    (client, "GOODBYE"),
)
"""What bounds the waits for a server."""

LISTENER = b"automagik-prompts listener"
WHICH: dict[str, Callable[[bytes], bool]] = {
    "the pool": lambda greeting: LISTENER not in greeting,
    "the listener": lambda greeting: LISTENER in greeting,
    "both": lambda _greeting: True,
}


@pytest.fixture(params=[pytest.param(1.0, marks=pytest.mark.soak, id="in full"), pytest.param(0.2, id="five times")])
def pace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a second is: in full, or a fifth, so that a test need not wait for all of it each time."""
    pace = float(request.param)
    for module, name in BOUNDS:
        monkeypatch.setattr(module, name, getattr(module, name) * pace)
    return pace


@pytest.fixture
async def ready_url(postgres_url: str) -> str:
    """A database with the schema of this release."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    return postgres_url


async def _edits(plugin: PromptPlugin, agent: str) -> None:
    """Write all the time; a write may fail, and then says so."""
    number = 0
    while True:
        number += 1
        with suppress(DatabaseUnavailableError):
            await plugin.create(agent, "default", f"text {number}", author="ann", activate=True)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def _busy(*tasks: asyncio.Task[None]) -> AsyncIterator[None]:
    """Have tasks go on meanwhile, none of which may end by itself."""
    try:
        yield
        assert not any(task.done() for task in tasks), [task.exception() for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
async def test_fault_45_connection_dies_in_silence(
    ready_url: str,
    proxy: Proxy,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
    pace: float,
    which: str,
    busy: bool,
) -> None:
    """Its packets vanish and nobody is told: it is replaced in time, and what is activated then is served at once."""
    registry.declare("a", {"default": "first"}, where="here")
    registry.declare("b", {"default": "mine"}, where="here")
    registry.declare("c", {"default": "others'"}, where="here")
    # Otherwise a process that has just begun looks more often than it will after a minute.
    monkeypatch.setattr(listening, "CROWD_INTERVAL", listening.SAFETY_INTERVAL)
    plugin = make_plugin(proxy.url(ready_url), startup_timeout=30)
    other = make_plugin(ready_url, registry=Registry(), seed=False, startup_timeout=30)
    await plugin.ready()
    await until(lambda: plugin.health().listening, "notifications arrive")
    working = [asyncio.create_task(_edits(plugin, "b")), asyncio.create_task(_edits(other, "c"))] if busy else []
    async with _busy(*working):
        if busy:
            await until(lambda: min(plugin.resolve(name).version or 0 for name in "bc") > 3, "both write")
        assert proxy.swallow(WHICH[which]) >= (2 if which == "both" else 1)
        began = time.monotonic()
        # The clock of a busy machine is no judge of a fraction of a second.
        bound = REPLACED_WITHIN * pace + (1 - pace) * 3
        await until(lambda: proxy.swallowed == 0, "they are replaced", bound)
        took = time.monotonic() - began
        await until(lambda: plugin.state is State.LIVE and plugin.health().listening, "it follows", bound - took)
        took = time.monotonic() - began
        done = await other.create("a", "default", "second", author="ann", activate=True)
        await until(lambda: plugin.resolve("a").version == done.active_version, "it is served", 4)
    record_property("measured", f"followed and listened to again after {took:.1f} s, at a pace of {pace:g}")
    await until(lambda: plugin.state is State.LIVE, "it follows")
    assert await told(plugin, "a") == "second"
    assert_follows(plugin, "a", 2)
    told_of = lines(caplog, logging.WARNING)
    assert len([line for line in told_of if "Meanwhile the last known good prompts are served" in line]) <= 1, told_of
    assert lines(caplog, logging.ERROR) == []
    assert_silent(caplog, PASSWORD)


async def test_an_idle_process_keeps_its_connections(
    ready_url: str, proxy: Proxy, registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs of life keep those in use that a process needs, however long it rests; connecting anew is dear."""
    monkeypatch.setattr(client, "IDLE_LIFETIME", 1.0)
    monkeypatch.setattr(signals, "HEARTBEAT", 0.35)
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(proxy.url(ready_url), startup_timeout=30)
    await plugin.ready()
    await until(lambda: plugin.health().listening, "notifications arrive")
    accepted = proxy.accepted
    await asyncio.sleep(3 * client.IDLE_LIFETIME)
    await plugin.create("a", "default", "second", author="ann", activate=True)
    # A sign of life that happens to come beside the edit takes a connection of its own.
    assert proxy.accepted <= accepted + 1
    assert_follows(plugin, "a", 2)


async def test_fault_45_connection_dies_with_a_commit(
    ready_url: str, proxy: Proxy, registry: Registry, make_plugin: MakePlugin, pace: float
) -> None:
    """A commit that was sent and not answered may have been done: the error says that this is not known."""
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(proxy.url(ready_url), startup_timeout=30, heartbeat=0)  # nothing else is to be committed
    await plugin.ready()
    proxy.swallow_after(b"COMMIT")
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailableError, match="so it is not known whether it was written") as lost:
        await plugin.create("a", "default", "second", author="ann", activate=True)
    assert time.monotonic() - began < REPLACED_WITHIN * pace + 3
    assert PASSWORD not in str(lost.value)
    await until(lambda: plugin.resolve("a").version == 2, "what was written is served")
    assert (await plugin.create("a", "default", "third", author="ann", activate=True)).active_version == 3
    assert_follows(plugin, "a", 3)


@pytest.mark.parametrize(
    "pace", [pytest.param(1.0, marks=pytest.mark.soak, id="in full"), pytest.param(0.1, id="ten times")], indirect=True
)
async def test_fault_51_round_trips_of_two_seconds(
    ready_url: str,
    proxy: Proxy,
    registry: Registry,
    make_plugin: MakePlugin,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
    pace: float,
) -> None:
    """It follows all the same, and each write is done, or says that it is not known whether it was."""
    proxy.slow(pace)
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(proxy.url(ready_url), startup_timeout=0)
    other = make_plugin(ready_url, registry=Registry(), seed=False, startup_timeout=30)
    began = time.monotonic()
    await plugin.ready()
    await until(lambda: plugin.state is State.LIVE, "it follows", 240 * pace)
    live = time.monotonic() - began
    for number in range(2):
        before = max((prompt.version for prompt in await other.history("a")), default=0)
        said = None
        try:
            version = (
                await plugin.create("a", "default", f"text {number}", author="ann", activate=True)
            ).active_version
        except DatabaseUnavailableError as error:
            version, said = None, error.message
        assert version == before + 1 or "not known" in (said or "")
    wrote = time.monotonic() - began - live
    done = await other.create("a", "default", "last", author="ann", activate=True)
    await until(lambda: plugin.resolve("a").version == done.active_version, "it is served", 30 * pace + 3)
    assert await told(plugin, "a") == "last"
    assert plugin.state is State.LIVE
    record_property("measured", f"live after {live:.1f} s, a write in {wrote / 2:.1f} s, at a pace of {pace:g}")
    assert_silent(caplog, PASSWORD)


async def test_fault_45_transactions_that_cannot_begin(ready_url: str, proxy: Proxy, pace: float) -> None:
    """They do not use the pool up: as many as it has connections fail in time, and the next ones are done."""
    async with Database(proxy.url(ready_url), command_timeout=loader.OPERATION_TIMEOUT) as database:
        together = asyncio.Barrier(dialect.POOL_SIZE)

        async def meet() -> None:
            async with database.connection():
                await together.wait()

        await asyncio.gather(*(meet() for _ in range(dialect.POOL_SIZE)))
        assert proxy.swallow() == dialect.POOL_SIZE
        began = time.monotonic()
        lost = await asyncio.gather(*(meet() for _ in range(dialect.POOL_SIZE)), return_exceptions=True)
        assert [type(error) for error in lost] == [DatabaseUnavailableError] * dialect.POOL_SIZE
        assert "did not answer in time. Try again when it does." in str(lost[0])
        assert time.monotonic() - began < REPLACED_WITHIN * pace + 1
        await until(lambda: proxy.swallowed == 0, "they are dropped")
        await asyncio.gather(*(meet() for _ in range(dialect.POOL_SIZE)))
        assert proxy.swallow() == dialect.POOL_SIZE
        began = time.monotonic()
    assert time.monotonic() - began < client.GOODBYE + 1
    await until(lambda: proxy.swallowed == 0, "they are closed")


async def test_fault_45_nobody_waits_for_a_connection_for_ever(ready_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all that a process may have are in use, whoever wants one more is told so after a while."""
    monkeypatch.setattr(client, "ACQUIRE_TIMEOUT", 0.5)
    async with Database(ready_url) as database, AsyncExitStack() as held:
        for _ in range(dialect.POOL_SIZE):
            await held.enter_async_context(database.connection())
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError, match="did not answer in time"):
            await database.check_alive()
        assert time.monotonic() - began < 5
