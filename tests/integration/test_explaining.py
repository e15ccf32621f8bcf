"""`explain` says what a process serves that starts now, and reads no more than one agent for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.cli.live import LookingPlugin
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Explanation
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.operator import Operator
from tests.proxy import Proxy
from tests.tampering import unkeep

ASKED = [
    *(("ann", None), ("ann", "NEW"), ("ann", "new"), ("ann", "OTHER"), ("ann", "NOBODY'S"), ("ann", "GONE")),
    *(("bob", None), ("bob", "A"), ("bob", "UNKNOWN")),
    *(("code", None), ("code", "X"), ("code", "x"), ("code", "Y")),
    *(("broken", None), ("broken", "BAD"), ("broken", "CHANGED"), ("broken", "SECRET"), ("broken", "NO_CODE")),
    *(("clash", "APPROVED"), ("clash", "approved"), ("withdrawn", "W"), ("empty", None), ("empty", "X")),
    *(("anne", None), ("nobody at all", "X")),
]
"""Agents and statuses, odd ones among them."""


def declare(registry: Registry) -> None:
    """Declare what the code of the process has."""
    registry.declare("ann", {"NEW": "code new {{name}}", "GONE": "code gone"}, where="here", primary="NEW")
    registry.declare("code", {"X": "only code", "Y": "only code too"}, where="here", primary="Y")
    texts = {"BAD": "code bad", "CHANGED": "code changed", "SECRET": "code secret"}
    registry.declare("broken", texts, where="here", primary="BAD")
    registry.declare("clash", {"approved": "code approved"}, where="here")
    registry.declare("withdrawn", {"W": "withdrawn text"}, where="here")


async def fill(url: str) -> None:
    """Write what people and plain SQL have put into the database."""

    async def spoil(client: BaseDBAsyncClient) -> None:
        db = Connection(client)
        for status_key, text in (
            ("BAD", "{{#if"),
            ("CHANGED", "in place"),
            ("SECRET", "{{api_key}}"),
            ("NO_CODE", "{{/if}}"),
        ):
            await db.run(
                "UPDATE prompts SET prompt_text = ? WHERE status_key = ? AND is_active = true", text, status_key
            )

    async with Database(url) as database:
        await upgrade(database)
        edits = DatabaseEdits(database, author="bea")
        for agent, status_key in (
            *(("ann", "NEW"), ("ann", "OTHER"), ("ann", "GONE"), ("bob", "A"), ("bob", "Default")),
            *(("broken", "BAD"), ("broken", "CHANGED"), ("broken", "SECRET"), ("broken", "NO_CODE")),
            *(("clash", "APPROVED"), ("withdrawn", "W"), ("empty", "X")),
        ):
            text = "withdrawn text" if agent == "withdrawn" else f"{agent} {status_key}"
            await edits.create(agent, status_key, text, activate=True, new_agent=True, new_status=True)
        await edits.deactivate("ann", "GONE")
        await edits.deactivate("empty", "X")
        await edits.create("withdrawn", "W", "better", activate=True)
        await edits.withdraw("withdrawn", "W", 1, note="wrong")
        await unkeep(database)
        await database.transaction(spoil)
        await upgrade(database)  # what keeps texts is there again


def explained(plugin: PromptPlugin, agent: str, status_key: str | None) -> Explanation | str:
    """Return what a plugin says but for the ages, or why it says nothing."""
    try:
        found = plugin.explain(agent, status_key)
    except NoActivePromptError as error:
        return error.message
    return replace(found, state_age=0.0, snapshot_age=None if found.snapshot_age is None else 0.0)


@pytest.fixture
async def full(database_url: str, registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A process that serves, with code that it has written."""
    await fill(database_url)
    declare(registry)
    plugin = make_plugin(database_url, startup_timeout=30.0, poll_interval=0.05)
    await plugin.sync()
    return plugin


async def looking(url: str, registry: Registry, agent: str, status_key: str | None) -> Explanation | str:
    """Return what `explain` is told."""
    with LookingPlugin(url, [agent], registry) as plugin:
        await plugin.ready()
        return explained(plugin, agent, status_key)


@pytest.mark.parametrize(("agent", "status_key"), ASKED)
async def test_a_new_process_and_explain_say_the_same(
    full: PromptPlugin, registry: Registry, database_url: str, agent: str, status_key: str | None
) -> None:
    """Chosen by the same rules, for the same reasons, with the same notes, whatever is odd about the agent."""
    theirs = explained(full, agent, status_key)
    ours = await looking(database_url, registry, agent, status_key)
    if isinstance(ours, str) and agent in {"anne", "nobody at all"}:
        return  # the command asks for the names of the others, as the next test sees
    if isinstance(theirs, Explanation) and isinstance(ours, Explanation):
        # Whether notifications arrive is not known yet.
        theirs, ours = replace(theirs, notes=()), replace(ours, notes=())
    assert ours == theirs


async def test_the_notes_are_the_same(full: PromptPlugin, registry: Registry, database_url: str) -> None:
    """What cannot be served is named, what the code spells otherwise, what is withdrawn and what it does not know."""
    for agent, status_key in (("broken", "BAD"), ("clash", "APPROVED"), ("withdrawn", "W"), ("ann", "OTHER")):
        theirs, ours = (
            explained(full, agent, status_key),
            await looking(database_url, registry, agent, status_key),
        )
        assert isinstance(theirs, Explanation)
        assert isinstance(ours, Explanation)
        assert ours.notes
        assert ours.notes == theirs.notes


async def test_an_agent_that_is_not_there(full: PromptPlugin, database_url: str, tmp_path: Path) -> None:
    """The command says what the process says: which agents there are, and which one may have been meant."""
    said = explained(full, "bobb", None)
    assert isinstance(said, str)
    assert "Did you mean 'bob'?" in said
    told = Operator(tmp_path, database_url).run("explain", "bobb")
    assert told.code == 1
    assert "Did you mean 'bob'?" in told.err
    assert "neither in the database nor in code" in told.err


async def test_what_is_followed_only_in_part(
    full: PromptPlugin, registry: Registry, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the process follows some agents, another one is left out, and the reason says so."""
    assert full.is_started
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_ONLY", "bob")
    assert isinstance(await looking(database_url, registry, "bob", "A"), Explanation)
    assert isinstance(await looking(database_url, registry, "ann", "NEW"), Explanation)  # the code declares it
    left_out = await looking(database_url, registry, "empty", None)
    assert isinstance(left_out, str)
    assert "the setting only names" in left_out


async def test_during_an_outage(proxy: Proxy, postgres_url: str, make_plugin: MakePlugin, tmp_path: Path) -> None:
    """What is on disk is read, of one agent; and nothing is written there."""
    await fill(postgres_url)
    url, cache = proxy.url(postgres_url), tmp_path / "cache"
    plugin = make_plugin(url, startup_timeout=30.0)
    await plugin.ready()
    plugin.close()
    proxy.refuse()
    before = {path: path.read_bytes() for path in cache.iterdir()}
    told = Operator(tmp_path, url).run(
        "explain", "bob", "A", "--json", environment={"AUTOMAGIK_PROMPTS_CACHE_DIR": str(cache)}
    )
    assert (told.json["served_from"], told.json["state"]) == ("disk", "stale")
    assert told.json["process"] == "started now"
    assert {path: path.read_bytes() for path in cache.iterdir()} == before


async def test_code_that_the_database_has_not_seen(sqlite_url: str, tmp_path: Path) -> None:
    """`explain` says what a process writes first, and what then becomes of it."""
    await fill(sqlite_url)
    lines = [
        "from automagik_prompts import prompt",
        "prompt('brand new', agent='fresh', status_key='X')",
        "prompt('changed', agent='bob', status_key='A')",
    ]
    (tmp_path / "other.py").write_text("\n".join(lines))
    operator = Operator(tmp_path, sqlite_url)
    assert "writes it, and serves it" in operator.do("explain", "fresh", "--module", "other")
    said = operator.do("explain", "bob", "A", "--module", "other")
    assert "writes it, and serves what is active, as a person decided otherwise" in said
    assert said.endswith("process: one that starts now; one that runs says it by plugin.explain()\n")
    off: dict[str, str | None] = {"AUTOMAGIK_PROMPTS_SEED": "false"}
    assert "writes it" not in operator.run("explain", "fresh", "--module", "other", environment=off).out


_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.soak
def test_what_it_takes_with_many_prompts(tmp_path: Path, record_property: object) -> None:
    """With 100 000 prompts `explain` takes the memory that it takes with one, and `doctor` a little more."""
    from benchmarks.many import fill as fill_many

    peaks: dict[tuple[str, int], float] = {}
    for size in (1, 100_000):
        url = f"sqlite://{tmp_path / f'{size}.db'}"
        asyncio.run(fill_many(url, size))
        operator = Operator(tmp_path, url)
        for command in (("explain", "agent-0"), ("watch", "agent-0", "--for", "0"), ("doctor",)):
            done = subprocess.run(
                [sys.executable, "-c", _PEAK, str(Path(sys.executable).parent / "automagik-prompts"), *command],
                env=operator.environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            )
            peaks[command[0], size] = int(done.stdout) / (1 if sys.platform == "darwin" else 1024)
    assert callable(record_property)
    record_property("measured", ", ".join(f"{name} {size}: {peak:.0f} MiB" for (name, size), peak in peaks.items()))
    assert peaks["explain", 100_000] - peaks["explain", 1] < 5
    assert peaks["watch", 100_000] - peaks["watch", 1] < 5
    assert peaks["doctor", 100_000] - peaks["doctor", 1] < 40
