"""Faults 23 to 25: many listeners, many first runs at once, many runs while nothing answers."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import median

import pytest
from pydantic_ai import Agent

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source, State
from automagik_prompts.editing import commands
from automagik_prompts.following import listening
from automagik_prompts.following.follower import Follower
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.sqlite import BUSY_TIMEOUT
from tests.conftest import ENGINES, MakePlugin
from tests.faults import assert_follows, lines, locked
from tests.listening import Listener
from tests.processes import Launcher
from tests.proxy import Proxy
from tests.servers import OwnServer
from tests.waiting import until

PROCESSES, LISTENERS = 10, 10
"""Ten processes with ten plugins each, as every plugin has its own thread, connections and listener."""

RUNS, PAIRS = 1000, 150
"""Runs during the outage, and how many of them are compared with runs whose database answers, at a time."""

ATTEMPTS = 5
"""Times that something is measured which must hold at least once: other processes can hold up a machine."""

STATEMENT = re.compile(r"^(\S+ \S+) \S+ \[(\d+)\] .*SELECT (a\.id, a\.name|a\.n AS agents)")


@pytest.fixture
def telling_server(server_folder: Path) -> Iterator[OwnServer]:
    """A server that writes down each statement, with the time and the connection."""
    server = OwnServer(
        server_folder,
        max_connections=500,
        logging_collector="on",
        log_directory="'statements'",
        log_filename="'all.log'",
        log_statement="'all'",
        log_line_prefix="'%m [%p] '",
        log_timezone="'UTC'",
    )
    yield server
    server.stop()


async def test_fault_23_one_activation_and_a_hundred_listeners(
    telling_server: OwnServer, server_folder: Path, launcher: Launcher, record_property: Callable[[str, object], None]
) -> None:
    """Each listener reads once, in one statement, and they do not all read in the same moment."""
    url = telling_server.url
    log = server_folder / "statements" / "all.log"
    async with Database(url) as database:
        await upgrade(database)
        await commands.create(database, "a", "default", "first", new_agent=True, new_status=True, activate=True)
        await commands.create(database, "a", "default", "second")
        children = [launcher.fork("tests.faults:serve_many", url, LISTENERS) for _ in range(PROCESSES)]
        for child in children:
            child.tell("until_all_listen")
        for child in children:
            child.answer()
        # Each has read when it started and once more when its listening had begun; the server may write later.
        await until(lambda: len(_reads(log)) >= 2 * PROCESSES * LISTENERS, "the server has written that down")
        before = len(_reads(log))
        began = time.monotonic()
        await commands.activate(database, "a", "default", 2)
        for child in children:
            child.tell("until_all_serve", 2)
        for child in children:
            child.answer()
        took = time.monotonic() - began
        reads = _reads(log)[before : await _until_quiet(log)]
    for child in children:
        child.ask("assert_all_follow", 2)
        child.close()
    assert Counter(match[2] for match in reads) == {match[2]: 1 for match in reads}
    assert len(reads) == PROCESSES * LISTENERS
    assert {match[3] for match in reads} == {"a.id, a.name"}
    times = sorted(datetime.fromisoformat(match[1]) for match in reads)
    spread = (times[-1] - times[0]).total_seconds()
    record_property("measured", f"{len(reads)} statements, spread over {spread * 1000:.0f} ms; all in {took:.2f} s")
    assert spread > 0.01
    assert took < 10


def _reads(log: Path) -> list[re.Match[str]]:
    """Return the statements by which the library reads what is active, from a server's log."""
    found = (STATEMENT.match(line) for line in log.read_text(encoding="utf-8").splitlines())
    return [match for match in found if match is not None]


async def _until_quiet(log: Path) -> int:
    """Wait until nobody has read for a while, and return how often somebody has."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < 0.7:
        if (now := len(await asyncio.to_thread(_reads, log))) != count:
            count, since = now, time.monotonic()
        await asyncio.sleep(0.02)
    return count


def _counted(monkeypatch: pytest.MonkeyPatch, url: str) -> Counter[str]:
    """Count the attempts to follow a database and the loads; what they do stays as it is."""
    count: Counter[str] = Counter()
    attempt, load = Follower._attempt, repository.get_states_named

    async def attempted(self: Follower) -> BaseException | None:
        # Not those of a plugin of an earlier test, which may be about to end.
        count["attempts"] += self._settings.database_url == url
        return await attempt(self)

    async def loaded(db: Client, names: Iterable[str]) -> list[repository.AgentState]:
        count["loads"] += 1
        return await load(db, names)

    monkeypatch.setattr(Follower, "_attempt", attempted)
    monkeypatch.setattr(repository, "get_states_named", loaded)
    return count


def _agent(plugin: PromptPlugin) -> tuple[Agent[None, str], Listener]:
    listener = Listener()
    capability: ActivePrompt[None] = ActivePrompt("a", plugin=plugin)
    return Agent(listener.model, name="a", capabilities=[capability]), listener


async def test_fault_24_many_first_runs_with_a_healthy_store(
    database_url: str, registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 first runs at once wait for one load and are all told its text."""
    registry.declare("a", {"default": "first"}, where="here")
    async with Database(database_url) as database:
        await commands.create(database, "a", "default", "of a person", new_agent=True, new_status=True, activate=True)
    count = _counted(monkeypatch, database_url)
    # A plugin that does not listen: that its listening has begun would be a reason to read again.
    monkeypatch.setattr(listening, "PROOF_TIMEOUT", 0.0)
    plugin = make_plugin(database_url, poll_interval=60, startup_timeout=30)
    agent, listener = _agent(plugin)
    await asyncio.gather(*(agent.run("hello") for _ in range(200)))
    assert [heard.system for heard in listener.heard] == [["of a person"]] * 200
    assert count == {"attempts": 1, "loads": 1}
    assert_follows(plugin, "a", 1)


@pytest.fixture(params=ENGINES)
def hung_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that accepts connections and never answers, or a file that somebody else has locked."""
    url = str(request.getfixturevalue(f"{request.param}_url"))
    if request.param == "sqlite":
        with locked(url):
            yield url
    else:
        proxy: Proxy = request.getfixturevalue("proxy")
        proxy.hang()
        yield proxy.url(url)
        # One for reading and one for listening, however many runs there were.
        assert proxy.accepted <= 2


async def test_fault_24_many_first_runs_with_a_hung_store(
    hung_url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """200 first runs at once wait `startup_timeout` together, once; none begins a load, and later runs do not wait."""
    registry.declare("a", {"default": "from code"}, where="here")
    count = _counted(monkeypatch, hung_url)
    plugin = make_plugin(hung_url, startup_timeout=0.5)
    agent, listener = _agent(plugin)
    began = time.monotonic()
    await asyncio.gather(*(agent.run("hello") for _ in range(200)))
    took = time.monotonic() - began
    assert [heard.system for heard in listener.heard] == [["from code"]] * 200
    # Together they wait once, and then each has its own work to do, which takes as long as the machine lets it.
    assert 0.5 <= took < 0.5 * 200 / 4
    assert plugin.state is State.OFFLINE
    # An attempt on a database that hangs takes at least what SQLite waits for a lock.
    # One more on a machine so busy that the first one is given up.
    assert count["attempts"] <= 2 + took * 1000 / BUSY_TIMEOUT
    later = []
    for _ in range(20):
        began = time.monotonic()
        await agent.run("again")
        later.append(time.monotonic() - began)
    record_property(
        "measured",
        f"200 first runs in {took:.2f} s, later ones {min(later) * 1000:.0f} ms each, {count['attempts']} attempts",
    )
    assert min(later) < 0.25
    explained, health = plugin.explain("a"), plugin.health()
    assert (explained.version, explained.source, explained.state) == (None, Source.CODE, State.OFFLINE)
    assert (health.ready, health.state, health.snapshot_age) == (True, State.OFFLINE, None)
    assert health.error


async def test_fault_25_many_runs_during_an_outage(
    proxy: Proxy,
    database_url: str,
    tmp_path: Path,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """1000 runs make no attempt of their own, and each costs what a run costs whose database answers."""
    registry.declare("a", {"default": "first"}, where="here")
    embedded = database_url.startswith("sqlite")
    live = make_plugin(database_url, poll_interval=60)
    away = make_plugin(database_url if embedded else proxy.url(database_url), cache_dir=tmp_path / "other")
    for plugin in (live, away):
        await plugin.ready()
        assert plugin.state is State.LIVE
    if embedded:
        # The other plugin has its connection, and looks at the path only once a minute.
        await asyncio.to_thread((tmp_path / "prompts.db").rename, tmp_path / "away.db")
    else:
        proxy.refuse()
    await until(lambda: bool(lines(caplog, logging.WARNING)), "the outage is noticed and said")
    assert away.state is State.STALE
    count = _counted(monkeypatch, database_url)
    caplog.clear()
    agents = {plugin: _agent(plugin)[0] for plugin in (live, away)}
    began = time.monotonic()
    # A run's work does not depend on what else the machine does; its time does, so that is compared in turns.
    calls = await _calls(agents[live]), await _calls(agents[away])
    ratios: list[float] = []
    for _ in range(ATTEMPTS):
        ratios.append(await _ratio(agents[away], agents[live]))
        if ratios[-1] < 1.05:
            break
    for _ in range(RUNS - len(ratios) * PAIRS):
        await agents[away].run("hello")
    seconds = time.monotonic() - began
    record_property(
        "measured",
        f"{RUNS} runs in {seconds:.1f} s with {count['attempts']} attempts, each {min(ratios):.3f} of the normal time "
        f"and {calls[1] / calls[0]:.3f} of the normal function calls",
    )
    assert 0.95 < calls[1] / calls[0] < 1.05
    assert min(ratios) < 1.05
    # With the waits between them at their shortest: 0.25 s, doubled each time, up to 5 s, less the jitter.
    assert count["attempts"] <= 6 + seconds / 2.5
    assert_follows(live, "a", 1)
    explained, health = away.explain("a"), away.health()
    assert (explained.version, explained.source, explained.state) == (1, Source.DATABASE, State.STALE)
    assert (health.ready, health.state, health.listening) == (True, State.STALE, False)
    assert health.error
    assert health.error == explained.error
    assert not lines(caplog, logging.INFO)


async def _ratio(one: Agent[None, str], other: Agent[None, str]) -> float:
    """Run two agents in random order, and return how the computing times of their runs compare."""
    times: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(PAIRS):
        for which in random.sample((0, 1), 2):
            began = time.thread_time()
            await (one, other)[which].run("hello")
            times[which].append(time.thread_time() - began)
    return median(times[0]) / median(times[1])


async def _calls(agent: Agent[None, str]) -> float:
    """Return how many functions a run of an agent calls, of whomever."""
    counts: list[int] = []
    for _ in range(21):
        count = 0

        def called(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event in {"call", "c_call"}

        sys.setprofile(called)
        try:
            await agent.run("hello")
        finally:
            sys.setprofile(None)
        counts.append(count)
    return median(counts)
