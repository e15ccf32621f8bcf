"""What must not become slower, measured so that it is the same on every machine, however busy that is.

Mostly calls and statements are counted; the one ratio of times is taken from the best of many turns, with a margin of
several times what it is. `make bench` measures the rest, beside the peers.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest
from pydantic_ai import Agent, ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.test import TestModel
from pydantic_handlebars import compile as compile_handlebars

from automagik_prompts import ActivePrompt
from automagik_prompts.declaring.decorators import prompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from benchmarks import calls, growth
from benchmarks.texts import NAMES, VALUES, template
from tests.conftest import MakePlugin
from tests.waiting import until

_PATIENCE = 60
"""Seconds that a start may take on a busy machine."""

# Calls of this library's functions, and of built-in ones by them, in one run of an agent: a run without variables makes
# 29, one with 20 variables 62, one with ten requests 350; the interpreter counts a few more from release to release.
# What comes on top is room for a few more, not for doing something twice.
RUN_CALLS = {
    "system_prompt/0": 40,
    "installed/0": 42,
    "instructions/0": 48,
    "system_prompt/3": 57,
    "system_prompt/20": 74,
    "system_prompt-ten/0": 400,
    "streamed-system_prompt/0": 40,
}

# What an agent's run calls more than that of one with an empty capability, Pydantic AI's own part included: 0 to 70,
# and 420 in one with ten requests. A newer Pydantic AI may change it.
MORE_THAN_EMPTY = {
    "system_prompt/0": 80,
    "installed/0": 80,
    "instructions/0": 60,
    "system_prompt/3": 95,
    "system_prompt/20": 115,
    "system_prompt-ten/0": 550,
    "streamed-system_prompt/0": 80,
}
EMPTY = {"system_prompt-ten/0": "empty-ten/0", "streamed-system_prompt/0": "streamed-empty/0"}

# What is called while the package is imported, with all that an agent needs of it, against what Pydantic AI calls: 0.05
# to 0.09, which varies only with the releases of either.
IMPORT_CALLS = 0.12

IMPORT = """
import sys
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
import pydantic_ai
alone = calls
import automagik_prompts
automagik_prompts.ActivePrompt, automagik_prompts.prompts
sys.setprofile(None)
print(alone, calls - alone)
"""


@pytest.fixture(scope="module")
def counted() -> dict[str, calls.Calls]:
    """What the agents of the benchmark call."""
    return asyncio.run(calls.counted(runs=8))


@pytest.mark.parametrize("case", RUN_CALLS)
def test_an_agent_run_stays_lean(counted: dict[str, calls.Calls], case: str) -> None:
    """A run calls about as much of this library as ever, and Pydantic AI little more than for a capability."""
    own, empty = counted[case], counted[EMPTY.get(case, "empty/0")]

    assert own.ours <= RUN_CALLS[case]
    assert own.all - empty.all <= MORE_THAN_EMPTY[case]


def test_importing_stays_light_beside_pydantic_ai() -> None:
    """Importing the package, with all that an agent needs of it, is a small part of importing Pydantic AI."""
    program = [sys.executable, "-c", IMPORT]
    output = subprocess.run(program, capture_output=True, text=True, check=True, timeout=_PATIENCE)
    alone, ours = map(int, output.stdout.split())
    assert ours <= IMPORT_CALLS * alone


async def test_a_long_history_is_not_walked_by_calls(
    make_plugin: MakePlugin, sqlite_url: str, registry: Registry
) -> None:
    """A history of 100 turns makes a run call no more of this library for each of them than looking at it takes."""
    prompt("You are Stan.", agent="stan", registry=registry)
    async with make_plugin(sqlite_url, startup_timeout=_PATIENCE) as plugin:
        agent = Agent(TestModel(), deps_type=object, capabilities=[ActivePrompt("stan", plugin=plugin)])
        first = (await agent.run("hello")).all_messages()
        turns: list[ModelMessage] = []
        for number in range(100):
            turns.append(ModelRequest(parts=[UserPromptPart(f"question {number}")]))
            turns.append(ModelResponse(parts=[TextPart("answer")]))

        short = await calls.count(agent, 5, message_history=first)
        long = await calls.count(agent, 5, message_history=[*first, *turns])

    assert long.ours - short.ours <= 4 * len(turns)


@pytest.mark.parametrize("agents", [1, 50])
def test_a_read_is_two_lookups(make_plugin: MakePlugin, sqlite_url: str, registry: Registry, agents: int) -> None:
    """Reading the active text calls a handful of functions, however many agents there are."""
    for number in range(agents):
        registry.declare(f"agent-{number}", {"default": "You are Stan."}, where="test")
    with make_plugin(sqlite_url, startup_timeout=_PATIENCE) as plugin:
        plugin.resolve("agent-0", "default")

        # The read and the look for what is in force in this context; the rest is what counts them.
        assert _calls_of(lambda: plugin.resolve("agent-0", "default")) <= 4


@pytest.mark.parametrize("tags", [1, 5, 20])
def test_filling_is_faster_than_the_engine(
    make_plugin: MakePlugin, sqlite_url: str, registry: Registry, tags: int
) -> None:
    """Finding, checking and filling a text takes at most 1.3 times the engine's time; it is less than half of it."""
    registry.declare("stan", {"default": template(tags)}, where="test")
    values = {name: VALUES[name] for name in NAMES[:tags]}
    engine = compile_handlebars(template(tags))
    with make_plugin(sqlite_url, startup_timeout=_PATIENCE) as plugin:
        assert plugin.render("stan", None, values) == engine.render(values)

        ours, theirs = _best(lambda: plugin.render("stan", None, values), lambda: engine.render(values))

    assert ours <= 1.3 * theirs


def test_an_unchanged_start_asks_no_more_for_more_agents(make_plugin: MakePlugin, tmp_path: Path) -> None:
    """A process that finds its texts in the database sends as many statements for 60 agents as for 3."""
    asked = {}
    for agents in (3, 60):
        url = f"sqlite://{tmp_path / f'{agents}.db'}"
        with make_plugin(url, registry=_declared(agents), startup_timeout=_PATIENCE) as plugin:
            plugin.resolve("agent-0")
        with (
            _statements() as statements,
            make_plugin(url, registry=_declared(agents), startup_timeout=_PATIENCE, heartbeat=0) as plugin,
        ):
            served = plugin.resolve("agent-0")
        assert served.source == "database"
        asked[agents] = len(statements)

    assert asked[60] <= asked[3] + 2, asked  # a poll or two more, if the machine is busy


def test_a_cold_start_writes_each_agent_with_few_statements(make_plugin: MakePlugin, tmp_path: Path) -> None:
    """Seeding an agent takes a bounded number of statements, not some for each of its texts."""
    url = f"sqlite://{tmp_path / 'prompts.db'}"
    with make_plugin(url, registry=_declared(1, texts=1), startup_timeout=_PATIENCE) as plugin:
        plugin.resolve("agent-0")  # the schema is there then
    with (
        _statements() as statements,
        make_plugin(url, registry=_declared(20, texts=30), startup_timeout=_PATIENCE) as plugin,
    ):
        plugin.resolve("agent-0")

    # A driver that inserts many rows at once is traced with each of them; what triggers do is traced as comments, and
    # after each of these the statement that fired them once more.
    others = [statement for statement, _ in groupby(one for one in statements if not one.startswith(("INSERT", "--")))]
    assert len(others) <= 20 * 10


async def test_an_activation_takes_eight_round_trips(
    make_plugin: MakePlugin, postgres_url: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the plugin too: the schema is asked for, the version is read, and four statements are one transaction."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    registry.declare("stan", {"NEW": "One.", "OLD": "Old."}, where="test", primary="NEW")
    plugin = make_plugin(postgres_url, startup_timeout=_PATIENCE)
    await plugin.ready()
    await plugin.create("stan", "NEW", "Two.", activate=True)
    await until(lambda: plugin.health().listening, "notifications arrive")
    asked: list[str] = []
    for name in ("execute", "fetch", "fetchrow", "executemany"):
        monkeypatch.setattr(asyncpg.Connection, name, _told(getattr(asyncpg.Connection, name), asked))
    # The plugin's own reading of the change comes beside it, and now and then something that it does once a minute.
    reading = ("pg_current_snapshot", "p.id AS prompt_id", "x.status_key", "SELECT 1", "prompt_changes")
    edits = []
    for version in (1, 2, 1):
        asked.clear()
        await plugin.activate("stan", "NEW", version)
        edits.append([one for one in asked if not any(part in one for part in reading)])
    edit = min(edits, key=len)
    assert len(edit) <= 8, edit


async def test_a_sign_of_life_is_part_of_the_look(
    make_plugin: MakePlugin, postgres_url: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process says that it is there, and how often it has sent what, in the one statement that looks for changes."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    registry.declare("stan", {"default": "One."}, where="test")
    plugin = make_plugin(postgres_url, startup_timeout=_PATIENCE, heartbeat=0.2)
    await plugin.ready()
    agent = Agent(TestModel(), capabilities=[ActivePrompt("stan", plugin=plugin)])
    asked: list[str] = []
    for name in ("execute", "fetch", "fetchrow", "executemany"):
        monkeypatch.setattr(asyncpg.Connection, name, _told(getattr(asyncpg.Connection, name), asked))
    await agent.run("hello")
    await until(lambda: any("INTO prompt_usage" in one for one in asked), "the run is counted")
    await until(lambda: sum("UPDATE prompt_processes" in one for one in asked) > 5, "it has said so some times")
    writes = ("INTO prompt_processes", "UPDATE prompt_processes", "INTO prompt_usage")
    said = [one for one in asked if any(part in one for part in writes)]
    assert all("pg_current_snapshot()::text AS position" in one for one in said)


async def test_a_run_is_counted_once_and_without_a_wait(
    make_plugin: MakePlugin, sqlite_url: str, registry: Registry
) -> None:
    """Each run adds one number to a list, however many requests it makes; nothing else happens in it for that."""
    prompt("You are Stan.", agent="stan", registry=registry)
    async with make_plugin(sqlite_url, startup_timeout=_PATIENCE) as plugin:
        await until(lambda: plugin.resolve("stan").prompt_id, "the version is known")
        agent = Agent(TestModel(), capabilities=[ActivePrompt("stan", plugin=plugin)])

        @agent.tool_plain
        def look() -> str:
            return "seen"

        sent: list[int] = []
        plugin.reader.report_sent = sent.append
        for _ in range(3):
            assert len((await agent.run("hello")).all_messages()) == 4  # two requests
        assert sent == [plugin.resolve("stan").prompt_id] * 3


def _told(function: Callable[..., Any], asked: list[str]) -> Callable[..., Any]:
    """Return a method of a connection that takes note of its statements."""

    def called(connection: object, statement: str, *arguments: object, **options: object) -> Any:
        asked.append(statement)
        return function(connection, statement, *arguments, **options)

    return called


async def test_following_uses_an_index(sqlite_url: str) -> None:
    """What runs again and again reads no whole table of versions, as SQLite plans it."""
    async with Database(sqlite_url) as database:
        await upgrade(database)
        await growth.fill(database, 10_000)

        plans = await database.run(growth.plans)

    read = [line for line in plans.splitlines() if line.startswith(("SCAN prompts", "SEARCH p "))]
    assert len(read) == 2, plans
    assert all("INDEX" in line for line in read), plans


def test_importing_leaves_out_what_serving_does_not_need() -> None:
    """An application that imports the library does not load the command line, the migrations or a database driver."""
    script = "import sys, automagik_prompts; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert {"typer", "rich.console", "aerich", "asyncpg", "aiosqlite"}.isdisjoint(done.stdout.split())


def _declared(agents: int, texts: int = 10) -> Registry:
    registry = Registry()
    for number in range(agents):
        declared = {f"STATUS_{text}": f"You are agent {number} for {text}." for text in range(texts)}
        registry.declare(f"agent-{number}", declared, where="test", primary="STATUS_0")
    return registry


def _calls_of(call: Callable[[], object]) -> int:
    """Count what one call calls, itself and built-in functions included."""
    seen = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal seen
        seen += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(before)
    return seen


def _best(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """Return the best time of each over many short turns, taken one after the other."""
    best = [float("inf"), float("inf")]
    for _ in range(200):
        for place, call in enumerate((one, other)):
            start = time.perf_counter()
            for _turn in range(10):
                call()
            best[place] = min(best[place], time.perf_counter() - start)
    return best[0], best[1]


@contextmanager
def _statements() -> Iterator[list[str]]:
    """Collect the statements that SQLite runs in this process, as its own trace tells them."""
    connect, found = sqlite3.connect, list[str]()

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(found.append)
        return connection

    sqlite3.connect = connected  # type: ignore[assignment]  # the driver calls it by this name
    try:
        yield found
    finally:
        sqlite3.connect = connect
