"""What is refused before anything is read: other sites, bodies that are no JSON, and bodies that are too large."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automagik_prompts.api.admission import SAFE
from automagik_prompts.api.problems import ProblemError, problem

MAX_BODY = 8_000_000
"""Bytes of a body, at most: the longest text with room for its escapes."""


class Guard:
    """Stands before an ASGI application.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            _check_site(headers)
            if b"%00" in scope.get("raw_path", b"") or b"%00" in scope.get("query_string", b""):
                raise ProblemError(422, "invalid-request", "No name holds the character NUL.")
            if scope["method"] not in SAFE:
                _check_body(headers)
            await self._app(scope, bounded(receive), send)
        except ProblemError as error:
            await problem(error.status, error.kind, error.detail, error.headers)(scope, receive, send)


def _check_site(headers: Headers) -> None:
    """Refuse what a page of another site has a browser send.

    Raises:
        ProblemError: It is such a request.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    is_own = site in {"same-origin", "none"}
    if site is None:
        is_own = origin is None or urlsplit(origin).netloc == headers.get("host")
    if not is_own:
        raise ProblemError(403, "cross-site", "The API takes no requests from pages of other sites.")


def _check_body(headers: Headers) -> None:
    """Refuse a body that is no JSON, or that says itself that it is too large.

    Raises:
        ProblemError: It is refused.
    """
    if says_too_large(headers):
        raise too_large()
    length = headers.get("content-length")
    has_body = length not in {None, "0"} or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and kind != "application/json":
        raise ProblemError(415, "unsupported-media-type", "Send the body as JSON, with Content-Type: application/json.")


def says_too_large(headers: Headers) -> bool:
    """Return whether a body says itself that it is too large."""
    length = headers.get("content-length")
    return length is not None and length.isdecimal() and int(length) > MAX_BODY


def bounded(receive: Receive) -> Receive:
    """Return what receives a body and gives up where it is too large."""
    left = MAX_BODY

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            # Of any other error while a body is read the framework makes a 400.
            raise HTTPException(413)
        return message

    return receive_bounded


def too_large() -> ProblemError:
    """Return what is said of a body that is too large."""
    return ProblemError(413, "too-large", f"A body has at most {MAX_BODY} bytes.")
