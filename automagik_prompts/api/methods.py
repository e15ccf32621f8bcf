"""What HTTP says of every resource: `HEAD` answers as `GET` does, and what a path takes can be asked."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class Heads:
    """Answers `HEAD` as `GET`, without the body.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        is_over = False

        async def receive_until_over() -> Message:
            # What would go on for ever ends once its head is sent.
            return {"type": "http.disconnect"} if is_over else await receive()

        async def send_head(message: Message) -> None:
            nonlocal is_over
            if message["type"] == "http.response.start":
                await send(message)
            elif not is_over:
                is_over = True
                await send({"type": "http.response.body"})

        state = {**scope.get("state", {}), "is_head": True}
        await self._app({**scope, "method": "GET", "state": state}, receive_until_over, send_head)


def allowed(request: Request) -> str:
    """Return the methods that a path takes, as the header `Allow` names them.

    Args:
        request: A request with another method.
    """
    found = {
        method
        for method in _METHODS
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    return ", ".join(sorted({*found, "OPTIONS", *({"HEAD"} if "GET" in found else ())}))
