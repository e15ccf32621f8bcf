"""Requests in the console, on each engine: asking, deciding, withdrawing, emergencies, and what roles may do."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import ALLOW, NEEDS_APPROVAL, Actor, Decision, Operation, TextState
from automagik_prompts.domain.records import Action
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from tests.api_server import PATIENT, declare
from tests.browsing import APPROVED, NEW, field, followed, ok, run, write
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


def test_a_policy_that_wants_approval(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """Where the policy wants a second person, the page does not promise that it happens at once."""

    def careful(
        _actor: Actor | None, operation: Operation, _agent: str, _status: str, _old: TextState | None, _new: object
    ) -> Decision:
        return NEEDS_APPROVAL if operation is Operation.ACTIVATE else ALLOW

    plugin = make_plugin(database_url, registry=declare(registry), policy=careful, **PATIENT)
    run(plugin.acting_as(Actor("joao")).create("stan", "NEW", "Ask {{name}} for the tax number."))
    with served_console(plugin) as running, running.client() as client:
        page = ok(client.get(f"{NEW}/activate", params={"version": 2}))
        assert "another person has to approve it" in page
        assert "Ask to activate version 2" in page
        form = {name: field(page, name) for name in ("version", "expected_revision", "seen")}
        page = followed(client, client.post(f"{NEW}/activate", data={**form, "note": "It reads better."}))
        assert "Request 1 waits for approval." in page
