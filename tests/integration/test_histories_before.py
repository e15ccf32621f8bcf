"""Histories from before this library, and ones that were handed over by another agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_ai import Agent, ModelMessage
from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)

from automagik_prompts import ActivePrompt, DeclarationError
from automagik_prompts.agent import plugins
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from tests.conftest import MakePlugin
from tests.listening import Listener
from tests.modes import MODES
from tests.waiting import until

CODE = "You are Stan, who sells flour. Ask {{name}} for the company's tax id before anything else."
OLDER = "You are Stan, who sells bread. Ask {{name}} kindly for the company's tax id, and wait for it."
ACTIVE = "You are Stan, who sells rice. Greet {{name}} by name, and then ask for the company's tax id."


@dataclass
class Contact:
    """Whom the agent talks to."""

    name: str = "Ada"


@pytest.fixture
async def plugin(sqlite_url: str, registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin whose agent has a text of the code, an older one of an operator, and an active one."""
    registry.declare("stan", {"default": CODE}, where="here", variables=["name"])
    registry.declare("ada", {"default": "You are Ada, and nobody else."}, where="here")
    plugin = make_plugin(sqlite_url, disk_snapshot=False, startup_timeout=30)
    await plugin.ready()
    await plugin.create("stan", "default", OLDER, activate=True)
    await plugin.create("stan", "default", ACTIVE, activate=True)
    return plugin


def agent_of(listener: Listener, plugin: PromptPlugin, *names: str, **options: Any) -> Agent[Contact, str]:
    """Return an agent with the prompts of some names."""
    prompts: list[ActivePrompt[Contact]] = [ActivePrompt(name, plugin=plugin, **options) for name in names or ("stan",)]
    return Agent(listener.model, deps_type=Contact, capabilities=prompts)


def before(*texts: str) -> list[ModelMessage]:
    """Return a conversation with plain system prompts, through JSON."""
    messages: list[ModelMessage] = [
        ModelRequest(parts=[*map(SystemPromptPart, texts), UserPromptPart("hi")]),
        ModelResponse(parts=[TextPart("hello")]),
    ]
    return ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(messages))


def read(listener: Listener) -> list[str]:
    """Return all that the model could take for its prompt."""
    return [*listener.last.system, *([listener.last.instructions] if listener.last.instructions else [])]


FILLED = ACTIVE.replace("{{name}}", "Ada")


@pytest.mark.parametrize(("inject", "on_change"), MODES)
@pytest.mark.parametrize(
    "text",
    [CODE, OLDER, ACTIVE, *(text.replace("{{name}}", "Grace Hopper") for text in (CODE, OLDER, ACTIVE))],
    ids=["code", "older", "active", "code filled", "older filled", "active filled"],
)
async def test_fault_73_it_is_recognised(plugin: PromptPlugin, inject: Any, on_change: Any, text: str) -> None:
    """Whatever of the agent's texts stands there, filled by hand or not, the model reads the active one alone."""
    listener = Listener()
    agent = agent_of(listener, plugin, inject=inject, on_change=on_change)
    messages = before(text, "A house rule.")
    for _ in range(2):
        result = await agent.run("go on", deps=Contact(), message_history=messages)
        messages = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
        told = read(listener)
        assert FILLED in told[-1] if on_change == "append" else FILLED in told
        assert "A house rule." in told
        # Where changes are appended, what stood there opens the conversation and says that it was replaced.
        plain = [text for text in told if "<pyai:context" not in text]
        assert len(plain) == (2 if on_change == "rewrite" else 1)


@pytest.mark.usefixtures("plugin")
async def test_in_a_new_process(sqlite_url: str, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that starts later has read the newest texts of the agents that it has, before it serves anything."""
    monkeypatch.setattr(plugins, "bound", {})
    listener = Listener()
    later = make_plugin(sqlite_url, disk_snapshot=False, startup_timeout=30)
    agent = agent_of(listener, later)
    await agent.run("go on", deps=Contact(), message_history=before(OLDER.replace("{{name}}", "Grace")))
    assert read(listener) == [FILLED]


@pytest.mark.usefixtures("plugin")
async def test_an_agent_that_is_built_later(
    sqlite_url: str, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts of an agent that is built after the start are read when its first such history comes."""
    monkeypatch.setattr(plugins, "bound", {})
    later = make_plugin(sqlite_url, disk_snapshot=False, registry=Registry())
    await later.ready()
    listener = Listener()
    agent, history = agent_of(listener, later, expose=["name"]), before(OLDER)
    await agent.run("go on", deps=Contact(), message_history=history)
    await until(lambda: later._life.texts.is_read("stan"), "they are read")
    await agent.run("go on", deps=Contact(), message_history=history)
    assert read(listener) == [FILLED]


async def test_what_is_not_certain_stays(plugin: PromptPlugin) -> None:
    """Somebody else's prompt stays where it is, also one that begins like ours."""
    listener = Listener()
    for text in ("You are Stan.", OLDER[:40], f"{OLDER} And more.", "You are Ada, and nobody else."):
        await agent_of(listener, plugin).run("go on", deps=Contact(), message_history=before(text))
        assert sorted(read(listener)) == sorted([text, FILLED])


async def test_the_leading_one_is_adopted(plugin: PromptPlugin) -> None:
    """Where somebody says so, the first system prompt of a history from before is ours, whatever it says."""
    listener = Listener()
    agent = agent_of(listener, plugin, adopt="leading")
    result = await agent.run("go on", deps=Contact(), message_history=before("Anything.", "A house rule."))
    assert read(listener) == [FILLED, "A house rule."]
    # From then on it is no history from before any more.
    await agent.run("go on", deps=Contact(), message_history=result.all_messages())
    assert read(listener) == [FILLED, "A house rule."]


async def test_a_static_prompt_of_the_agents_own_stays(plugin: PromptPlugin) -> None:
    """What the agent itself is given beside its prompt is not from before."""
    listener = Listener()
    own: ActivePrompt[Contact] = ActivePrompt("stan", plugin=plugin, adopt="leading")
    agent = Agent(listener.model, deps_type=Contact, capabilities=[own], system_prompt="A house rule.")
    result = await agent.run("hi", deps=Contact())
    await agent.run("go on", deps=Contact(), message_history=result.all_messages())
    assert sorted(read(listener)) == sorted([FILLED, "A house rule."])


@pytest.mark.parametrize("inject", ["system_prompt", "instructions"])
async def test_a_hand_over(plugin: PromptPlugin, inject: Any) -> None:
    """A conversation that comes from another managed agent keeps its prompt, or not, as somebody says."""
    hers = (await agent_of(Listener(), plugin, "ada").run("hi", deps=Contact())).all_messages()
    history = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(hers))
    listener = Listener()
    await agent_of(listener, plugin, inject=inject).run("go on", deps=Contact(), message_history=history)
    assert sorted(read(listener)) == sorted([FILLED, "You are Ada, and nobody else."])
    agent = agent_of(listener, plugin, inject=inject, others="drop")
    result = await agent.run("go on", deps=Contact(), message_history=history)
    assert read(listener) == [FILLED]
    assert "You are Ada" not in result.all_messages_json().decode()


async def test_prompts_of_one_agent_do_not_drop_each_other(plugin: PromptPlugin) -> None:
    """An agent's own prompts, of several names, stay beside each other."""
    listener = Listener()
    agent = agent_of(listener, plugin, "stan", "ada", others="drop")
    messages: list[ModelMessage] = []
    for _ in range(2):
        messages = (await agent.run("hi", deps=Contact(), message_history=messages)).all_messages()
        assert sorted(read(listener)) == sorted([FILLED, "You are Ada, and nobody else."])


async def test_a_suspended_answer(plugin: PromptPlugin) -> None:
    """Under our reference nothing forged is sent back to a provider that paused in the middle of an answer."""
    history: list[ModelMessage] = [
        ModelRequest(
            parts=[
                SystemPromptPart("Forged.", dynamic_ref="automagik_prompts.stan"),
                SystemPromptPart(OLDER.replace("{{name}}", "Ada"), dynamic_ref="automagik_prompts.stan"),
                UserPromptPart("hi"),
            ]
        ),
        ModelResponse(parts=[TextPart("wait")], state="suspended"),
    ]
    listener = Listener()
    await agent_of(listener, plugin).run(message_history=history, deps=Contact())
    assert read(listener) == [OLDER.replace("{{name}}", "Ada")]


@pytest.mark.parametrize("option", [{"others": "all"}, {"adopt": "first"}])
def test_unknown_options(option: dict[str, Any]) -> None:
    """An option that is not known is refused where it stands."""
    with pytest.raises(DeclarationError, match="is unknown"):
        ActivePrompt("stan", **option)
