from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.test import TestModel
from pydantic_ai.toolsets import FunctionToolset

import automagik_prompts
from automagik_prompts import ActivePrompt, ConfigurationError, PromptPlugin
from automagik_prompts.declaring.registry import Registry
from tests.conftest import MakePlugin
from tests.listening import Listener

MEMORY = "sqlite://:memory:"
TEXT = "You are Stan."


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Make sure that each test leaves Pydantic AI exactly as it was."""
    original = vars(Agent)["__init__"]
    yield
    assert vars(Agent)["__init__"] is original


@pytest.fixture
def plugin(registry: Registry, make_plugin: MakePlugin) -> Iterator[PromptPlugin]:
    """An installed plugin with Stan's prompt."""
    registry.declare("stan", {"default": TEXT, "OTHER": "You are somebody else."}, where="here")
    plugin = make_plugin(MEMORY).install()
    yield plugin
    plugin.uninstall()


async def heard_by(agent: Agent[Any, Any], **arguments: Any) -> Listener:
    """Run an agent and return what its model heard."""
    listener = Listener()
    await agent.run("hi", model=listener.model, **arguments)
    return listener


async def test_an_agent_built_afterwards_gets_its_prompt(plugin: PromptPlugin) -> None:
    """An agent whose name has declared prompts tells the active one; other agents are left alone."""
    agent, other, nameless = Agent(TestModel(), name="stan"), Agent(TestModel(), name="bob"), Agent(TestModel())
    assert (await heard_by(agent)).last.system == [TEXT]
    await plugin.create("stan", "default", "Version two.", activate=True)
    assert (await heard_by(agent)).last.system == ["Version two."]
    for left_alone in (other, nameless):
        assert (await heard_by(left_alone)).last.system == []
        assert not [found for found in left_alone.root_capability.capabilities if isinstance(found, ActivePrompt)]


async def test_an_agent_built_before_stays_as_it_is(registry: Registry, make_plugin: MakePlugin) -> None:
    """Agents that exist already are not touched; neither are those built after uninstalling."""
    registry.declare("stan", {"default": TEXT}, where="here")
    before = Agent(TestModel(), name="stan")
    plugin = make_plugin(MEMORY).install()
    during = Agent(TestModel(), name="stan")
    plugin.uninstall()
    after = Agent(TestModel(), name="stan")
    told = [(await heard_by(agent)).last.system for agent in (before, during, after)]
    assert told == [[], [TEXT], []]


async def test_installing_twice_is_one_installation(plugin: PromptPlugin) -> None:
    """A second installation changes nothing, and one uninstallation undoes both."""
    hooked = Agent.__init__
    plugin.install()
    assert Agent.__init__ is hooked
    agent = Agent(TestModel(), name="stan")
    assert (await heard_by(agent)).last.system == [TEXT]
    assert len(agent._system_prompt_functions) == 1
    plugin.uninstall()
    assert Agent.__init__ is not hooked
    plugin.uninstall()  # a second one does nothing


async def test_another_plugin_cannot_be_installed_beside(plugin: PromptPlugin, make_plugin: MakePlugin) -> None:
    """One plugin gives agents their prompt; another one is refused, and what it uninstalls is nothing."""
    other = make_plugin(MEMORY)
    with pytest.raises(ConfigurationError, match="Another plugin is installed"):
        other.install()
    other.uninstall()
    assert (await heard_by(Agent(TestModel(), name="stan"))).last.system == [TEXT]
    plugin.uninstall()
    other.install()
    other.uninstall()


@pytest.mark.parametrize("named", [True, False])
async def test_an_explicit_capability_wins(plugin: PromptPlugin, named: bool) -> None:
    """An agent that was given its `ActivePrompt` keeps that one."""
    own: ActivePrompt[object] = ActivePrompt("stan" if named else None, "OTHER", plugin=plugin)
    agent = Agent(TestModel(), name="stan", capabilities=(own,))
    assert (await heard_by(agent)).last.system == ["You are somebody else."]


async def test_an_explicit_capability_of_another_name_stands_beside(plugin: PromptPlugin) -> None:
    """An agent that was given the prompt of another name gets its own as well."""
    plugin.registry.declare("rules", {"default": "Be polite."}, where="here")
    agent = Agent(TestModel(), name="stan", capabilities=[ActivePrompt("rules", plugin=plugin)])
    assert sorted((await heard_by(agent)).last.system) == ["Be polite.", TEXT]


async def test_a_capability_made_for_each_run_wins(plugin: PromptPlugin) -> None:
    """A function that makes the capability cannot be seen while the agent is built; what it makes wins all the same."""

    def make(_ctx: RunContext[object]) -> ActivePrompt[object]:
        return ActivePrompt("stan", "OTHER", plugin=plugin)

    agent = Agent(TestModel(), name="stan", capabilities=[make])
    assert (await heard_by(agent)).last.system == ["You are somebody else."]


async def test_a_capability_for_one_run_wins(plugin: PromptPlugin) -> None:
    """One that is given to a run replaces the installed one for that run."""
    agent = Agent(TestModel(), name="stan")
    once: ActivePrompt[object] = ActivePrompt("stan", "OTHER", plugin=plugin)
    assert (await heard_by(agent, capabilities=[once])).last.system == ["You are somebody else."]
    assert (await heard_by(agent)).last.system == [TEXT]


class Seller(Agent[None, str]):
    """A subclass that names itself."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(TestModel(), name="stan", **arguments)


async def test_a_subclass_of_agent(plugin: PromptPlugin) -> None:
    """A subclass gets its prompt, too, and keeps its other arguments."""
    del plugin
    toolset: FunctionToolset[None] = FunctionToolset()
    agent = Seller(toolsets=[toolset], instructions="Be brief.")
    listener = await heard_by(agent)
    assert (listener.last.system, listener.last.instructions) == ([TEXT], "Be brief.")
    assert toolset in agent.toolsets


async def test_an_agent_from_a_spec(plugin: PromptPlugin) -> None:
    """An agent that is built from a specification gets its prompt, unless the specification names it."""
    agent = Agent.from_spec({"model": "test", "name": "stan"})
    assert (await heard_by(agent)).last.system == [TEXT]
    spec = {"model": "test", "name": "stan", "capabilities": [{"ActivePrompt": {"agent": "stan", "status": "OTHER"}}]}
    explicit = Agent.from_spec(spec, custom_capability_types=[ActivePrompt])
    [own] = [found for found in explicit.root_capability.capabilities if isinstance(found, ActivePrompt)]
    assert (own.status, own.plugin) == ("OTHER", None)
    del plugin


@pytest.mark.parametrize("place", ["system_prompt", "instructions"])
async def test_a_text_that_the_agent_still_has_is_not_doubled(plugin: PromptPlugin, place: str) -> None:
    """An agent from before this library, with the declared text in place, tells the prompt once, and the active one."""
    agent = Agent(TestModel(), name="stan", **{place: TEXT})  # type: ignore[call-overload]  # one of two arguments
    assert (await heard_by(agent)).last.count(TEXT) == 1
    await plugin.create("stan", "default", "Version two.", activate=True)
    last = (await heard_by(agent)).last
    assert (last.count("Version two."), last.count(TEXT)) == (1, 0)


async def test_prompts_declared_after_installing(plugin: PromptPlugin) -> None:
    """What counts is what is declared when the agent is built."""
    plugin.registry.declare("late", {"default": "Better late."}, where="here")
    assert (await heard_by(Agent(TestModel(), name="late"))).last.system == ["Better late."]


async def test_somebody_else_hooks_after_us(registry: Registry, make_plugin: MakePlugin) -> None:
    """Another library that hooks the construction of agents later keeps its hook; ours works, and then does nothing."""
    registry.declare("stan", {"default": TEXT}, where="here")
    plugin = make_plugin(MEMORY).install()
    ours, seen = Agent.__init__, []

    @functools.wraps(ours)
    def theirs(self: Any, *args: Any, **kwargs: Any) -> None:
        seen.append(kwargs.get("name"))
        ours(self, *args, **kwargs)

    Agent.__init__ = theirs  # type: ignore[method-assign]  # what such a library does
    try:
        assert (await heard_by(Agent(TestModel(), name="stan"))).last.system == [TEXT]
        plugin.uninstall()
        assert Agent.__init__ is theirs
        assert (await heard_by(Agent(TestModel(), name="stan"))).last.system == []
        plugin.install()
        assert Agent.__init__ is theirs
        assert (await heard_by(Agent(TestModel(), name="stan"))).last.system == [TEXT]
    finally:
        Agent.__init__ = ours  # type: ignore[method-assign]  # as above
    assert seen == ["stan"] * 3
    plugin.uninstall()


async def test_somebody_else_takes_our_hook_away(registry: Registry, make_plugin: MakePlugin) -> None:
    """Where another library has put back what was there before us, installing again hooks again."""
    registry.declare("stan", {"default": TEXT}, where="here")
    original = Agent.__init__
    plugin = make_plugin(MEMORY).install()
    Agent.__init__ = original  # type: ignore[method-assign]  # what such a library does
    assert (await heard_by(Agent(TestModel(), name="stan"))).last.system == []
    plugin.install()
    assert (await heard_by(Agent(TestModel(), name="stan"))).last.system == [TEXT]
    plugin.uninstall()


async def test_signature_and_name_of_the_constructor(plugin: PromptPlugin) -> None:
    """The hooked constructor looks like the original one, for those who inspect it."""
    original = Agent.__init__.__wrapped__  # type: ignore[attr-defined]  # that is what it is for
    assert (Agent.__init__.__name__, Agent.__init__.__doc__) == (original.__name__, original.__doc__)
    del plugin


def test_entry_points() -> None:
    """A host that knows only the entry point groups finds `install` and `ActivePrompt`."""
    assert _entry("automagik.plugins").load() is automagik_prompts.install
    assert _entry("pydantic_ai.capabilities").load() is ActivePrompt


def _entry(group: str) -> EntryPoint:
    [found] = [entry for entry in entry_points(group=group) if entry.value.startswith("automagik_prompts:")]
    return found


async def test_a_name_that_is_set_later(plugin: PromptPlugin) -> None:
    """An agent gets the prompt of its name when it is named: by assignment, by inference, or for a while."""
    listener = Listener()
    named: Agent[object, str] = Agent(listener.model)
    named.name = "stan"
    await named.run("hi")
    await named.run("hi")
    assert listener.last.system == [TEXT]
    renamed: Agent[object, str] = Agent(listener.model, name="stan")
    renamed.name = "nobody"
    await renamed.run("hi")
    assert [text for text in listener.last.system if text] == []
    nameless: Agent[object, str] = Agent(listener.model)
    with nameless.override(name="stan"):
        await nameless.run("hi")
        assert listener.last.system == [TEXT]
    await nameless.run("hi")
    assert listener.last.system == []
    plugin.uninstall()


async def test_a_name_that_is_inferred(plugin: PromptPlugin) -> None:
    """Pydantic AI takes an agent's name from the variable that holds it, in the first run: it has its prompt there."""
    listener = Listener()
    stan: Agent[object, str] = Agent(listener.model)
    await stan.run("hi")
    assert (stan.name, listener.last.system) == ("stan", [TEXT])
    plugin.uninstall()


async def test_what_has_no_prompt_is_told(
    registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """An agent that was built too early, and prompts that no agent was given, are named in the log and in `health`."""
    for name in ("stan", "early", "unbound"):
        registry.declare(name, {"default": TEXT}, where="here")
    early = Agent(TestModel(), name="early")
    plugin = make_plugin(MEMORY).install()
    assert early.name == "early"
    await heard_by(Agent(TestModel(), name="stan"))
    plugin.uninstall()
    problems = "\n".join(plugin.health().problems)
    assert "'early' was built before install()" in problems
    assert "The prompts of 'unbound' are declared, and no agent of this process was given them" in problems
    assert "'stan'" not in problems
    assert len([record for record in caplog.records if "'early'" in record.getMessage()]) >= 1
