"""Writing in the console, on each engine: the editor, what it says while one types, drafts, versions, and conflicts."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterator

import httpx
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from tests.api_server import PATIENT, declare
from tests.conftest import MakePlugin
from tests.console_server import ServedConsole, served_console

NEW = "agents/stan/NEW"
APPROVED = "agents/stan/APPROVED"
TEXT = "Ask {{name}} for the tax number.\n"


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


def form_of(page: str) -> dict[str, str]:
    """Return what a browser sends of the editor's form as it stands: its fields, ticked boxes, and the text."""
    form = page.partition('<form id="edit"')[2].partition("</form>")[0]
    text = re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', form, re.DOTALL)
    assert text is not None, page
    fields = {"text": html.unescape(text[1])}
    for tag in re.findall(r"<input[^>]*>", form):
        facts = dict(re.findall(r'(\S+)="([^"]*)"', tag))
        if "name" in facts and (facts.get("type") != "checkbox" or " checked" in tag):
            fields[facts["name"]] = html.unescape(facts["value"])
    return fields


def opened(client: httpx.Client, version: int | None = None) -> dict[str, str]:
    """Open the editor, on a version or one's draft, and return its form."""
    answer = client.get(f"{NEW}/edit", params={"from": version} if version is not None else {})
    assert answer.status_code == 200, answer.text
    return form_of(answer.text)


def said(answer: httpx.Response, status: int) -> str:
    """Return a page, without its entities."""
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


def test_the_editor_opens_on_what_is_served(client: httpx.Client) -> None:
    """It has the active text, what it comes to, and works without a script: the palette waits for one."""
    page = said(client.get(f"{NEW}/edit"), 200)
    assert form_of(page)["text"] == "Ask {{name}} for the tax id."
    assert "Ask <mark>Name</mark> for the tax id." in page
    assert "about 6 tokens <span" in page
    assert "(estimated)" in page
    assert '<div class="in vars-bar" data-script hidden>' in page
    assert said(client.get(f"{NEW}/edit", params={"from": 9}), 404)
    assert said(client.get("agents/nobody/NEW/edit"), 404)


def test_what_is_wrong_is_said_with_its_place(client: httpx.Client) -> None:
    """Unknown names, single braces, invisible characters and lost variables are told of, each with what corrects it."""
    form = opened(client)
    form["text"] = "Ask {{nam}}.\nSay {name}.\nIn two\u200b days."
    page = said(client.post(f"{NEW}/edit", data=form), 200)
    assert "nam is not exposed by the code." in page
    assert "Did you mean name?" in page
    assert "{name} stands in single braces" in page
    assert "U+200B (zero width space)" in page
    assert "The version before used the variable name" in page
    assert '<mark class="wrong">{{nam}}</mark>' in page
    assert form_of(page)["text"] == form["text"]
    [mend] = re.findall(r'value="([^"]*)" formaction="edit" data-old="nam"', page)
    mended = said(client.post(f"{NEW}/edit", data={**form, "mend": mend}), 200)
    assert form_of(mended)["text"].startswith("Ask {{name}}.")
    assert "is not exposed" not in mended


def test_sample_values_and_conditions(client: httpx.Client) -> None:
    """A value of one's own is marked in the preview; a condition whose tick is taken away leaves its part out."""
    form = opened(client)
    form["text"] = "Ask {{name}}.{{#if name}} Be kind.{{/if}}"
    shown = said(client.post(f"{NEW}/edit", data=form), 200)
    assert "<code>#if name</code>" in shown
    form = {**form_of(shown), "value:name": "Ana <b>"}
    page = client.post(f"{NEW}/edit", data=form).text
    assert "Ask <mark>Ana &lt;b&gt;</mark>. Be kind." in page
    assert form_of(page)["value:name"] == "Ana <b>"
    del form["on:name"]
    page = client.post(f"{NEW}/edit", data=form).text
    assert "Be kind.</div>" not in page
    assert '<mark class="none">[No data for name]</mark>' in page


def test_the_part_for_a_script(client: httpx.Client) -> None:
    """A script gets the problems, the preview and the values alone, and no frame."""
    form = {**opened(client), "text": "Ask {{nam}} \U0001f600 {{nam}}."}
    part = said(client.post(f"{NEW}/edit/look", data=form), 200)
    assert "<html" not in part
    assert re.findall(r'data-part="(\w+)"', part) == ["problems", "told", "samples", "counts"]
    # A script counts the emoji as two.
    assert re.findall(r'data-from="(\d+)" data-to="(\d+)"', part) == [("6", "9"), ("17", "20")]
    broken = said(client.post(f"{NEW}/edit/look", data={**form, "text": "{{#if name}} yes"}), 200)
    assert "Unclosed block" in broken
    heavy = "{{#each a}}{{#each b}}{{#each c}}{{#each d}}x{{/each}}{{/each}}{{/each}}{{/each}}"
    assert "units of work" in said(client.post(f"{NEW}/edit/look", data={**form, "text": heavy}), 200)


def test_a_draft_is_kept_and_found_again(console: ServedConsole, client: httpx.Client) -> None:
    """It may be wrong, only its author sees it, and it is there when the editor is opened again."""
    form = {**opened(client), "text": "Ask {{nam", "note": "Half"}
    answer = client.post(f"{NEW}/drafts", data=form)
    assert answer.headers["location"].startswith("../../../agents/stan/NEW/edit?done=draft")
    again = opened(client)
    assert (again["text"], again["note"], again["counter"]) == ("Ask {{nam", "Half", "1")
    with console.client("joao") as other:
        assert opened(other)["text"] == "Ask {{name}} for the tax id."
    fresh = said(client.get(f"{NEW}/edit", params={"from": 1}), 200)
    assert "You have a draft" in fresh
    assert "data-autosave" not in fresh
    gone = client.post(f"{NEW}/drafts", data={**again, "do": "discard"})
    assert gone.status_code == 303
    assert opened(client)["counter"] == ""


def test_drafts_of_two_windows(client: httpx.Client) -> None:
    """The later one is told so with both texts, and loses none; a script is told as much."""
    form = opened(client)
    first = client.post(f"{NEW}/drafts", data={**form, "text": "From the first.", "do": "auto"})
    assert first.json()["counter"] == 1
    page = said(client.post(f"{NEW}/drafts", data={**form, "text": "From the second."}), 409)
    assert form_of(page)["text"] == "From the second."
    assert "From the first." in page
    assert client.post(f"{NEW}/drafts", data={**form, "do": "auto"}).status_code == 409
    assert client.post(f"{NEW}/drafts", data=form_of(page)).status_code == 303
    assert opened(client)["text"] == "From the second."


def test_a_version_is_saved(client: httpx.Client) -> None:
    """It ends the draft, keeps the text byte for byte, and the next page is the status'."""
    client.post(f"{NEW}/drafts", data={**opened(client), "text": "Begun."})
    form = {**opened(client), "text": "\n" + TEXT.replace("\n", "\r\n"), "note": "As sales say"}
    answer = client.post(f"{NEW}/versions", data=form)
    assert answer.status_code == 303, answer.text
    assert "/agents/stan/NEW?done=" in answer.headers["location"]
    assert opened(client, 2)["text"] == "\n" + TEXT
    assert opened(client)["counter"] == ""


@pytest.mark.parametrize(
    ("text", "note", "words"),
    [
        ("Ask {{nam}}.", "Why", "Did you mean name?"),
        ("{{#if name}}", "Why", "is not a valid template"),
        (" \n", "Why", "The text is empty."),
        (TEXT, " ", "Say what changed, and why."),
        ("In two\u200b days.", "Why", "invisible"),
        ("Null \0 is kept by no database.", "Why", "NUL"),
    ],
)
def test_what_is_refused_loses_nothing(client: httpx.Client, text: str, note: str, words: str) -> None:
    """The same page says what is wrong, with the text and the reason as they were typed."""
    page = said(client.post(f"{NEW}/versions", data={**opened(client), "text": text, "note": note}), 422)
    assert words in page
    assert "Nothing was saved. Your text is below as you typed it." in page
    assert form_of(page)["text"] == text
    assert form_of(page)["note"] == note.strip()


def test_invisible_characters_on_purpose(client: httpx.Client) -> None:
    """Who ticks it has them kept."""
    form = {**opened(client), "text": "In two\u200b days.", "note": "Why", "allow_invisible": "yes"}
    assert client.post(f"{NEW}/versions", data=form).status_code == 303


def test_on_to_its_activation(client: httpx.Client) -> None:
    """Where it is not protected the next page shows what changes; where it is the version waits for somebody."""
    form = {**opened(client), "text": TEXT, "note": "Why"}
    answer = client.post(f"{NEW}/versions", data={**form, "then": "activate"})
    assert answer.headers["location"].endswith("agents/stan/NEW/activate?version=2")
    page = client.get(f"{APPROVED}/edit")
    assert "is protected: 1 other person has to approve" in page.text
    form = {**form_of(page.text), "text": "Quote prices in euros.", "note": "Why", "then": "activate"}
    answer = client.post(f"{APPROVED}/versions", data=form)
    assert re.search(r"/requests/\d+\?done=asked$", answer.headers["location"])


def test_somebody_is_faster(plugin: PromptPlugin, client: httpx.Client) -> None:
    """The typed text comes back with who was faster and the three texts; saved again it is a version."""
    form = {**opened(client), "text": "Ask {{name}} for the tax number, kindly.", "note": "Kinder"}
    asyncio.run(
        plugin.acting_as(Actor("joao")).create("stan", "NEW", "Call {{name}} back.", activate=True, note="Agreed.")
    )
    page = said(client.post(f"{NEW}/versions", data=form), 409)
    assert "joao changed stan / NEW while you wrote" in page
    assert "Version 2 by joao, active now" in page
    again = form_of(page)
    assert (again["text"], again["note"]) == (form["text"], "Kinder")
    both = form_of(said(client.post(f"{NEW}/edit", data={**again, "bring": "both"}), 200))
    assert (both["text"], both["base"], both["beside"]) == (form["text"], "2", "2"), "both changed the only line"
    assert client.post(f"{NEW}/versions", data=again).status_code == 303
    assert opened(client, 3)["text"] == form["text"]


def test_beside_another_version(plugin: PromptPlugin, client: httpx.Client) -> None:
    """A version to be merged with stands beside the text, with how they differ."""
    asyncio.run(plugin.acting_as(Actor("joao")).create("stan", "NEW", TEXT, note="Agreed."))
    page = said(client.get(f"{NEW}/edit", params={"from": 1, "beside": 2}), 200)
    assert "Version 2</h2>" in page
    assert "tax <ins>number." in page or "<del>number" in page


def test_who_may_not_write(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """Without the right there is neither the editor nor what it sends to; who may only ask is offered that."""
    declare(registry)
    plugin = make_plugin(database_url, **PATIENT, policy=Roles())
    with served_console(plugin) as console, console.client("ana viewer") as viewer:
        said(viewer.get(f"{NEW}/edit"), 403)
        form = {"text": TEXT, "note": "Why", "expected_revision": "1", "format": "handlebars"}
        for where in ("edit", "edit/look", "drafts", "versions"):
            said(viewer.post(f"{NEW}/{where}", data=form), 403)
        with console.client("rui editor") as editor:
            form = {**opened(editor), "text": TEXT, "note": "Why", "then": "activate"}
            answer = editor.post(f"{NEW}/versions", data=form)
            assert re.search(r"/requests/\d+\?done=asked$", answer.headers["location"]), answer.text


@pytest.mark.parametrize("what", ["the database", "the session", "the right"])
def test_nothing_that_was_typed_is_lost(
    database_url: str, make_plugin: MakePlugin, registry: Registry, what: str
) -> None:
    """Where it cannot be taken now, it stands on the page that says so, and can be sent again as it was."""
    declare(registry)
    plugin = make_plugin(database_url, policy=Roles(), **PATIENT)
    with served_console(plugin) as running, running.client("ana admin") as client:
        form = opened(client) | {"text": f"{TEXT}</textarea>Thanks & bye.\n", "note": "kinder"}
        if what == "the database":
            plugin.close()
        elif what == "the session":
            client.headers.pop("X-Actor")
        else:
            client.headers["X-Actor"] = "ana viewer"
        answer = client.post(f"{NEW}/versions", data={**form, "note": "kinder"})
        assert answer.status_code == {"the database": 503, "the session": 401, "the right": 403}[what]
        shown = re.findall(r'<textarea [^>]*name="(\w+)" readonly[^>]*>\n(.*?)</textarea>', answer.text, re.DOTALL)
        assert {name: html.unescape(value) for name, value in shown} == {"text": form["text"], "note": "kinder"}
        for name in form.keys() - {"text", "note"}:
            assert f'<input type="hidden" name="{name}" value="{html.escape(form[name])}">' in answer.text


def test_a_page_of_another_site_gets_nothing_back(client: httpx.Client) -> None:
    """What is refused for where it comes from is not repeated."""
    answer = client.post(f"{NEW}/versions", data={"text": "Said elsewhere."}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, "Said elsewhere." in answer.text) == (403, False)


def test_a_form_that_is_sent_twice(client: httpx.Client) -> None:
    """What was done by it is shown, and not that it could not be done; it is done once."""
    form = opened(client) | {"text": TEXT, "note": "kinder"}
    first, again = (client.post(f"{NEW}/versions", data=form) for _ in range(2))
    assert (first.status_code, again.status_code) == (303, 303)
    assert first.headers["location"] == again.headers["location"]
    switch = {"version": "2", "note": "kinder", "expected_revision": "2", "seen": "1"}
    first, again = (client.post(f"{NEW}/activate", data=switch) for _ in range(2))
    assert (first.status_code, again.status_code) == (303, 303)
    assert first.headers["location"] == again.headers["location"]
    assert client.get(f"{NEW}/activate?version=2").status_code == 303  # it is active already


def test_somebody_wrote_and_activated_nothing(console: ServedConsole) -> None:
    """Whoever was too late sees that text as well, and can bring it into theirs."""
    with console.client() as ana, console.client("joao") as joao:
        mine = opened(ana) | {"note": "as it is"}
        theirs = opened(joao) | {"text": "Ask {{name}} for the tax number.", "note": "plainer"}
        assert joao.post(f"{NEW}/versions", data=theirs).status_code == 303
        late = ana.post(f"{NEW}/versions", data=mine)
        assert (late.status_code, "Version 2 by joao, not active yet" in late.text) == (409, True)
        form = form_of(late.text)
        assert form["text"] == mine["text"]
        together = ana.post(f"{NEW}/edit", data={**form, "bring": "both"})
        assert form_of(together.text)["text"] == theirs["text"]


def test_addresses_of_forms(client: httpx.Client) -> None:
    """A browser that comes back to where a form was sent, or to an agent, is led on."""
    for path, leads in (
        (f"{NEW}/versions", "stan/NEW/edit"),
        (f"{NEW}/drafts", "stan/NEW/edit"),
        ("agents/stan", "stan/NEW"),
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"].endswith(leads)) == (303, True)
    assert client.get("agents/nobody").status_code == 404


def test_the_reason_is_proposed(client: httpx.Client) -> None:
    """What was said of a new version stands in the field for the reason of its activation."""
    form = opened(client) | {"text": TEXT, "note": "Sales & co. say so", "then": "activate"}
    asked = client.post(f"{NEW}/versions", data=form)
    page = client.get(httpx.URL(str(asked.request.url)).join(asked.headers["location"]))
    assert ">Sales &amp; co. say so</textarea>" in page.text


def test_another_one_who_activated_the_same(console: ServedConsole) -> None:
    """Whoever wanted the same and was too late is told who did it, and keeps their reason."""
    with console.client() as ana, console.client("joao") as joao:
        ana.post(f"{NEW}/versions", data=opened(ana) | {"text": TEXT, "note": "kinder"})
        switch = {"version": "2", "expected_revision": "2", "seen": "1"}
        assert joao.post(f"{NEW}/activate", data={**switch, "note": "kinder"}).status_code == 303
        late = ana.post(f"{NEW}/activate", data={**switch, "note": "My own reason"})
        assert (late.status_code, "My own reason" in late.text) == (409, True)
