"""Deciding in the console, on each engine: what a status says, what changes, the way back, and who was too late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.sqlite.client import SqliteClient

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.plugin import PromptPlugin
from tests.api_server import PATIENT, TEXTS, declare
from tests.browsing import JOAO, NEW, field, followed, ok, run, write
from tests.conftest import MakePlugin
from tests.console_server import ServedConsole, served_console


@pytest.fixture
def plugin(database_url: str, make_plugin: MakePlugin, registry: Registry) -> PromptPlugin:
    """A plugin over a database with the schema, with the tests' agent."""
    declare(registry)
    return make_plugin(database_url, **PATIENT)


@pytest.fixture
def console(plugin: PromptPlugin) -> Iterator[ServedConsole]:
    """Its console."""
    with served_console(plugin) as running:
        yield running


@pytest.fixture
def client(console: ServedConsole) -> Iterator[httpx.Client]:
    """A browser of Ana's."""
    with console.client() as client:
        yield client


def test_a_status(plugin: PromptPlugin, client: httpx.Client) -> None:
    """Its text with variables, filled and exact; its versions; nothing of what is not there."""
    page = ok(client.get(NEW))
    assert "Ask <var>{{name}}</var> for the tax id." in page
    assert "Ask <mark>Name</mark> for the tax id." in page
    assert "From code" in page
    assert "Roll back" not in page
    run(
        plugin.acting_as(JOAO).create(
            "stan", "NEW", "Ask {{name}}\u200b first.\n", activate=True, allow_invisible=True, note="Agreed with sales."
        )
    )
    page = ok(client.get(NEW))
    assert ">U+200B</span>" in page
    assert "1 invisible one" in page
    assert "Roll back to version 1…" in page
    assert "Agreed with sales." in page
    old = ok(client.get(NEW, params={"version": 1}))
    assert "Ask <var>{{name}}</var> for the tax id." in old
    assert "This is version 1, which is not active." in old
    assert "edit?from=1" in old
    ok(client.get(NEW, params={"version": 9}), 404)
    ok(client.get("agents/stan/NONE"), 404)


def test_an_activation_and_its_undo(plugin: PromptPlugin, client: httpx.Client) -> None:
    """The difference is shown first, the reason is asked for, and one press leads back."""
    write(plugin, "Ask {{name}} for the tax number.")
    page = ok(client.get(f"{NEW}/activate", params={"version": 2}))
    assert "Activate version 2 of stan / NEW?" in page
    assert "1 line changed" in page
    assert "<del>id</del>" in page
    assert "<ins>number</ins>" in page
    form = {"version": "2", "expected_revision": field(page, "expected_revision"), "seen": "1"}
    page = ok(client.post(f"{NEW}/activate", data={**form, "note": " "}), 422)
    assert "Say why" in page
    answer = client.post(f"{NEW}/activate", data={**form, "note": "It reads better."})
    page = followed(client, answer)
    assert "Version 2 is active." in page
    assert "Undo: activate version 1 again" in page
    undo = {name: field(page, name) for name in ("version", "expected_revision", "seen", "note")}
    assert undo["version"] == "1"
    followed(client, client.post(f"{NEW}/activate", data=undo))
    events = run(plugin.events("stan", "NEW", limit=1))
    assert [(one.action.value, one.version) for one in events.items] == [("rolled_back", 1)]
    assert "Undo:" not in ok(client.get(NEW))


def test_a_deactivation(plugin: PromptPlugin, client: httpx.Client) -> None:
    """It says what is served instead, and one press brings the version back."""
    page = ok(client.get(f"{NEW}/activate", params={"deactivate": "yes"}))
    assert "Deactivate version 1 of stan / NEW?" in page
    assert "is told what the code declares instead" in page
    form = {name: field(page, name) for name in ("deactivate", "expected_revision", "seen")}
    page = followed(client, client.post(f"{NEW}/activate", data={**form, "note": "Wrong in all respects."}))
    assert "NEW has no active version now." in page
    assert "No version of NEW is active." in page
    undo = {name: field(page, name) for name in ("version", "expected_revision", "seen", "note")}
    page = followed(client, client.post(f"{NEW}/activate", data=undo))
    assert "Version 1 is active." in page
    assert run(plugin.history("stan", "NEW", limit=1))
    ok(client.get(f"{NEW}/activate"), 422)


def test_who_was_too_late(plugin: PromptPlugin, client: httpx.Client) -> None:
    """Nothing is written; the page says who was faster, shows three texts, keeps the reason, and can go on."""
    write(plugin, "Ask {{name}} for the tax number.")
    page = ok(client.get(f"{NEW}/activate", params={"version": 2}))
    form = {name: field(page, name) for name in ("version", "expected_revision", "seen")}
    write(plugin, "Ask {{name}} for the tax id first.", activate=True)
    page = ok(client.post(f"{NEW}/activate", data={**form, "note": "It reads <better>."}), 409)
    assert "joao changed stan / NEW while this page was open" in page
    assert "activated version 3" in page
    assert "Version 1, which you saw as active" in page
    assert "Changed by both" in page
    again = {name: field(page, name) for name in ("look", "version", "note")}
    assert again["note"] == "It reads <better>."
    page = ok(client.post(f"{NEW}/activate", data=again))
    assert ">It reads <better>.</textarea>" in page
    assert "It replaces version 3, which joao wrote." in page
    assert (run(plugin.events("stan", "NEW", limit=1))).items[0].version == 3


def test_any_two_versions(plugin: PromptPlugin, client: httpx.Client) -> None:
    """In both directions, with one's own draft, and as plain text."""
    write(plugin, "Ask {{name}} for the tax number.")
    assert followed(client, client.get(f"{NEW}/diff", params={"a": "1", "b": "2"}))
    page = ok(client.get(f"{NEW}/diff/2..1"))
    assert "1 line changed" in page
    assert "<ins>id</ins>" in page
    plain = client.get(f"{NEW}/diff/1..2", params={"plain": "yes"})
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert "+Ask {{name}} for the tax number." in plain.text
    run(plugin.acting_as(Actor("ana")).save_draft("stan", "NEW", "Ask {{name}}."))
    assert "My draft" in ok(client.get(f"{NEW}/diff/1..draft"))
    for address, status in (("1..9", 404), ("1", 404), ("0..1", 404), ("1..99999999999", 404)):
        ok(client.get(f"{NEW}/diff/{address}"), status)
    ok(client.get(f"{NEW}/diff", params={"a": "1", "b": "x"}), 422)


def test_a_drift_is_kept(
    plugin: PromptPlugin, client: httpx.Client, database_url: str, make_plugin: MakePlugin
) -> None:
    """Three ways to decide are offered; keeping takes the mark away, and who was too late is told."""
    write(plugin, "Ask {{name}} for the tax number.", activate=True)
    newer = Registry()
    newer.declare("stan", {**TEXTS, "NEW": "Ask {{name}} for nothing."}, where="tests", primary="NEW")
    run(make_plugin(database_url, registry=newer, **PATIENT).sync())
    page = ok(client.get(NEW))
    assert "The code changed under joao\N{RIGHT SINGLE QUOTATION MARK}s version" in page
    assert "Since version 1: 1 line changed." in page
    assert "edit?from=2&based_on=3&since=1" in page
    page = ok(client.get(f"{NEW}/edit", params={"from": 2, "based_on": 3, "since": 1}))
    assert "What version 3 changed is in the text now. Where both changed the same, the text stayed as it was" in page
    page = ok(client.get(NEW))
    form = {name: field(page, name) for name in ("expected_revision", "seen", "code_version")}
    page = followed(client, client.post(f"{NEW}/keep", data=form))
    assert "Version 2 is kept." in page
    assert "The code changed" not in page
    page = ok(client.post(f"{NEW}/keep", data=form), 409)
    assert "You changed stan / NEW while this page was open" in page
    assert "kept version 2" in page


def test_nothing_of_a_text_becomes_markup(plugin: PromptPlugin, client: httpx.Client) -> None:
    """A text, its name and its note are text, wherever they stand."""
    evil = "<script>alert(1)</script> & {{name}}"
    run(plugin.acting_as(JOAO).create("stan", "NEW", evil, name="<b>n</b>", note="<i>why</i>", activate=True))
    run(plugin.acting_as(JOAO).comment("stan", "NEW", 2, text="<u>said</u>"))
    for address in (NEW, f"{NEW}/diff/1..2", f"{NEW}/activate?version=1"):
        page = client.get(address)
        assert page.status_code == 200
        for tag in ("<script>alert", "<b>n", "<i>why", "<u>said"):
            assert tag not in page.text


PAGES = (NEW, f"{NEW}/activate?version=1", f"{NEW}/diff/1..2", "requests")


def test_the_number_of_statements_is_fixed(plugin: PromptPlugin, client: httpx.Client, sent: list[str]) -> None:
    """Many versions, changes and requests take as many statements as few."""
    versions = ["Ask {{name}} twice.", *(f"Ask {{{{name}}}} {times} times." for times in range(3, 15))]
    write(plugin, versions[0], activate=True)
    write(plugin, versions[1])
    ana = plugin.acting_as(Actor("ana"))
    run(ana.request("stan", "NEW", 1, note="It reads better."))
    few = [statements(client, page, sent) for page in PAGES]
    for text in versions[2:]:
        write(plugin, text, activate=True)
    for number in range(2, 12):
        run(ana.request("stan", "NEW", number, note="It reads better."))
    assert [statements(client, page, sent) for page in PAGES] == few


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that were sent to the database."""
    found: list[str] = []
    for kind in (SqliteClient, AsyncpgDBClient):
        known = kind.execute_query

        async def execute_query(self: Any, query: str, *values: Any, known: Any = known, **more: Any) -> Any:
            found.append(query)
            return await known(self, query, *values, **more)

        monkeypatch.setattr(kind, "execute_query", execute_query)
    return found


def statements(client: httpx.Client, page: str, sent: list[str]) -> int:
    """Return how many statements a page takes; the least of some, as the plugin looks for changes meanwhile."""
    counts = []
    for _ in range(3):
        sent.clear()
        ok(client.get(page))
        counts.append(len(sent))
    assert min(counts) > 0
    return min(counts)
