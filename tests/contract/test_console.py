"""The console on each engine: its pages, what stands before them, and what becomes of errors."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from automagik_prompts.api.guards import MAX_BODY
from automagik_prompts.declaring.registry import Registry
from tests.api_server import PATIENT, declare
from tests.conftest import MakePlugin
from tests.console_server import ServedConsole, served_console


@pytest.fixture
def console(database_url: str, make_plugin: MakePlugin, registry: Registry) -> Iterator[ServedConsole]:
    """A console over a database with the schema, whose plugin nobody has started."""
    declare(registry)
    with served_console(make_plugin(database_url, **PATIENT)) as running:
        yield running


@pytest.fixture
def client(console: ServedConsole) -> Iterator[httpx.Client]:
    """A browser of Ana's."""
    with console.client() as client:
        yield client


def test_the_first_page_shows_every_status(client: httpx.Client) -> None:
    """Each status is a row with its link, and the page may load nothing but the console's own files."""
    page = client.get("")
    assert page.status_code == 200, page.text
    assert 'href="./agents/stan/NEW"' in page.text
    assert 'href="./agents/stan/APPROVED"' in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"


def test_files_are_kept_by_browsers(client: httpx.Client) -> None:
    """The stylesheet's address has what differs with it, so that a browser may keep it for good."""
    page = client.get("").text
    address = page.split('rel="stylesheet" href="')[1].partition('"')[0]
    sheet = client.get(address)
    assert sheet.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in sheet.headers["cache-control"]
    assert client.get(address.replace("console.css", "../app.py")).status_code == 404


def test_nobody_sees_a_page(console: ServedConsole) -> None:
    """Without an identity there is a page that says so, and nothing else."""
    with console.client() as client:
        del client.headers["X-Actor"]
        page = client.get("")
        assert page.status_code == 401
        assert "Nobody is signed in" in page.text
        assert "stan" not in page.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_forms_of_other_sites_are_refused(console: ServedConsole, headers: dict[str, str], status: int) -> None:
    """A form is taken from the console's own pages alone; where a browser does not say where from, it is refused."""
    with console.client() as client:
        del client.headers["Sec-Fetch-Site"]
        assert client.post("theme", data={"theme": "dark"}, headers=headers).status_code == status


def test_a_form_whose_browser_says_its_origin_alone(console: ServedConsole) -> None:
    """Where there is no TLS browsers say the origin alone: it has to be the console's own."""
    origin = console.url.partition("/team")[0]
    with console.client(Origin=origin) as client:
        del client.headers["Sec-Fetch-Site"]
        answer = client.post("theme", data={"theme": "dark", "back": "events?agent=stan"})
        assert answer.headers["location"] == "./events?agent=stan"
        assert 'data-theme="dark"' in client.get("").text
        client.post("theme", data={"theme": "system"})
        assert "data-theme" not in client.get("").text


def test_what_leads_nowhere(client: httpx.Client) -> None:
    """An address that leads nowhere has a page of its own, in the same frame, with links that work from there."""
    page = client.get("nothing/of/this")
    assert page.status_code == 404
    assert 'href="../../static/' in page.text
    assert "content-security-policy" in page.headers
    assert client.get("%00").status_code == 404
    assert client.post("", data={}).status_code == 405


def test_a_form_that_is_too_large(client: httpx.Client) -> None:
    """A body is read up to its bound and not further, whether it says its length or not."""
    large = b"theme=" + b"a" * MAX_BODY
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("theme", content=large, headers=kind).status_code == 413
    assert client.post("theme", content=iter([large]), headers=kind).status_code == 413
    assert client.post("theme", json={"theme": "dark"}).status_code == 415


def test_names_that_would_lead_away(sqlite_url: str, make_plugin: MakePlugin) -> None:
    """A browser can follow the links of an agent and a status whose names are ways up in a path."""
    registry = Registry()
    registry.declare("..", {".": "Ask."}, where="tests")
    with served_console(make_plugin(sqlite_url, registry=registry, **PATIENT)) as running, running.client() as client:
        (path,) = re.findall(r'href="(\./agents/[^"]+)"', client.get("").text)
        page = client.get(path)
        assert (page.status_code, "<h1>.. / ." in page.text) == (200, True)
        edit = re.search(r'href="([^"]+/edit)"', page.text)
        assert edit is not None
        assert client.get(page.url.join(edit[1])).status_code == 200
