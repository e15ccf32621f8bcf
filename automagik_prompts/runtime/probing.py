"""The route for probes: an ASGI application that says whether this process serves prompts, from memory alone.

It needs no web framework. An outage of the database does not make it answer 503: a process that goes on serving the
last known good texts is of use, and one that is started anew would be of less.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from automagik_prompts._version import __version__
from automagik_prompts.domain.served import Health
from automagik_prompts.runtime import reporting
from automagik_prompts.runtime.lifecycle import Lifecycle
from automagik_prompts.runtime.reader import Reader

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SERVICE = "automagik-prompts"
"""By this a reader knows whose answer it is."""

_METHODS = ("GET", "HEAD")


PATIENCE = 0.5
"""Seconds for which a probe waits for the first load; the next one comes soon."""


class HealthApp:
    """An ASGI application for probes, at any path: 200 where prompts are served, 503 where they are not yet.

    Args:
        life: The plugin's thread.
        reader: What agents read of the plugin.
        health: Returns how the plugin fares.
        details: Whether to name agents, processes and errors as well.
    """

    def __init__(self, life: Lifecycle, reader: Reader, health: Callable[[], Health], *, details: bool = False) -> None:
        self._life = life
        self._reader = reader
        self._health = health
        self._details = details

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":  # where it is the whole application
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["method"] not in _METHODS:
            await _answer(scope, send, 405, {"service": SERVICE, "error": "method_not_allowed"})
        elif "live" in parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True):
            # Whoever can answer lives. Nothing that starting anew would heal shows itself in another way.
            await _answer(scope, send, 200, {"service": SERVICE, "live": True})
        else:
            said = await self.report()
            await _answer(scope, send, 200 if said["ready"] else 503, said)

    async def report(self) -> dict[str, Any]:
        """Return what a probe is told."""
        # As for an agent run: who is asked whether it is ready begins to be, as no request comes to a process before.
        if self._reader.snapshot() is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._reader.ready()
        health = self._health()
        changed_at = self._life.state.status.changed_at
        said: dict[str, Any] = {
            "service": SERVICE,
            "ready": health.ready,
            "state": health.state.value,
            "state_age": _seconds(health.state_age),
            "snapshot_age": _seconds(health.snapshot_age),
            "lag": _seconds(time.monotonic() - changed_at if changed_at is not None else 0.0),
            "agents": health.agents,
            "problems": reporting.problem_counts(self._life, self._reader),
        }
        return {**said, "details": self._more(health)} if self._details else said

    def _more(self, health: Health) -> dict[str, Any]:
        said = (health.error, health.unwritten, health.unheard, health.unreported)
        return {
            "version": __version__,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "release": self._life.settings.release,
            "database": self._life.where,
            "problems": [*filter(None, said), *health.problems],
        }


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _answer(scope: Message, send: Send, status: int, said: dict[str, Any]) -> None:
    body = json.dumps(said).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == 405:
        headers.append((b"allow", ", ".join(_METHODS).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _seconds(number: float | None) -> float | None:
    return round(number, 3) if number is not None else None
