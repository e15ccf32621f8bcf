"""The REST API or the console by itself, under uvicorn, until a signal comes."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn

from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.doors import Application

GRACE = 5
"""Seconds that requests under way may take to end."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Application:
    """What a plugin offers over the network, and beside it the health route.

    Args:
        plugin: The plugin.
        app: What it offers.

    Attributes:
        ending: Set when the server is told to end. Answers that go on for ever are then cut off as if the client had
            gone: they would hold it up, and whoever reads them comes back.
    """

    def __init__(self, plugin: PromptPlugin, app: Application) -> None:
        self._app = app
        self._health = plugin.health_app()
        self.ending = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == "/health":
            await self._health(scope, receive, send)
        else:
            is_open = False

            async def pass_on(message: Message) -> None:
                nonlocal is_open
                is_open = message["type"] == "http.response.start" or bool(message.get("more_body"))
                await send(message)

            await self._app(scope, self._until_the_end(receive), pass_on)
            if is_open and self.ending.is_set():
                await send({"type": "http.response.body"})  # the end of what was cut off

    def _until_the_end(self, receive: Receive) -> Receive:
        """Return what receives a request, and once that is there its end, at the latest when the server ends."""
        is_whole = False

        async def receive_or_end() -> Message:
            nonlocal is_whole
            if is_whole and self.ending.is_set():
                return {"type": "http.disconnect"}
            if not is_whole:
                message = await receive()
                is_whole = message["type"] != "http.request" or not message.get("more_body", False)
                return message
            coming = asyncio.ensure_future(receive())
            ending = asyncio.ensure_future(self.ending.wait())
            try:
                await asyncio.wait([coming, ending], return_when=asyncio.FIRST_COMPLETED)
                return coming.result() if coming.done() else {"type": "http.disconnect"}
            finally:
                coming.cancel()
                ending.cancel()

        return receive_or_end


class _Server(uvicorn.Server):
    """A server that tells its application when it is told to end."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], None]) -> None:
        super().__init__(config)
        self._end = end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        super().handle_exit(sig, frame)
        self._end()


def run(plugin: PromptPlugin, app: Application, listener: socket.socket, begun: Callable[[], None]) -> None:
    """Serve what a plugin offers until a signal comes.

    Args:
        plugin: The plugin.
        app: What it offers: its API, or its console.
        listener: Where it listens already.
        begun: Called when a signal ends it in order.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    asyncio.run(_serve(plugin, app, listener, begun))


async def _serve(
    plugin: PromptPlugin, offered: Application, listener: socket.socket, begun: Callable[[], None]
) -> None:
    loop, app = asyncio.get_running_loop(), _Application(plugin, offered)
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE
    )

    def end() -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(app.ending.set)

    server = _Server(config, end)
    # When it has ended, the server sends itself once more what has ended it: then only this is there to take it, and
    # the exit code is 0. The same goes for what comes before the server is there.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    begun()
    async with plugin:
        await server.serve(sockets=[listener])
