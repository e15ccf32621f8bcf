from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.agent import WrapperAgent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.models.test import TestModel

from automagik_prompts import ActivePrompt, DeclarationError, InvalidPromptError, NoActivePromptError, RenderError
from automagik_prompts.agent import run as runs
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from tests.conftest import MakePlugin
from tests.listening import Listener, call
from tests.modes import MODES

MEMORY = "sqlite://:memory:"


class Status(StrEnum):
    """Statuses as strings."""

    OLD = "OLD"
    NEW = "NEW"


class Level(Enum):
    """Statuses whose names are not their values."""

    FIRST = "OLD"
    SECOND = "NEW"
    THIRD = 3


@dataclass
class Contact:
    """Whom the agent talks to."""

    status: Any = "OLD"
    name: str = "Ada"
    reads: list[str] = field(default_factory=list)


@pytest.fixture
async def plugin(registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin that serves Stan's prompts."""
    registry.declare("stan", {"OLD": "Old, {{name}}.", "NEW": "New, {{name}}."}, where="here", primary="OLD")
    plugin = make_plugin(MEMORY)
    await plugin.ready()
    return plugin


def agent_of(listener: Listener, plugin: PromptPlugin, **arguments: Any) -> Agent[Contact, str]:
    """Return an agent with its active prompt."""
    arguments.setdefault("status", lambda ctx: ctx.deps.status)
    return Agent(listener.model, deps_type=Contact, capabilities=[ActivePrompt("stan", plugin=plugin, **arguments)])


async def async_status(ctx: RunContext[Contact]) -> object:
    """Read the status, as from a service."""
    await asyncio.sleep(0)
    return ctx.deps.status


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("NEW", "New, Ada."),
        (Status.NEW, "New, Ada."),
        (Level.SECOND, "New, Ada."),
        (None, "Old, Ada."),
        (lambda ctx: ctx.deps.status, "New, Ada."),
        (lambda _ctx: Level.SECOND, "New, Ada."),
        (lambda _ctx: None, "Old, Ada."),
        (async_status, "New, Ada."),
    ],
    ids=["string", "str enum", "enum", "none", "function", "enum function", "none function", "async function"],
)
async def test_each_way_to_say_the_status(plugin: PromptPlugin, status: Any, told: str) -> None:
    """A status is a string, an enum member, nothing, or a sync or async function that returns one of these."""
    listener = Listener()
    await agent_of(listener, plugin, status=status).run("hi", deps=Contact("NEW"))
    assert listener.last.system == [told]


async def test_a_status_of_the_wrong_kind(plugin: PromptPlugin) -> None:
    """A status that is no string ends the run with a message that says what to return."""
    with pytest.raises(InvalidPromptError, match="must be a string, an enum member, or None, not int"):
        await agent_of(Listener(), plugin, status=lambda _ctx: 3).run("hi", deps=Contact())


async def test_a_status_function_that_raises_ends_the_run(plugin: PromptPlugin) -> None:
    """A wrong status would mean a wrong prompt, so what the function raises is not swallowed."""

    def status(_ctx: RunContext[Contact]) -> str:
        raise ConnectionError("the registry is down")

    with pytest.raises(ConnectionError, match="the registry is down"):
        await agent_of(Listener(), plugin, status=status).run("hi", deps=Contact())
    assert not runs.running


@pytest.mark.parametrize("inject", ["system_prompt", "instructions"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_status_is_read_once_before_each_request(plugin: PromptPlugin, inject: str, streamed: bool) -> None:
    """The status is read again before each model request, once, so that a tool can change the prompt in the run."""
    listener = Listener(call("approve"), call("approve"), "done")

    def status(ctx: RunContext[Contact]) -> str:
        ctx.deps.reads.append(f"read before request {len(listener.heard) + 1}")
        return str(ctx.deps.status)

    agent = agent_of(listener, plugin, status=status, inject=inject)

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "NEW"
        return "approved"

    contact = Contact("OLD")
    if streamed:
        async with agent.run_stream("hi", deps=contact) as result:
            await result.get_output()
    else:
        await agent.run("hi", deps=contact)
    assert contact.reads == [f"read before request {number}" for number in (1, 2, 3)]
    texts = ["Old, Ada.", "New, Ada.", "New, Ada."]
    assert [text for heard in listener.heard for text in (heard.system or [str(heard.instructions)])] == texts


@pytest.mark.parametrize("inject", ["system_prompt", "instructions"])
async def test_a_request_that_another_capability_answers(plugin: PromptPlugin, inject: str) -> None:
    """Where another capability answers a request itself, the next one still reads the status anew."""

    class Cache(AbstractCapability[Contact]):
        async def wrap_model_request(
            self, ctx: RunContext[Contact], *, request_context: ModelRequestContext, handler: Any
        ) -> ModelResponse:
            return call("approve") if ctx.run_step == 1 else await handler(request_context)

    listener = Listener()
    own: ActivePrompt[Contact] = ActivePrompt("stan", lambda ctx: ctx.deps.status, plugin=plugin, inject=inject)  # type: ignore[arg-type]  # a parameter
    agent = Agent(listener.model, deps_type=Contact, capabilities=[Cache(), own])

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "NEW"
        return "approved"

    await agent.run("hi", deps=Contact("OLD"))
    assert len(listener.heard) == 1
    assert (listener.last.count("New, Ada."), listener.last.count("Old, Ada.")) == (1, 0)


async def test_the_declarations_own_status_function(registry: Registry, make_plugin: MakePlugin) -> None:
    """The function given to `@prompts` tells the status where the capability does not."""
    registry.declare(
        "stan", {"OLD": "Old.", "NEW": "New."}, where="here", primary="OLD", status=lambda ctx: ctx.deps.status
    )
    listener = Listener()
    agent = Agent(listener.model, deps_type=Contact, capabilities=[ActivePrompt("stan", plugin=make_plugin(MEMORY))])
    await agent.run("hi", deps=Contact("NEW"))
    assert listener.last.system == ["New."]


async def test_an_activation_between_two_requests_waits_for_the_next_run(plugin: PromptPlugin) -> None:
    """The versions are those of the beginning of the run, for each status; the next run has the new ones."""

    async def deploy(number: int) -> None:
        if number == 1:
            await plugin.create("stan", "OLD", "Old, version two.", activate=True)
            await plugin.create("stan", "NEW", "New, version two.", activate=True)

    listener = Listener(call("approve"), "done", before=deploy)
    agent = agent_of(listener, plugin)

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "NEW"
        return "approved"

    await agent.run("hi", deps=Contact("OLD"))
    assert [heard.system for heard in listener.heard] == [["Old, Ada."], ["New, Ada."]]
    await agent.run("hi", deps=Contact("NEW"))
    assert listener.last.system == ["New, version two."]


@pytest.mark.parametrize("inject", ["system_prompt", "instructions"])
async def test_the_same_on_each_engine(
    database_url: str, registry: Registry, make_plugin: MakePlugin, inject: Any
) -> None:
    """Through a real database: an activation takes effect at the next run, a rollback brings the first text back."""
    registry.declare("stan", {"default": "One."}, where="here")
    plugin = make_plugin(database_url)
    listener = Listener()
    agent = Agent(listener.model, capabilities=[ActivePrompt("stan", plugin=plugin, inject=inject)])
    for change in (None, "Two.", "rollback"):
        if change == "rollback":
            await plugin.rollback("stan", "default")
        elif change is not None:
            await plugin.create("stan", "default", change, activate=True)
        await agent.run("hi")
    assert [(heard.system or [str(heard.instructions)])[0] for heard in listener.heard] == ["One.", "Two.", "One."]


async def test_what_is_not_declared_anywhere(registry: Registry, make_plugin: MakePlugin) -> None:
    """A run of an agent without any prompt says so and names the nearest spelling."""
    registry.declare("stan", {"default": "One."}, where="here")
    agent = Agent(TestModel(), capabilities=[ActivePrompt("sten", plugin=make_plugin(MEMORY))])
    with pytest.raises(NoActivePromptError, match="Did you mean 'stan'"):
        await agent.run("hi")
    assert not runs.running


async def values_later(ctx: RunContext[Contact]) -> dict[str, object]:
    """Return values, as from a service."""
    await asyncio.sleep(0)
    return {"name": f"{ctx.deps.name} Lovelace"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (None, "Old, Ada."),
        ({"name": "Grace"}, "Old, Grace."),
        ({"other": "Grace"}, "Old, Ada."),
        ({"name": None}, "Old, [No data for name]."),
        (lambda ctx: {"name": ctx.deps.name.upper()}, "Old, ADA."),
        (lambda _ctx: None, "Old, Ada."),
        (values_later, "Old, Ada Lovelace."),
    ],
    ids=["none", "mapping", "other name", "absent", "function", "function of nothing", "async function"],
)
async def test_each_way_to_give_values(plugin: PromptPlugin, variables: Any, told: str) -> None:
    """Values come from `variables`, a mapping or a sync or async function, and then from `deps`."""
    listener = Listener()
    await agent_of(listener, plugin, variables=variables).run("hi", deps=Contact())
    assert listener.last.system == [told]


async def test_values_that_are_no_mapping(plugin: PromptPlugin) -> None:
    """Anything but a mapping is refused, with a message that says what was given."""
    with pytest.raises(InvalidPromptError, match="must give a mapping of names to values, not list"):
        await agent_of(Listener(), plugin, variables=lambda _ctx: ["name"]).run("hi", deps=Contact())


async def test_values_are_asked_for_only_where_the_text_uses_some(registry: Registry, make_plugin: MakePlugin) -> None:
    """A text without variables needs no values, so the function is not called."""
    registry.declare("stan", {"default": "Hello."}, where="here")
    listener = Listener()
    agent = agent_of(listener, make_plugin(MEMORY), status=None, variables=lambda _ctx: 1 / 0)
    await agent.run("hi", deps=Contact())
    assert listener.last.system == ["Hello."]


async def test_built_in_values(registry: Registry, make_plugin: MakePlugin) -> None:
    """Agent, status and run are known to every text."""
    registry.declare("stan", {"default": "{{agent_name}} {{status_key}} {{run_id}}"}, where="here")
    listener = Listener()
    agent = agent_of(listener, make_plugin(MEMORY), status="UNKNOWN")
    result = await agent.run("hi", deps=Contact())
    assert listener.last.system == [f"stan UNKNOWN {result.run_id}"]


@pytest.mark.parametrize(("missing", "told"), [("marker", "Old, [No data for name]."), ("empty", "Old, .")])
async def test_missing_values(registry: Registry, make_plugin: MakePlugin, missing: str, told: str) -> None:
    """A missing value becomes a marker, or nothing."""
    registry.declare("stan", {"OLD": "Old, {{name}}."}, where="here")
    listener = Listener()
    await agent_of(listener, make_plugin(MEMORY, missing=missing), status=None).run("hi")
    assert listener.last.system == [told]


async def test_a_missing_value_that_is_an_error(registry: Registry, make_plugin: MakePlugin) -> None:
    """Where a missing value is an error and the code has no other text, the run fails with the agent's name."""
    registry.declare("stan", {"OLD": "Old, {{name}}."}, where="here")
    agent = agent_of(Listener(), make_plugin(MEMORY, missing="error"), status=None)
    with pytest.raises(RenderError, match=r"^stan/OLD, version 1: .* no data for name"):
        await agent.run("hi")
    assert not runs.running


async def test_a_version_that_cannot_be_filled_gives_way_to_the_codes(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """The run gets the code default; it is logged once, without the text, and recorded."""
    registry.declare("stan", {"default": "Hello."}, where="here", variables=["name"])
    plugin = make_plugin(sqlite_url, missing="error")
    await plugin.create("stan", "default", "Secret greeting for {{name}}.", activate=True)
    listener = Listener()
    agent = Agent(listener.model, capabilities=[ActivePrompt("stan", plugin=plugin)])
    with caplog.at_level(logging.ERROR, "automagik_prompts"):
        for _ in range(3):
            result = await agent.run("hi")
    assert listener.last.system == ["Hello."]
    [record] = caplog.records
    assert "stan/default: version 2 could not be rendered" in record.getMessage()
    assert record.getMessage().endswith("Run: automagik-prompts rollback stan default")
    assert "Secret" not in caplog.text
    told = result.all_messages()[0].metadata
    assert told is not None
    assert told["automagik_prompts"]["stan"]["source"] == "code"


async def test_a_capability_for_one_run(plugin: PromptPlugin) -> None:
    """One that is given to a run replaces the agent's for that run, and leaves nothing behind."""
    listener = Listener()
    agent = agent_of(listener, plugin)
    before = _state(agent)
    for _ in range(100):
        await agent.run("hi", deps=Contact(), capabilities=[ActivePrompt("stan", "NEW", plugin=plugin)])
        assert listener.last.system == ["New, Ada."]
    assert _state(agent) == before
    await agent.run("hi", deps=Contact())
    assert listener.last.system == ["Old, Ada."]


@pytest.mark.parametrize("inject", ["system_prompt", "instructions"])
async def test_a_capability_for_one_run_in_another_place(plugin: PromptPlugin, inject: str) -> None:
    """It may tell the prompt elsewhere than the agent's own; the prompt is told once all the same."""
    listener = Listener()
    agent = agent_of(listener, plugin, inject=inject)
    other: Any = "instructions" if inject == "system_prompt" else "system_prompt"
    once: ActivePrompt[Contact] = ActivePrompt("stan", "NEW", plugin=plugin, inject=other)
    result = await agent.run("hi", deps=Contact(), capabilities=[once])
    assert listener.last.count("New, Ada.") == 1
    assert listener.last.count("Old, Ada.") == 0
    await agent.run("hi", deps=Contact(), message_history=result.all_messages())
    assert listener.last.count("Old, Ada.") == 1
    assert listener.last.count("New, Ada.") == 0


async def test_a_capability_for_one_run_of_an_agent_without(plugin: PromptPlugin) -> None:
    """An agent that has none gets its prompt by a run's capability, on fresh and on continued conversations."""
    listener = Listener()
    agent = Agent(listener.model, name="stan", deps_type=Contact)
    before = _state(agent)
    result = await agent.run("hi", deps=Contact(), capabilities=[ActivePrompt(plugin=plugin)])
    await agent.run(
        "hi",
        deps=Contact(),
        message_history=result.all_messages(),
        capabilities=[ActivePrompt("stan", "NEW", plugin=plugin)],
    )
    assert [heard.system for heard in listener.heard] == [["Old, Ada."], ["New, Ada."]]
    assert _state(agent) == before


async def test_the_agents_own_capability_given_to_a_run_again(plugin: PromptPlugin) -> None:
    """Passing the very instance that the agent was built with does not pile up."""
    listener = Listener()
    own: ActivePrompt[Contact] = ActivePrompt("stan", plugin=plugin)
    agent = Agent(listener.model, deps_type=Contact, capabilities=[own])
    before = _state(agent)
    for _ in range(3):
        await agent.run("hi", deps=Contact(), capabilities=[own])
    assert _state(agent) == before
    assert listener.last.system == ["Old, Ada."]


async def test_one_capability_for_two_agents(plugin: PromptPlugin) -> None:
    """One instance serves several agents, each bound to its own name where it has none."""
    plugin.registry.declare("ada", {"default": "Ada's."}, where="here")
    shared: ActivePrompt[Contact] = ActivePrompt(plugin=plugin)
    listener = Listener()
    for name in ("stan", "ada"):
        agent = Agent(listener.model, name=name, deps_type=Contact, capabilities=[shared])
        await agent.run("hi", deps=Contact())
    assert [heard.system for heard in listener.heard] == [["Old, Ada."], ["Ada's."]]
    assert shared.agent is None


@pytest.mark.parametrize(("inject", "on_change"), MODES)
async def test_two_prompts_on_one_agent(plugin: PromptPlugin, inject: Any, on_change: Any) -> None:
    """Prompts of two names stand side by side and do not replace each other on the next turn."""
    plugin.registry.declare("house: rules", {"default": "Be polite."}, where="here")
    plugin.registry.declare("house- rules", {"default": "Be brief."}, where="here")
    names = ("stan", "house: rules", "house- rules")
    listener = Listener()
    agent = Agent(
        listener.model,
        deps_type=Contact,
        capabilities=[ActivePrompt(name, plugin=plugin, inject=inject, on_change=on_change) for name in names],
    )
    messages = ModelMessagesTypeAdapter.validate_json("[]")
    for _ in range(3):
        result = await agent.run("hi", deps=Contact(), message_history=messages)
        messages = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
        for text in ("Old, Ada.", "Be polite.", "Be brief."):
            assert listener.last.count(text) == 1
    told = result.new_messages()[0].metadata
    assert told is not None
    assert list(told["automagik_prompts"]) == list(names)


@pytest.mark.parametrize(
    "other", [{"status": "NEW"}, {"inject": "instructions"}, {"id": "mine"}, {"pin": "conversation"}]
)
async def test_two_configurations_for_one_name(plugin: PromptPlugin, other: dict[str, Any]) -> None:
    """Two different ones for the same prompts are reported while the agent is built, whichever way they are named."""
    one: ActivePrompt[object] = ActivePrompt("stan", plugin=plugin)
    for name in ("stan", None):
        with pytest.raises(DeclarationError, match="two different ActivePrompt capabilities for 'stan'"):
            Agent(TestModel(), name="stan", capabilities=[one, ActivePrompt(name, plugin=plugin, **other)])
    assert "New" not in str(one)


async def test_two_equal_ones_are_one(plugin: PromptPlugin) -> None:
    """The same configuration twice is one, whichever way it is named."""
    listener = Listener()
    for on_change in [on_change for inject, on_change in MODES if inject == "system_prompt"]:
        for name in ("stan", None):
            pair = [ActivePrompt(one, plugin=plugin, on_change=on_change) for one in ("stan", name)]
            agent: Agent[object, str] = Agent(listener.model, name="stan", capabilities=pair)
            await agent.run("hi", deps=Contact())
            assert listener.last.count("Old, Ada.") == 1
            assert len(agent._system_prompt_functions) == 1


async def test_an_agent_without_a_name(plugin: PromptPlugin) -> None:
    """A capability without a name needs an agent with one, and says so while the agent is built."""
    with pytest.raises(DeclarationError, match="the agent has no name"):
        Agent(TestModel(), capabilities=[ActivePrompt(plugin=plugin)])


async def test_a_wrapped_agent(plugin: PromptPlugin) -> None:
    """An agent behind a wrapper has its prompt, also one that is given to a run of the wrapper."""
    listener = Listener()
    agent = WrapperAgent(agent_of(listener, plugin))
    await agent.run("hi", deps=Contact("NEW"))
    await agent.run("hi", deps=Contact("NEW"), capabilities=[ActivePrompt("stan", "OLD", plugin=plugin)])
    assert [heard.system for heard in listener.heard] == [["New, Ada."], ["Old, Ada."]]


async def test_a_capability_made_for_each_run(plugin: PromptPlugin) -> None:
    """A function that makes the capability for each run, from what it knows of the run, works as well."""
    listener = Listener()

    def make(ctx: RunContext[Contact]) -> ActivePrompt[Contact]:
        return ActivePrompt("stan", ctx.deps.status, plugin=plugin)

    agent = Agent(listener.model, deps_type=Contact, capabilities=[make])
    for status in ("OLD", "NEW"):
        await agent.run("hi", deps=Contact(status))
    assert [heard.system for heard in listener.heard] == [["Old, Ada."], ["New, Ada."]]


async def test_capabilities_replaced_by_a_spec(plugin: PromptPlugin) -> None:
    """Where `agent.override` replaces the capabilities, this one is replaced, too."""
    listener = Listener()
    agent = agent_of(listener, plugin)
    with agent.override(spec={"capabilities": [{"Thinking": {}}]}):
        await agent.run("hi", deps=Contact())
    assert listener.last.count("Old, Ada.") == 0
    await agent.run("hi", deps=Contact())
    assert listener.last.count("Old, Ada.") == 1


async def test_system_prompt_parts_outside_a_run(plugin: PromptPlugin) -> None:
    """Pydantic AI can be asked for the agent's system prompt without a run."""
    agent = agent_of(Listener(), plugin)
    [part] = await agent.system_prompt_parts(deps=Contact("NEW"))
    assert (part.content, part.dynamic_ref) == ("New, Ada.", "automagik_prompts.stan")


# Nothing is left behind.


async def test_runs_that_fail_leave_nothing_behind(plugin: PromptPlugin) -> None:
    """A model that raises, a tool that raises, and a run that is cancelled are all forgotten."""

    def fail(_messages: Any) -> str:
        raise RuntimeError("no")

    for listener in (Listener(fail), Listener(call("look"))):
        agent = agent_of(listener, plugin)

        @agent.tool_plain
        def look() -> str:
            raise RuntimeError("no")

        with pytest.raises(RuntimeError, match="no"):
            await agent.run("hi", deps=Contact())
        assert not runs.running


async def test_cancelled_runs_leave_nothing_behind(plugin: PromptPlugin) -> None:
    """A run that is cancelled in the middle of a request, streamed or not, is forgotten."""
    begun = asyncio.Event()

    async def hang(_number: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def streamed(agent: Agent[Contact, str]) -> None:
        async with agent.run_stream("hi", deps=Contact()) as result:
            await result.get_output()

    async def whole(agent: Agent[Contact, str]) -> None:
        await agent.run("hi", deps=Contact())

    drivers: list[Callable[[Agent[Contact, str]], Any]] = [streamed, whole]
    for drive in drivers:
        begun.clear()
        task = asyncio.create_task(drive(agent_of(Listener(before=hang), plugin)))
        await begun.wait()
        assert len(runs.running) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not runs.running


async def test_runs_left_in_the_middle_leave_nothing_behind(plugin: PromptPlugin) -> None:
    """A run that is driven by hand and left in the middle is forgotten."""
    agent = agent_of(Listener(call("look"), "done"), plugin)
    async with agent.iter("hi", deps=Contact()) as run:
        await run.next(run.next_node)  # type: ignore[arg-type]  # the first node is never the end
        assert len(runs.running) == 1
    assert not runs.running


def test_abandoned_runs_leave_nothing_behind(plugin_in_thread: PromptPlugin) -> None:
    """A run that nobody ever closes is forgotten with the event loop that it was begun on."""
    agent = agent_of(Listener(), plugin_in_thread)

    async def abandon() -> None:
        # What Pydantic AI itself reports of such a run is not of interest here.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        driven = agent.iter("hi", deps=Contact())
        run = await driven.__aenter__()
        await run.next(run.next_node)  # type: ignore[arg-type]  # the first node is never the end
        assert len(runs.running) == 1

    with suppress(asyncio.CancelledError):
        asyncio.run(abandon())
    gc.collect()
    assert not runs.running


async def test_runs_driven_from_two_tasks(plugin: PromptPlugin) -> None:
    """A run that begins in one task and goes on in another has its prompt throughout."""
    listener = Listener(call("approve"), "done")
    agent = agent_of(listener, plugin)

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "NEW"
        return "approved"

    async with agent.iter("hi", deps=Contact("OLD")) as run:
        node: Any = run.next_node
        while not isinstance(node, _end()):
            node = await asyncio.create_task(_step(run, node))
    assert [heard.system for heard in listener.heard] == [["Old, Ada."], ["New, Ada."]]
    assert not runs.running


def test_synchronous_runs_in_threads(plugin_in_thread: PromptPlugin) -> None:
    """`run_sync` in many threads at once tells each run its own prompt."""
    listener = Listener()
    agent = agent_of(listener, plugin_in_thread)
    heard: dict[str, list[str]] = {}

    def work(number: int) -> None:
        own = Listener()
        with closing(asyncio.new_event_loop()) as loop:
            asyncio.set_event_loop(loop)
            status = "NEW" if number % 2 else "OLD"
            agent.run_sync("hi", deps=Contact(status, name=str(number)), model=own.model)
            asyncio.set_event_loop(None)
        heard[f"{status.title()}, {number}."] = own.last.system

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(heard) == 16
    assert all(system == [text] for text, system in heard.items())
    assert not runs.running


@pytest.fixture
def plugin_in_thread(registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin for a test without an event loop."""
    registry.declare("stan", {"OLD": "Old, {{name}}.", "NEW": "New, {{name}}."}, where="here", primary="OLD")
    plugin = make_plugin(MEMORY)
    plugin.resolve("stan")
    return plugin


async def _step(run: Any, node: Any) -> Any:
    return await run.next(node)


def _end() -> type:
    from pydantic_graph import End

    return End


def _state(agent: Agent[Any, Any]) -> tuple[object, ...]:
    """Return what registering would change."""
    return (
        list(agent._system_prompt_functions),
        dict(agent._system_prompt_dynamic_functions),
        list(agent._instructions),
        agent.root_capability,
        list(agent._cap_instructions or ()),
    )
