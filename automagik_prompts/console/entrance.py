"""Letting one person in where the console stands alone: a link that works once, then a cookie of their browser."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from automagik_prompts.domain.policy import Actor, Identity

LINK = 600.0
"""Seconds for which a link works."""

SESSION = 12 * 3600.0
"""Seconds after which somebody needs another link."""


class Entrance:
    """Lets in whoever opens the link that was shown to the person alone who has started the console.

    Args:
        actor: Who they are then.
        show: Shows a code to that person, and to nobody else.
        clock: The time, in seconds.
    """

    def __init__(self, actor: Actor, show: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._actor, self._show, self._clock = actor, show, clock
        self._code: tuple[str, float] | None = None
        self._sessions: dict[str, float] = {}
        # Cookies do not tell ports apart: two consoles of one machine must not take each other's.
        self.cookie = f"prompts-session-{secrets.token_hex(4)}"

    def offer(self) -> None:
        """Show a code, unless one that was shown still works."""
        if self._code is None or self._clock() > self._code[1]:
            self._code = secrets.token_urlsafe(32), self._clock() + LINK
            self._show(self._code[0])

    def enter(self, code: str) -> str | None:
        """Take a code, which works once, and return what the cookie holds; `None` where it does not work."""
        known = self._code
        if known is None or self._clock() > known[1] or not secrets.compare_digest(code.encode(), known[0].encode()):
            return None
        self._code = None
        session = secrets.token_urlsafe(32)
        self._sessions[_hashed(session)] = self._clock() + SESSION
        return session

    def identify(self, request: Request) -> Identity | None:
        """Return who sends a request."""
        until = self._sessions.get(_hashed(request.cookies.get(self.cookie, "")))
        return Identity(self._actor) if until is not None and self._clock() < until else None

    def leave(self, request: Request) -> None:
        """Forget the session of a request."""
        self._sessions.pop(_hashed(request.cookies.get(self.cookie, "")), None)


def _hashed(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()


class Hosts:
    """Refuses what a browser sends to another name than the console's own: a page whose name was made to lead here.

    Args:
        app: The application.
        names: The names, with their ports.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        hosts = [value.decode("latin-1").lower() for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] == "http" and (len(hosts) != 1 or hosts[0] not in self._names):
            refused: Response = PlainTextResponse("The console does not go by this name.\n", 421)
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)
