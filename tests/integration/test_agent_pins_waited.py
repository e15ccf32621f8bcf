"""The only wait after the start: for a version that a conversation goes on with and that is not in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ModelMessage

from automagik_prompts import ActivePrompt, PromptPlugin, State, prompt_used
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.text import content_hash
from automagik_prompts.following import version_cache
from automagik_prompts.following.version_cache import VersionStore
from automagik_prompts.runtime import asking
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.forging import entry, history
from tests.listening import Listener
from tests.waiting import until


class Gate:
    """Holds up what the plugin's thread reads for pinned conversations, until it is opened."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.is_open = False

    async def wait(self, version: int) -> None:
        """Take note of a question, and hold it up."""
        self.asked.append(version)
        await until(lambda: self.is_open, "the gate is opened")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """The gate, closed; nothing is read ahead."""
    gate, read = Gate(), VersionStore.asking

    def held_up(self: VersionStore, key: version_cache.Key) -> version_cache.Read:
        async def wait_and_read(database: Database) -> None:
            await gate.wait(key[2])
            await read(self, key)(database)

        return wait_and_read

    monkeypatch.setattr(version_cache, "NEWEST", 0)
    monkeypatch.setattr(VersionStore, "asking", held_up)
    return gate


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Has one entry for each time that a run began to wait."""
    found: list[str] = []
    done: Callable[[Any], Awaitable[None]] = asking._answer

    async def counted(answered: Any) -> None:
        found.append("waited")
        await done(answered)

    monkeypatch.setattr(asking, "_answer", counted)
    return found


@pytest.fixture
async def url(sqlite_url: str, registry: Registry, make_plugin: MakePlugin) -> str:
    """A database in which version 2 is active and version 1 was."""
    registry.declare("stan", {"NEW": "Now, {{name}}."}, where="here", primary="NEW")
    writer = make_plugin(sqlite_url, disk_snapshot=False, seed=True)
    await writer.create("stan", "NEW", "One, {{name}}.", new_status=True, activate=True)
    await writer.create("stan", "NEW", "Two, {{name}}.", activate=True)
    writer.close()
    return sqlite_url


ONE = entry(version=2, content_hash=content_hash("One, {{name}}."))


def agent_of(listener: Listener, plugin: PromptPlugin) -> Agent[None, str]:
    """Return an agent whose conversations go on with their versions."""
    own: ActivePrompt[None] = ActivePrompt("stan", plugin=plugin, pin="conversation", variables={"name": "Ada"})
    return Agent(listener.model, capabilities=[own])


async def follow(make_plugin: MakePlugin, url: str, **settings: Any) -> PromptPlugin:
    """Return a plugin that follows the database."""
    plugin = make_plugin(url, disk_snapshot=False, startup_timeout=30, **settings)
    await plugin.ready()
    await until(lambda: plugin.state is State.LIVE, "the plugin follows")
    return plugin


def late(plugin: PromptPlugin) -> list[str]:
    """Return what is told of versions that did not come in time."""
    return [problem for problem in plugin.health().problems if "could not be read in time" in problem]


async def test_a_run_waits_for_its_version(url: str, make_plugin: MakePlugin, gate: Gate, waits: list[str]) -> None:
    """A run whose version is not in memory waits until the thread has read it; later ones find it there."""
    plugin, listener = await follow(make_plugin, url, pin_timeout=10), Listener()
    agent = agent_of(listener, plugin)
    runs = [asyncio.create_task(agent.run("hi", message_history=history(ONE))) for _ in range(2)]
    await until(lambda: len(waits) == 2 and gate.asked, "both runs wait")
    assert not any(run.done() for run in runs)
    gate.is_open = True
    for run in runs:
        used = prompt_used(await run).last
        assert used is not None
        assert used.version == 2
    await agent.run("hi", message_history=history(ONE))
    assert [heard.system for heard in listener.heard] == [["One, Ada."]] * 3
    assert (gate.asked, len(waits)) == ([2], 2)
    assert not late(plugin)


async def test_it_waits_once_and_not_for_ever(url: str, make_plugin: MakePlugin, gate: Gate, waits: list[str]) -> None:
    """After the time the active version is sent and that is told; no run waits for it again, and the read goes on."""
    plugin, listener = await follow(make_plugin, url, pin_timeout=0.05), Listener()
    agent = agent_of(listener, plugin)
    for _ in range(3):
        messages: list[ModelMessage] = (await agent.run("hi", message_history=history(ONE))).all_messages()
    assert [heard.system for heard in listener.heard] == [["Two, Ada."]] * 3
    assert (gate.asked, waits) == ([2], ["waited"])
    [told] = late(plugin)
    assert "stan" in told
    assert "Ada" not in told
    gate.is_open = True
    await until(lambda: plugin._life.versions.find_pinned(None, "stan", "NEW", 2), "the thread reads it")
    await agent.run("hi", message_history=history(ONE))
    assert listener.last.system == ["One, Ada."]
    used = prompt_used(messages).last
    assert used is not None
    assert used.version == 3


async def test_never(url: str, make_plugin: MakePlugin, gate: Gate, waits: list[str]) -> None:
    """With 0 no run waits, and that is told; the version is read all the same, and a later run finds it."""
    plugin, listener = await follow(make_plugin, url, pin_timeout=0), Listener()
    agent = agent_of(listener, plugin)
    await agent.run("hi", message_history=history(ONE))
    assert listener.last.system == ["Two, Ada."]
    assert late(plugin)
    await until(lambda: gate.asked == [2], "it is asked for")
    gate.is_open = True
    await until(lambda: plugin._life.versions.find_pinned(None, "stan", "NEW", 2), "the thread reads it")
    await agent.run("hi", message_history=history(ONE))
    assert listener.last.system == ["One, Ada."]
    assert not waits


async def test_the_eleventh_question(url: str, make_plugin: MakePlugin, gate: Gate, waits: list[str]) -> None:
    """A process has ten questions open at once; a run with another one is sent the active version at once."""
    plugin, listener = await follow(make_plugin, url, pin_timeout=10), Listener()
    agent = agent_of(listener, plugin)
    forged = [history(entry(version=100 + number)) for number in range(11)]
    runs = [asyncio.create_task(agent.run("hi", message_history=one)) for one in forged[:10]]
    await until(lambda: len(gate.asked) == len(waits) == 10, "ten runs wait")
    await agent.run("hi", message_history=forged[10])
    assert len(gate.asked) == 10
    assert len(late(plugin)) == 1
    assert not any(run.done() for run in runs)
    gate.is_open = True
    await asyncio.gather(*runs)
    # That there is no such version is known now: nobody asks or waits again.
    await agent.run("hi", message_history=forged[0])
    assert sorted(gate.asked) == list(range(100, 110))
    assert len(waits) == 10
    assert [heard.system for heard in listener.heard] == [["Two, Ada."]] * 12
    assert any("has no version 10" in problem for problem in plugin.health().problems)


async def test_what_could_not_be_read_is_asked_again(
    url: str, make_plugin: MakePlugin, gate: Gate, waits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question that failed is asked again later, and nobody waits for it a second time."""
    plugin, listener = await follow(make_plugin, url, pin_timeout=10), Listener()
    agent, held_up = agent_of(listener, plugin), VersionStore.asking

    def failing(_store: VersionStore, key: version_cache.Key) -> version_cache.Read:
        async def fail(_database: Database) -> None:
            await gate.wait(key[2])
            raise OSError("the disk is away")

        return fail

    monkeypatch.setattr(VersionStore, "asking", failing)
    run = asyncio.create_task(agent.run("hi", message_history=history(ONE)))
    await until(lambda: waits, "it waits")
    gate.is_open = True
    await run
    await agent.run("hi", message_history=history(ONE))
    assert listener.last.system == ["Two, Ada."]
    assert gate.asked == [2], "not again at once"
    monkeypatch.setattr(plugin.reader._asking, "_failed", {})  # its time is over
    monkeypatch.setattr(VersionStore, "asking", held_up)
    await agent.run("hi", message_history=history(ONE))
    await until(lambda: plugin._life.versions.find_pinned(None, "stan", "NEW", 2), "it is read")
    assert len(waits) == 1


async def test_offline_nobody_waits(
    registry: Registry, make_plugin: MakePlugin, tmp_path: Path, waits: list[str]
) -> None:
    """Where the database cannot be read the code's text is sent at once."""
    registry.declare("stan", {"NEW": "Now, {{name}}."}, where="here", primary="NEW")
    plugin, listener = (
        make_plugin(f"sqlite://{tmp_path}/no/folder/here.db", startup_timeout=0, pin_timeout=10),
        Listener(),
    )
    await agent_of(listener, plugin).run("hi", message_history=history(ONE))
    assert listener.last.system == ["Now, Ada."]
    assert len(late(plugin)) == 1
    assert not waits
    await until(lambda: plugin.state is State.OFFLINE, "the database is known to be away")


async def test_stale_nobody_waits(url: str, make_plugin: MakePlugin, gate: Gate, waits: list[str]) -> None:
    """Nor does anybody where it cannot be read any more."""
    plugin, listener = await follow(make_plugin, url, pin_timeout=10), Listener()
    plugin.close()
    await agent_of(listener, plugin).run("hi", message_history=history(ONE))
    assert plugin.state is State.STALE
    assert listener.last.system == ["Two, Ada."]
    assert (gate.asked, waits) == ([], [])
    assert len(late(plugin)) == 1


async def test_a_run_that_is_cancelled_leaves_nothing(
    url: str, make_plugin: MakePlugin, gate: Gate, waits: list[str]
) -> None:
    """A run that ends while it waits, and an event loop that ends with it, disturb nobody."""
    plugin = await follow(make_plugin, url, pin_timeout=10)
    agent = agent_of(Listener(), plugin)

    def on_a_loop_of_its_own() -> None:
        async def begin() -> None:
            run = asyncio.create_task(agent.run("hi", message_history=history(ONE)))
            await until(lambda: waits, "it waits")
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

        asyncio.run(begin())

    await asyncio.to_thread(on_a_loop_of_its_own)
    gate.is_open = True
    await until(lambda: plugin._life.versions.find_pinned(None, "stan", "NEW", 2), "the read goes on")
