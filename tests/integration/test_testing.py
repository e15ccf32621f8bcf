from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

import automagik_prompts
from automagik_prompts import (
    ActivePrompt,
    InvalidPromptError,
    NoActivePromptError,
    PromptPlugin,
    RenderError,
    Source,
    UnexposedVariableError,
    prompt_used,
    testing,
)
from automagik_prompts.declaring.registry import Registry
from tests.conftest import MakePlugin
from tests.listening import Listener


class Status(Enum):
    """A status as an enum member."""

    APPROVED = "APPROVED"


@pytest.fixture
async def plugin(registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin with an agent's two statuses."""
    texts = {"default": "Default, {{name}}.", "APPROVED": "Approved, {{name}}."}
    registry.declare("tested", texts, where="here")
    plugin = make_plugin("sqlite://:memory:")
    await plugin.ready()
    return plugin


async def heard_by(plugin: PromptPlugin, status: str | None = "APPROVED", agent: str = "tested") -> str:
    """Run an agent and return what its model was told."""
    listener = Listener()
    own: ActivePrompt[object] = ActivePrompt(agent, status, variables={"name": "Ada"}, plugin=plugin)
    await Agent(listener.model, capabilities=[own]).run("hi")
    return listener.last.system[0]


async def test_an_override_is_told_instead(plugin: PromptPlugin) -> None:
    """Inside the block the text is told for its status, filled; the metadata says that it was an override."""
    own: ActivePrompt[object] = ActivePrompt("tested", Status.APPROVED, variables={"name": "Ada"}, plugin=plugin)
    agent = Agent(TestModel(), capabilities=[own])
    with testing.override("tested", Status.APPROVED, "Test, {{name}}."):
        assert await heard_by(plugin) == "Test, Ada."
        assert await heard_by(plugin, "default") == "Default, Ada."
        assert plugin.resolve("tested", "APPROVED").source is Source.OVERRIDE
        assert plugin.render("tested", "APPROVED", {"name": "Grace"}) == "Test, Grace."
        result = await agent.run("hi")
    [[used]] = prompt_used(result).requests
    assert (used.source, used.version, used.prompt_id) == (Source.OVERRIDE, None, None)
    assert await heard_by(plugin) == "Approved, Ada."


async def test_an_override_of_a_status_that_stands_in(plugin: PromptPlugin) -> None:
    """A status without a text of its own gets the override of the status that stands in for it."""
    with testing.override("tested", "default", "Test."):
        assert await heard_by(plugin, "UNKNOWN") == "Test."
        assert await heard_by(plugin, None) == "Test."
    with testing.override("tested", "approved", "Of any case."):
        assert await heard_by(plugin, "APPROVED") == "Of any case."
    with testing.override("tested", "UNKNOWN", "Unknown.", new_status=True):
        assert await heard_by(plugin, "UNKNOWN") == "Unknown."


@pytest.mark.usefixtures("plugin")
async def test_an_override_of_a_status_that_does_not_exist() -> None:
    """A misspelt status would override nothing, and the test would prove nothing; it is refused by name."""
    with (
        pytest.raises(InvalidPromptError, match=r"no status 'APROVED', .*Did you mean 'APPROVED'"),
        testing.override("tested", "APROVED", "Never told."),
    ):
        pass


async def test_an_override_of_an_agent_that_nobody_declared(plugin: PromptPlugin) -> None:
    """An override is enough for an agent to have a prompt."""
    with testing.override("new", "default", "Brand new."):
        assert await heard_by(plugin, None, agent="new") == "Brand new."
    with pytest.raises(NoActivePromptError):
        await heard_by(plugin, None, agent="new")


async def test_overrides_inside_overrides(plugin: PromptPlugin) -> None:
    """The inner one is in force, and the outer one again after it."""
    with testing.override("tested", "APPROVED", "Outer."):
        with testing.override("tested", "APPROVED", "Inner."):
            assert await heard_by(plugin) == "Inner."
        assert await heard_by(plugin) == "Outer."


async def test_an_override_reaches_its_own_context_only(plugin: PromptPlugin) -> None:
    """Tasks that run beside, and other threads, do not see it; tasks that it starts do, until it ends."""
    inside, looked, told, left = (asyncio.Event() for _ in range(4))
    seen: dict[str, str] = {}

    async def beside() -> None:
        await inside.wait()
        seen["beside"] = await heard_by(plugin)
        looked.set()

    def elsewhere() -> None:
        seen["thread"] = plugin.render("tested", "APPROVED", {"name": "Ada"})

    async def later() -> None:
        await looked.wait()
        seen["started"] = await heard_by(plugin)
        told.set()
        await left.wait()
        seen["afterwards"] = await heard_by(plugin)

    task = asyncio.create_task(beside())
    with testing.override("tested", "APPROVED", "Test."):
        started = asyncio.create_task(later())
        inside.set()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        await task
        await told.wait()
    left.set()
    await started
    approved = "Approved, Ada."
    assert seen == {"beside": approved, "thread": approved, "started": "Test.", "afterwards": approved}


async def test_overrides_at_the_same_time(plugin: PromptPlugin) -> None:
    """Many tasks with overrides of their own each see their own."""

    async def one(number: int) -> str:
        with testing.override("tested", "APPROVED", f"Test {number}."):
            await asyncio.sleep(0)
            return await heard_by(plugin)

    assert await asyncio.gather(*(one(number) for number in range(20))) == [f"Test {number}." for number in range(20)]


@pytest.mark.parametrize(
    ("text", "error"),
    [("", InvalidPromptError), ("{{#if x}}", InvalidPromptError), ("{{api_key}}", UnexposedVariableError)],
)
def test_overrides_that_could_not_be_served(registry: Registry, text: str, error: type[Exception]) -> None:
    """A text that `create` would refuse is refused in a test, too."""
    registry.declare("tested", {"default": "Hello, {{name}}."}, where="here")
    with pytest.raises(error), testing.override("tested", "default", text, registry=registry):
        raise AssertionError


async def test_an_override_that_cannot_be_filled(registry: Registry, make_plugin: MakePlugin) -> None:
    """A test must not pass with the code's text because its own could not be filled."""
    registry.declare("tested", {"default": "Hello, {{name}}."}, where="here")
    plugin = make_plugin("sqlite://:memory:", missing="error")
    own: ActivePrompt[object] = ActivePrompt("tested", plugin=plugin)
    with (
        testing.override("tested", "default", "Bye, {{name}}.", registry=registry),
        pytest.raises(RenderError, match="tested/default, the text from override"),
    ):
        await Agent(TestModel(), capabilities=[own]).run("hi")


# The fixtures, which are pytest's own plugin here as everywhere.


@pytest.fixture
def declared() -> str:
    """An agent that the process' own registry knows, as an application's would be."""
    automagik_prompts.prompt("Hello from code.", agent="fixture-agent")
    return "fixture-agent"


@pytest.fixture
def empty_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nothing may appear."""
    yield tmp_path
    assert not list(tmp_path.iterdir())


async def test_a_plugin_in_memory(
    declared: str, prompt_plugin: PromptPlugin, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application's agents read from the test's database, whatever they were built for; no file is made."""
    monkeypatch.chdir(empty_folder)
    listener = Listener()
    agent: Agent[object, str] = Agent(listener.model, name=declared, capabilities=[ActivePrompt()])
    await agent.run("hi")
    await prompt_plugin.create(declared, "default", "Version two.", activate=True)
    await agent.run("hi")
    assert [heard.system for heard in listener.heard] == [["Hello from code."], ["Version two."]]
    assert automagik_prompts.default_plugin() is prompt_plugin
    assert automagik_prompts.render(declared) == "Version two."


async def test_another_test_gets_another_database(declared: str, prompt_plugin: PromptPlugin) -> None:
    """Nothing of what the test before wrote is there."""
    assert [version.version for version in await prompt_plugin.history(declared)] == [1]


def test_agents_of_an_installed_plugin_read_from_the_tests(declared: str, tmp_path: Path) -> None:
    """Agents that were built by `install()` before the test read from the test's database, and from theirs after it."""
    listener = Listener()
    automagik_prompts.uninstall()  # whatever another test of this process has left
    with automagik_prompts.install(database_url=f"sqlite://{tmp_path / 'app.db'}", disk_snapshot=False) as application:
        try:
            agent: Agent[object, str] = Agent(listener.model, name=declared)

            async def run() -> None:
                await agent.run("hi")

            with testing.memory_plugin() as plugin:
                assert automagik_prompts.install() is plugin
                asyncio.run(_write(plugin, declared))
                asyncio.run(run())
            asyncio.run(run())
            assert automagik_prompts.default_plugin() is application
        finally:
            automagik_prompts.uninstall()
    assert [heard.system for heard in listener.heard] == [["Of the test."], ["Hello from code."]]


def test_the_fixture_for_overrides(
    declared: str, prompt_plugin: PromptPlugin, prompt_override: Callable[..., object]
) -> None:
    """The fixture's overrides last until the test ends."""
    prompt_override(declared, "default", "Of the fixture.")
    assert automagik_prompts.render(declared) == prompt_plugin.render(declared) == "Of the fixture."


async def test_asserting_what_was_used(
    declared: str, prompt_plugin: PromptPlugin, assert_prompt_used: Callable[..., object]
) -> None:
    """An assertion by any of the facts; where it fails it says what was told instead."""
    del prompt_plugin
    result = await Agent(TestModel(), name=declared, capabilities=[ActivePrompt()]).run("hi")
    assert_prompt_used(result, declared)
    used = assert_prompt_used(result.all_messages(), declared, "default", version=1, source="database")
    assert_prompt_used(result, declared, text="Hello from code.")
    assert str(used) == f"{declared}/default: version 1 from database"
    with pytest.raises(AssertionError, match="with agent=fixture-agent, version=2") as raised:
        assert_prompt_used(result, declared, version=2)
    assert f"  {declared}/default: version 1 from database, " in str(raised.value)
    with pytest.raises(AssertionError, match="nothing: no managed agent sent one"):
        assert_prompt_used([], declared)


async def _write(plugin: PromptPlugin, agent: str) -> None:
    await plugin.create(agent, "default", "Of the test.", activate=True)
