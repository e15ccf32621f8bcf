"""Faults 37, 38, 41 and 42: clocks that step, a refresher that fails in any way, long outages, long lives."""

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source, State
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.following import follower, listening, loader, signals
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.thread import Worker
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_followed, assert_follows, assert_silent, execute, lines, notification, told
from tests.processes import Launcher
from tests.proxy import PASSWORD, Proxy
from tests.virtual import SkippingLoop
from tests.waiting import until

DAY = 86400.0
TEXT = "Only for the model's ears."


async def test_fault_37_wall_clock_steps(
    database_url: str, registry: Registry, make_plugin: MakePlugin, launcher: Launcher
) -> None:
    """A day back or forth makes no storm and no freeze; what is active goes by versions, not by times."""
    texts = {"a": {"default": "It is {{today}}: {{name}}."}}
    interval = 0.05
    with launcher.fork("tests.faults:serve_clocked", database_url, texts, {"poll_interval": interval}) as child:
        child.ask("start")
        child.ask("until_state", "live")
        registry.declare("a", {"default": "It is {{today}}: {{name}}."}, where="here")
        other = make_plugin(database_url)
        await other.ready()
        active = 1
        for step in (DAY, -2 * DAY, -30 * DAY, 60 * DAY):
            today = child.ask("step", step)
            assert today != datetime.datetime.now(datetime.UTC).date().isoformat()
            assert today in child.ask("run", "a")
            # Another process, whose clock is right, activates: it is served soon.
            await other.create("a", "default", f"{{{{today}}}}, after {step}.", activate=True, new_status=True)
            child.ask("until_version", "a", "default", active + 1, 10)
            assert child.ask("run", "a") == f"{today}, after {step}."
            # And the one whose clock is off writes: the order of versions stays.
            active = child.ask("create_and_activate", "a", "default", f"{{{{today}}}}, own after {step}.")
            await until(partial(_serves, other, active), "it is served elsewhere")
            health = child.ask("health")
            assert_followed(child.ask("explain", "a"), health, active)
            assert 0 <= health.state_age < 60
            assert 0 <= health.snapshot_age < 60
            # Neither more looks than it should take, nor none.
            assert child.ask("looks", 10 * interval) <= 25
        written = child.ask("written", "a")
        assert [version for version, _ in written] == list(range(active, 0, -1))
        assert [at for _, at in written] != sorted((at for _, at in written), reverse=True)
        assert child.ask("edit", "rollback", "a", "default") == active - 1
        assert not [
            line for level, line in child.ask("lines") if level in {"WARNING", "ERROR"} and "had no value" not in line
        ]


def _serves(plugin: PromptPlugin, version: int) -> bool:
    return plugin.resolve("a").version == version


class Surprise(Exception):  # noqa: N818  # it is no error of ours
    """An exception that nobody has heard of; its message holds what must not be logged."""


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """A database with the schema of this release, on the engine that the test names."""
    found = str(request.getfixturevalue(f"{request.param}_url"))
    asyncio.run(_upgrade(found))
    return found


async def _upgrade(url: str) -> None:
    async with Database(url) as database:
        await upgrade(database)


FAILURES: list[Callable[[], BaseException]] = [
    lambda: Surprise(f"{TEXT} {PASSWORD}"),
    lambda: ValueError(TEXT),
    lambda: KeyError(TEXT),
    lambda: MemoryError(),
    lambda: RecursionError(),
    lambda: AttributeError(TEXT),
    lambda: OSError(5, "Input/output error"),
    lambda: TimeoutError(),
    lambda: asyncio.CancelledError(),
    lambda: PromptsError("It failed."),
    lambda: StopAsyncIteration(),
]


@pytest.mark.parametrize(
    ("url", "failure"),
    [*(("sqlite", failure) for failure in FAILURES), ("postgres", FAILURES[0]), ("postgres", asyncio.CancelledError)],
    ids=lambda value: value if isinstance(value, str) else type(value()).__name__,
    indirect=["url"],
)
async def test_fault_38_refresher_raises_any_exception(
    url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Callable[[], BaseException],
) -> None:
    """Whatever a read raises, runs go on, the thread lives, the state tells since when, and it heals by itself."""
    monkeypatch.setattr(follower, "BACKOFF", (0.02, 0.1))
    registry.declare("a", {"default": TEXT}, where="here")
    plugin = make_plugin(url, poll_interval=0.02)
    await plugin.ready()
    assert plugin.state is State.LIVE
    caplog.set_level(logging.DEBUG)
    attempts = 0
    look = repository.get_data_version

    async def fail(_db: object) -> None:
        nonlocal attempts
        attempts += 1
        raise failure()

    # No database makes a driver raise all of these, so they are put where the driver is called.
    monkeypatch.setattr(repository, "get_data_version", fail)
    await execute(url, "UPDATE agents SET revision = revision + 1", *notification(url))
    await until(lambda: attempts > 2, "it fails several times")
    await until(lambda: plugin.state is State.STALE, "the state tells")
    assert await told(plugin, "a") == TEXT
    health, explained = plugin.health(), plugin.explain("a")
    assert health.ready
    assert health.error is not None
    assert 0 < health.state_age < 60
    assert explained.state is State.STALE
    assert (explained.version, explained.source) == (1, Source.DATABASE)
    assert len(lines(caplog, logging.WARNING)) <= 2
    assert_silent(caplog, TEXT, PASSWORD)
    assert TEXT not in health.error
    monkeypatch.setattr(repository, "get_data_version", look)
    await until(lambda: plugin.state is State.LIVE, "it heals")
    assert (await plugin.create("a", "default", "second", activate=True, new_status=True)).active_version == 2
    assert await told(plugin, "a") == "second"
    assert_follows(plugin, "a", 2)


@pytest.mark.parametrize("failure", [SystemExit, KeyboardInterrupt], ids=lambda failure: failure.__name__)
async def test_fault_38_something_ends_the_event_loop(
    sqlite_url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: type[BaseException],
) -> None:
    """What ends an event loop makes the thread begin a new one; runs go on, and so do following and editing."""
    monkeypatch.setattr("automagik_prompts.runtime.thread.RESTART", 0.05)
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(sqlite_url, poll_interval=0.02)
    await plugin.ready()
    look = repository.get_data_version
    raised = threading.Event()

    async def fail(db: object) -> object:
        if raised.is_set():
            return await look(db)  # type: ignore[arg-type]  # passed on as it came
        raised.set()
        raise failure

    monkeypatch.setattr(repository, "get_data_version", fail)
    await until(raised.is_set, "it was raised")
    assert await told(plugin, "a") == "first"
    other = make_plugin(sqlite_url)
    await other.create("a", "default", "second", activate=True, new_status=True)
    await until(lambda: plugin.resolve("a").version == 2, "it follows again")
    assert_follows(plugin, "a", 2)
    assert (await plugin.rollback("a", "default")).active_version == 1
    assert len(lines(caplog, logging.ERROR)) == 1


async def test_fault_38_log_handler_that_raises(
    sqlite_url: str, tmp_path: Path, registry: Registry, make_plugin: MakePlugin
) -> None:
    """Even where the host's own logging fails, the thread lives."""

    def refuse(_record: logging.LogRecord) -> bool:
        raise Surprise

    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(sqlite_url, poll_interval=0.02)
    await plugin.ready()
    logger = logging.getLogger("automagik_prompts")
    logger.addFilter(refuse)
    try:
        (tmp_path / "prompts.db").rename(tmp_path / "away.db")
        await until(lambda: plugin.state is State.STALE, "the state tells")
        assert await told(plugin, "a") == "first"
        assert plugin.health().error
        assert (plugin.explain("a").version, plugin.explain("a").state) == (1, State.STALE)
        (tmp_path / "away.db").rename(tmp_path / "prompts.db")
        await until(lambda: plugin.state is State.LIVE, "it heals")
        assert_follows(plugin, "a", 1)
    finally:
        logger.removeFilter(refuse)


async def test_fault_38_thread_that_hangs(
    sqlite_url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thread that no longer does anything cannot say so; the state does, and a log line, and one when it is over."""
    monkeypatch.setattr(loader, "OPERATION_TIMEOUT", 0.1)
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(sqlite_url, poll_interval=0.02)
    await plugin.ready()
    assert plugin.state is State.LIVE
    go_on = threading.Event()
    worker = plugin._life.worker
    assert worker is not None
    assert worker._loop is not None
    worker._loop.call_soon_threadsafe(go_on.wait)
    try:
        await until(lambda: plugin.state is State.STALE, "the state tells")
        health = plugin.health()
        assert "has not looked at the database" in (health.error or "")
        assert 0 <= health.state_age < 60
        explained = plugin.explain("a")
        assert (explained.version, explained.state, explained.error) == (1, State.STALE, health.error)
        assert await told(plugin, "a") == "first"
        (line,) = lines(caplog, logging.WARNING)
        assert line.startswith(health.error or "?")
    finally:
        go_on.set()
    await until(lambda: plugin.state is State.LIVE, "it goes on")
    assert_follows(plugin, "a", 1)
    assert lines(caplog, logging.WARNING)[1:] == [
        "The plugin's thread has reported again, after it had not when that was due."
    ]


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
def test_fault_41_an_hour_of_outage(
    url: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    registry: Registry,
    make_plugin: MakePlugin,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """In an hour at 100 runs a second, and some minutes more, there is one log line; then it recovers by itself.

    The clock is simulated. Of the 360 000 runs one in a thousand goes through an agent, the others look up what it
    would.
    """
    registry.declare("a", {"default": "Hello {{name}}."}, where="here")
    proxy = None if url.startswith("sqlite") else request.getfixturevalue("proxy")
    plugin = make_plugin(proxy.url(url) if proxy is not None else url)
    caplog.set_level(logging.INFO)
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, SkippingLoop)
        attempts, logged = runner.run(_outage(loop, plugin, proxy, tmp_path / "prompts.db", caplog))
    assert logged == 1
    record_property("measured", f"{logged} log line in 70 minutes of outage, {attempts} attempts in the first hour")
    # One every 3.75 s on average, after the first few.
    assert 600 < attempts < 1500
    assert_silent(caplog, PASSWORD)


async def _outage(
    loop: SkippingLoop, plugin: PromptPlugin, proxy: Proxy | None, path: Path, caplog: pytest.LogCaptureFixture
) -> tuple[int, int]:
    # The refresher runs here, where the clock can be moved, and not on the thread that would do it otherwise.
    plugin._life.worker = Worker(plugin._life.make_follower)
    following = plugin._life.make_follower()
    attempts = 0
    attempt = following._attempt

    async def counted() -> BaseException | None:
        nonlocal attempts
        attempts += 1
        return await attempt()

    following._attempt = counted  # type: ignore[method-assign]  # counts, and does what it did
    task = loop.create_task(following.run())
    await until(lambda: plugin.state is State.LIVE, "it follows")
    caplog.clear()
    _take_away(proxy, path)
    await until(lambda: plugin.state is State.STALE, "the outage is noticed")
    attempts = 0
    loop.skipping = True
    began = loop.time()
    for _ in range(360):
        for _ in range(999):
            assert plugin.resolve("a").version == 1
        assert await told(plugin, "a", deps={"name": "Ann"}) == "Hello Ann."
        await asyncio.sleep(10)
    assert 3600 <= loop.time() - began < 3700
    within_the_hour = attempts
    await asyncio.sleep(600)
    explained, health = plugin.explain("a"), plugin.health()
    assert (explained.version, explained.source, explained.state) == (1, Source.DATABASE, State.STALE)
    assert (health.ready, health.state, health.error) == (True, State.STALE, explained.error)
    assert not task.done()
    loop.skipping = False
    # Counting what drivers and others log.
    logged = sum(record.levelno >= logging.INFO for record in caplog.records)
    _give_back(proxy, path)
    following.wake()
    await until(lambda: plugin.state is State.LIVE, "it recovers")
    # Ages are told by the machine's clock, which has not moved.
    explained, health = plugin.explain("a"), plugin.health()
    assert (explained.version, explained.source, explained.state) == (1, Source.DATABASE, State.LIVE)
    assert (health.ready, health.state, health.error) == (True, State.LIVE, None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return within_the_hour, logged


def _take_away(proxy: Proxy | None, path: Path) -> None:
    if proxy is not None:
        proxy.refuse()
    else:
        path.rename(path.with_suffix(".away"))


def _give_back(proxy: Proxy | None, path: Path) -> None:
    if proxy is not None:
        proxy.open()
    else:
        path.with_suffix(".away").rename(path)


def test_fault_41_waits_stay_bounded_for_ever() -> None:
    """However many attempts have failed, the next one comes."""
    for attempt in (0, 1, 10, 1_000, 1_000_000):
        for first, longest in (follower.BACKOFF, follower.BACKOFF_DENIED, listening.RETRY):
            assert first / 2 <= signals.backoff(attempt, first, longest) <= longest


def test_fault_42_ten_thousand_versions_and_many_runs(
    database_url: str,
    tmp_path: Path,
    launcher: Launcher,
    record_property: Callable[[str, object], None],
) -> None:
    """Only active versions are in memory, and the resident size stays flat, however many runs and versions go by.

    Of the 100 000 runs several hundred go through an agent and its model; the others look up and fill the prompt, which
    is the part of a run that is this library's.
    """
    megabytes = 1 << 20
    texts = {"a": {"default": "Hello {{name}}."}}
    settings = {"cache_dir": tmp_path, "disk_snapshot": True}
    with launcher.fork("tests.faults:serve_long", database_url, texts, settings) as child:
        child.ask("start")
        child.ask("until_state", "live")
        child.ask("runs", 100, 1000)
        alone = child.ask("resident")
        # 10 000 versions of 4 kB each: 40 MB, were they all in memory.
        asyncio.run(execute(database_url, _many_versions(database_url), *notification(database_url)))
        active = child.ask("create_and_activate", "a", "default", "Now {{name}}.")
        assert active == 10_002
        child.ask("runs", 200, 30_000)
        before = child.ask("resident")
        for _ in range(20):
            child.ask("create_and_activate", "a", "default", "Now {{name}}." + " and so on" * 400)
            child.ask("runs", 15, 3500)
        after = child.ask("resident")
        assert child.ask("texts_in_memory") <= 25
        assert_followed(child.ask("explain", "a"), child.ask("health"), active + 20)
        child.ask("close")
    record_property(
        "measured",
        f"resident size: +{(before - alone) / megabytes:.1f} MB by 10 000 versions, "
        f"+{(after - before) / megabytes:.1f} MB by 70 000 runs and 20 activations",
    )
    assert before - alone < 12 * megabytes
    assert after - before < 6 * megabytes


def _many_versions(url: str) -> str:
    """Return a statement that writes versions 2 to 10 001, each with a text of its own."""
    columns = (
        "INSERT INTO prompts (agent_id, status_key, version, prompt_text, format, is_active, is_default_from_code, "
        "content_hash, created_at, updated_at) "
    )
    rest = "'handlebars', false, false, 'unknown', a.created_at, a.updated_at FROM agents a"
    if url.startswith("sqlite"):
        return (
            "WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10001) "
            f"{columns} SELECT a.id, 'default', n, printf('%d %.4000c', n, 'x'), {rest}, numbers"
        )
    return f"{columns} SELECT a.id, 'default', n, n || repeat('x', 4000), {rest}, generate_series(2, 10001) n"
