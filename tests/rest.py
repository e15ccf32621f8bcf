"""The REST API for tests: an agent, people who say by a header who they are, and uvicorn on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import httpx
import uvicorn
from starlette.requests import Request

from automagik_prompts import PromptPlugin
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.domain.roles import Roles
from tests.waiting import wait_until

AGENT = "seller/de"
"""An agent whose name has a slash, as names of agents do."""

STATUS = "/agents/seller%2Fde/statuses/new"
PROTECTED = "/agents/seller%2Fde/statuses/approved"
PATIENCE = 60.0


def declare(registry: Registry, text: str = "Hi {{name}}") -> Registry:
    """Declare the agent: a status that anybody changes, and a protected one."""
    registry.declare(
        AGENT,
        {"NEW": text, "APPROVED": "Prices for {{name}}"},
        where="the test",
        primary="NEW",
        protected=("APPROVED",),
        approvals=1,
        approve_code=False,
        on_drift=None,
    )
    return registry


def identify(request: Request) -> Identity | None:
    """Believe a header, as only a test may: `Bearer ana` is an admin, `Bearer ana:viewer,editor` has these roles."""
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not said:
        return None
    name, _, roles = said.partition(":")
    return Identity(Actor(name, roles=tuple(roles.split(",")) if roles else ("admin",)))


def signed_in(name: str) -> dict[str, str]:
    """Return the headers of somebody."""
    return {"Authorization": f"Bearer {name}"}


def client(address: str, name: str = "ana") -> httpx.Client:
    """Return a client of somebody."""
    return httpx.Client(base_url=address, headers=signed_in(name), timeout=PATIENCE)


def say(asking: httpx.Client, text: str) -> None:
    """Have something done."""
    body = {"agent": AGENT, "status_key": "NEW", "text": text}
    assert asking.post("/comments", json=body).status_code == 201


def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the number and the content of each event of a stream."""
    number = ""
    for line in answer.iter_lines():
        if line.startswith("id: "):
            number = line.removeprefix("id: ")
        elif line.startswith("data: "):
            yield number, json.loads(line.removeprefix("data: "))


@contextmanager
def served(app: Any, prefix: str = "", **options: Any) -> Iterator[str]:
    """Serve an ASGI application with uvicorn in a thread, and give its address.

    Args:
        app: The application.
        prefix: Where it has mounted the API.
        options: More settings of uvicorn.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(_config(app, **options))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_until(lambda: server.started, "uvicorn started", PATIENCE)
            yield _address(listening, prefix)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


def serve(connections: list[Connection], url: str) -> None:
    """Serve the API of a database in this process, tell where, and go on until the test says goodbye; for the launcher.

    The test may as well kill the process: that is what it is for.
    """
    asyncio.run(_serve(connections[0], url))


async def _serve(control: Connection, url: str) -> None:
    registry = declare(Registry())
    async with PromptPlugin(url, registry=registry, policy=Roles(), disk_snapshot=False) as plugin:
        await plugin.acting_as(Actor("release", roles=("admin",))).sync()
        with served(plugin.api(identify=identify)) as address:
            control.send((True, address))
            await asyncio.to_thread(control.poll, None)


def _config(app: Any, **options: Any) -> uvicorn.Config:
    settings = {"lifespan": "off", "timeout_graceful_shutdown": 5, **options}
    return uvicorn.Config(app, log_config=None, ws="none", **settings)


def _address(listening: socket.socket, prefix: str) -> str:
    host, port = listening.getsockname()
    return f"http://{host}:{port}{prefix}/api/v1"
