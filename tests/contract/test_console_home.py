"""The console's first page on each engine: what wants a look, what each chip shows, and where words stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from tests.api_server import PATIENT, declare
from tests.conftest import MakePlugin
from tests.console_server import ServedConsole, served_console

ANA = Actor("ana", roles=("editor", "publisher"))


@dataclass(frozen=True, slots=True)
class Town:
    """A console, and the plugin behind it."""

    console: ServedConsole
    plugin: PromptPlugin

    def chips(self, client: httpx.Client) -> dict[str, int]:
        """Return the number on each chip."""
        page = client.get("").text
        found = re.findall(r'<a class="chip"[^>]*>(?:<svg.*?</svg>)?([^<]+) <b>(\d+)</b>', page)
        return {words: int(count) for words, count in found}

    def rows(self, client: httpx.Client, **query: str) -> list[str]:
        """Return the statuses that a page shows."""
        page = client.get("", params=query)
        assert page.status_code == 200, page.text
        return re.findall(r'aria-label="([^"]+?)(?:, primary status)?"><span class="mono name">', page.text)


@pytest.fixture
def town(database_url: str, make_plugin: MakePlugin, registry: Registry) -> Iterator[Town]:
    """A console of a plugin with roles."""
    declare(registry)
    plugin = make_plugin(database_url, **PATIENT, policy=Roles())
    with served_console(plugin) as running:
        yield Town(running, plugin)


async def test_the_chips(town: Town, make_plugin: MakePlugin, database_url: str) -> None:
    """Each chip counts and shows what it says: drifted, waiting, mine, changed this week."""
    edits = town.plugin.acting_as(ANA)
    await town.plugin.ready()
    done = await edits.create("stan", "NEW", "Ask {{name}} kindly.", activate=True)
    assert done.prompt is not None
    waits = await edits.create("stan", "APPROVED", "Quote prices, in euros.")
    assert waits.prompt is not None
    await edits.request("stan", "APPROVED", version=waits.prompt.version, note="euros")
    with town.console.client("ana editor,publisher") as client:
        assert town.chips(client) == {
            "All": 2,
            "Cannot be served": 0,
            "Drifted": 0,
            "Waiting for approval": 1,
            "Changed this week": 2,
            "Mine": 2,
        }
        assert town.rows(client, chip="waiting") == ["stan, APPROVED"]
        assert "1 agent, 2 statuses. 1 of them wants a look" in client.get("").text
        assert "Requests <span" in client.get("").text

        newer = Registry()
        newer.declare(
            "stan", {"NEW": "Ask {{name}} for the number.", "APPROVED": "Quote prices."}, where="tests", primary="NEW"
        )
        async with make_plugin(database_url, **PATIENT, registry=newer) as release:
            await release.ready()
        assert town.rows(client, chip="drifted") == ["stan, NEW"]
        assert "2 of them want a look" in client.get("").text
    with town.console.client("rui viewer") as client:
        assert town.chips(client)["Mine"] == 0
        assert "Nothing here" in client.get("", params={"chip": "mine"}).text


async def test_pages_of_many(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends after so many statuses, also within an agent, and the next one begins there."""
    monkeypatch.setattr("automagik_prompts.console.pages.home.ROWS", 3)
    await town.plugin.ready()
    edits = town.plugin.acting_as(Actor("ana", roles=("admin",)))
    for number in range(5):
        await edits.create("busy", f"S{number}", f"Text {number}.", new_agent=True, new_status=True, activate=True)
    with town.console.client("ana admin") as client:
        seen: list[str] = []
        page = client.get("")
        while True:
            seen += re.findall(r'aria-label="([^"]+?)(?:, primary status)?"><span class="mono name">', page.text)
            more = re.search(r'href="([^"]+)">Next</a>', page.text)
            if more is None:
                break
            page = client.get(more[1].replace("&amp;", "&"))
        assert seen == [*(f"busy, S{number}" for number in range(5)), "stan, APPROVED", "stan, NEW"]


async def test_only_what_the_policy_shows(town: Town) -> None:
    """Who sees some agents only finds these, in rows, numbers, names and lines."""
    await town.plugin.ready()
    await town.plugin.acting_as(Actor("ana", roles=("admin",))).create(
        "secret", "NEW", "Ask for the secret word.", new_agent=True, activate=True
    )
    with town.console.client("rui viewer stan") as client:
        assert town.rows(client) == ["stan, APPROVED", "stan, NEW"]
        assert town.chips(client)["All"] == town.chips(client)["Changed this week"] == 2
        assert "secret" not in client.get("").text
        page = client.get("", params={"q": "secret"}).text
        assert "No active version says" in page
        assert "secret / NEW" not in page
        assert ">Fleet</a>" not in page
        assert client.get("fleet").status_code == 403
    with town.console.client("ines viewer") as client:
        assert "secret, NEW" in town.rows(client)
        assert client.get("fleet").status_code == 200


async def test_search(town: Town) -> None:
    """Lines that say something are found with their place, and statuses that are called so; nothing is markup."""
    await town.plugin.ready()
    await town.plugin.acting_as(ANA).create("stan", "NEW", "Hello.\n<b>Refund</b> & more {{name}}.", activate=True)
    with town.console.client("ana editor") as client:
        page = client.get("", params={"q": "refund"}).text
        assert "1 line in 1 active version says “refund”." in page
        assert "&lt;b&gt;<mark>Refund</mark>&lt;/b&gt; &amp; more" in page
        assert "No active version says “REFUND”." in client.get("", params={"q": "REFUND", "case": "1"}).text
        assert "stan / APPROVED</a>" in client.get("", params={"q": "appr"}).text
        assert "No active version says" in client.get("", params={"q": "{{nothing}}"}).text
