"""Durable runs under Temporal: its own sandbox and its own replayer, without a server, which cannot be had here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module, reload
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("temporalio")

from automagik_prompts.agent import plugins
from automagik_prompts.declaring.registry import registry as process_registry
from automagik_prompts.plugin import PromptPlugin
from tests.temporal_driver import Driver

FLOW = "tests.temporal_flow"

VERSION = "Two: you are Flora. {{name}} is {{mood}}."


@pytest.fixture
def flow(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of the workflow, with a database of its own."""
    monkeypatch.setenv("TEMPORAL_FLOW_DATABASE", sqlite_url)
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_STARTUP_TIMEOUT", "30")
    declared = process_registry.agents
    known = sys.modules.get(FLOW)
    module = reload(known) if known is not None else import_module(FLOW)
    yield module
    module.plugin.close()
    if (default := plugins.current()) is not None:
        assert isinstance(default, PromptPlugin)
        default.close()
    process_registry._agents = declared  # what the module has declared is nobody else's


def driver_of(flow: ModuleType, which: str, **options: Any) -> Driver:
    """Return a driver of the workflow with one of its agents."""
    engines: list[Any] = []
    flow.AGENTS[which].root_capability.apply(engines.append)
    [engine] = [one for one in engines if hasattr(one, "temporal_activities")]
    return Driver(flow.Conversation, engine.temporal_activities, **options)


@pytest.mark.parametrize("which", ["flora", "instructed"])
async def test_a_version_that_is_activated_meanwhile(flow: ModuleType, which: str) -> None:
    """The first use in the sandbox works; what is activated between two tasks changes nothing, nor does a replay.

    The workflow's code asks for activities alone, and loads nothing of the database.
    """

    async def between(task: int) -> None:
        if task == 3:
            await flow.plugin.create("flora", "NEW", VERSION, activate=True)
            flow.mood.append("sad")

    driver = driver_of(flow, which, between=between)
    versions, loaded, _ = await driver.run(which)
    assert versions == "1,1,1"
    assert loaded == ""
    first, *later = flow.sent
    assert first == "Code: you are Flora. Greet Grace, who is glad."
    assert later == ["Code: you are Flora. Greet Grace, who is sad."] * 2
    kinds = {kind for kind, _ in driver.commands}
    assert kinds <= {"schedule_activity", "set_patch_marker", "complete_workflow_execution"}
    prompts = [name for _, name in driver.commands if name.endswith("__prompt")]
    assert prompts == [f"agent__{which}__capability__active_prompt-flora__prompt"] * 3
    await driver.replay()


async def test_a_process_that_was_not_there_before(flow: ModuleType) -> None:
    """A history from a cold process is replayed in a warm one, and one from a warm process in a cold one.

    Nothing of ours is started for a replay.
    """
    cold = driver_of(flow, "flora")
    versions, _, _ = await cold.run("flora")
    assert versions == "1,1,1"
    await flow.plugin.create("flora", "NEW", VERSION, activate=True)
    await cold.replay()
    warm = driver_of(flow, "flora")
    versions, _, _ = await warm.run("flora")
    assert versions == "2,2,2"
    flow.plugin.close()
    module = reload(flow)
    await warm.replay()
    assert module.plugin._life.worker is None
    module.plugin.close()


async def test_the_default_plugin_and_an_agent_without_a_name(flow: ModuleType) -> None:
    """An agent that names neither its prompts nor a plugin is durable as well; what cannot change is asked for once."""
    driver = driver_of(flow, "vera")
    versions, loaded, _ = await driver.run("vera")
    assert versions == "1,1,1"
    assert loaded == ""
    assert flow.sent == ["Code: you are Vera."] * 3
    assert len([name for _, name in driver.commands if name.endswith("__prompt")]) == 1
    await driver.replay()


async def test_the_process_keeps_its_own(flow: ModuleType) -> None:
    """The copies of the workflow's module in the sandbox change nothing of what this process has declared."""
    before = process_registry.agents["flora"]
    driver = driver_of(flow, "flora")
    await driver.run("flora")
    await driver.replay()
    assert process_registry.agents["flora"] is before
