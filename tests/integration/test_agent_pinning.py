from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ModelMessage, RunContext
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import ModelMessagesTypeAdapter

from automagik_prompts import ActivePrompt, InvalidPromptError, State, prompt_used, prompt_version
from automagik_prompts.agent import plugins
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.following import kept_versions, version_cache
from automagik_prompts.plugin import PromptPlugin
from tests.acceptance.commands import REPOSITORY, environment, run
from tests.conftest import MakePlugin
from tests.listening import Listener, call
from tests.waiting import until


@dataclass
class Contact:
    """Whom the agent talks to."""

    status: str = "OLD"
    name: str = "Ada"


@pytest.fixture
def url(sqlite_url: str) -> str:
    """A database that a second plugin can open, too."""
    return sqlite_url


@pytest.fixture
async def plugin(url: str, registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin that serves Stan's prompts."""
    registry.declare("stan", {"OLD": "Old 1, {{name}}.", "NEW": "New 1, {{name}}."}, where="here", primary="OLD")
    plugin = make_plugin(url, disk_snapshot=False)
    await plugin.ready()
    return plugin


Inject = str
MODES = pytest.mark.parametrize("inject", ["system_prompt", "instructions"])


def agent_of(listener: Listener, plugin: PromptPlugin, **arguments: Any) -> Agent[Contact, str]:
    """Return an agent that goes on with the versions of a conversation."""
    arguments.setdefault("pin", "conversation")
    own: ActivePrompt[Contact] = ActivePrompt("stan", lambda ctx: ctx.deps.status, plugin=plugin, **arguments)
    agent = Agent(listener.model, deps_type=Contact, capabilities=[own])

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "OLD" if ctx.deps.status == "NEW" else "NEW"
        return "approved"

    return agent


async def talk(agent: Agent[Contact, str], messages: list[ModelMessage], **contact: str) -> list[ModelMessage]:
    """Go on with a conversation, through JSON."""
    result = await agent.run("hi", deps=Contact(**contact), message_history=messages)
    return ModelMessagesTypeAdapter.validate_json(result.all_messages_json())


def told(listener: Listener) -> list[str]:
    """Return the prompt of each request."""
    return [(heard.system or [str(heard.instructions)])[-1] for heard in listener.heard]


@MODES
async def test_a_conversation_goes_on_with_its_versions(plugin: PromptPlugin, inject: Inject) -> None:
    """Over two activations a pinned conversation keeps its version, with today's values; others follow."""
    pinned, free = Listener(), Listener()
    stays, follows = agent_of(pinned, plugin, inject=inject), agent_of(free, plugin, inject=inject, pin=None)
    one: list[ModelMessage] = []
    two: list[ModelMessage] = []
    for number, name in enumerate(("Ada", "Grace", "Joan"), 1):
        one, two = await talk(stays, one, name=name), await talk(follows, two, name=name)
        await plugin.create("stan", "OLD", f"Old {number + 1}, {{{{name}}}}.", activate=True)
    assert told(pinned) == ["Old 1, Ada.", "Old 1, Grace.", "Old 1, Joan."]
    assert told(free) == ["Old 1, Ada.", "Old 2, Grace.", "Old 3, Joan."]
    assert [used.version for [used] in prompt_used(one).requests] == [1, 1, 1]
    assert [used.version for [used] in prompt_used(two).requests] == [1, 2, 3]


@MODES
async def test_until_its_status_changes(plugin: PromptPlugin, inject: Inject) -> None:
    """A change of the status brings the active versions, in the middle of a run and from one run to the next."""
    listener = Listener("one", call("approve"), call("approve"), "two", "three", "four")
    agent = agent_of(listener, plugin, inject=inject)
    messages = await talk(agent, [])
    for status in ("OLD", "NEW"):
        await plugin.create("stan", status, f"{status.title()} 2.", activate=True)
    # There and back within one run: the version of the first request comes back.
    messages = await talk(agent, messages)
    assert told(listener)[1:] == ["Old 1, Ada.", "New 2.", "Old 1, Ada."]
    messages = await talk(agent, messages)
    assert told(listener)[-1] == "Old 1, Ada."
    messages = await talk(agent, messages, status="NEW")
    assert told(listener)[-1] == "New 2."
    await talk(agent, messages, status="OLD")
    assert told(listener)[-1] == "Old 2."


async def test_back_to_a_status_within_a_run(plugin: PromptPlugin) -> None:
    """A run that begins in another status has left the old one: coming back to it brings what is active."""
    listener = Listener("one", call("approve"), "two")
    agent = agent_of(listener, plugin)
    messages = await talk(agent, [], status="OLD")
    await plugin.create("stan", "OLD", "Old 2.", activate=True)
    await talk(agent, messages, status="NEW")
    assert told(listener) == ["Old 1, Ada.", "New 1, Ada.", "Old 2."]


@MODES
async def test_a_new_process_knows_the_versions_of_old_conversations(
    plugin: PromptPlugin, url: str, make_plugin: MakePlugin, inject: Inject
) -> None:
    """A process that starts after the activation reads ahead what conversations may go on with."""
    await plugin.create("stan", "OLD", "Mine, {{name}}.", activate=True)
    messages = await talk(agent_of(Listener(), plugin, inject=inject), [])
    await plugin.create("stan", "OLD", "Old 3.", activate=True)
    listener = Listener()
    other = make_plugin(url, disk_snapshot=False)
    await talk(agent_of(listener, other, inject=inject), messages, name="Grace")
    assert told(listener) == ["Mine, Grace."]


@MODES
async def test_what_memory_does_not_have_is_asked_for(
    plugin: PromptPlugin, url: str, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch, inject: Inject
) -> None:
    """A run waits, bounded, for a version that its process does not have yet, and fills it with today's values."""
    await plugin.create("stan", "OLD", "Mine, {{name}}.", activate=True)
    messages = await talk(agent_of(Listener(), plugin, inject=inject), [])
    await plugin.create("stan", "OLD", "Old 3.", activate=True)
    monkeypatch.setattr(version_cache, "NEWEST", 0)
    listener = Listener()
    other = make_plugin(url, disk_snapshot=False, pin_timeout=10)
    messages = await talk(agent_of(listener, other, inject=inject), messages, name="Grace")
    assert told(listener) == ["Mine, Grace."]
    [used] = prompt_used(messages).requests[-1]
    assert used.version == 2


async def test_a_version_of_another_database(plugin: PromptPlugin, registry: Registry, make_plugin: MakePlugin) -> None:
    """A version of the same number with another text is not the one: a history may come from elsewhere."""
    messages = await talk(agent_of(Listener(), plugin), [])
    elsewhere = Registry()
    elsewhere.declare("stan", {"OLD": "Elsewhere 1."}, where="here")
    other = make_plugin("sqlite://:memory:", registry=elsewhere)
    await other.create("stan", "OLD", "Elsewhere 2.", activate=True)
    listener = Listener()
    agent = agent_of(listener, other, inject="instructions")
    await agent.run("hi", deps=Contact(), message_history=messages)
    assert told(listener) == ["Elsewhere 2."]
    del registry


async def test_code_texts_are_pinned_by_their_content(url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """A conversation that began with the code's text, while the database was away, goes on with it."""
    registry.declare("stan", {"OLD": "Old 1, {{name}}."}, where="here")
    away = make_plugin("sqlite:///nowhere/at/all.db", startup_timeout=0, disk_snapshot=False)
    messages = await talk(agent_of(Listener(), away), [])
    plugin = make_plugin(url, disk_snapshot=False)
    await plugin.ready()
    await plugin.create("stan", "OLD", "Old 2.", activate=True)
    listener = Listener()
    await talk(agent_of(listener, plugin), messages, name="Grace")
    assert told(listener) == ["Old 1, Grace."]


@MODES
@pytest.mark.parametrize("how", ["withdraw", "delete"])
async def test_a_withdrawn_version_is_left(
    plugin: PromptPlugin, url: str, make_plugin: MakePlugin, inject: Inject, how: str
) -> None:
    """A conversation leaves a version that is withdrawn or deleted, here and in another process, and can come back."""
    await plugin.create("stan", "OLD", "Mine, {{name}}.", activate=True)
    other = make_plugin(url, disk_snapshot=False, poll_interval=0.05)
    listeners = Listener(), Listener()
    agents = [agent_of(heard, one, inject=inject) for heard, one in zip(listeners, (plugin, other), strict=True)]
    messages = await talk(agents[0], [])
    await talk(agents[1], messages)
    await plugin.create("stan", "OLD", "Old 3.", activate=True)
    for agent, listener in zip(agents, listeners, strict=True):
        await talk(agent, messages)
        assert told(listener)[-1] == "Mine, Ada."
    await getattr(plugin, how)("stan", "OLD", 2)
    snapshot = other._life.state.snapshot
    assert snapshot is not None
    served = other._life.versions.pinned.find("stan", "OLD", 2)
    assert served is not None

    def is_left() -> bool:
        present = other._life.state.snapshot
        return present is not None and present.is_withdrawn(served)

    await until(is_left, "the other process follows")
    for agent, listener in zip(agents, listeners, strict=True):
        await talk(agent, messages)
        assert told(listener)[-1] == "Old 3."
    if how == "withdraw":
        await plugin.withdraw("stan", "OLD", 2, undo=True)
        await talk(agents[0], messages)
        assert told(listeners[0])[-1] == "Mine, Ada."


async def test_a_withdrawn_text_of_the_code(plugin: PromptPlugin) -> None:
    """What code still has stands in where nothing else is active, which `explain` says; no conversation keeps it."""
    listener = Listener()
    agent = agent_of(listener, plugin)
    messages = await talk(agent, [])
    await plugin.create("stan", "OLD", "Old 2.", activate=True)
    await plugin.withdraw("stan", "OLD", 1)
    await talk(agent, messages)
    assert told(listener)[-1] == "Old 2."
    assert plugin.explain("stan", "OLD").notes == ("withdrawn: version 1; no conversation goes on with it",)
    await plugin.deactivate("stan", "OLD")
    await talk(agent, [])
    assert told(listener)[-1] == "Old 1, Ada."
    assert any("this text is withdrawn" in note for note in plugin.explain("stan", "OLD").notes)


@pytest.mark.parametrize("missing", ["marker", "error"])
@pytest.mark.parametrize("name", ["x" * 300_000, None])
async def test_a_withdrawn_text_of_the_code_comes_last(
    url: str, registry: Registry, make_plugin: MakePlugin, missing: Any, name: str | None
) -> None:
    """Where the active version cannot be filled, it is sent with gaps rather than the code's text that is withdrawn."""
    registry.declare("stan", {"OLD": "Code."}, where="here", variables=["name"])
    plugin, listener = make_plugin(url, disk_snapshot=False, missing=missing), Listener()
    await plugin.ready()
    await plugin.create("stan", "OLD", "Hello {{name}}.", activate=True)
    withdrawn = await plugin.withdraw("stan", "OLD", 1)
    assert withdrawn.prompt is not None
    assert withdrawn.prompt.is_withdrawn
    agent: Agent[Any, str] = Agent(listener.model, deps_type=dict, capabilities=[ActivePrompt("stan", plugin=plugin)])
    await agent.run("hi", deps={"name": name} if name else {})
    assert listener.last.system == ["Hello [No data for name]."]


async def test_the_code_of_another_status_comes_before_a_withdrawn_one(
    url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """Where nothing is active, a text of the code stands in that nobody has withdrawn, if there is one."""
    registry.declare("stan", {"OLD": "Old 1.", "NEW": "New 1."}, where="here", primary="OLD")
    plugin = make_plugin(url, disk_snapshot=False)
    await plugin.ready()
    for status in ("OLD", "NEW"):
        await plugin.create("stan", status, f"{status} 2.", activate=True)
    await plugin.withdraw("stan", "NEW", 1)
    await plugin.deactivate("stan", "NEW")
    await plugin.deactivate("stan", "OLD")
    assert plugin.resolve("stan", "NEW").text == "Old 1."


async def test_a_withdrawn_version_is_not_had_by_its_number(plugin: PromptPlugin) -> None:
    """`ActivePrompt(version=)` and previews refuse it, also where it was in memory."""
    await plugin.create("stan", "OLD", "Old 2.", activate=True)
    agent = agent_of(Listener(), plugin, pin=None, version=1)
    await agent.run("hi", deps=Contact())
    await plugin.withdraw("stan", "OLD", 1)
    with pytest.raises(InvalidPromptError, match="withdrawn"):
        await agent.run("hi", deps=Contact())
    with pytest.raises(InvalidPromptError, match="withdrawn"):
        async with prompt_version("stan", "OLD", 1, plugin=plugin):
            pass


async def test_after_a_start_without_the_database(
    plugin: PromptPlugin, url: str, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """A process that begins with what is on disk knows what is withdrawn."""
    await plugin.create("stan", "OLD", "Old 2.", activate=True)
    await plugin.withdraw("stan", "OLD", 1)
    path = Path(url.removeprefix("sqlite://"))
    writer = make_plugin(url, cache_dir=tmp_path / "cache")
    await writer.ready()
    await until(lambda: list((tmp_path / "cache").glob("*")), "it is on disk")
    await until(lambda: not writer._life.state.snapshot or writer.state is State.LIVE, "it follows")
    writer.close()
    plugin.close()
    await asyncio.to_thread(path.rename, path.with_suffix(".away"))
    later = make_plugin(url, cache_dir=tmp_path / "cache")
    snapshot = await later.ready()
    assert later.state is not State.LIVE
    [code] = [prompt.served for key, prompt in later.registry.agents["stan"].prompts.items() if key == "OLD"]
    assert snapshot.is_withdrawn(code)


@pytest.mark.parametrize(
    "process", [lambda messages: messages[-1:], lambda messages: messages], ids=["trimmed", "complete"]
)
async def test_history_processors_do_not_unpin(plugin: PromptPlugin, process: Callable[[Any], Any]) -> None:
    """What a run begins with is the history that it was given, whatever processors leave of it."""
    listener = Listener()
    own: ActivePrompt[Contact] = ActivePrompt("stan", plugin=plugin, pin="conversation")
    agent = Agent(listener.model, deps_type=Contact, capabilities=[ProcessHistory(process), own])
    messages = (await agent.run("hi", deps=Contact())).all_messages()
    await plugin.create("stan", "OLD", "Old 2.", activate=True)
    await agent.run("hi", deps=Contact(), message_history=messages)
    assert told(listener) == ["Old 1, Ada."] * 2


async def test_without_pins_only_what_is_active_is_kept(
    registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions that are active no more take no memory where no conversation goes on with them."""
    monkeypatch.setattr(plugins, "pinned", set())
    registry.declare("stan", {"default": "One."}, where="here")
    plugin = make_plugin("sqlite://:memory:")
    for number in range(5):
        await plugin.create("stan", "default", f"Text {number}.", activate=True)
    assert not list(plugin._life.versions.pinned)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, registry: Registry) -> None:
    """The versions that came first go first, by number and by size."""
    from automagik_prompts.domain.records import ActiveVersion
    from automagik_prompts.domain.served import Source
    from automagik_prompts.following.memory.compiling import served_version

    del registry
    monkeypatch.setattr(kept_versions, "MAX_VERSIONS", 3)
    monkeypatch.setattr(kept_versions, "MAX_CHARACTERS", 25)
    kept = kept_versions.KeptVersions()

    def add(number: int, text: str) -> None:
        version = ActiveVersion("stan", number, "A", number, text, "text")
        kept.add([served_version(version, frozenset(), Source.DATABASE)])

    for number in range(1, 6):
        add(number, "text")
    assert [kept.find("stan", "A", number) is not None for number in range(1, 6)] == [False, False, True, True, True]
    add(6, "a longer text: 22 chars")
    assert [kept.find("stan", "A", number) is not None for number in range(3, 7)] == [False, False, False, True]


TURN = """
import asyncio, json, sys
from pathlib import Path
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessagesTypeAdapter
from automagik_prompts import ActivePrompt, PromptPlugin, prompt, prompt_used
from tests.listening import Listener

url, folder = sys.argv[1], Path(sys.argv[2])
prompt("You are version one, {{name}}.", agent="stan")

async def main():
    seen = {}
    for pin in ("conversation", None):
        listener, plugin, file = Listener(), PromptPlugin(url), folder / f"{pin}.json"
        own = ActivePrompt("stan", plugin=plugin, pin=pin, variables={"name": "Ada"})
        agent = Agent(listener.model, capabilities=[own])
        history = ModelMessagesTypeAdapter.validate_json(file.read_bytes()) if file.exists() else []
        result = await agent.run("hi", message_history=history)
        file.write_bytes(result.all_messages_json())
        seen[str(pin)] = [*listener.last.system, prompt_used(result).last.version]
    print(json.dumps(seen))

asyncio.run(main())
"""


async def test_three_turns_in_three_processes_over_two_activations(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """A conversation of three turns, pinned and unpinned, through JSON between processes."""
    registry.declare("stan", {"default": "You are version one, {{name}}."}, where="here")
    plugin = make_plugin(sqlite_url)
    script = tmp_path / "turn.py"
    script.write_text(TURN, encoding="utf-8")
    seen = []
    for number in (2, 3, 4):
        env = environment(tmp_path, PYTHONPATH=str(REPOSITORY))
        output = await asyncio.to_thread(run, sys.executable, script, sqlite_url, tmp_path, cwd=tmp_path, env=env)
        seen.append(json.loads(output))
        await plugin.create("stan", "default", f"You are version {number}, {{{{name}}}}.", activate=True)
    assert [turn["conversation"] for turn in seen] == [["You are version one, Ada.", 1]] * 3
    assert [turn["None"] for turn in seen] == [
        ["You are version one, Ada.", 1],
        ["You are version 2, Ada.", 2],
        ["You are version 3, Ada.", 3],
    ]
