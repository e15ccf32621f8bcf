"""The day of somebody who runs prompts and is no programmer, in a real browser, with JavaScript and without."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.plugin import PromptPlugin
from tests.api_server import PATIENT
from tests.browser import BrowserThread, Window, Windows, browser, identify, tab
from tests.conftest import MakePlugin
from tests.console_server import listening

__all__ = ["browser"]  # the fixture

TEXT = """\
You sell flour to bakeries. You are talking to {{customer_name}}.

Ask for the tax id before you quote a price.
{{#if vip}}Offer to pass {{contact.name}} on.{{/if}}
"""
LONG = "n" * 255
BOTH = (1280, 390)
VARIABLES = ["customer_name", "contact.name", "contact.city", "items[].name", "vip?"]
WRONG = TEXT.replace("customer_name", "custmer_name").replace("tax id", "tax number")


def stripped(app: ASGIApp, prefix: str) -> ASGIApp:
    """Return an application as it is behind a proxy that takes a prefix away and tells it in a header."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(prefix):
            told = (b"x-forwarded-prefix", prefix.encode())
            raw = scope["raw_path"][len(prefix) :]
            scope = {
                **scope,
                "path": scope["path"][len(prefix) :],
                "raw_path": raw,
                "headers": [*scope["headers"], told],
            }
        await app(scope, receive, send)

    return proxy


@contextmanager
def served(plugin: PromptPlugin, how: str) -> Iterator[str]:
    """Serve a console, and yield its address."""
    console = plugin.console(identify=identify)
    prefix = {"mounted": "/team/prompts", "at a short prefix": "/p", "behind a proxy": "/edge/of/it"}[how]
    app = stripped(console, prefix) if how == "behind a proxy" else Starlette(routes=[Mount(prefix, app=console)])
    with listening(app) as url:
        yield f"{url}{prefix}/"


@pytest.fixture
def plugin(sqlite_url: str, make_plugin: MakePlugin, registry: Registry) -> PromptPlugin:
    """A plugin that runs, with an agent of which one status is protected."""
    registry.declare(
        "seller",
        {"NEW": TEXT, "APPROVED": TEXT},
        where="tests",
        primary="NEW",
        protected=["APPROVED"],
        variables=VARIABLES,
    )
    plugin = make_plugin(sqlite_url, **{**PATIENT, "heartbeat": 1.0})
    asyncio.run(plugin.ready())
    return plugin


def type_text(page: Page, text: str, *, scripted: bool) -> None:
    """Type a text in place of what is there."""
    if scripted:
        page.locator(".cm-content").fill(text)
    else:
        page.get_by_label("Text of the new version").fill(text)
        page.get_by_role("button", name="Fill again").last.click()


def written(page: Page) -> str:
    """Return the text as the form would send it."""
    return page.locator("#text").input_value()


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "without scripts"])
@pytest.mark.parametrize("how", ["mounted", "at a short prefix", "behind a proxy"])
def test_the_day(plugin: PromptPlugin, browser: BrowserThread, how: str, scripted: bool) -> None:  # the fixture
    """Find, edit, be refused a variable, mend, preview, save, request; another approves; all follow; roll back."""
    with served(plugin, how) as url:
        browser.do(the_day, url, scripted)


def the_day(windows: Windows, url: str, scripted: bool) -> None:  # a variant of the story
    """Go through the day."""
    with windows.window("ana", java_script_enabled=scripted) as ana, windows.window("joao") as joao:
        page = ana.open(url)
        page.get_by_role("searchbox").last.fill("tax id")
        page.get_by_role("searchbox").last.press("Enter")
        page.get_by_role("link", name="seller / APPROVED").last.click()
        page.get_by_role("link", name="Edit", exact=True).click()

        type_text(page, WRONG, scripted=scripted)
        expect(page.get_by_text("custmer_name is not exposed by the code.").first).to_be_visible()
        page.get_by_label("What changed, and why").fill("Sales call it the tax number")
        page.get_by_role("button", name="Save version 2").click()
        expect(page.get_by_role("alert")).to_contain_text("Your text is below as you typed it")
        assert written(page) == WRONG

        page.get_by_role("button", name=re.compile("^Use customer_name")).click()
        expect(page.locator("#problems")).not_to_contain_text("is not exposed")
        assert written(page) == WRONG.replace("custmer_name", "customer_name")
        page.get_by_label("customer_name", exact=True).fill("Ana Prado")
        page.get_by_role("checkbox", name="#if vip").uncheck()
        if not scripted:
            page.get_by_role("button", name="Fill again").last.click()
        told = page.locator("#told .prompt")
        expect(told).to_contain_text("You are talking to Ana Prado.")
        expect(told).to_contain_text("tax number")
        expect(told).not_to_contain_text("Offer to pass")
        check(ana, scripted=scripted)
        page.get_by_role("button", name="Save and ask to activate").click()
        expect(page.get_by_text("It is your own request")).to_be_visible()
        asked = page.url.partition("?")[0]
        check(ana, scripted=scripted)

        other = joao.open(asked)
        joao.check()
        other.get_by_role("button", name=re.compile("Approve and activate version 2", re.IGNORECASE)).click()
        expect(other.get_by_text("Carried out").first).to_be_visible()

        ana.open(f"{url}agents/seller/APPROVED")
        expect_followed(page, "1 of 1")
        expect(page.get_by_role("heading", name="Version 2", exact=True)).to_be_visible()
        check(ana, scripted=scripted)
        page.get_by_role("link", name="Roll back to version 1…").click()
        page.get_by_label("Reason").fill("The bank still says tax id")
        page.get_by_role("button", name=re.compile("roll back to version 1")).click()
        other = joao.open(page.url.partition("?")[0])
        other.get_by_role("button", name=re.compile("Approve and roll back", re.IGNORECASE)).click()
        expect(other.get_by_text("Carried out").first).to_be_visible()
        ana.open(f"{url}agents/seller/APPROVED")
        expect(page.get_by_role("heading", name="Version 1", exact=True)).to_be_visible()
        assert not ana.messages + joao.messages


def check(window: Window, *, scripted: bool) -> None:
    """Check a page; where no script runs there is none that could look at it."""
    if scripted:
        window.check()


def expect_followed(page: Page, words: str) -> None:
    """Wait until a page says how many follow."""
    for _ in range(60):
        if page.locator("#serving").get_by_text(words).count():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(page.locator("main").inner_text())


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "without scripts"])
def test_two_tabs(plugin: PromptPlugin, browser: BrowserThread, scripted: bool) -> None:  # the fixture
    """The second tab is told who was faster, keeps its text, and can bring both together."""
    with served(plugin, "mounted") as url:
        browser.do(two_tabs, url, scripted)


def two_tabs(windows: Windows, url: str, scripted: bool) -> None:  # a variant of the story
    """Write in two tabs at once."""
    with windows.window("ana", java_script_enabled=scripted) as first, windows.window("joao") as joao:
        page = first.open(f"{url}agents/seller/NEW/edit")
        theirs = joao.open(f"{url}agents/seller/NEW/edit")
        theirs.locator(".cm-content").fill(TEXT.replace("flour", "flour and yeast"))
        theirs.get_by_label("What changed, and why").fill("We have yeast now")
        theirs.get_by_role("button", name="Save and activate…").click()
        theirs.get_by_label("Reason").fill("We have yeast now")
        theirs.get_by_role("button", name="Activate version 2").click()
        expect(theirs.get_by_role("status").first).to_contain_text("Version 2")
        expect(theirs.locator("#followed")).to_have_text("It follows.", timeout=60_000)  # read again, with no reload

        mine = TEXT.replace("a price", "any price")
        type_text(page, mine, scripted=scripted)
        page.get_by_label("What changed, and why").fill("Plainer")
        page.get_by_role("button", name=re.compile("^Save version")).click()
        expect(page.get_by_role("alert")).to_contain_text("joao changed seller / NEW while you wrote")
        assert written(page) == mine
        assert page.get_by_label("What changed, and why").input_value() == "Plainer"
        check(first, scripted=scripted)
        page.get_by_role("button", name="Bring both into my text").click()
        expect(page.get_by_text("is in the text now")).to_be_visible()
        assert written(page) == mine.replace("flour", "flour and yeast")
        page.get_by_role("button", name="Save version 3").click()
        expect(page.get_by_text("Version 3").first).to_be_visible()
        assert not first.messages + joao.messages


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "without scripts"])
def test_enter_in_a_field(plugin: PromptPlugin, browser: BrowserThread, scripted: bool) -> None:  # a variant
    """Enter saves nothing, discards nothing and loses nothing: it fills the text again."""
    with served(plugin, "mounted") as url:
        browser.do(enter, url, scripted)


def enter(windows: Windows, url: str, scripted: bool) -> None:  # a variant of the story
    """Press Enter where there is a draft."""
    with windows.window("ana", java_script_enabled=scripted) as window:
        page = window.open(f"{url}agents/seller/NEW/edit")
        page.get_by_role("button", name="Save draft").click()
        expect(page.get_by_text("Draft saved")).to_be_visible()
        type_text(page, "Say {{customer_name}}.", scripted=scripted)
        page.get_by_label("What changed, and why").fill("Shorter")
        page.get_by_label("customer_name", exact=True).fill("Ana Prado")
        page.get_by_label("customer_name", exact=True).press("Enter")
        expect(page.locator("#told .prompt")).to_have_text("Say Ana Prado.")
        assert written(page) == "Say {{customer_name}}."
        page.get_by_label("What changed, and why").press("Enter")
        assert written(page) == "Say {{customer_name}}."
        assert page.get_by_label("What changed, and why").input_value() == "Shorter"
        page.get_by_text("Discard…").click()
        page.get_by_role("button", name="Discard the draft").click()
        expect(page.get_by_text("The draft is gone.")).to_be_visible()
        assert written(page) == TEXT


def test_a_long_text(plugin: PromptPlugin, browser: BrowserThread) -> None:
    """A text of 200 kB can be pasted and written on in; the page stays as it is, and its bounds hold."""
    with served(plugin, "mounted") as url:
        browser.do(long_text, url)


def long_text(windows: Windows, url: str) -> None:
    """Paste a text, and look at the page."""
    lines = "".join(f"Line {place} is what {{{{customer_name}}}} is told.\n" for place in range(5000))
    with windows.window("ana") as window:
        page = window.open(f"{url}agents/seller/NEW/edit")
        page.locator(".cm-content").focus()
        page.keyboard.press("ControlOrMeta+a")
        page.evaluate(
            """text => {
              const clipboardData = new DataTransfer();
              clipboardData.setData('text/plain', text);
              const pasted = new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true});
              document.querySelector('.cm-content').dispatchEvent(pasted);
            }""",
            lines,
        )
        page.keyboard.type("And the last.")
        expect(page.locator("#counts")).to_contain_text("5\u00a0001 lines", timeout=60_000)
        expect(page.locator("#told .prompt")).to_contain_text("And the last.")
        assert written(page) == f"{lines}And the last."
        window.check()


def test_drafts_save_themselves(plugin: PromptPlugin, browser: BrowserThread) -> None:  # the fixture
    """What was typed is there again after the tab was closed without saving; variables complete as one types."""
    with served(plugin, "mounted") as url:
        browser.do(drafts, url)


def drafts(windows: Windows, url: str) -> None:
    """Type, leave, and come back."""
    with windows.window("ana") as window:
        page = window.open(f"{url}agents/seller/NEW/edit")
        page.locator(".cm-content").fill("")
        page.get_by_role("button", name="customer_name", exact=True).click()
        page.keyboard.type(" and {{conta")
        page.get_by_role("option", name="contact.city").click()
        assert written(page) == "{{customer_name}} and {{contact.city}}"
        page.goto(url)
        again = tab(page.context)
        for _ in range(60):  # the draft is sent while the page is left
            again.open(f"{url}agents/seller/NEW/edit")
            if written(again.page) != TEXT:
                break
            page.wait_for_timeout(500)
        assert written(again.page) == "{{customer_name}} and {{contact.city}}"
        assert not window.messages + again.messages


def test_keys(plugin: PromptPlugin, browser: BrowserThread) -> None:
    """Keys lead to pages and fields, and are letters where one types."""
    with served(plugin, "mounted") as url:
        browser.do(keys, url)


def keys(windows: Windows, url: str) -> None:
    """Go from page to page without a mouse."""
    with windows.window("ana") as window:
        page = window.open(url)
        page.keyboard.press("j")
        expect(page.get_by_role("link", name=re.compile("^seller, APPROVED"))).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url("**/agents/seller/APPROVED")
        page.keyboard.press("e")
        page.wait_for_url("**/edit")
        page.locator(".cm-content").focus()
        page.keyboard.type("gh/e ")
        assert written(page).startswith("gh/e ")
        page.get_by_role("heading", level=1).click()
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.get_by_role("heading", level=1).click()
        page.evaluate("document.activeElement.blur()")
        page.keyboard.type("gh")
        page.wait_for_url("**/events")
        assert not window.messages


@pytest.mark.parametrize("widths", [(390, 320), (1280, 768, 1920)], ids=["narrow", "wide"])
def test_every_page(plugin: PromptPlugin, browser: BrowserThread, widths: tuple[int, ...]) -> None:
    """Each page is quiet, can be used by everybody, and does not scroll sideways, however long names are."""
    edits = plugin.acting_as(Actor("joao"))
    asyncio.run(
        edits.create("seller", "NEW", WRONG.replace("custmer", "customer"), activate=True, note="Sales say so.")
    )
    asyncio.run(edits.create("seller", "APPROVED", TEXT + "Be brief.\n", activate=True, note="Shorter."))
    asyncio.run(long_names(plugin))
    with served(plugin, "mounted") as url:
        browser.do(every_page, url, widths)


async def long_names(plugin: PromptPlugin) -> None:
    """Have an agent, a status, a person and a reason whose names are as long as they may be, without a blank."""
    edits = plugin.acting_as(Actor("p" * 255))
    made = await edits.create(LONG, LONG, "x" * 500, new_agent=True, new_status=True, note="y" * 500)
    assert made.prompt is not None
    await edits.activate(LONG, LONG, 1, note="z" * 500)
    await edits.create(LONG, LONG, "x" * 501, note="y" * 500)
    await edits.request(LONG, LONG, 2, note="y" * 500)


def every_page(windows: Windows, url: str, widths: tuple[int, ...]) -> None:
    """Look at each page, in both themes and at each width."""
    place = "agents/seller/NEW"
    with windows.window("ana", width=widths[0]) as window:
        for path in (
            *("", "?q=tax", "?q=nothing+of+this", "events", "requests", "requests/1", "fleet", "nothing/of/this"),
            *("events/1", "events?format=nothing", f"{place}/problem", f"{place}?version=1", "requests/1/emergency"),
            *(place, f"{place}/edit", f"{place}/edit?from=1&beside=2", f"{place}/diff/1..2"),
            *(f"agents/{LONG}/{LONG}", f"agents/{LONG}/{LONG}/edit", f"agents/{LONG}/{LONG}/diff/1..2"),
            *(
                f"agents/{LONG}/{LONG}/activate?version=2",
                f"agents/{LONG}/{LONG}/problem",
                "requests/2",
                f"?q={'x' * 90}",
            ),
            *(f"{place}/activate?version=1", f"{place}/activate?deactivate=yes", "agents/seller/APPROVED/edit"),
        ):
            window.open(url + path)
            window.check(widths)
        with windows.window("p" * 255) as other:
            other.open(url)
            other.check(widths)
        refused_text(window, f"{url}{place}/edit")
        refused_activation(window, f"{url}{place}/activate?version=1")
        other_was_faster(window, tab(window.page.context), f"{url}{place}")


def refused_text(window: Window, address: str) -> None:
    """Look at the page that says what is wrong with a text."""
    page = window.open(address)
    page.locator(".cm-content").fill(WRONG)
    page.get_by_label("What changed, and why").fill("Wrong")
    page.get_by_role("button", name="Save version 3").click()
    expect(page.get_by_role("alert")).to_contain_text("Your text is below as you typed it")
    window.check(BOTH)


def refused_activation(window: Window, address: str) -> None:
    """Look at the page that asks for a reason once more."""
    page = window.open(address)
    page.get_by_label("Reason").fill(" ")
    page.get_by_role("button", name=re.compile("version 1$")).click()
    expect(page.get_by_text("The reason is kept for good.").first).to_be_visible()
    window.check(BOTH)


def other_was_faster(window: Window, other: Window, status: str) -> None:
    """Look at the page after an activation, and at the one that brings two texts together."""
    page = window.open(f"{status}/edit")
    theirs = other.open(f"{status}/activate?version=1")
    theirs.get_by_label("Reason").fill("Back to what it was")
    theirs.get_by_role("button", name=re.compile("version 1$")).click()
    expect(theirs.get_by_role("status").first).to_contain_text("Version 1")
    other.check(BOTH)
    page.locator(".cm-content").fill(TEXT + "Be brief.\n")
    page.get_by_label("What changed, and why").fill("Shorter")
    page.get_by_role("button", name="Save version 3").click()
    expect(page.get_by_role("alert")).to_contain_text("while you wrote")
    window.check(BOTH)
    page.get_by_role("button", name="Bring both into my text").click()
    expect(page.get_by_text("is in the text now")).to_be_visible()
    window.check(BOTH)


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "without scripts"])
def test_a_session_that_ends(plugin: PromptPlugin, browser: BrowserThread, scripted: bool) -> None:  # the fixture
    """Who is not signed in any more sees what they typed, and sends it as it was once they are."""
    with served(plugin, "mounted") as url:
        browser.do(session_ends, url, scripted)


def session_ends(windows: Windows, url: str, scripted: bool) -> None:  # a variant of the story
    """Save without a session, and once more with one."""
    with windows.window("ana", java_script_enabled=scripted) as window:
        page = window.open(f"{url}agents/seller/NEW/edit")
        type_text(page, f"{TEXT}Be brief.\n", scripted=scripted)
        page.get_by_label("What changed, and why").fill("Shorter")
        kept = page.context.cookies()
        page.context.clear_cookies()
        page.get_by_role("button", name="Save version 2").click()
        expect(page.get_by_label("The text that you typed")).to_have_value(f"{TEXT}Be brief.\n")
        check(window, scripted=scripted)
        page.context.add_cookies([{"name": one["name"], "value": one["value"], "url": url} for one in kept])
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_text("Version 2 is written.")).to_be_visible()


def test_what_is_shown_is_saved(plugin: PromptPlugin, browser: BrowserThread) -> None:
    """After going back, or making the page anew at once, the editor shows the text that would be saved."""
    with served(plugin, "mounted") as url:
        browser.do(shown_and_saved, url)


def shown_and_saved(windows: Windows, url: str) -> None:
    """Go back after saving, and reload while the draft is on its way."""
    with windows.window("ana") as window:
        page = window.open(f"{url}agents/seller/NEW/edit")
        page.locator(".cm-content").fill("First {{customer_name}}.")
        page.get_by_label("What changed, and why").fill("Shorter")
        page.get_by_role("button", name="Save version 2").click()
        expect(page.get_by_text("Version 2 is written.")).to_be_visible()
        page.go_back(wait_until="load")
        shown = page.locator(".cm-content")
        expect(shown).to_have_text(written(page).rstrip("\n").replace("\n", ""))
        for text in ("Second {{customer_name}}.", "Third {{customer_name}}."):
            shown.fill(text)
            page.reload(wait_until="load")
            expect(shown).to_have_text(text)
            assert written(page) == text
        assert not window.messages


def test_the_palette(plugin: PromptPlugin, browser: BrowserThread) -> None:
    """What it puts in can be served as it stands, and one goes on writing inside of it; what is wrong is said below."""
    with served(plugin, "mounted") as url:
        browser.do(palette, url)


def palette(windows: Windows, url: str) -> None:
    """Put in a part of a list and a condition, and break a tag."""
    with windows.window("ana") as window:
        page = window.open(f"{url}agents/seller/NEW/edit")
        page.locator(".cm-content").fill("")
        page.get_by_role("button", name="items[].name", exact=True).click()
        page.keyboard.press("ControlOrMeta+End")
        page.get_by_role("button", name="#if vip", exact=True).click()
        page.keyboard.type("Hi!")
        assert written(page) == "{{#each items}}{{name}}{{/each}}{{#if vip}}Hi!{{/if}}"
        expect(page.locator("#told .prompt")).to_contain_text("Hi!")
        expect(page.locator("#wrong")).to_be_hidden()
        page.keyboard.type("{{nobody}}")
        expect(page.locator("#wrong")).to_have_text("1 problem: look")
        assert not window.messages
