"""What stands before every page: forms of other sites (CSRF) and too large bodies are refused, headers are set."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from automagik_prompts.api.admission import SAFE
from automagik_prompts.api.guards import MAX_BODY, bounded, says_too_large
from automagik_prompts.api.problems import ProblemError
from automagik_prompts.console.links import own_path

_POLICY = (
    "default-src 'none'; style-src 'self' 'nonce-{nonce}'; script-src 'self' 'nonce-{nonce}'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # With no-referrer a browser sends `Origin: null` with one's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Stands before the console.

    Args:
        app: The console.
        refuse: Makes a page of what is refused.
    """

    def __init__(self, app: ASGIApp, refuse: Callable[[Request, ProblemError], Awaitable[Response]]) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope = {**scope, "state": {**scope.get("state", {}), "nonce": nonce}}
        headers, safely = Headers(scope=scope), _with_headers(send, nonce)
        try:
            if own_path(scope) == "":  # a browser would take links of this page for ones of the folder above
                await _to_folder(scope, headers)(scope, receive, safely)
                return
            if b"%00" in scope.get("raw_path", b"") or b"%00" in scope.get("query_string", b""):
                raise ProblemError(404, "not-found", "No name holds the character NUL.")
            if scope["method"] not in SAFE:
                check_site(headers)
                if says_too_large(headers):
                    raise too_large()
            await self._app(scope, bounded(receive), safely)
        except ProblemError as error:
            response = await self._refuse(Request(scope), error)
            await response(scope, receive, safely)


def _to_folder(scope: Scope, headers: Headers) -> Response:
    prefix = str(scope.get("root_path", "")) or headers.get("x-forwarded-prefix", "")
    query = scope.get("query_string", b"").decode("latin-1")
    return RedirectResponse(f"{prefix.rstrip('/').rpartition('/')[2]}/" + (f"?{query}" if query else ""), 307)


def check_site(headers: Headers) -> None:
    """Refuse a form that a page of another site has a browser send, and one that does not say where it comes from.

    Args:
        headers: The request's headers.

    Raises:
        ProblemError: It is such a form.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        is_own = site in {"same-origin", "none"}
    else:
        # Browsers leave the header out where there is no TLS. A page of another site cannot set the other two.
        hosts = {headers.get("host"), headers.get("x-forwarded-host")} - {None}
        is_own = origin is not None and urlsplit(origin).netloc in hosts
    if not is_own:
        raise ProblemError(403, "cross-site", "This form was sent by a page of another site. Nothing was changed.")


def too_large() -> ProblemError:
    """Return what is said of a form that is too large."""
    return ProblemError(413, "too-large", f"A form has at most {MAX_BODY} bytes. Nothing was changed.")


def _with_headers(send: Send, nonce: str) -> Send:
    async def safely(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return safely
