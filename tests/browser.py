"""A real browser for tests: Debian's chromium, without a window, which talks to the loopback alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright
from starlette.requests import Request

from automagik_prompts.domain.policy import Actor, Identity

T = TypeVar("T")

AXE = Path(__file__).parent / "data" / "axe" / "axe.min.js"
"""What looks whether a page can be used by everybody."""

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    # Nothing that is not on the loopback has an address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

MISSING = "There is no chromium here: these pages are tried in no browser. Debian has it: apt-get install chromium."


WHO = "who"
"""The cookie that says who looks."""


def identify(request: Request) -> Identity | None:
    """Believe what a cookie says."""
    who = request.cookies.get(WHO)
    return Identity(Actor(who)) if who else None


def chromium() -> str | None:
    """Return where chromium is; `None` where it is not installed."""
    return os.environ.get("PROMPTS_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(slots=True)
class Window:
    """A browser's window of one person.

    Attributes:
        page: The page.
        messages: What the browser has complained about: the content security policy, failed scripts, refused loads.
    """

    page: Page
    messages: list[str] = field(default_factory=list)

    def open(self, address: str) -> Page:
        """Go to an address, and return the page once all its files are there."""
        self.page.goto(address, wait_until="load")
        return self.page

    def check(self, widths: Sequence[int] = ()) -> None:
        """Check that everybody can use the page, and that the browser does not complain about it.

        Args:
            widths: In how many pixels it must not scroll sideways, the first of them the present ones; it is looked at
                in both themes then.
        """
        assert not self.messages, self.messages
        for theme in ("light", "dark") if widths else ("light",):
            self.page.emulate_media(color_scheme=theme)
            assert not (found := violations(self.page)), f"{self.page.url}, {theme}: {found}"
        for width in (*widths[1:], *widths[:1]) or (None,):
            if width is not None:
                self.page.set_viewport_size({"width": width, "height": 900})
            assert not (wide := overflow(self.page)), f"{self.page.url} scrolls sideways: {wide}"


def violations(page: Page) -> list[str]:
    """Return what a page does to shut somebody out, by axe."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(found => found.violations)",
        list(RULES),
    )
    return [f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]


def overflow(page: Page) -> list[str]:
    """Return what makes a page scroll sideways; nothing where it does not."""
    found: list[str] = page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          return [...document.querySelectorAll('body *')]
            .filter((one) => one.getBoundingClientRect().right > width + 1)
            .map((one) => one.outerHTML.slice(0, 120)).slice(0, 5).concat(['the page']);
        }"""
    )
    return found


class Windows:
    """Opens windows of one browser.

    Args:
        browser: The browser.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    @contextmanager
    def window(self, actor: str = "ana", *, width: int = 1280, **options: Any) -> Iterator[Window]:
        """Open a window of somebody, with cookies and storage of its own.

        Args:
            actor: Who looks, as `identify` believes it.
            width: How wide it is, in pixels.
            options: As `Browser.new_context` takes them.
        """
        context = self._browser.new_context(viewport={"width": width, "height": 900}, **options)
        # A header would not be sent with what a page sends while it is left.
        context.add_cookies([{"name": WHO, "value": actor, "domain": "127.0.0.1", "path": "/"}])
        # What a page waits for is on the loopback; a busy machine may take long for it.
        context.set_default_timeout(60_000)
        try:
            yield tab(context)
        finally:
            context.close()


def tab(context: BrowserContext) -> Window:
    """Open one more tab."""
    window = Window(context.new_page())

    def complained(message: ConsoleMessage) -> None:
        # That a form was refused is the answer that a test asked for.
        if message.type in {"error", "warning"} and "the server responded with a status of 4" not in message.text:
            window.messages.append(f"{window.page.url}: {message.text}")

    window.page.on("console", complained)
    window.page.on("pageerror", lambda error: window.messages.append(f"{window.page.url}: {error}"))
    return window


class BrowserThread:
    """Owns a browser: what drives one keeps its thread's event loop, which pytest needs for others.

    Args:
        where: The program.
    """

    def __init__(self, where: str) -> None:
        self._thread = ThreadPoolExecutor(1, "browser")
        self._playwright, self._browser = self._thread.submit(_start, where).result()

    def do(self, story: Callable[..., T], *facts: Any) -> T:
        """Do something in the browser, and return what comes of it.

        Args:
            story: What to do; it gets what opens windows, then the facts.
            facts: What it needs to know.
        """
        return self._thread.submit(story, Windows(self._browser), *facts).result()

    def close(self) -> None:
        """End the browser and the thread."""
        self._thread.submit(self._browser.close).result()
        self._thread.submit(self._playwright.stop).result()
        self._thread.shutdown()


def _start(where: str) -> tuple[Playwright, Browser]:
    playwright = sync_playwright().start()
    return playwright, playwright.chromium.launch(executable_path=where, args=list(FLAGS))


@pytest.fixture(scope="session")
def browser() -> Iterator[BrowserThread]:
    """A browser; the tests that need one are skipped, loudly, where there is none."""
    where = chromium()
    if where is None:
        pytest.skip(MISSING)
    running = BrowserThread(where)
    yield running
    running.close()
