from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic_ai import Agent, ModelMessage, RunContext
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.test import TestModel

from automagik_prompts import (
    ActivePrompt,
    ConfigurationError,
    DatabaseUnavailableError,
    PromptNotFoundError,
    prompt_used,
    prompt_version,
    replay,
)
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.replaying import NOT_RECORDED
from tests.conftest import MakePlugin
from tests.listening import Listener, call, tool_returns


@dataclass
class Contact:
    """Whom the agent talks to."""

    status: str = "OLD"
    approvals: list[str] = field(default_factory=list)


@pytest.fixture
async def plugin(registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin with three versions of one status, the second one active, and one of another."""
    registry.declare("stan", {"OLD": "Old 1.", "NEW": "New 1."}, where="here", primary="OLD")
    plugin = make_plugin("sqlite://:memory:")
    await plugin.create("stan", "NEW", "New 2.", activate=True)
    await plugin.create("stan", "NEW", "New 3, a draft.")
    return plugin


def agent_of(listener: Listener, plugin: PromptPlugin, **arguments: Any) -> Agent[Contact, str]:
    """Return an agent with a tool that does something in the world."""
    own: ActivePrompt[Contact] = ActivePrompt("stan", lambda ctx: ctx.deps.status, plugin=plugin, **arguments)
    agent = Agent(listener.model, deps_type=Contact, capabilities=[own])

    @agent.tool
    def approve(ctx: RunContext[Contact], tax_id: str) -> str:
        ctx.deps.approvals.append(tax_id)
        ctx.deps.status = "NEW"
        return f"{tax_id} is approved, number {len(ctx.deps.approvals)}"

    return agent


def told(listener: Listener) -> list[str]:
    """Return the system prompt of each request."""
    return [heard.system[0] for heard in listener.heard]


# One version, always.


async def test_an_explicit_version(plugin: PromptPlugin) -> None:
    """`version=` tells that version of the present status, whatever is active, for an agent or for one run."""
    listener = Listener()
    await agent_of(listener, plugin, version=3).run("hi", deps=Contact("NEW"))
    once: ActivePrompt[Contact] = ActivePrompt("stan", "NEW", version=1, plugin=plugin)
    result = await agent_of(listener, plugin).run("hi", deps=Contact("NEW"), capabilities=[once])
    await agent_of(listener, plugin).run("hi", deps=Contact("NEW"))
    assert told(listener) == ["New 3, a draft.", "New 1.", "New 2."]
    [[used]] = prompt_used(result).requests
    assert (used.version, used.source) == (1, "database")


async def test_an_explicit_version_that_is_not_there(plugin: PromptPlugin) -> None:
    """A preview of another text would be no preview: the run fails and says which versions there are."""
    with pytest.raises(PromptNotFoundError, match="stan/OLD has no version 9"):
        await agent_of(Listener(), plugin, version=9).run("hi", deps=Contact())


async def test_an_explicit_version_while_the_database_is_away(registry: Registry, make_plugin: MakePlugin) -> None:
    """Where it cannot be read, the run says so."""
    registry.declare("stan", {"OLD": "Old 1."}, where="here")
    plugin = make_plugin("sqlite:///nowhere/at/all.db", startup_timeout=0, disk_snapshot=False)
    with pytest.raises(DatabaseUnavailableError):
        await agent_of(Listener(), plugin, version=2).run("hi", deps=Contact())


async def test_a_version_in_one_context(plugin: PromptPlugin) -> None:
    """Inside the block, and in tasks that it starts, runs tell that version; others do not."""
    listener, beside = Listener(), Listener()
    agent = agent_of(listener, plugin)
    inside, outside = asyncio.Event(), asyncio.Event()

    async def other() -> None:
        await inside.wait()
        await agent.run("hi", deps=Contact("NEW"), model=beside.model)
        assert plugin.resolve("stan", "NEW").version == 2
        outside.set()

    task = asyncio.create_task(other())
    async with prompt_version("stan", "NEW", 3, plugin=plugin) as prompt:
        assert (prompt.version, plugin.resolve("stan", "NEW").version) == (3, 3)
        assert plugin.explain("stan", "NEW").reason == "it is in force in this context only"
        inside.set()
        await outside.wait()
        await agent.run("hi", deps=Contact("NEW"))
        await asyncio.create_task(_run(agent, Contact("NEW")))
        await agent.run("hi", deps=Contact("OLD"))
    await agent.run("hi", deps=Contact("NEW"))
    await task
    assert told(beside) == ["New 2."]
    assert told(listener) == ["New 3, a draft.", "New 3, a draft.", "Old 1.", "New 2."]


def test_a_version_in_a_context_without_an_event_loop(registry: Registry, make_plugin: MakePlugin) -> None:
    """The block works in plain functions, also one inside another."""
    registry.declare("stan", {"OLD": "Old 1.", "NEW": "New 1."}, where="here", primary="OLD")
    plugin = make_plugin("sqlite://:memory:")
    asyncio.run(_write(plugin))
    with prompt_version("stan", "NEW", 2, plugin=plugin):
        with prompt_version("stan", "NEW", 1, plugin=plugin):
            assert plugin.render("stan", "NEW") == "New 1."
        assert plugin.render("stan", "NEW") == "New 2."
    assert plugin.render("stan", "NEW") == "New 1."


async def test_a_version_for_a_context_that_is_not_there(plugin: PromptPlugin) -> None:
    """The block is not entered where the version does not exist, in either form."""
    with pytest.raises(PromptNotFoundError, match="has no version 9"):
        async with prompt_version("stan", "NEW", 9, plugin=plugin):
            raise AssertionError
    with pytest.raises(PromptNotFoundError, match="no agent 'sten'"), prompt_version("sten", "NEW", 1, plugin=plugin):
        raise AssertionError


async def test_a_run_keeps_the_version_that_it_began_with(plugin: PromptPlugin) -> None:
    """A run that is driven by hand and goes on after the block tells the same throughout."""
    listener = Listener(call("approve", tax_id="1"), "done")
    agent = agent_of(listener, plugin)
    async with prompt_version("stan", "NEW", 3, plugin=plugin):
        driven = agent.iter("hi", deps=Contact("NEW"))
        run = await driven.__aenter__()
        node: Any = run.next_node
        for _ in range(2):
            node = await run.next(node)
    async for _node in run:
        pass
    await driven.__aexit__(None, None, None)
    assert told(listener) == ["New 3, a draft."] * 2


# Replays.


async def conversation(plugin: PromptPlugin) -> tuple[list[ModelMessage], Contact]:
    """Return a conversation of three turns, in which the status changes, through JSON."""
    listener = Listener("Your tax id?", call("approve", tax_id="123"), "Approved.", "It costs 10.")
    agent, contact = agent_of(listener, plugin), Contact()
    messages: list[ModelMessage] = []
    for said in ("Hello", "It is 123", "How much?"):
        result = await agent.run(said, deps=contact, message_history=messages)
        messages = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    assert told(listener) == ["Old 1.", "Old 1.", "New 2.", "New 2."]
    return messages, contact


async def test_the_same_turns_under_another_version(plugin: PromptPlugin) -> None:
    """The user's turns run again with the version to try, other statuses as they were, and nothing is done."""
    messages, _ = await conversation(plugin)
    await plugin.create("stan", "OLD", "Old 2.", activate=True)
    listener = Listener("Tell me your tax id.", call("approve", tax_id="123"), "Welcome.", "12, as a draft has it.")
    contact = Contact()
    both = await replay(
        messages, agent=agent_of(listener, plugin), version=3, status_key="NEW", deps=contact, model=listener.model
    )
    assert told(listener) == ["Old 1.", "Old 1.", "New 3, a draft.", "New 3, a draft."]
    assert contact.approvals == []
    assert tool_returns(both.after) == tool_returns(both.before) == ["123 is approved, number 1"]
    assert both.before == messages
    assert [turn.prompt for turn in both.turns] == ["Hello", "It is 123", "How much?"]
    assert [turn.before_text for turn in both.turns] == ["Your tax id?", "Approved.", "It costs 10."]
    assert [turn.after_text for turn in both.turns] == ["Tell me your tax id.", "Welcome.", "12, as a draft has it."]
    assert str(both).splitlines()[:3] == [
        "1. user:   Hello",
        "   before: Your tax id?",
        "   after:  Tell me your tax id.",
    ]
    used = prompt_used(both.after)
    assert [(one.status_key, one.version) for [one] in used.requests] == [
        ("OLD", 1),
        ("OLD", 1),
        ("NEW", 3),
        ("NEW", 3),
    ]


async def test_calls_that_were_not_made(plugin: PromptPlugin) -> None:
    """A tool call with other arguments is not made either: the model is told that its result is not known."""
    messages, _ = await conversation(plugin)
    listener = Listener("Id?", call("approve", tax_id="999"), call("approve", tax_id="123"), "Good.", "10.")
    both = await replay(messages, agent=agent_of(listener, plugin), version=3, status_key="NEW", deps=Contact())
    assert tool_returns(both.after) == [NOT_RECORDED, "123 is approved, number 1"]


async def test_tools_that_run(plugin: PromptPlugin) -> None:
    """Where it is asked for, tools run with all that they do, and the agent's own function tells the status."""
    messages, _ = await conversation(plugin)
    listener = Listener("Id?", "Later.", call("approve", tax_id="999"), "Good.")
    contact = Contact()
    await replay(messages, agent=agent_of(listener, plugin), version=3, status_key="NEW", deps=contact, tools="run")
    assert contact.approvals == ["999"]
    assert told(listener) == ["Old 1.", "Old 1.", "Old 1.", "New 3, a draft."]


async def test_what_is_active_now(plugin: PromptPlugin) -> None:
    """Without a version, the status that is named is told as it is active now; the others stay as they were."""
    messages, _ = await conversation(plugin)
    await plugin.activate("stan", "NEW", 3)
    await plugin.create("stan", "OLD", "Old 2.", activate=True)
    listener = Listener("Id?", call("approve", tax_id="123"), "Good.", "10.")
    await replay(messages, agent=agent_of(listener, plugin), status_key="NEW", deps=Contact())
    assert told(listener) == ["Old 1.", "Old 1.", "New 3, a draft.", "New 3, a draft."]


async def test_a_conversation_with_one_status(plugin: PromptPlugin) -> None:
    """Where there was only one status, it need not be named; a pinned agent is replayed as any other."""
    listener = Listener()
    agent = agent_of(listener, plugin, pin="conversation")
    messages = (await agent.run("hi", deps=Contact("NEW"))).all_messages()
    both = await replay(messages, agent=agent, version=1)
    assert told(listener) == ["New 2.", "New 1."]
    assert len(both.turns) == 1


async def test_a_conversation_from_before(plugin: PromptPlugin) -> None:
    """A history that says nothing of versions needs the status named, and is replayed in that status."""
    messages: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("one"), UserPromptPart(["two", "three"])]),
        ModelResponse(parts=[TextPart("hello")]),
    ]
    listener = Listener()
    agent = agent_of(listener, plugin)
    with pytest.raises(ConfigurationError, match=r"had no status that is known\. Say of which one version 3"):
        await replay(messages, agent=agent, version=3)
    both = await replay(messages, agent=agent, version=3, status_key="NEW")
    assert told(listener) == ["New 3, a draft."]
    assert both.turns[0].prompt == ["one", "two", "three"]
    assert "1. user:   (several parts)" in str(both)


async def test_what_must_be_said(plugin: PromptPlugin) -> None:
    """Where it cannot be told which prompt or status is meant, the message says what to add."""
    messages, _ = await conversation(plugin)
    with pytest.raises(ConfigurationError, match="had the statuses 'OLD', 'NEW'"):
        await replay(messages, agent=agent_of(Listener(), plugin), version=3)
    bare: Agent[object, str] = Agent(TestModel())
    with pytest.raises(ConfigurationError, match="no ActivePrompt"):
        await replay(messages, agent=bare, version=3)
    plugin.registry.declare("rules", {"default": "Rules."}, where="here")
    names = ("stan", "rules")
    two: Agent[object, str] = Agent(TestModel(), capabilities=[ActivePrompt(name, plugin=plugin) for name in names])
    with pytest.raises(ConfigurationError, match="several prompts: 'stan', 'rules'"):
        await replay(messages, agent=two, version=3)
    with pytest.raises(PromptNotFoundError):
        await replay(messages, agent=two, version=9, status_key="NEW", name="stan")


async def test_an_agent_without_the_capability(plugin: PromptPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that was given its prompt for single runs is replayed by the name of the prompts."""
    monkeypatch.setattr("automagik_prompts.agent.plugins._read", plugin)
    messages, _ = await conversation(plugin)
    listener = Listener()
    bare: Agent[object, str] = Agent(listener.model)
    await replay(messages, agent=bare, version=3, status_key="NEW", name="stan")
    assert told(listener) == ["Old 1.", "Old 1.", "New 3, a draft."]


async def test_an_installed_prompt(plugin: PromptPlugin) -> None:
    """An agent that got its prompt by `install()` is replayed like one that was given it."""
    plugin.install()
    listener = Listener()
    agent: Agent[object, str] = Agent(listener.model, name="stan")
    messages = (await agent.run("hi")).all_messages()
    await plugin.create("stan", "OLD", "Old 2, a draft.")
    await replay(messages, agent=agent, version=2)
    assert told(listener) == ["Old 1.", "Old 2, a draft."]


async def _run(agent: Agent[Contact, str], contact: Contact) -> None:
    await agent.run("hi", deps=contact)


async def _write(plugin: PromptPlugin) -> None:
    await plugin.create("stan", "NEW", "New 2.")
