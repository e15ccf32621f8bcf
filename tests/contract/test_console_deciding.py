"""Deciding in the console, on each engine: what a status says, what changes, the way back, and who was too late."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.records import Action
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from tests.api_server import PATIENT, TEXTS, declare
from tests.conftest import MakePlugin
from tests.console_server import ServedConsole, served_console

NEW = "agents/stan/NEW"
APPROVED = "agents/stan/APPROVED"
JOAO = Actor("joao")

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Do what the plugin does, beside the console."""
    return asyncio.run(coroutine)


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


def ok(answer: httpx.Response, status: int = 200) -> str:
    """Return a page, without its entities."""
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


def followed(client: httpx.Client, answer: httpx.Response) -> str:
    """Return the page to which a form has led."""
    assert answer.status_code == 303, answer.text
    assert answer.next_request is not None
    return ok(client.send(answer.next_request))


def field(page: str, name: str) -> str:
    """Return what stands in the first field of a name."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found[1]


def write(plugin: PromptPlugin, text: str, status: str = "NEW", *, activate: bool = False) -> int:
    """Write a version as Joao, and return its number."""
    done = run(plugin.acting_as(JOAO).create("stan", status, text, activate=activate, note="Agreed with sales."))
    assert done.prompt is not None
    return done.prompt.version


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
    form = {name: field(page, name) for name in ("expected_revision", "seen", "code_version")}
    page = followed(client, client.post(f"{NEW}/keep", data=form))
    assert "Version 2 is kept." in page
    assert "The code changed" not in page
    page = ok(client.post(f"{NEW}/keep", data=form), 409)
    assert "You changed stan / NEW while this page was open" in page
    assert "kept version 2" in page


def test_a_request_is_decided(plugin: PromptPlugin, console: ServedConsole, client: httpx.Client) -> None:
    """Activating a protected status asks; one cannot approve one's own; another person can, and it is done."""
    write(plugin, "Quote all prices.", "APPROVED")
    page = ok(client.get(f"{APPROVED}/activate", params={"version": 2}))
    assert "Ask to activate version 2" in page
    form = {name: field(page, name) for name in ("version", "expected_revision", "seen")}
    page = followed(client, client.post(f"{APPROVED}/activate", data={**form, "note": "Legal asked for it."}))
    assert "Request 1 waits for approval. Nothing has changed yet." in page
    assert "It is your own request" in page
    assert "Withdraw request 1" in page
    assert "Approve" not in page.replace("APPROVED", "")
    assert "Request 1" in ok(client.get("requests"))
    assert "Request 1" in ok(client.get("requests", params={"show": "mine"}))
    assert "Request 1" not in ok(client.get("requests", params={"show": "decided"}))
    assert "ana asked to activate version 2" in ok(client.get(APPROVED))
    ok(client.post("requests/1/decide", data={"decision": "approve"}), 403)
    with console.client("ines") as other:
        page = ok(other.get("requests/1"))
        assert "Approve and activate version 2" in page
        assert "Say why: who asked has to know." in ok(
            other.post("requests/1/decide", data={"decision": "decline"}), 422
        )
        page = followed(other, other.post("requests/1/decide", data={"decision": "comment", "comment": "Which?"}))
        assert "Which?" in page
        page = followed(other, other.post("requests/1/decide", data={"decision": "approve", "comment": "Good."}))
        assert "It is done: activate version 2 of stan/APPROVED." in page
        assert "there is nothing to decide" in ok(other.post("requests/1/decide", data={"decision": "approve"}), 422)
        ok(other.post("requests/1/decide", data={"decision": "sing"}), 422)
    page = ok(client.get(APPROVED))
    assert "request 1</a>" in page
    assert "by ines" in page
    assert "Request 1" in ok(client.get("requests", params={"show": "decided"}))


def test_an_approval_that_waits_to_be_carried_out(
    plugin: PromptPlugin, console: ServedConsole, client: httpx.Client
) -> None:
    """Approved only, it is carried out by whoever may activate; a request of one's own can be withdrawn."""
    write(plugin, "Quote all prices.", "APPROVED")
    run(plugin.acting_as(Actor("ana")).activate("stan", "APPROVED", 2, note="Legal asked for it."))
    with console.client("ines") as other:
        page = followed(other, other.post("requests/1/decide", data={"decision": "approve_only"}))
        assert "Request 1 is approved." in page
    page = ok(client.get("requests/1"))
    form = {"decision": "carry_out", "expected_revision": field(page, "expected_revision")}
    assert "It is done" in followed(client, client.post("requests/1/decide", data=form))
    write(plugin, "Quote no prices.", "APPROVED")
    run(plugin.acting_as(Actor("ana")).activate("stan", "APPROVED", 3, note="Once more."))
    page = followed(client, client.post("requests/2/decide", data={"decision": "withdraw"}))
    assert "Request 2 is withdrawn." in page


def test_an_emergency(plugin: PromptPlugin, client: httpx.Client) -> None:
    """It asks for the reason and for the status typed out, keeps what was typed, and is marked for good."""
    write(plugin, "Quote all prices.", "APPROVED")
    run(plugin.acting_as(Actor("ana")).activate("stan", "APPROVED", 2, note="Legal asked for it."))
    assert "Go on without approval…" in ok(client.get("requests/1"))
    page = ok(client.get("requests/1/emergency"))
    form = {"expected_revision": field(page, "expected_revision"), "reason": "We quote wrong prices.", "typed": "no"}
    page = ok(client.post("requests/1/emergency", data=form), 422)
    assert "We quote wrong prices.</textarea>" in page
    assert "Type APPROVED, as it stands above." in page
    form |= {"typed": "APPROVED", "incident": "INC-7"}
    page = followed(client, client.post("requests/1/emergency", data=form))
    assert "Version 2 is active." in page
    assert "Emergency" in page
    event = (run(plugin.events("stan", "APPROVED", actions=[Action.ACTIVATED], limit=1))).items[0]
    assert (event.approval, event.note) == ("emergency", "We quote wrong prices. (INC-7)")
    ok(client.post("requests/1/emergency", data=form), 422)


@pytest.fixture
def governed(database_url: str, make_plugin: MakePlugin, registry: Registry) -> Iterator[ServedConsole]:
    """The console of a plugin with a policy, with a second version that nobody has activated."""
    plugin = make_plugin(database_url, registry=declare(registry), policy=Roles(), **PATIENT)
    editor = Actor("joao", roles=("editor",))
    run(plugin.acting_as(editor).create("stan", "NEW", "Ask {{name}} for the tax number."))
    with served_console(plugin) as running:
        yield running


def test_a_viewer_is_offered_nothing_and_refused_everything(governed: ServedConsole) -> None:
    """What somebody may not do is not on the page, and does not go through without it."""
    with governed.client("vera viewer") as client:
        page = ok(client.get(NEW))
        for words in ("Edit</a>", "Roll back", "Deactivate", "Activate version"):
            assert words not in page
        page = ok(client.get(f"{NEW}/activate", params={"version": 2}))
        assert "You may look" in page
        assert "<textarea" not in page
        form = {"version": "2", "expected_revision": "2", "seen": "1", "note": "I want it."}
        assert "You may not do this" in ok(client.post(f"{NEW}/activate", data=form), 403)
        assert "You may not do this" in ok(client.post(f"{NEW}/keep", data=form), 403)


def test_an_editor_asks_where_a_publisher_activates(governed: ServedConsole) -> None:
    """The same page asks for approval where the role may not activate; with the approval it is done."""
    with governed.client("eva editor") as editor:
        page = ok(editor.get(f"{NEW}/activate", params={"version": 2}))
        assert "Ask to activate version 2" in page
        form = {name: field(page, name) for name in ("version", "expected_revision", "seen")}
        page = followed(editor, editor.post(f"{NEW}/activate", data={**form, "note": "It reads better."}))
        assert "Request 1 waits for approval." in page
        assert "Decline</button>" not in page
    with governed.client("paul publisher") as publisher:
        page = ok(publisher.get("requests/1"))
        assert "Approve" not in page
        assert "Go on without approval" not in page
    with governed.client("ines approver") as approver:
        page = ok(approver.get("requests/1"))
        assert "Approve and activate version 2" in page
        assert "Approve only" not in page
        page = followed(approver, approver.post("requests/1/decide", data={"decision": "approve"}))
        assert "It is done: activate version 2 of stan/NEW." in page


def test_a_request_that_has_lapsed(plugin: PromptPlugin, console: ServedConsole) -> None:
    """Another version became active: the page says so and offers nothing to decide."""
    write(plugin, "Quote all prices.", "APPROVED")
    write(plugin, "Quote some prices.", "APPROVED")
    ana = plugin.acting_as(Actor("ana"))
    run(ana.activate("stan", "APPROVED", 2, note="Legal asked for it."))
    run(ana.activate("stan", "APPROVED", 3, note="They were told.", emergency=True))
    with console.client("ines") as client:
        page = ok(client.get("requests/1"))
        assert "It has lapsed." in page
        assert "Approve and" not in page
        page = ok(client.post("requests/1/decide", data={"decision": "approve", "comment": "Good."}), 422)
        assert ">Good.</textarea>" in page
        assert "There is nothing to go on with." in ok(client.get("requests/1/emergency"))
        ok(client.get("requests/7"), 404)


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
