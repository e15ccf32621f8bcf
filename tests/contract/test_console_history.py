"""The console's history on each engine: filters, permalinks, files; nothing that the policy hides."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from tests.api_server import PATIENT, declare
from tests.conftest import MakePlugin
from tests.console_server import ServedConsole, served_console

ANA = Actor("ana", roles=("editor", "publisher", "emergency"))


@pytest.fixture
def plugin(database_url: str, make_plugin: MakePlugin, registry: Registry) -> PromptPlugin:
    """A plugin with roles."""
    declare(registry)
    return make_plugin(database_url, **PATIENT, policy=Roles())


@pytest.fixture
def console(plugin: PromptPlugin) -> Iterator[ServedConsole]:
    """Its console."""
    with served_console(plugin) as running:
        yield running


@pytest.fixture
async def client(plugin: PromptPlugin, console: ServedConsole) -> AsyncIterator[httpx.Client]:
    """A browser of Ana's, who has done a few things."""
    await plugin.ready()
    ana = plugin.acting_as(ANA)
    await ana.create("stan", "NEW", "Ask {{name}} kindly.", note="=HYPERLINK(1)", activate=True)
    await ana.rollback("stan", "NEW", note="too kind")
    await ana.create("stan", "APPROVED", "Quote no prices.", activate=True, emergency=True, note="INC-1 <i>now</i>")
    with console.client("ana editor") as client:
        yield client


def whats(page: httpx.Response) -> list[str]:
    """Return what was done, as a page says it."""
    assert page.status_code == 200, page.text
    return [" ".join(one.split()) for one in re.findall(r"</svg> ([^<]+)</td>", page.text)]


def test_the_filters(client: httpx.Client) -> None:
    """Each filter shows what it says, and a form with empty fields shows everything."""
    empty = {"person": "", "agent": "", "action": "", "from": "", "to": ""}
    everything = whats(client.get("events", params=empty))
    assert everything[0] == "Activated version 2, before: 1"
    assert "Rolled back to version 1, before: 2" in everything
    page = client.get("events", params={**empty, "action": "emergency"})
    assert whats(page) == ["Activated version 2, before: 1"]
    assert "INC-1 &lt;i&gt;now&lt;/i&gt;" in page.text
    assert whats(client.get("events", params={"action": "rolled_back"})) == ["Rolled back to version 1, before: 2"]
    assert len(whats(client.get("events", params={"agent": "stan", "status": "NEW"}))) == 5
    assert set(whats(client.get("events", params={"person": "code"}))) == {
        "Created version 1",
        "Activated version 1",
        "Changed in code",
    }
    today = datetime.now(UTC).astimezone().date()
    assert whats(client.get("events", params={"from": str(today - timedelta(days=1))})) == everything
    assert whats(client.get("events", params={"from": "0001-01-01", "to": "9999-12-31"})) == everything
    assert "Nothing of that was done" in client.get("events", params={"to": "2020-01-01"}).text
    assert client.get("events", params={"from": "yesterday"}).status_code == 422
    assert client.get("events", params={"action": "sung"}).status_code == 404
    assert client.get("events", params={"agent": "nobody"}).status_code == 404


def test_pages_and_permalinks(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages follow each other without a gap, and every event has an address of its own."""
    everything = re.findall(r'id="e(\d+)"', client.get("events").text)
    monkeypatch.setattr("automagik_prompts.console.pages.history.ROWS", 2)
    seen: list[str] = []
    page = client.get("events")
    while True:
        seen += re.findall(r'id="e(\d+)"', page.text)
        if (more := re.search(r'href="([^"]+)">Older</a>', page.text)) is None:
            break
        page = client.get(more[1].replace("&amp;", "&"))
    assert seen == everything
    one = client.get(f"events/{everything[0]}")
    assert "Let through by" in one.text
    assert 'href="../agents/stan/APPROVED/diff/1..2"' in one.text
    assert client.get("events/999999").status_code == 404
    assert client.get("events/none").status_code == 404


def test_files(client: httpx.Client) -> None:
    """The same events as files: what a spreadsheet would take for a formula is none there."""
    answer = client.get("events", params={"format": "csv", "agent": "stan"})
    assert answer.headers["content-disposition"] == 'attachment; filename="prompt-events.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["action"] for row in rows][:2] == ["activated", "created"]
    assert "'=HYPERLINK(1)" in {row["reason"] for row in rows}
    lines = client.get("events", params={"format": "jsonl"}).text.splitlines()
    said = [json.loads(line) for line in lines]
    assert [one["id"] for one in said] == sorted((one["id"] for one in said), reverse=True)
    assert len(said) == len(rows)
    assert "=HYPERLINK(1)" in {one["note"] for one in said}
    assert client.get("events", params={"format": "csv", "agent": "nobody"}).status_code == 404


def test_what_the_policy_hides(console: ServedConsole, client: httpx.Client) -> None:
    """Who may not see an agent sees none of its events, also not by their numbers, and not in files."""
    number = re.findall(r'id="e(\d+)"', client.get("events").text)[0]
    with console.client("rui viewer other*") as other:
        assert "Nothing was done yet" in other.get("events").text
        assert other.get(f"events/{number}").status_code == 404
        assert other.get("events", params={"format": "jsonl"}).text == ""
        assert other.get("events", params={"agent": "stan"}).status_code == 403
