from __future__ import annotations

import asyncio
import logging
import os
import queue
import sys
import threading
from pathlib import Path

import pytest
from pydantic_ai import Agent

from automagik_prompts import ActivePrompt, PromptChange
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime import callbacks
from tests.acceptance.commands import environment, run
from tests.conftest import MakePlugin
from tests.listening import Listener
from tests.waiting import until


@pytest.fixture
async def plugin(registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin with an agent's two statuses, loaded."""
    registry.declare("stan", {"default": "One.", "APPROVED": "Approved."}, where="here")
    plugin = make_plugin("sqlite://:memory:")
    await plugin.ready()
    return plugin


def shown(change: PromptChange) -> tuple[str, int | None, int | None]:
    """Return what a change is about."""
    before, after = change.before, change.after
    return change.status_key, before.version if before else None, after.version if after else None


class Notes:
    """What callbacks were told, and a bounded wait for it."""

    def __init__(self) -> None:
        self._told: queue.Queue[PromptChange] = queue.Queue()

    def __call__(self, change: PromptChange) -> None:
        """Take a change."""
        self._told.put(change)

    async def next(self) -> PromptChange:
        """Return the next change."""
        return await asyncio.to_thread(self._told.get, timeout=30)

    @property
    def empty(self) -> bool:
        """Whether nothing else was told."""
        return self._told.empty()


async def test_each_kind_of_change(plugin: PromptPlugin) -> None:
    """Activations, rollbacks and deactivations are told, in order, with both sides; writing a draft is not."""
    notes = Notes()
    plugin.on_change(notes)
    await plugin.create("stan", "APPROVED", "A draft.", new_status=True)
    await plugin.activate("stan", "APPROVED", 2)
    await plugin.rollback("stan", "APPROVED")
    await plugin.deactivate("stan", "APPROVED")
    await plugin.create("stan", "NEW", "Of a new status.", activate=True, new_status=True)
    changes = [await notes.next() for _ in range(4)]
    assert [shown(change) for change in changes] == [
        ("APPROVED", 1, 2),
        ("APPROVED", 2, 1),
        ("APPROVED", 1, 1),  # the primary status' text stands in
        ("NEW", None, 1),
    ]
    assert changes[2].after is not None
    assert (changes[0].agent, changes[2].after.status_key) == ("stan", "default")
    assert changes[3].before is None
    assert notes.empty


async def test_changes_made_by_others(sqlite_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """What another process activates is told as well; what the first load brings is not."""
    registry.declare("stan", {"default": "One."}, where="here")
    writer = make_plugin(sqlite_url, disk_snapshot=False)
    await writer.create("stan", "default", "Two.", activate=True)
    notes, follower = Notes(), make_plugin(sqlite_url, disk_snapshot=False, poll_interval=0.01)
    follower.on_change(notes)
    await follower.ready()
    await writer.create("stan", "default", "Three.", activate=True)
    assert shown(await notes.next()) == ("default", 2, 3)
    assert notes.empty


async def test_what_the_database_has_instead_of_the_codes(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """A process that began with the code's texts tells where the database has another, and only there."""
    registry.declare("stan", {"default": "One.", "APPROVED": "Approved."}, where="here")
    writer = make_plugin(sqlite_url, disk_snapshot=False)
    await writer.create("stan", "APPROVED", "Theirs.", activate=True)
    notes, plugin = Notes(), make_plugin(sqlite_url, disk_snapshot=False, startup_timeout=0)
    plugin.on_change(notes)
    plugin.resolve("stan")
    first = await notes.next() if plugin.resolve("stan", "APPROVED").version is None else None
    if first is not None:  # else the database was read before anybody asked
        assert shown(first) == ("APPROVED", None, 2)
    assert notes.empty


async def test_async_callbacks(plugin: PromptPlugin) -> None:
    """Async callbacks run one after the other on one event loop, which is not the application's."""
    notes, loops = Notes(), set()

    @plugin.on_change
    async def changed(change: PromptChange) -> None:
        await asyncio.sleep(0)
        loops.add(asyncio.get_running_loop())
        notes(change)

    for number in range(3):
        await plugin.create("stan", "default", f"Text {number}.", activate=True, new_status=True)
    assert [shown(await notes.next())[2] for _ in range(3)] == [2, 3, 4]
    assert len(loops) == 1
    assert asyncio.get_running_loop() not in loops


async def test_one_that_raises_hurts_nobody(plugin: PromptPlugin, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, with the agent and status, and called again at the next change; the others are told."""
    notes, calls = Notes(), []

    def broken(change: PromptChange) -> None:
        calls.append(change)
        raise ValueError("broken")

    async def broken_later(change: PromptChange) -> None:
        calls.append(change)
        raise ValueError("broken later")

    for callback in (broken, broken_later, notes):
        plugin.on_change(callback)
    with caplog.at_level(logging.ERROR, "automagik_prompts"):
        for number in range(2):
            await plugin.create("stan", "default", f"Text {number}.", activate=True, new_status=True)
        assert [shown(await notes.next())[2] for _ in range(2)] == [2, 3]
        await until(lambda: len(calls) == 4 and len(caplog.records) == 4, "all calls are made and logged")
    assert "raised at stan/default" in caplog.text
    assert plugin.resolve("stan").text == "Text 1."


async def test_one_that_hangs_hurts_nobody(plugin: PromptPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are told, runs and edits go on, memory is bounded, and closing does not wait."""
    monkeypatch.setattr(callbacks, "MAX_WAITING", 5)
    hanging, release, notes = threading.Event(), threading.Event(), Notes()

    def hang(_change: PromptChange) -> None:
        hanging.set()
        release.wait(60)

    async def hang_later(_change: PromptChange) -> None:
        await asyncio.Event().wait()

    for callback in (hang, hang_later, notes):
        plugin.on_change(callback)
    listener = Listener()
    agent: Agent[object, str] = Agent(listener.model, capabilities=[ActivePrompt("stan", plugin=plugin)])
    for number in range(20):
        await plugin.create("stan", "default", f"Text {number}.", activate=True, new_status=True)
        await agent.run("hi")
        assert listener.last.system == [f"Text {number}."]
        assert shown(await notes.next())[2] == number + 2
    assert hanging.is_set()
    assert all(len(one._waiting) <= 5 for one in plugin._life.callbacks._listeners)
    began = asyncio.get_running_loop().time()
    await asyncio.to_thread(plugin.close)
    assert asyncio.get_running_loop().time() - began < 5
    release.set()


async def test_no_longer(plugin: PromptPlugin) -> None:
    """A callback that is taken away is called no more; one that is given twice is called once."""
    notes, others = Notes(), Notes()
    for callback in (notes, notes, others):
        plugin.on_change(callback)
    await plugin.create("stan", "default", "Two.", activate=True, new_status=True)
    await others.next()
    await notes.next()
    plugin.unsubscribe(notes)
    plugin.unsubscribe(notes)
    await plugin.create("stan", "default", "Three.", activate=True, new_status=True)
    assert shown(await others.next())[2] == 3
    assert notes.empty


async def test_closed_and_started_again(sqlite_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """Callbacks stay when the plugin is closed; when it is started again they are called again."""
    registry.declare("stan", {"default": "One."}, where="here")
    plugin, notes = make_plugin(sqlite_url, disk_snapshot=False), Notes()
    plugin.on_change(notes)
    for number in (2, 3):
        plugin.start()
        await plugin.ready()
        await plugin.create("stan", "default", f"Text {number}.", activate=True, new_status=True)
        assert shown(await notes.next())[2] == number
        await asyncio.to_thread(plugin.close)
    assert notes.empty


def test_what_is_waiting_is_bounded(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that falls behind misses the oldest changes, and that is said once."""
    monkeypatch.setattr(callbacks, "MAX_WAITING", 3)
    begun, release, told = threading.Event(), threading.Event(), []
    done = threading.Event()

    def slow(change: PromptChange) -> None:
        begun.set()
        release.wait(30)
        told.append(change.status_key)
        if change.status_key == "9":
            done.set()

    all_of_them: callbacks.Callbacks[PromptChange] = callbacks.Callbacks("on_change")
    all_of_them.add(slow)
    changes = [PromptChange("stan", str(number), None, None) for number in range(10)]
    with caplog.at_level(logging.WARNING, "automagik_prompts"):
        all_of_them.call(changes[:1])
        assert begun.wait(30)
        all_of_them.call(changes[1:])
        release.set()
        assert done.wait(30)
    assert told == ["0", "7", "8", "9"]
    [record] = caplog.records
    assert "slow is 3 calls behind" in record.getMessage()
    all_of_them.end()


FORKED = """
import os, sys, threading
from automagik_prompts import PromptPlugin, prompt
import asyncio

prompt("One.", agent="stan")
told = threading.Event()
plugin = PromptPlugin(sys.argv[1], poll_interval=0.01)
plugin.on_change(lambda change: told.set())
plugin.resolve("stan")
asyncio.run(plugin.create("stan", "default", "Two.", activate=True))
assert told.wait(30)
told.clear()
child = os.fork()
if child == 0:
    asyncio.run(plugin.create("stan", "default", "Three.", activate=True))
    os._exit(0 if told.wait(30) else 1)
assert os.waitpid(child, 0)[1] == 0
assert told.wait(30)
print("told in both")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_in_a_forked_process(tmp_path: Path) -> None:
    """Callbacks are called in a child, whose parent had threads for them, and in the parent still."""
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    output = run(sys.executable, script, f"sqlite://{tmp_path / 'prompts.db'}", cwd=tmp_path, env=environment(tmp_path))
    assert "told in both" in output


HANGING = """
import asyncio, threading
from automagik_prompts import PromptPlugin, prompt

prompt("One.", agent="stan")
begun = threading.Event()
plugin = PromptPlugin("sqlite://:memory:")

@plugin.on_change
def hang(change):
    begun.set()
    threading.Event().wait()

plugin.resolve("stan")
asyncio.run(plugin.create("stan", "default", "Two.", activate=True))
assert begun.wait(30)
print("the end")
"""


def test_a_process_ends_whatever_hangs(tmp_path: Path) -> None:
    """A callback that never returns does not keep the process from ending."""
    script = tmp_path / "hanging.py"
    script.write_text(HANGING)
    assert run(sys.executable, script, cwd=tmp_path, env=environment(tmp_path), seconds=30).strip() == "the end"
