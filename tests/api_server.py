"""A real server with the API of a plugin, mounted in an application, and clients of it on the loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.plugin import PromptPlugin
from tests.waiting import wait_until

PREFIX = "/team/prompts"
"""Where the tests' application has mounted the API."""

TEXTS = {"NEW": "Ask {{name}} for the tax id.", "APPROVED": "Quote prices."}
"""What the code declares for `stan`; `APPROVED` is protected."""

PATIENT: Mapping[str, Any] = {"startup_timeout": 60.0, "heartbeat": 0.0}
"""Settings of a plugin whose first request waits for the first load, however slow the machine is."""


def identify(request: Request) -> Identity | None:
    """Believe what a header says: `X-Actor: ana editor,publisher`."""
    who = request.headers.get("x-actor")
    if who is None:
        return None
    name, _, roles = who.partition(" ")
    return Identity(Actor(name, roles=tuple(filter(None, roles.split(",")))))


def declare(registry: Registry) -> Registry:
    """Declare the tests' agent."""
    registry.declare("stan", TEXTS, where="tests", primary="NEW", protected=["APPROVED"])
    return registry


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs.

    Attributes:
        url: Where the API is.
    """

    url: str

    def client(self, actor: str = "ana", **headers: str) -> httpx.Client:
        """Return a client of somebody."""
        return httpx.Client(base_url=self.url, headers={"X-Actor": actor, **headers}, timeout=60)

    def async_client(self, actor: str = "ana") -> httpx.AsyncClient:
        """Return a client of somebody for an event loop."""
        return httpx.AsyncClient(base_url=self.url, headers={"X-Actor": actor}, timeout=60)


@contextmanager
def served(plugin: PromptPlugin, **options: Any) -> Iterator[Served]:
    """Serve a plugin's API, mounted in an application that does not run its lifespan.

    Args:
        plugin: The plugin.
        options: As for `PromptPlugin.api`.
    """
    options = {"identify": identify, **options}
    app = Starlette(routes=[Mount(PREFIX, app=plugin.api(**options))])
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server")
    thread.start()
    try:
        wait_until(lambda: server.started, "the server starts")
        yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}{PREFIX}/api/v1")
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


def tag_of(client: httpx.Client, status: str = "NEW", agent: str = "stan") -> str:
    """Return the present tag of a status."""
    answer = client.get(f"/agents/{agent}/statuses/{status}")
    assert answer.status_code == 200, answer.text
    return str(answer.headers["etag"])


def create(client: httpx.Client, text: str, status: str = "NEW", **facts: object) -> httpx.Response:
    """Write a version upon the present state."""
    answer = client.post(
        f"/agents/stan/statuses/{status}/versions",
        json={"text": text, **facts},
        headers={"If-Match": tag_of(client, status)},
    )
    assert answer.status_code in {201, 202}, answer.text
    return answer
