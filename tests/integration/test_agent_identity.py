from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_ai import Agent, ModelMessage, ModelRequest, RunContext
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, TextPart, UserPromptPart

from automagik_prompts import ActivePrompt, Source, UsedPrompt, prompt_used
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.text import content_hash
from automagik_prompts.plugin import PromptPlugin
from tests.conftest import MakePlugin
from tests.listening import Listener, call
from tests.modes import MODES

TEXTS = {"OLD": "Old, {{name}}.", "NEW": "New."}


@dataclass
class Contact:
    """Whom the agent talks to."""

    status: str = "OLD"
    name: str = "Ada"


@pytest.fixture
async def plugin(registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin that serves Stan's prompts, the second one in its second version."""
    registry.declare("stan", TEXTS, where="here", primary="OLD")
    plugin = make_plugin("sqlite://:memory:")
    await plugin.create("stan", "NEW", "New, version two.", activate=True)
    return plugin


def agent_of(listener: Listener, plugin: PromptPlugin, **arguments: Any) -> Agent[Contact, str]:
    """Return an agent whose tool changes the status."""
    own: ActivePrompt[Contact] = ActivePrompt("stan", lambda ctx: ctx.deps.status, plugin=plugin, **arguments)
    agent = Agent(listener.model, deps_type=Contact, capabilities=[own])

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "NEW"
        return "approved"

    return agent


def versions(*prompts: UsedPrompt) -> list[tuple[str, int | None]]:
    """Return statuses and versions."""
    return [(used.status_key, used.version) for used in prompts]


@pytest.mark.parametrize(("inject", "on_change"), MODES)
async def test_each_request_says_which_prompt_it_told(plugin: PromptPlugin, inject: str, on_change: str) -> None:
    """Each request carries agent, status, version, id, source and hash of what it told; JSON keeps them."""
    listener = Listener(call("approve"), "done")
    agent = agent_of(listener, plugin, inject=inject, on_change=on_change)
    result = await agent.run("hi", deps=Contact())
    messages = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    [old], [new] = prompt_used(messages).requests
    [newest, *_] = await plugin.history("stan", "NEW")
    assert old == UsedPrompt(
        agent="stan",
        status_key="OLD",
        version=1,
        prompt_id=old.prompt_id,
        source=Source.DATABASE,
        content_hash=content_hash(TEXTS["OLD"]),
        asked_status_key="OLD",
        run_id=result.run_id,
    )
    assert (new.status_key, new.version, new.prompt_id) == ("NEW", 2, newest.id)
    assert str(new) == "stan/NEW: version 2 from database"
    assert prompt_used(result) == prompt_used(messages)
    # It is for programs: the model is not told.
    assert "content_hash" not in "".join(heard.told() for heard in listener.heard)
    assert "metadata" not in listener.last.told()


async def test_prompts_per_run(plugin: PromptPlugin) -> None:
    """Over several runs of one conversation, each run's prompts are known, in the order of their use."""
    listener = Listener("one", call("approve"), "two", "three")
    agent, contact = agent_of(listener, plugin), Contact()
    messages: list[ModelMessage] = []
    ids = []
    for _ in range(3):
        result = await agent.run("hi", deps=contact, message_history=messages)
        messages = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
        ids.append(result.run_id)
    used = prompt_used(messages)
    assert list(used.runs) == ids
    assert [versions(*prompts) for prompts in used.runs.values()] == [
        [("OLD", 1)],
        [("OLD", 1), ("NEW", 2)],
        [("NEW", 2)],
    ]
    assert used.last is not None
    assert versions(used.last) == [("NEW", 2)]
    assert [len(told) for told in used.requests] == [1, 1, 1, 1]


async def test_a_status_without_a_text_of_its_own(plugin: PromptPlugin) -> None:
    """What was asked for and what was served are both there, where another status' text stood in."""
    result = await agent_of(Listener(), plugin).run("hi", deps=Contact("UNKNOWN"))
    [[used]] = prompt_used(result).requests
    assert (used.asked_status_key, used.status_key, used.version) == ("UNKNOWN", "OLD", 1)


async def test_code_texts_and_streamed_runs(registry: Registry, make_plugin: MakePlugin) -> None:
    """Without a database the source is the code, and there is neither version nor id; streams say it too."""
    registry.declare("stan", TEXTS, where="here", primary="OLD")
    plugin = make_plugin("sqlite:///nowhere/at/all.db", startup_timeout=0, disk_snapshot=False)
    agent = agent_of(Listener(), plugin)
    async with agent.run_stream("hi", deps=Contact()) as result:
        await result.get_output()
        [[used]] = prompt_used(result).requests
    assert (used.source, used.version, used.prompt_id) == (Source.CODE, None, None)
    assert str(used) == "stan/OLD: the text from code"


async def test_other_metadata_stays(plugin: PromptPlugin) -> None:
    """What an application keeps in a request's metadata is kept, and the caller's own objects are not written to."""
    metadata = {"ticket": 7, "automagik_prompts": {"stan": {"run_id": "another"}, "x": 1}}
    request = ModelRequest(parts=[UserPromptPart("hi")], metadata=metadata)
    before = json.dumps(metadata)
    result = await agent_of(Listener(), plugin).run(message_history=[request], deps=Contact())
    [sent] = [message for message in result.all_messages() if isinstance(message, ModelRequest)]
    assert sent.metadata is not None
    assert sent.metadata["ticket"] == 7
    assert list(sent.metadata["automagik_prompts"]) == ["stan"]
    assert json.dumps(metadata) == before
    assert prompt_used(result).requests[0][0].run_id == result.run_id


async def test_a_handed_over_request_says_what_it_told_last(plugin: PromptPlugin) -> None:
    """A request that one agent could not finish and another one sends again says what the other one told."""
    plugin.registry.declare("ada", {"default": "Ada's."}, where="here")
    first = await agent_of(Listener(), plugin).run("hi", deps=Contact())
    ada: Agent[object, str] = Agent(Listener().model, capabilities=[ActivePrompt("ada", plugin=plugin)])
    result = await ada.run(message_history=first.all_messages()[:1])
    assert [[used.agent for used in told] for told in prompt_used(result).requests] == [["ada"]]


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"automagik_prompts": None},
        {"automagik_prompts": [1]},
        {"automagik_prompts": {"stan": None}},
        {"automagik_prompts": {"stan": {"agent": "stan"}}},
        {"automagik_prompts": {"stan": {"agent": "stan", "status_key": "A", "content_hash": "0", "source": "moon"}}},
    ],
)
def test_foreign_metadata_is_passed_over(metadata: Any) -> None:
    """A history can come from anywhere; what is not ours counts as nothing."""
    messages: list[ModelMessage] = [ModelRequest(parts=[], metadata=metadata), ModelResponse(parts=[TextPart("x")])]
    used = prompt_used(messages)
    assert used.requests == ((),)
    assert used.runs == {}
    assert used.last is None


def test_half_foreign_metadata() -> None:
    """Values of the wrong kind are left out one by one."""
    said = {
        "agent": "stan",
        "status_key": "A",
        "content_hash": "0",
        "source": "disk",
        "version": True,
        "prompt_id": "7",
    }
    [[used]] = prompt_used([ModelRequest(parts=[], metadata={"automagik_prompts": {"stan": said}})]).requests
    assert used == UsedPrompt("stan", "A", None, None, Source.DISK, "0", "A", None)
