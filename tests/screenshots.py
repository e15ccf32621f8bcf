"""Takes the pictures of the console that the documents show, of what the demo leaves: `make screenshots`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page
from stan import StanAgent  # noqa: F401  # it declares the agent whose prompts are shown

from automagik_prompts.domain.policy import Actor
from automagik_prompts.plugin import PromptPlugin
from tests.browser import MISSING, BrowserThread, Windows, chromium, identify
from tests.console_server import listening

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "img"
SECONDS = 60.0

WRITTEN = """\
You are Stan, who sells baking ingredients to business buyers. You are talking to {{contact.name}} of
{{contact.compny}}, an approved buyer.

Today, {{today}}, delivery is free for every order above 500 BRL.
{{#each products}}- {{name}}, {{unit}}: {{price}} BRL
{{/each}}
Sign as {agent_name}.
"""


SAMPLES = {
    "contact.name": "Ana",
    "products[].name": "Wheat flour\nDry yeast",
    "products[].unit": "25 kg bag\npack of 500 g",
    "products[].price": "89.90\n21.50",
}


def type_new(page: Page) -> None:
    """Write a text with a few things to be told."""
    page.locator(".cm-content").fill(WRITTEN)
    page.get_by_label("What changed, and why").fill("Delivery is free above 500 BRL, sales agreed")
    page.get_by_text("contact.compny is not exposed").first.wait_for()
    for name, value in SAMPLES.items():
        page.get_by_label(name, exact=True).fill(value)
    page.locator("#told").get_by_text("Dry yeast").wait_for()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def nothing(_: Page) -> None:
    """Show a page as it is."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a page.

    Attributes:
        name: The file's name, without its end.
        path: The page.
        width: How wide the window is.
        height: How high.
        theme: The colours.
        before: What is done before.
    """

    name: str
    path: str
    width: int = 1280
    height: int = 900
    theme: str = "light"
    before: Callable[[Page], None] = nothing


STATUS = "agents/stan/APPROVED"

PICTURES = (
    Picture("console-home", "", height=560),
    Picture("console-status", STATUS, height=1000),
    Picture("console-edit", f"{STATUS}/edit", height=1080, before=type_new),
    Picture("console-edit-dark", f"{STATUS}/edit", height=1080, theme="dark", before=type_new),
    Picture("console-activate", f"{STATUS}/activate?version=2", height=960),
    Picture("console-phone", f"{STATUS}/activate?version=2", width=390, height=844, theme="dark"),
)


def take(windows: Windows, url: str, folder: Path) -> None:
    """Take all pictures.

    Args:
        windows: Opens windows.
        url: Where the console is.
        folder: Where the pictures go.
    """
    for one in PICTURES:
        with windows.window("marta", width=one.width, color_scheme=one.theme) as window:
            window.page.set_viewport_size({"width": one.width, "height": one.height})
            page = window.open(url + one.path)
            one.before(page)
            page.screenshot(path=folder / f"{one.name}.png", animations="disabled")
            if window.messages:
                raise RuntimeError(f"{one.name}: {window.messages}")


def main(folder: Path) -> int:
    """Run the demo, serve what it leaves, and take the pictures; return the exit code."""
    where = chromium()
    if where is None:
        print(MISSING)
        return 1
    with tempfile.TemporaryDirectory() as kept:
        demo = [sys.executable, str(ROOT / "examples" / "demo.py"), "--keep", kept]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        url = f"sqlite://{Path(kept) / 'prompts.db'}"
        plugin = PromptPlugin(url, cache_dir=Path(kept) / "cache", startup_timeout=SECONDS, heartbeat=1.0)
        try:
            asyncio.run(plugin.ready())
            asyncio.run(_until_seen(plugin))
            browser = BrowserThread(where)
            try:
                with listening(plugin.console(identify=identify, label="Demo")) as address:
                    browser.do(take, f"{address}/", folder)
            finally:
                browser.close()
        finally:
            plugin.close()
    return 0


async def _until_seen(plugin: PromptPlugin) -> None:
    """Wait until the process has said that it runs, so that the pages have it."""
    service = plugin.acting_as(Actor("marta"))
    for _ in range(int(SECONDS * 10)):
        if (await service.followers("stan", "APPROVED")).processes:
            return
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(FOLDER))
