"""The console in any application: each link of each page leads somewhere, at any mount and behind any proxy."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from tests.api_server import PATIENT
from tests.conftest import MakePlugin
from tests.console_server import identify, listening
from tests.waiting import wait_until

PREFIX = "/team/prompts"
AGENT = "sell/er & co"
ROLES = ("editor", "publisher")


def in_starlette(console: Any) -> Any:
    """Mount it twice, one in the other."""
    return Starlette(routes=[Mount("/team", routes=[Mount("/prompts", app=console)])])


def in_fastapi(console: Any) -> Any:
    """Mount it in an application of its framework."""
    app = FastAPI()
    app.mount(PREFIX, console)
    return app


def in_plain_asgi(console: Any) -> Any:
    """Hand requests on as any ASGI program may: with `root_path`, and the whole path."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await console({**scope, "root_path": PREFIX}, receive, send)

    return app


def behind_a_proxy(console: Any) -> Any:
    """Take the prefix away, as a proxy may, and say nothing of it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        whole = scope["raw_path"].decode()
        assert whole.startswith(f"{PREFIX}/"), f"{whole} leads past the proxy"
        path = {"path": scope["path"].removeprefix(PREFIX), "raw_path": whole.removeprefix(PREFIX).encode()}
        await console({**scope, **path}, receive, send)

    return app


def behind_a_proxy_before_a_mount(console: Any) -> Any:
    """Take a part of the prefix away, before an application that has it mounted at the rest."""
    inner = Starlette(routes=[Mount("/prompts", app=console)])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        whole = scope["raw_path"].decode()
        assert whole.startswith("/team/"), f"{whole} leads past the proxy"
        path = {"path": scope["path"].removeprefix("/team"), "raw_path": whole.removeprefix("/team").encode()}
        await inner({**scope, **path}, receive, send)

    return app


@pytest.fixture
async def plugin(sqlite_url: str, make_plugin: MakePlugin, registry: Registry) -> PromptPlugin:
    """A plugin with an agent whose name has all that an address must not be mistaken for, and things done to it."""
    registry.declare(
        AGENT, {"NEW": "Ask {{name}}.", "A?B#C": "Quote."}, where="tests", primary="NEW", protected=["A?B#C"]
    )
    plugin = make_plugin(sqlite_url, **{**PATIENT, "heartbeat": 1.0}, policy=Roles())
    await plugin.ready()
    ana = plugin.acting_as(Actor("ana", roles=ROLES))
    await ana.create(AGENT, "NEW", "Ask {{name}} kindly.", activate=True, note="kinder")
    await ana.create(AGENT, "A?B#C", "Quote, in euros.")
    await ana.request(AGENT, "A?B#C", version=2, note="euros")
    return plugin


@contextmanager
def browser(app: Any) -> Iterator[httpx.Client]:
    """Serve an application, and yield a client at the console in it, for somebody who may look."""
    with listening(app) as url, httpx.Client(base_url=f"{url}{PREFIX}/", timeout=60) as client:
        client.headers.update({"X-Actor": "rui viewer", "Sec-Fetch-Site": "same-origin"})
        yield client


def links_of(page: httpx.Response) -> set[str]:
    """Return where a page leads, as a browser understands it."""
    found = re.findall(r'(?:href|src)="([^"]*)"', page.text)
    return {urldefrag(urljoin(str(page.url), html.unescape(one))).url for one in found}


@pytest.mark.parametrize(
    "mount", [in_starlette, in_fastapi, in_plain_asgi, behind_a_proxy, behind_a_proxy_before_a_mount]
)
async def test_every_link_leads_somewhere(mount: Callable[[Any], Any], plugin: PromptPlugin) -> None:
    """Whoever follows every link from the first page finds pages alone, and never leaves the console."""
    with browser(mount(plugin.console(identify=identify))) as client:
        waiting, seen = {str(client.base_url)}, set[str]()
        while waiting:
            address = waiting.pop()
            seen.add(address)
            page = client.get(address)
            assert page.status_code == 200, f"{address}: {page.status_code}"
            assert urlsplit(address).path.startswith(f"{PREFIX}/")
            if page.headers["content-type"].startswith("text/html"):
                waiting |= links_of(page) - seen
            assert len(seen) < 400, "the links do not end"
        paths = {urlsplit(one).path.removeprefix(PREFIX) for one in seen}
        agent = "/agents/sell%2Fer%20%26%20co"
        assert {"/", "/events", "/events/1", "/fleet", "/requests", f"{agent}/NEW", f"{agent}/A%3FB%23C"} <= paths
        themed = client.post("theme", data={"theme": "dark", "back": "fleet"})
        assert urljoin(str(themed.url), themed.headers["location"]) == f"{client.base_url}fleet"
        assert 'data-theme="dark"' in client.get("fleet").text


async def test_without_the_slash(plugin: PromptPlugin) -> None:
    """Whoever leaves out the slash behind the mount is led to where the links hold."""
    console = plugin.console(identify=identify)

    async def exactly(scope: Any, receive: Any, send: Any) -> None:
        await console({**scope, "root_path": PREFIX}, receive, send)

    with browser(exactly) as client:
        led = client.get(str(client.base_url).rstrip("/"), params={"chip": "mine"})
        assert (led.status_code, urljoin(str(led.url), led.headers["location"])) == (
            307,
            f"{client.base_url}?chip=mine",
        )


async def test_a_database_that_is_gone(plugin: PromptPlugin, sqlite_url: str) -> None:
    """While the database is away each page says so, and what still works; then all is as before."""
    file = Path(sqlite_url.removeprefix("sqlite://"))
    with browser(in_starlette(plugin.console(identify=identify))) as client:
        assert client.get("").status_code == 200
        aside = file.rename(file.with_suffix(".aside"))  # noqa: ASYNC240  # as somebody else does meanwhile
        wait_until(lambda: client.get("").status_code == 503, "it is noticed")
        for address in ("", "events", "fleet", "requests", "?q=kindly"):
            page = client.get(address)
            assert page.status_code == 503, address
            assert "Agents go on with what they served last" in page.text
            assert "Try again" in page.text
            assert page.headers["cache-control"] == "no-store"
        aside.rename(file)
        wait_until(lambda: client.get("").status_code == 200, "the database is back")


async def test_a_closed_plugin(plugin: PromptPlugin) -> None:
    """Once the plugin is closed each page says that the console cannot work."""
    with browser(in_starlette(plugin.console(identify=identify))) as client:
        plugin.close()
        for address in ("", "events", "fleet"):
            page = client.get(address)
            assert (page.status_code, "The console cannot work as it is set up" in page.text) == (503, True), address


async def test_too_much_at_once(plugin: PromptPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks too much is told when to come again, and nobody else is held up."""
    monkeypatch.setattr("automagik_prompts.console.app.Limiter", lambda: _Patient())
    with browser(in_starlette(plugin.console(identify=identify))) as client:
        page = client.get("")
        assert (page.status_code, page.headers["retry-after"]) == (429, "7")
        assert client.get("", headers={"X-Actor": "ines viewer"}).status_code == 200


class _Patient:
    """Lets everybody ask but Rui."""

    def take(self, actor: str) -> float:
        """Return for how long somebody has to wait."""
        return 7.0 if actor == "rui" else 0.0
