"""Arbitrary Unicode through declare, create, activate and serve: kept byte for byte, or refused alike everywhere."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import folded
from automagik_prompts.domain.served import State
from automagik_prompts.domain.validation import FORMATS, Format, normalized
from automagik_prompts.editing.sync import seed
from automagik_prompts.exceptions import DeclarationError, InvalidPromptError, UnexposedVariableError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import execute

AGENT = "a"
DETAILS = ("name", "author", "note")

ANYTHING = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
CHARACTERS = st.characters(exclude_categories=())
FRAGMENTS = (
    *("{{name}}", "{{{name}}}", "{{", "}}", "{{#if name}}", "{{/if}}", "{{else}}", "{{!-- x --}}", "{{other}}"),
    *("\\{{name}}", "\\", "\r\n", "\ufeff", "\0", "\ud800", "\u202e", "e\u0301", "'", '"', "%", " ", "\t"),
)
PIECES = st.one_of(st.text(CHARACTERS, max_size=12), st.sampled_from(FRAGMENTS))
TEXTS = st.lists(PIECES, max_size=8).map("".join)

Outcome = tuple[str, str]
"""`kept` and nothing, or the kind of the refusal and its message."""


class Engines:
    """A plugin on each engine, with one agent."""

    def __init__(self, runner: asyncio.Runner, plugins: list[PromptPlugin]) -> None:
        self._runner = runner
        self.plugins = plugins
        self.names = (f"agent {number}" for number in itertools.count())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something asynchronous."""
        return self._runner.run(work)

    def rows(self, plugin: PromptPlugin) -> list[tuple[Any, ...]]:
        """Return what tells whether anything was written."""
        return list(
            self.run(
                execute(
                    plugin.settings.database_url,
                    "SELECT (SELECT COUNT(*) FROM prompts), (SELECT COUNT(*) FROM agents), "
                    "(SELECT COUNT(*) FROM prompt_events), (SELECT SUM(revision) FROM agents)",
                )
            )
        )


@pytest.fixture
def engines(sqlite_url: str, postgres_url: str, registry: Registry, make_plugin: MakePlugin) -> Iterator[Engines]:
    """Both engines, each followed by a plugin whose code exposes one name."""
    registry.declare(AGENT, {"default": "Hello {{name}}."}, where="here")
    with asyncio.Runner() as runner:
        for url in (sqlite_url, postgres_url):
            runner.run(_upgrade(url))
        plugins = [make_plugin(url) for url in (sqlite_url, postgres_url)]
        for plugin in plugins:
            runner.run(plugin.ready())
        yield Engines(runner, plugins)


async def _upgrade(url: str) -> None:
    async with Database(url) as database:
        await upgrade(database)


@ANYTHING
@given(text=TEXTS, format=st.sampled_from(FORMATS))
@example(text="{{#each items}}{{this}}{{/each}}", format="handlebars")
@example(text="\U0010ffff\ufdd0\ufffe", format="text")
@example(text="a" * 100_000 + "\r", format="text")
def test_any_text(engines: Engines, text: str, format: Format) -> None:
    """A text is served as it was written, whichever way it came, or refused before anything is written."""
    outcomes = {_created(engines, plugin, text, format) for plugin in engines.plugins}
    assert len(outcomes) == 1
    (outcome, _) = outcomes.pop()
    declared = {_declared(engines, plugin, text, format) for plugin in engines.plugins}
    assert len(declared) == 1
    # A declaration exposes the names that its own text uses; otherwise both ways refuse the same.
    if outcome != UnexposedVariableError.__name__:
        assert (declared.pop() == "kept") == (outcome == "kept")


def _created(engines: Engines, plugin: PromptPlugin, text: str, format: Format) -> Outcome:
    before = engines.rows(plugin)
    try:
        edit = plugin.create(AGENT, "default", text, format=format, new_status=True, allow_invisible=True)
        change = engines.run(edit)
    except InvalidPromptError as error:
        assert engines.rows(plugin) == before
        _assert_well(plugin)
        return type(error).__name__, error.message
    version = change.prompt.version
    activated = engines.run(plugin.activate(AGENT, "default", version))
    assert change.prompt.prompt_text == activated.prompt.prompt_text == text
    assert change.prompt.content_hash == activated.prompt.content_hash
    served = plugin.resolve(AGENT)
    assert (served.version, served.text) == (version, text)
    if format == "text":
        assert plugin.render(AGENT) == text
    stored = engines.run(
        execute(
            plugin.settings.database_url,
            f"SELECT prompt_text FROM prompts WHERE version = {version} AND status_key = 'default' "
            f"AND agent_id = (SELECT id FROM agents WHERE name = '{AGENT}')",
        )
    )
    assert stored == [(text,)]
    _assert_well(plugin)
    return "kept", ""


def _declared(engines: Engines, plugin: PromptPlugin, text: str, format: Format) -> str:
    name, before = next(engines.names), engines.rows(plugin)
    declarations = Registry()
    try:
        declarations.declare(name, {"default": text}, where="here", format=format)
    except DeclarationError:
        assert engines.rows(plugin) == before
        return "refused"

    async def seeded() -> list[str]:
        async with Database(plugin.settings.database_url) as database:
            await seed(database, declarations.agents)
        return [prompt.prompt_text for prompt in await plugin.history(name)]

    assert engines.run(seeded()) == [text]
    assert declarations.agents[name].prompts["default"].text == text
    return "kept"


@ANYTHING
@given(
    agent=st.text(CHARACTERS, max_size=10),
    status_key=st.text(CHARACTERS, max_size=10),
    details=st.fixed_dictionaries({key: st.none() | st.text(CHARACTERS, max_size=10) for key in DETAILS}),
)
@example(agent="a" * 255, status_key="s" * 256, details={})
@example(agent="a" * 256, status_key="s", details={})
@example(agent="é" * 255, status_key="\U0001f600" * 255, details={"name": "n" * 255, "author": "\u00df" * 255})
@example(agent="a ", status_key="\u3000s", details={})
@example(agent="A", status_key="default", details={"note": "\0"})
@example(agent="B", status_key="default", details={"name": "", "author": "", "note": ""})
def test_any_name(engines: Engines, agent: str, status_key: str, details: dict[str, str | None]) -> None:
    """A name, a status, an author and a note are kept, or refused alike before anything is written.

    Names are kept in one form; a status that differs from another one in case is that one.
    """
    outcomes = {_named(engines, plugin, agent, status_key, details) for plugin in engines.plugins}
    assert len(outcomes) == 1


def _named(
    engines: Engines, plugin: PromptPlugin, agent: str, status_key: str, details: dict[str, str | None]
) -> Outcome:
    before = engines.rows(plugin)
    try:
        change = engines.run(
            plugin.create(agent, status_key, "Some text.", activate=True, new_agent=True, new_status=True, **details)  # type: ignore[arg-type]  # each is a text or nothing
        )
    except InvalidPromptError as error:
        assert engines.rows(plugin) == before
        _assert_well(plugin)
        return type(error).__name__, error.message
    assert (change.agent.name, folded(change.status_key)) == (normalized(agent), folded(status_key))
    (written, *_) = engines.run(plugin.history(agent, status_key))
    assert written.status_key == change.status_key
    # An author of no characters is no author.
    assert {key: getattr(written, key) or None for key in details} == {
        key: value or None for key, value in details.items()
    }
    assert plugin.resolve(agent, status_key).version == written.version
    _assert_well(plugin)
    return "kept", ""


def _assert_well(plugin: PromptPlugin) -> None:
    health = plugin.health()
    assert (health.state, health.error, health.problems) == (State.LIVE, None, ())
