"""A real server with the console of a plugin, mounted in an application, and browsers without a window."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import ASGIApp

from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.plugin import PromptPlugin
from tests.waiting import wait_until

PREFIX = "/team/prompts"
"""Where the tests' application has mounted the console."""


def identify(request: Request) -> Identity | None:
    """Believe what a header says: `X-Actor: ana editor,publisher stan*`."""
    if not (said := request.headers.get("x-actor", "").split(" ")) or not said[0]:
        return None
    name, roles, agents = (*said, "", "")[:3]
    return Identity(Actor(name, roles=tuple(filter(None, roles.split(","))), agents=(agents or "*",)))


@dataclass(frozen=True, slots=True)
class ServedConsole:
    """A console that is served.

    Attributes:
        url: Where it is, with the slash at the end.
    """

    url: str

    def client(self, actor: str = "ana", **headers: str) -> httpx.Client:
        """Return a client of somebody, which sends what a browser does with a form of the console's own."""
        return httpx.Client(
            base_url=self.url, headers={"X-Actor": actor, "Sec-Fetch-Site": "same-origin", **headers}, timeout=60
        )


@contextmanager
def listening(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Serve an application on the loopback, and yield where.

    Args:
        app: The application.
        options: As uvicorn takes them.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
    thread.start()
    try:
        wait_until(lambda: server.started, "the server starts")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


@contextmanager
def served_console(plugin: PromptPlugin, prefix: str = PREFIX, **options: Any) -> Iterator[ServedConsole]:
    """Serve a plugin's console, mounted in an application that does not run its lifespan.

    Args:
        plugin: The plugin.
        prefix: Where it is mounted; `""` for an application of its own.
        options: As for `PromptPlugin.console`.
    """
    console = plugin.console(**{"identify": identify, **options})
    app = Starlette(routes=[Mount(prefix, app=console)]) if prefix else console
    with listening(app) as url:
        yield ServedConsole(f"{url}{prefix}/")
