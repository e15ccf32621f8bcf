"""Following the events while things go wrong: outages, restores, listeners that go or read nothing."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("fastapi", reason="the extra api is not installed")

from starlette.requests import Request

from automagik_prompts.api import stream
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.proxy import Proxy
from tests.rest import AGENT, PATIENCE, client, declare, events, identify, say, served, signed_in
from tests.tampering import unkept
from tests.waiting import wait_until

GONE = "urn:automagik-prompts:problem:gone"


class App:
    """The API of a plugin, which a test can look into.

    Args:
        plugin: The plugin.
        identify: Tells who asks.

    Attributes:
        tasks: The tasks of the server's event loop, as they were at the last request.
    """

    def __init__(self, plugin: PromptPlugin, identify: Callable[[Request], Identity | None] = identify) -> None:
        self._api: Any = plugin.api(identify=identify)
        self.tasks: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        self.tasks = asyncio.all_tasks()
        await self._api(scope, receive, send)

    @property
    def open(self) -> int:
        """How many streams are open."""
        inner = self._api
        while not hasattr(inner, "state"):
            inner = inner._app
        feed: stream.Feed = inner.state.door.feed
        return feed._open.total()


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs.

    Attributes:
        app: What it serves.
        address: Where.
    """

    app: App
    address: str


@pytest.fixture
def running(database_url: str, make_plugin: MakePlugin, registry: Registry) -> Iterator[Running]:
    """A server over a database with the agent."""
    declare(registry)
    app = App(make_plugin(database_url, startup_timeout=PATIENCE, heartbeat=0))
    with served(app) as address:
        yield Running(app, address)


def raw_stream(address: str, name: str = "ana", buffer: int | None = None) -> socket.socket:
    """Open a stream by hand, and return its socket once it has begun."""
    parts = urlsplit(address)
    sock = socket.socket()
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.settimeout(PATIENCE)
    sock.connect((parts.hostname, parts.port))
    head = f"GET {parts.path}/events/stream?last=0 HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    sock.sendall(f"{head}Authorization: {signed_in(name)['Authorization']}\r\n\r\n".encode())
    assert sock.recv(12) == b"HTTP/1.1 200"
    return sock


@pytest.mark.parametrize("way", ["close", "reset", "half"])
def test_who_goes_leaves_nothing_behind(running: Running, way: str) -> None:
    """However a listener goes, nothing of theirs goes on: no place is taken, and no task."""
    with client(running.address) as asking:
        asking.get("/agents")
        asking.get("/agents")
        before = len(running.app.tasks)
        socks = [raw_stream(running.address) for _ in range(stream.MOST_EACH)]
        assert running.app.open == stream.MOST_EACH
        for sock in socks:
            if way == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            if way == "half":
                sock.shutdown(socket.SHUT_WR)
            else:
                sock.close()
        wait_until(lambda: running.app.open == 0, "all places are free")

        def is_quiet() -> bool:
            asking.get("/agents")
            return len(running.app.tasks) <= before

        wait_until(is_quiet, "no task is left")
        for sock in socks:
            sock.close()


def test_one_who_does_not_read(running: Running) -> None:
    """Who reads nothing holds up nobody else, and goes when the socket does."""
    with client(running.address) as asking, client(running.address, "bea") as other, ExitStack() as stack:
        idle = stack.enter_context(closing(raw_stream(running.address, "cyn", buffer=2048)))
        long = "x" * 1900
        with other.stream("GET", "/events/stream") as answer:
            found = events(answer)
            for number in range(300):
                say(asking, f"{number} {long}")
            assert [next(found)[1]["note"].split()[0] for _ in range(300)] == [str(number) for number in range(300)]
        assert running.app.open >= 1
        idle.close()
        wait_until(lambda: running.app.open == 0, "both have gone")


def test_who_comes_back_is_asked_who_they_are(
    database_url: str, make_plugin: MakePlugin, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream ends after a while: who is not let in any more learns nothing of what is done later."""
    monkeypatch.setattr(stream, "LONGEST", 1.0)
    declare(registry)
    known = {"ana", "bea"}

    def identify(request: Request) -> Identity | None:
        name = request.headers["authorization"].removeprefix("Bearer ")
        return Identity(Actor(name)) if name in known else None

    app = App(make_plugin(database_url, startup_timeout=PATIENCE, heartbeat=0), identify)
    with served(app) as address, client(address) as asking, client(address, "bea") as other:
        with asking.stream("GET", "/events/stream", params={"last": 0}) as answer:
            known.remove("ana")
            until = time.monotonic() + PATIENCE
            numbers = []
            for line in answer.iter_lines():
                assert time.monotonic() < until, "it does not end"
                numbers += [line.removeprefix("id: ")] if line.startswith("id: ") else []
                say(other, "It goes on.")
        back = asking.get("/events/stream", headers={"Last-Event-ID": numbers[-1]})
        assert back.status_code == 401


def test_what_the_policy_does_not_show(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """Events of agents that somebody may not look at are passed over, those of facts and of statuses alike."""
    declare(registry)
    registry.declare("secret", {"default": "Hush."}, where="the test")

    def identify(request: Request) -> Identity | None:
        name = request.headers["authorization"].removeprefix("Bearer ")
        agents = ("*",) if name == "ana" else ("seller*",)
        return Identity(Actor(name, roles=("admin",), agents=agents))

    plugin = make_plugin(database_url, startup_timeout=PATIENCE, heartbeat=0, policy=Roles())
    with served(App(plugin, identify)) as address, client(address) as asking, client(address, "bea") as other:
        asking.get("/agents")
        hush = {"agent": "secret", "status_key": "default", "text": "hush"}
        with other.stream("GET", "/events/stream", params={"last": 0}) as answer:
            for text in ("one", "two"):
                assert asking.post("/comments", json=hush).status_code == 201
                say(asking, text)
            got: list[dict[str, Any]] = []
            for _, event in events(answer):
                got.append(event)
                if event["note"] == "two":
                    break
        everything = asking.get("/events/feed", params={"limit": 1000}).json()
        shown = [event for event in everything["items"] if event["agent"] == AGENT]
        assert got == shown
        assert len(shown) < len(everything["items"])
        assert {"", "NEW"} <= {event["status_key"] for event in shown}
        page = other.get("/events/feed", params={"limit": 1000}).json()
        assert (page["items"], page["next"]) == (shown, everything["next"])


async def test_an_outage(postgres_url: str, make_plugin: MakePlugin, registry: Registry, proxy: Proxy) -> None:
    """A stream outlasts the database's absence, and misses nothing and repeats nothing."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    declare(registry)
    near = make_plugin(postgres_url, startup_timeout=PATIENCE, heartbeat=0)
    far = make_plugin(
        proxy.url(postgres_url), registry=declare(Registry()), startup_timeout=PATIENCE, heartbeat=0, seed=False
    )
    with served(App(near)) as address, served(App(far)) as behind, client(address) as asking, client(behind) as other:
        asking.get("/agents")
        with other.stream("GET", "/events/stream", headers={"Last-Event-ID": "0"}) as answer:
            found = events(answer)
            say(asking, "before")
            got = [next(found)[1]]
            while got[-1]["note"] != "before":
                got.append(next(found)[1])
            proxy.refuse()
            say(asking, "meanwhile")
            wait_until(lambda: other.get("/events/feed").status_code == 503, "it is out")
            proxy.open()
            say(asking, "after")
            while got[-1]["note"] != "after":
                got.append(next(found)[1])
        assert got == asking.get("/events/feed", params={"limit": 1000}).json()["items"]


def test_a_restored_database(
    sqlite_url: str, make_plugin: MakePlugin, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an event that somebody has is gone, the stream ends, and who comes back is told so: 410."""
    monkeypatch.setattr(stream, "SILENCE", 2 * PATIENCE)  # so that a stream that does not end is given up
    declare(registry)
    app = App(make_plugin(sqlite_url, startup_timeout=PATIENCE, heartbeat=0))
    with served(app) as address, client(address) as asking:
        for text in ("one", "two"):
            say(asking, text)
        last = asking.get("/events/feed").json()["next"]
        with asking.stream("GET", "/events/stream", params={"last": 0}) as answer:
            found = events(answer)
            while next(found)[0] != last:
                pass
            with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite://"))) as db, db:
                for statement in unkept(sqlite_url):
                    db.execute(statement)
                db.execute("DELETE FROM prompt_events WHERE id >= ?", (int(last) - 1,))
            assert list(found) == []
        for path, ask in (("feed", {"params": {"last": last}}), ("stream", {"headers": {"Last-Event-ID": last}})):
            back = asking.get(f"/events/{path}", **ask)  # type: ignore[arg-type]  # one of them
            assert (back.status_code, back.json()["type"]) == (410, GONE)
            assert back.json()["detail"].startswith(f"There is no event {last}: the newest is {int(last) - 2}. ")
        assert app.open == 0


def test_a_server_that_ends(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """An open stream does not keep a server that bounds its end, and leaves nothing behind."""
    declare(registry)
    app = App(make_plugin(database_url, startup_timeout=PATIENCE, heartbeat=0))
    with ExitStack() as server, httpx.Client(headers=signed_in("ana"), timeout=PATIENCE) as asking:
        address = server.enter_context(served(app, timeout_graceful_shutdown=1))
        with asking.stream("GET", f"{address}/events/stream", params={"last": 0}) as answer:
            told = events(answer)  # held, as the answer ends with what reads it
            assert next(told)[1]["agent"] == AGENT
            assert app.open == 1
            server.close()  # which makes sure that its thread has ended
    assert app.open == 0
