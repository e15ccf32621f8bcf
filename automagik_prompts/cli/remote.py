"""Asking a server over HTTP: one question, within a bounded time, and nowhere else than where it was asked."""

from __future__ import annotations

import http.client
import json
import queue
import re
import socket
import ssl
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlsplit

import typer

from automagik_prompts._version import __version__
from automagik_prompts.exceptions import PromptsError

_LARGEST = 1_000_000
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has answered.

    Attributes:
        url: Where it was asked, as it may be shown.
        status: The status.
        body: What it said.
        location: Where it leads on to; `None` where it does not.
    """

    url: str
    status: int
    body: bytes
    location: str | None = None

    def json(self) -> Any:
        """Return what it said as JSON; `None` where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def ask(url: str, seconds: float) -> Answer:
    """Ask a server, and return its answer, whatever its status.

    Looking up a name cannot be bounded, nor can a server that sends a byte now and then. So it is done by a thread that
    is left behind when the time is over.

    Args:
        url: Where to ask; `/health` where it names no path.
        seconds: How long it may take, in all.

    Raises:
        PromptsError: There was no answer.
        typer.BadParameter: It is no URL.
    """
    parts = _parts(url)
    place = _shown(parts.geturl())
    done: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put(_ask(parts, seconds))
        except Exception as error:  # noqa: BLE001  # handed to whoever waits
            done.put(error)

    threading.Thread(target=run, name="automagik-prompts ask", daemon=True).start()
    try:
        found = done.get(timeout=seconds)
    except queue.Empty:
        found = TimeoutError()
    if isinstance(found, Answer):
        return found
    raise PromptsError(_reason(found, parts, place, seconds)) from found


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise typer.BadParameter(f"{_shown(url)!r} is no URL such as http://127.0.0.1:8085/health")
    if "@" in parts.netloc:
        raise typer.BadParameter("a user and a password have no place in this URL: the route is for probes")
    return parts._replace(path=parts.path if parts.path not in {"", "/"} else "/health", fragment="")


def _ask(parts: SplitResult, seconds: float) -> Answer:
    make = (
        partial(http.client.HTTPSConnection, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection
    )
    connection = make(str(parts.hostname), parts.port, timeout=seconds)
    try:
        target = parts._replace(scheme="", netloc="").geturl()
        connection.request(
            "GET", target, headers={"Accept": "application/json", "User-Agent": f"automagik-prompts/{__version__}"}
        )
        answer = connection.getresponse()
        location = answer.getheader("Location") if 300 <= answer.status < 400 else None
        leads_to = _shown(location) if location is not None else None
        return Answer(_shown(parts.geturl()), answer.status, answer.read(_LARGEST), leads_to)
    finally:
        connection.close()


def _reason(error: Exception, parts: SplitResult, place: str, seconds: float) -> str:
    """Return why there was no answer, and what to do."""
    if isinstance(error, TimeoutError):
        return f"{place} did not answer within {seconds:g} s. It hangs, or something on the way drops what is sent."
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {parts.netloc} is not trusted: {error.verify_message.rstrip('.')}. If it is of your "
            "own authority, name that one's certificate by the variable SSL_CERT_FILE."
        )
    if isinstance(error, ssl.SSLError):
        why = (error.reason or "no reason given").lower().replace("_", " ")
        return f"{parts.netloc} does not speak TLS as it should ({why}). If it speaks none, say http:// instead."
    if isinstance(error, socket.gaierror):
        return f"There is no host {parts.hostname}, or its name cannot be looked up here."
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens at {parts.netloc}. Does the process run there, and at that port?"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
        return f"{parts.netloc} ended the connection without an answer. If it speaks TLS, say https:// instead."
    if isinstance(error, http.client.HTTPException):
        return f"What {parts.netloc} says is no HTTP. Is it that port?"
    if isinstance(error, OSError):
        return f"{parts.netloc} cannot be reached: {error.strerror or type(error).__name__}."
    return f"{place} cannot be asked ({type(error).__name__})."


def _shown(url: str) -> str:
    """Return a URL without what may be a secret in it."""
    return re.sub(r"//[^/?#]*@", "//", url.partition("?")[0])[:200]
