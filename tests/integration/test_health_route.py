"""What a probe is told: 200 as long as prompts are served, an outage of the database included; and nobody's names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from starlette.applications import Starlette

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.following.loader import Loader
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.connection import Client, Connection
from automagik_prompts.storage.database import Database
from tests.asgi import Answered, ask
from tests.conftest import MakePlugin
from tests.proxy import PASSWORD, Proxy
from tests.tampering import unkeep
from tests.waiting import DEADLINE

SAID = {"service", "ready", "state", "state_age", "snapshot_age", "lag", "agents", "problems"}


class Probe:
    """Asks a plugin's health route again and again, until it says what it should."""

    def __init__(self, plugin: PromptPlugin, **options: bool) -> None:
        self.app = plugin.health_app(**options)
        self.last: Answered | None = None

    async def until(self, status: int, **wanted: object) -> dict[str, Any]:
        """Wait until the answer has a status and these facts, and return it."""
        async with asyncio.timeout(DEADLINE):
            while True:
                self.last = await ask(self.app)
                said: dict[str, Any] = self.last.json
                if self.last.status == status and {name: said[name] for name in wanted} == wanted:
                    return said
                await asyncio.sleep(0.01)


async def test_a_process_that_is_live(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """The first probe begins to follow, as no request comes to a process before; then all is well."""
    registry.declare("seller", {"NEW": "Sell."}, where="here")
    plugin = make_plugin(database_url)
    probe = Probe(plugin)
    assert not plugin.is_started
    said = await probe.until(200, state="live", problems={})
    assert plugin.is_started
    assert set(said) == SAID
    assert (said["service"], said["ready"], said["agents"], said["lag"]) == ("automagik-prompts", True, 1, 0.0)
    assert 0 <= said["snapshot_age"] < 60
    assert probe.last is not None
    assert probe.last.headers["content-type"] == "application/json"
    assert probe.last.headers["cache-control"] == "no-store"
    plugin.close()
    assert (await ask(probe.app)).json["state"] == "stale"
    assert not plugin.is_started, "a probe has begun anew what was closed"


async def test_other_ways_to_ask(sqlite_url: str, make_plugin: MakePlugin) -> None:
    """HEAD has no body, what would change something is refused, and whoever asks only for life gets no more."""
    app = make_plugin(sqlite_url).health_app()
    head = await ask(app, method="HEAD")
    assert (head.status in {200, 503}, head.body, int(head.headers["content-length"]) > 100) == (True, b"", True)
    post = await ask(app, method="POST")
    assert (post.status, post.headers["allow"]) == (405, "GET, HEAD")
    for query in ("live", "live=1"):
        living = await ask(app, query=query)
        assert (living.status, living.json) == (200, {"service": "automagik-prompts", "live": True})
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message["type"])

    async def receive() -> Any:
        return {"type": "lifespan.shutdown" if told else "lifespan.startup"}

    await app({"type": "lifespan"}, receive, send)
    await app({"type": "websocket"}, receive, send)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
async def test_in_an_application(framework: type[Starlette], sqlite_url: str, make_plugin: MakePlugin) -> None:
    """It stands at the path where it is put, without being led on to another one."""
    app = framework()
    app.add_route("/health", make_plugin(sqlite_url).health_app())  # type: ignore[arg-type]  # an ASGI application, too
    assert (await ask(app, "/health", query="live")).json["live"]
    assert (await ask(app, "/health", method="POST")).status == 405
    assert (await ask(app, "/other")).status == 404


async def test_an_outage_ends_no_process(proxy: Proxy, postgres_url: str, make_plugin: MakePlugin) -> None:
    """While the database is out a process that has texts is ready and alive; it says what is wrong, and no password."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    plugin = make_plugin(proxy.url(postgres_url))
    probe, open_ = Probe(plugin), Probe(plugin, details=True)
    await probe.until(200, state="live", problems={})
    proxy.refuse()
    said = await probe.until(200, state="stale")
    assert said["problems"] == {"unreadable": 1}
    assert "127.0.0.1" not in str(said)
    details = (await open_.until(200, state="stale"))["details"]
    assert "127.0.0.1" in str(details)
    assert PASSWORD not in str(details)
    assert {"version", "host", "pid", "release", "database", "problems"} == set(details)
    assert (await ask(probe.app, query="live")).status == 200
    proxy.open()
    await probe.until(200, state="live", problems={})


async def test_nothing_to_serve(proxy: Proxy, postgres_url: str, make_plugin: MakePlugin) -> None:
    """A process that starts in an outage, with an agent whose texts only the database has, is alive and not ready."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    proxy.refuse()
    plugin = make_plugin(proxy.url(postgres_url), startup_timeout=0.1)
    agent = Agent(TestModel(), name="seller", capabilities=[ActivePrompt("seller", plugin=plugin)])
    assert agent.name == "seller"
    probe = Probe(plugin)
    assert (await ask(probe.app)).status == 503
    said = await probe.until(503, state="offline", problems={"unreadable": 1})
    assert (said["ready"], said["snapshot_age"]) == (False, None)
    assert (await ask(probe.app, query="live")).status == 200
    proxy.open()
    await probe.until(200, state="live", problems={})


async def test_what_is_wrong_is_counted(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """A version that cannot be served is a code and a number; who it is about is told by the details alone."""
    registry.declare("seller", {"NEW": "Sell.", "OLD": "Keep."}, where="here", primary="NEW")
    plugin = make_plugin(database_url)
    probe = Probe(plugin)
    await probe.until(200, state="live", problems={})

    async def spoil(db: Client) -> None:
        await Connection(db).run("UPDATE prompts SET prompt_text = 'zebra'")

    async with Database(database_url) as database:
        await unkeep(database)
        await database.transaction(spoil)
    said = await probe.until(200, problems={"unservable": 2})
    assert "seller" not in str(said)
    details = (await ask(plugin.health_app(details=True))).json["details"]
    assert "seller/NEW, version 1" in str(details)
    assert "zebra" not in str(details)


async def test_how_far_behind(
    database_url: str, make_plugin: MakePlugin, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that is known of and cannot be read counts from when it was found, until it is served."""
    registry.declare("seller", {"NEW": "Sell."}, where="here")
    plugin = make_plugin(database_url)
    probe = Probe(plugin)
    await probe.until(200, state="live", lag=0.0)
    step = Loader._step

    async def fail(*_: object) -> None:
        raise DatabaseUnavailableError("It cannot be read now.")

    monkeypatch.setattr(Loader, "_step", fail)
    async with Database(database_url) as database:
        await database.transaction(_touch)
    first = await probe.until(200, state="stale")
    assert first["lag"] >= 0
    await asyncio.sleep(0.01)
    assert (await probe.until(200, state="stale"))["lag"] > first["lag"]
    monkeypatch.setattr(Loader, "_step", step)
    await probe.until(200, state="live", lag=0.0)


async def _touch(db: Client) -> None:
    await Connection(db).run("UPDATE agents SET revision = revision + 1")
