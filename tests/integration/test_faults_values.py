"""Values of a run that are too much for a text: that run gets by, and no version is blamed for it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from pydantic_ai import Agent

from automagik_prompts import ActivePrompt, PromptPlugin
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import AgentInfo
from automagik_prompts.domain.text import content_hash
from automagik_prompts.editing import queries
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import InvalidPromptError, UnexposedVariableError
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database
from tests.listening import Listener
from tests.tampering import unkeep

MakePlugin = Callable[..., PromptPlugin]

CODE = "From code: {{name}}."
VERSION = "{{name}}{{#each orders}}{{#each items}}{{this}}{{/each}}{{/each}}"


async def run(plugin: PromptPlugin, name: str, deps: dict[str, object]) -> str:
    """Return what the model was sent in one run."""
    listener = Listener()
    agent = Agent(listener.model, deps_type=dict, capabilities=[ActivePrompt(name, plugin=plugin)])
    result = await agent.run("hi", deps=deps)
    result.all_messages_json().decode()
    return listener.last.system[0]


async def test_fault_62_values_that_are_too_large(
    database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A run with a text of 4 MB, a list too long or too much work is sent the code's text; the next one is not."""
    registry.declare("a", {"default": CODE}, where="here", variables=["orders[].items[]", "orders.*"])
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("a", "default", VERSION, activate=True)
    small: dict[str, object] = {"name": "Ada", "orders": [{"items": ["x"]}]}
    large: list[dict[str, object]] = [
        {"name": "x" * 4_000_000, "orders": []},
        {"name": "Ada", "orders": [{"items": []}] * 1001},
        {"name": "Ada", "orders": [{"items": ["x"] * 900}] * 900},
    ]
    for deps in large:
        assert (await run(plugin, "a", deps)).startswith("From code: ")
        assert await run(plugin, "a", small) == "Adax"  # nothing is remembered
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [words.split(" has ")[0].split(" makes ")[0] for words in warnings] == [
        "a/default, version 2: The value of name",
        "a/default, version 2: The value of orders",
        "a/default, version 2: The value of orders[].items",
    ]
    assert not any("xxxx" in words for words in warnings)
    assert len(plugin.health().problems) == 3
    async with Database(database_url) as database:
        actions = {event.action.value for event in await queries.events(database, "a")}
    assert actions == {"created", "activated"}
    assert await run(plugin, "a", {"name": "a\ud800", "orders": None}) == "a\ufffd"


@pytest.mark.parametrize("text", ["{{name}} " * 100, "{{#each orders}}{{truncate (uppercase ../name) 1}}{{/each}}"])
async def test_what_values_make_too_much_is_not_the_versions_fault(
    database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """A run whose values make the text too long, or helpers go through too much, gets the code's text; no event."""
    registry.declare("a", {"default": CODE}, where="here", variables=["orders[]"])
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("a", "default", text, activate=True)
    small: dict[str, object] = {"name": "Ada", "orders": ["x"]}
    expected = await run(plugin, "a", small)
    assert not expected.startswith("From code")
    assert (await run(plugin, "a", {"name": "x" * 150_000, "orders": ["x"] * 900})).startswith("From code: ")
    assert await run(plugin, "a", small) == expected
    assert "a/default, version 2: The value of name is too large here: " in caplog.text
    async with Database(database_url) as database:
        actions = {event.action.value for event in await queries.events(database, "a")}
    assert actions == {"created", "activated"}


async def test_an_agent_that_only_the_database_knows(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """There is no code's text to send, so the value is left out of the version."""
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("b", "default", "Hello.", activate=True, new_agent=True)
    assert registry.agents == {}
    assert plugin.render("b") == "Hello."


async def test_fault_59_only_code_exposes(
    database_url: str, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """What an import, an adoption or SQL has stored as variables opens nothing: a run reaches what its code names."""
    async with Database(database_url) as database:
        await upgrade(database)
        await database.transaction(
            repository.add_agents, [AgentInfo(0, "support", variables=("api_key", "name", "contact.*"))]
        )
        text = (
            "{{name}} {{api_key}} {{contact.name}} {{#if api_key}}yes{{/if}}{{#each api_key}}x{{/each}} {{agent_name}}"
        )
        await DatabaseEdits(database).create("support", "default", text, activate=True)
    plugin = make_plugin(database_url)
    await plugin.ready()
    deps: dict[str, object] = {"name": "Ada", "api_key": "hunter2", "contact": {"name": "Grace"}}
    assert await run(plugin, "support", deps) == (
        "[No data for name] [No data for api_key] [No data for contact.name]  support"
    )
    assert "ActivePrompt('support', expose=['api_key'])" in caplog.text
    listener = Listener()
    prompt: ActivePrompt[dict[str, object]] = ActivePrompt(
        "support", plugin=plugin, expose=["contact.name"], variables={"name": "Joan"}
    )
    await Agent(listener.model, deps_type=dict, capabilities=[prompt]).run("hi", deps=deps)
    assert listener.last.system[0] == "Joan [No data for api_key] Grace  support"
    assert plugin.render("support", values={"name": "Ada"}).startswith("Ada [No data for api_key] ")
    assert "hunter2" not in caplog.text


async def test_what_a_capability_exposes_of_a_declared_agent(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """It may be used by texts that people write, as if the declaration had said so."""
    registry.declare("a", {"default": "Hello."}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    with pytest.raises(UnexposedVariableError):
        await plugin.create("a", "default", "Hello {{name}}.")
    listener = Listener()
    prompt: ActivePrompt[dict[str, object]] = ActivePrompt("a", plugin=plugin, expose="name")
    agent = Agent(listener.model, deps_type=dict, capabilities=[prompt])
    await plugin.create("a", "default", "Hello {{name}}.", activate=True)
    await agent.run("hi", deps={"name": "Ada"})
    assert listener.last.system == ["Hello Ada."]
    with pytest.raises(InvalidPromptError, match="cannot be exposed"):
        ActivePrompt("a", expose=["_key"])


COSTLY = [
    "{{#each a}}{{#each ../a}}{{#each ../../a}}{{/each}}{{/each}}{{/each}}",
    "{{#each a}}" + "{{name}}" * 2000 + "{{/each}}",
]
DEEP = ["{{truncate " + "(json " * 40 + '"x"' + ")" * 40 + " 0}}"]


async def _assert_refused(url: str, plugin: PromptPlugin, make_plugin: MakePlugin, text: str, words: str) -> None:
    """Make sure that a text is refused when it is written, and a problem of its version when it is loaded."""
    with pytest.raises(InvalidPromptError, match=words):
        await plugin.create("a", "default", text)
    made = await plugin.create("a", "default", f"harmless {len(text)}", activate=True)
    assert made.prompt is not None
    async with Database(url) as database:
        await unkeep(database)
        statement = "UPDATE prompts SET prompt_text = ?, content_hash = ? WHERE id = ?"
        digest, prompt_id = content_hash(text), made.prompt.id
        await database.run(lambda db: Connection(db).run(statement, text, digest, prompt_id))
    fresh = make_plugin(url, disk_snapshot=False)
    await fresh.ready()
    assert fresh.resolve("a").text == CODE
    assert any(words in problem for problem in fresh.health().problems)
    fresh.close()


@pytest.mark.parametrize("text", COSTLY)
async def test_fault_54_texts_that_cost_too_much(
    text: str, database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """Loops within loops and thousands of tags in a loop, whoever wrote them and however."""
    registry.declare("a", {"default": CODE}, where="here", variables=["a", "a[]"])
    plugin = make_plugin(database_url)
    await plugin.ready()
    await _assert_refused(database_url, plugin, make_plugin, text, "units of work")


@pytest.mark.parametrize("text", DEEP)
async def test_fault_55_helpers_within_helpers(
    text: str, database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """What they return would double with each of them."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    await _assert_refused(database_url, plugin, make_plugin, text, "more than 8 deep")


async def test_a_helper_that_a_value_makes_fail(
    database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """The value is to blame, and not the version: nothing is recorded against it, and the next run is sent it."""
    registry.declare("a", {"default": CODE}, where="here", variables=["n"])
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("a", "default", "{{truncate name n}}", activate=True)
    assert await run(plugin, "a", {"name": "Ada", "n": "hunter2"}) == "From code: Ada."
    assert await run(plugin, "a", {"name": "Adamina", "n": 3}) == "Ada"
    assert "It works with other values." in caplog.text
    assert "hunter2" not in caplog.text
    async with Database(database_url) as database:
        assert {event.action.value for event in await queries.events(database, "a")} == {"created", "activated"}
