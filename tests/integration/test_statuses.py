"""A status is found however it is given; what was not meant is told once."""

from __future__ import annotations

import importlib
import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from pydantic_ai import Agent

from automagik_prompts import ActivePrompt, DeclarationError, NoActivePromptError, PromptNotFoundError, prompt, prompts
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.editing import checks, sync
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import told
from tests.listening import Listener
from tests.waiting import until

NEW, APPROVED = "Ask for the tax id.", "Name prices."


class Status(Enum):
    """Statuses whose values are not the names of the constants."""

    NEW = "new"
    APPROVED = "approved"
    LATER = "somebody's word"


@pytest.fixture
def plugin(make_plugin: MakePlugin, database_url: str, registry: Registry) -> PromptPlugin:
    """A plugin whose code declares two statuses."""

    @prompts("seller", primary=Status.NEW, registry=registry)
    class SellerPrompts:
        NEW = NEW
        APPROVED = APPROVED

    assert SellerPrompts.NEW == NEW
    return make_plugin(database_url)


@pytest.mark.parametrize("given", ["APPROVED", "approved", Status.APPROVED])
async def test_by_value_then_by_name_then_whatever_its_case(plugin: PromptPlugin, given: Any) -> None:
    """Runs, editing verbs, `resolve`, `render` and `explain` take a status in each of its forms."""
    await plugin.ready()
    assert await told(plugin, "seller", given) == APPROVED
    listener = Listener()
    capability = ActivePrompt[object]("seller", lambda _ctx: given, plugin=plugin)
    await Agent(listener.model, capabilities=[capability]).run("hi")
    assert listener.last.system == [APPROVED]
    assert plugin.resolve("seller", given).status_key == "APPROVED"
    assert plugin.render("seller", given) == APPROVED
    assert plugin.explain("seller", given).served_status_key == "APPROVED"
    change = await plugin.create("seller", given, "Another.", activate=True)
    assert (change.status_key, change.active_version) == ("APPROVED", 2)
    assert (await plugin.rollback("seller", given)).active_version == 1
    assert len(await plugin.history("seller", given)) == 2
    assert plugin.health().problems == ()


async def test_an_enum_that_means_two_statuses_is_refused(registry: Registry) -> None:
    """Where a member's value and name are two different statuses, nobody can tell which is meant."""

    class Crossed(Enum):
        NEW = "APPROVED"
        APPROVED = "other"

    with pytest.raises(DeclarationError, match=r"Crossed\.NEW means the status 'APPROVED' by its value and 'NEW'"):

        @prompts("seller", primary=Crossed.APPROVED, registry=registry)
        class SellerPrompts:
            NEW = NEW
            APPROVED = APPROVED


async def test_two_spellings_cannot_be_declared(registry: Registry) -> None:
    """Keys that differ only in case or in Unicode form are one to people."""
    registry.declare("seller", {"Café": "one"}, where="here")
    for other in ("CAFÉ", normalize("NFD", "café")):
        with pytest.raises(DeclarationError, match="differ only in case or in Unicode form"):
            registry.declare("seller", {other: "two"}, where="there")
    registry.declare("seller", {normalize("NFD", "Café"): "one"}, where="there")  # the same, in another form
    assert list(registry.agents["seller"].prompts) == ["Café"]


async def test_a_status_that_nobody_knows_must_be_meant(plugin: PromptPlugin) -> None:
    """A misspelt status is offered its nearest spelling; a new one is added where it is said to be new."""
    await plugin.ready()
    with pytest.raises(PromptNotFoundError, match=r"no status 'APROVED'\. Did you mean 'APPROVED'\?.*--new-status"):
        await plugin.create("seller", "APROVED", "Never served.", activate=True)
    await plugin.create("seller", "REJECTED", "Say no.", activate=True, new_status=True)
    assert await told(plugin, "seller", "rejected") == "Say no."
    await plugin.create("somebody", "FIRST", "Hi.", activate=True, new_agent=True)


async def test_default_is_found_in_whatever_case(
    make_plugin: MakePlugin, database_url: str, registry: Registry
) -> None:
    """The last fallback is `default`, however it is spelt, and no second one can be made."""
    registry.declare("one", {"DEFAULT": "The last resort.", "X": "x"}, where="here", primary="X")
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.deactivate("one", "X")
    assert await told(plugin, "one", "unheard of") == "The last resort."
    assert (await plugin.create("one", "default", "Again.", activate=True)).status_key == "DEFAULT"


async def test_code_in_another_case_than_the_database(
    make_plugin: MakePlugin, database_url: str, registry: Registry
) -> None:
    """Nothing is written for a key that is too like a stored one; it is a problem, and `check` names the pair.

    It is one status, so its active version is served, as for any text that is not written.
    """
    other = Registry()
    other.declare("seller", {"APPROVED": APPROVED}, where="before")
    async with Database(database_url) as database:
        await sync.seed(database, other.agents)
    registry.declare("seller", {"Approved": "In another case."}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    (problem,) = plugin.health().problems
    assert "the status 'Approved' and the database 'APPROVED'" in problem
    assert await told(plugin, "seller", "Approved") == APPROVED
    assert [version.status_key for version in await plugin.history("seller")] == ["APPROVED"]
    async with Database(database_url) as database:
        found = await checks.check_database(database, registry.agents)
    assert "alike" in {finding.kind.value for finding in found}


async def test_an_unknown_status_is_told_once(plugin: PromptPlugin, caplog: pytest.LogCaptureFixture) -> None:
    """The log and `health` say it with the nearest name, once; one that a person deactivated is no such status."""
    await plugin.ready()
    await plugin.deactivate("seller", "APPROVED")
    for _ in range(3):
        assert await told(plugin, "seller", "NWE") == NEW
        assert await told(plugin, "seller", "APPROVED") == NEW
    await until(lambda: plugin.health().problems, "it is told")
    (problem,) = plugin.health().problems
    assert "The status 'NWE' of seller has no prompt" in problem
    assert "Did you mean 'NEW'?" in problem
    assert len([record for record in caplog.records if "NWE" in record.getMessage()]) == 1


async def test_a_variable_without_a_value_is_told_once(
    make_plugin: MakePlugin, database_url: str, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """A misnamed attribute reaches the model as a gap: log and `health` name version and variable, once."""
    registry.declare("one", {"default": "Hi {{name}}, {{#if vip}}{{vip}}{{/if}}."}, where="here")
    plugin = make_plugin(database_url)
    for _ in range(2):
        assert await told(plugin, "one", deps={"nme": "Ana"}) == "Hi [No data for name], ."
    (problem,) = plugin.health().problems
    assert "one/default, version 1: the variable 'name' had no value" in problem
    assert "Did you mean 'nme'?" in problem
    assert len([record for record in caplog.records if "had no value" in record.getMessage()]) == 1


async def test_a_module_that_is_loaded_again(
    make_plugin: MakePlugin, sqlite_url: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed constant of the same module replaces it, and is served without a restart."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    source = (
        "from automagik_prompts import prompt, prompts\nimport automagik_prompts_test_registry as r\n"
        "prompt({0!r}, agent='one', registry=r.registry)\n"
        "@prompts('two', primary='A', registry=r.registry)\nclass Two:\n    A = {0!r}\n"
    )
    fake = type(sys)("automagik_prompts_test_registry")
    vars(fake)["registry"] = registry
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    (tmp_path / "reloaded_prompts.py").write_text(source.format("first"))
    module = importlib.import_module("reloaded_prompts")
    plugin = make_plugin(sqlite_url)
    assert [await told(plugin, name) for name in ("one", "two")] == ["first", "first"]
    (tmp_path / "reloaded_prompts.py").write_text(f"# moved\n{source.format('second')}")
    importlib.reload(module)
    for name in ("one", "two"):
        await until(partial(_renders, plugin, name, "second"), "it is served")
        assert plugin.resolve(name).version == 2
    del sys.modules["reloaded_prompts"]


def _renders(plugin: PromptPlugin, name: str, text: str) -> bool:
    return plugin.render(name) == text


def test_cells_of_a_notebook(registry: Registry) -> None:
    """A cell that is run again with another text replaces it; two lines of one file stay an error."""
    for number, text in enumerate(("first", "second")):
        code = compile(f"prompt({text!r}, agent='one', registry=registry)", f"<ipython-input-{number}>", "exec")
        exec(code, {"prompt": prompt, "registry": registry})  # noqa: S102  # as a notebook does
    assert registry.agents["one"].prompts["default"].text == "second"
    cells = (
        "@prompts('three', primary='A', registry=registry)\nclass One:\n    A = 'a'\n    B = 'b'",
        "@prompts('three', registry=registry)\nclass Two:\n    C = 'c'",
        "@prompts('three', primary='A', registry=registry)\nclass One:\n    A = 'another'",
    )
    for number, cell in enumerate(cells):
        names = {"prompts": prompts, "registry": registry, "__name__": "__main__"}
        exec(compile(cell, f"<ipython-input-{number}>", "exec"), names)  # noqa: S102  # as above
    three = {key: declared.text for key, declared in registry.agents["three"].prompts.items()}
    assert three == {"A": "another", "C": "c"}
    twice = "prompt('a', agent='two', registry=registry)\nprompt('b', agent='two', registry=registry)"
    with pytest.raises(DeclarationError, match="declared twice with different texts"):
        exec(compile(twice, "file.py", "exec"), {"prompt": prompt, "registry": registry})  # noqa: S102  # as above


async def test_an_agent_that_only_the_database_knows_waits_for_it(
    make_plugin: MakePlugin, database_url: str, registry: Registry
) -> None:
    """At a cold start its run waits for the first load, and is served."""
    async with make_plugin(database_url) as writer:
        await writer.create("support", "default", "From the database.", activate=True, new_agent=True)
    assert not registry.agents
    assert await told(make_plugin(database_url), "support") == "From the database."


async def test_an_agent_that_only_an_unreachable_database_knows(make_plugin: MakePlugin) -> None:
    """The error says that the database was not read and why; `ready` is false until it is."""
    plugin = make_plugin("postgresql://nobody@127.0.0.1:9/nothing", startup_timeout=0.5)
    with pytest.raises(NoActivePromptError, match=r"the database has not been read yet.*127\.0\.0\.1:9"):
        await told(plugin, "support")
    assert not plugin.health().ready
    with pytest.raises(NoActivePromptError, match="the database has not been read yet"):
        plugin.resolve("support")
