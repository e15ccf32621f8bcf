"""Runs that begin with what the run before found out: whatever changes meanwhile, the next one is told of it."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability, WrapperCapability
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestContext

from automagik_prompts import ActivePrompt, prompt_used
from automagik_prompts.agent import plugins
from automagik_prompts.agent.history.messages import Placement, put_right
from automagik_prompts.agent.usual import Plan
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.testing import override
from tests.conftest import MakePlugin
from tests.listening import Listener
from tests.waiting import until

MEMORY = "sqlite://:memory:"


@dataclass
class Stan:
    """An agent whose runs have become usual ones.

    Attributes:
        plugin: What serves it.
        agent: The agent.
        heard: What its model was told.
        registry: What the code declares.
    """

    plugin: PromptPlugin
    agent: Agent[Any, str]
    heard: Listener
    registry: Registry

    async def told(self, **options: Any) -> list[str]:
        """Run the agent, and return the system prompts that its model was sent."""
        await self.agent.run("hi", **options)
        return self.heard.last.system

    @property
    def plan(self) -> Plan | None:
        """What the next run begins with."""
        found: list[AbstractCapability[Any]] = []
        self.agent.root_capability.apply(found.append)
        return next(one for one in found if isinstance(one, ActivePrompt))._plan  # whether it is used


async def usual(plugin: PromptPlugin, registry: Registry, text: str = "Stan.", **options: Any) -> Stan:
    """Return an agent that has run often enough."""
    registry.declare("stan", {"default": text}, where="here")
    await plugin.ready()
    heard = Listener()
    agent = Agent(heard.model, deps_type=object, capabilities=[ActivePrompt("stan", plugin=plugin, **options)])
    stan = Stan(plugin, agent, heard, registry)
    await until(lambda: plugin.health().state == "live", "it is live")
    for _ in range(3):
        await stan.told(deps=SimpleNamespace(name="Ada"))
    assert stan.plan is not None
    assert stan.plan.begin(stan.plan.capability) is not None
    return stan


@pytest.fixture
async def stan(make_plugin: MakePlugin, registry: Registry) -> Stan:
    """An agent whose text has no variables."""
    return await usual(make_plugin(MEMORY), registry)


async def test_nothing_is_looked_up_again(stan: Stan) -> None:
    """A usual run takes what the one before has found out, and its history says the same of it."""
    plan = stan.plan
    result = await stan.agent.run("hi")

    assert stan.plan is plan
    used = prompt_used(result).last
    assert used is not None
    assert (used.agent, used.status_key, used.version) == ("stan", "default", 1)
    assert used.run_id == result.run_id


async def test_who_only_asks_for_the_parts_is_no_run(
    make_plugin: MakePlugin, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """The first run says which prompts no agent was given, although the agent's system prompt was asked for before."""
    registry.declare("stan", {"default": "Stan."}, where="here")
    registry.declare("lost", {"default": "Lost."}, where="here")
    plugin = make_plugin(MEMORY)
    await plugin.ready()
    agent: Agent[None, str] = Agent(Listener().model, capabilities=[ActivePrompt("stan", plugin=plugin)])
    for _ in range(3):
        assert [part.content for part in await agent.system_prompt_parts()] == ["Stan."]
    assert "no agent of this process" not in caplog.text
    await agent.run("hi")
    assert "The prompts of 'lost' are declared, and no agent of this process was given them" in caplog.text


async def test_another_version_is_activated(stan: Stan) -> None:
    """The run after an activation sends what was activated."""
    await stan.plugin.create("stan", "default", "Another.", activate=True)
    assert await stan.told() == ["Another."]
    await stan.plugin.activate("stan", "default", 1)
    assert await stan.told() == ["Stan."]


async def test_values_are_read_in_each_run(make_plugin: MakePlugin, registry: Registry) -> None:
    """A text with variables is filled anew with the values of each run."""
    stan = await usual(make_plugin(MEMORY), registry, "Stan, for {{name}}.")
    assert await stan.told(deps=SimpleNamespace(name="Bob")) == ["Stan, for Bob."]
    assert await stan.told(deps=SimpleNamespace(name="Eve")) == ["Stan, for Eve."]
    assert await stan.told(deps={"name": "Cy"}) == ["Stan, for Cy."]
    assert await stan.told(deps=SimpleNamespace()) == ["Stan, for [No data for name]."]


async def test_the_code_declares_more(stan: Stan) -> None:
    """A status function that a later declaration brings is asked from the next run on."""
    stan.registry.declare("stan", {"gold": "Gold."}, where="there", status=lambda _ctx: "gold", primary="default")
    assert await stan.told() == ["Gold."]


async def test_a_prompt_is_put_in_force(stan: Stan) -> None:
    """What a test puts in force is sent, and afterwards what is active."""
    with override("stan", "default", "Forced.", registry=stan.registry):
        assert await stan.told() == ["Forced."]
    assert await stan.told() == ["Stan."]


async def test_another_default_plugin(make_plugin: MakePlugin, registry: Registry) -> None:
    """An agent that was given no plugin reads the default one, also when that is another one than before."""
    first, other = make_plugin(MEMORY), make_plugin(MEMORY)
    with plugins.replaced(first):
        registry.declare("stan", {"default": "Stan."}, where="here")
        for plugin, text in ((first, "First."), (other, "Other.")):
            await plugin.ready()
            await plugin.create("stan", "default", text, activate=True)
        heard = Listener()
        stan = Stan(first, Agent(heard.model, capabilities=[ActivePrompt("stan")]), heard, registry)
        assert [await stan.told() for _ in range(3)] == [["First."]] * 3
        with plugins.replaced(other):
            assert [await stan.told() for _ in range(3)] == [["Other."]] * 3
        assert [await stan.told() for _ in range(3)] == [["First."]] * 3


async def test_a_closed_plugin(stan: Stan) -> None:
    """What was served last is sent after the end, and a plugin that is started again is followed again."""
    stan.plugin.close()
    assert stan.plan is not None
    assert stan.plan.begin(stan.plan.capability) is None  # whether the thread is there is looked at
    assert await stan.told() == ["Stan."]
    stan.plugin.start()
    assert await stan.told() == ["Stan."]


async def test_a_thread_that_hangs_is_told(stan: Stan, caplog: pytest.LogCaptureFixture) -> None:
    """A usual run also says that the plugin's thread is overdue."""
    caplog.set_level(logging.WARNING, "automagik_prompts")
    state = stan.plugin.reader.state
    late = state.serving
    object.__setattr__(late.status, "due", time.monotonic() - 1)  # as if it had hung
    object.__setattr__(late, "due", time.monotonic() - 1)
    assert await stan.told() == ["Stan."]
    assert "has not looked at the database when it was due" in caplog.text


async def test_a_forked_child_looks_for_its_thread(stan: Stan) -> None:
    """What the parent has found out is no reason for a child to go without a thread of its own."""
    stan.plugin._life.resume_child()
    assert stan.plan is not None
    assert stan.plan.begin(stan.plan.capability) is None
    assert await stan.told() == ["Stan."]
    await until(lambda: stan.plugin.health().state == "live", "it is live")


def _stranger(request: ModelRequest) -> None:
    request.parts = [*request.parts, SystemPromptPart("Stan.", dynamic_ref="other")]


def _lost(request: ModelRequest) -> None:
    request.parts = request.parts[1:]


def _behind(request: ModelRequest) -> None:
    request.parts = [*request.parts[1:], request.parts[0]]


def _twice(request: ModelRequest) -> None:
    request.parts = [request.parts[0], *request.parts]


def _late(request: ModelRequest) -> None:
    request.parts = [UserPromptPart("first"), *request.parts]


def _other(request: ModelRequest) -> None:
    request.parts = [SystemPromptPart("Nonsense."), *request.parts[1:]]


def _marked(request: ModelRequest) -> None:
    request.parts = [replace(request.parts[0], dynamic_ref=None), *request.parts[1:]]  # type: ignore[arg-type]  # it is a system prompt


@pytest.mark.parametrize("spoil", [_stranger, _lost, _behind, _twice, _late, _other, _marked])
@pytest.mark.parametrize("is_copy", [False, True])
async def test_messages_that_another_hook_has_changed(
    make_plugin: MakePlugin, registry: Registry, spoil: Callable[[ModelRequest], None], is_copy: bool
) -> None:
    """Whatever another capability does to the messages, the prompt is there once, at the head of the conversation."""

    @dataclass
    class Spoiler(AbstractCapability[Any]):
        async def before_model_request(self, ctx: Any, request_context: ModelRequestContext) -> ModelRequestContext:  # noqa: ARG002  # as it is called
            if is_copy:
                request_context.messages = [copy.deepcopy(one) for one in request_context.messages]
            spoil(request_context.messages[0])  # type: ignore[arg-type]  # it is a request
            return request_context

    registry.declare("stan", {"default": "Stan."}, where="here")
    plugin = make_plugin(MEMORY)
    await plugin.ready()
    heard = Listener()
    agent = Agent(heard.model, capabilities=[Spoiler(), ActivePrompt("stan", plugin=plugin)])
    for _ in range(4):
        result = await agent.run("hi")
        parts = [part for part in heard.last.parts() if isinstance(part, SystemPromptPart)]
        own = [part for part in parts if part.dynamic_ref == "automagik_prompts.stan"]
        assert [part.content for part in own] == ["Stan."]
        assert next(part for part in heard.last.parts() if part.part_kind != "system-prompt") not in parts
        assert heard.last.parts().index(own[0]) < len(parts)
        assert prompt_used(result).last is not None


async def test_instructions_that_are_overridden(make_plugin: MakePlugin, registry: Registry) -> None:
    """Whoever overrides the instructions of a run replaces the prompt with them, however many runs there were."""
    stan = await usual(make_plugin(MEMORY), registry, inject="instructions")
    for _ in range(3):
        with stan.agent.override(instructions="Mine."):
            result = await stan.agent.run("hi")
        assert stan.heard.last.instructions == "Mine."
        assert prompt_used(result).last is None
        await stan.agent.run("hi")
        assert stan.heard.last.instructions == "Stan."


async def test_instructions_of_an_answer_that_goes_on(make_plugin: MakePlugin, registry: Registry) -> None:
    """An answer in the middle of which the provider paused goes on under what it was sent."""
    stan = await usual(make_plugin(MEMORY), registry, inject="instructions")
    first = await stan.agent.run("hi")
    answer = ModelResponse(parts=[TextPart("I am")], state="suspended")
    await stan.plugin.create("stan", "default", "Another.", activate=True)
    for _ in range(3):
        paused = [copy.deepcopy(first.all_messages()[0]), answer]
        result = await stan.agent.run(message_history=paused)
        assert stan.heard.last.instructions == "Stan."
        used = prompt_used(result).last
        assert used is not None
        assert used.version == 1
        await stan.agent.run("hi")
        assert stan.heard.last.instructions == "Another."


async def test_a_run_in_a_run_of_the_same_id(stan: Stan) -> None:
    """Both say under their name what they were sent, although one of them ends first."""
    asks = ModelResponse(parts=[ToolCallPart("ask", {})])
    outer = Agent(Listener(asks, "done").model, capabilities=[ActivePrompt("stan", plugin=stan.plugin)])

    @outer.tool_plain
    async def ask() -> str:
        await stan.agent.run("inner", run_id="R")
        return "asked"

    result = await outer.run("outer", run_id="R")
    used = prompt_used(result)
    assert [[(one.agent, one.run_id) for one in sent] for sent in used.requests] == [[("stan", "R")]] * 2


async def test_a_copy_of_the_capability(stan: Stan) -> None:
    """A copy that somebody makes of a capability, after its runs have become usual ones, begins runs of its own."""
    runs = 0

    @dataclass
    class Copying(WrapperCapability[Any]):
        async def for_run(self, ctx: Any) -> AbstractCapability[Any]:  # noqa: ARG002  # as it is called
            nonlocal runs
            runs += 1
            return self if runs <= 2 else replace(self, wrapped=copy.copy(self.wrapped))

    heard = Listener()
    own = Copying(ActivePrompt("stan", plugin=stan.plugin))
    agent = Agent(heard.model, capabilities=[own])
    history: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("a")]), ModelResponse(parts=[TextPart("b")])]
    for _ in range(4):
        await agent.run("hi", message_history=history)
        assert heard.last.system == ["Stan."]


class Undecided:
    """A value that does not say whether it equals another, as arrays do."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("The truth value of an array is ambiguous.")


def test_messages_are_not_compared() -> None:
    """What a tool returns need not be comparable."""
    place = Placement("automagik_prompts.stan", "Stan.")
    request = ModelRequest(parts=[SystemPromptPart("Stan.", dynamic_ref="automagik_prompts.stan")])
    sent, kept = ([request, ModelRequest(parts=[ToolReturnPart("look", Undecided(), "1")])] for _ in range(2))
    context = SimpleNamespace(messages=sent)

    assert place.apply(sent) is None
    known = (lambda _content, _status: True), "default"
    assert put_right(context, kept, place.ref, place.text, frozenset(), None, known)  # type: ignore[arg-type]  # all it reads
