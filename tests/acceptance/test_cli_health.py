"""The command `health`: what somebody who is paged sees of a running process, and what is said where that fails."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from automagik_prompts.cli.output.serving import SeenHealth
from tests.operator import Operator
from tests.tls import make_certificates

WELL = {
    "service": "automagik-prompts",
    "ready": True,
    "state": "live",
    "state_age": 7322.5,
    "snapshot_age": 0.25,
    "lag": 0.0,
    "agents": 12,
    "problems": {},
}


@contextmanager
def server(
    status: int = 200, body: Any = None, *, location: str | None = None, context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Run a server on loopback that answers each request in the same way."""
    said = json.dumps(body).encode() if not isinstance(body, bytes) else body

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that find something wrong."""

    with Quiet(("127.0.0.1", 0), Handler) as running:
        if context is not None:
            running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield running.server_address[1]
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Somebody on a machine that knows nothing of any database: its variable is wrong."""
    return Operator(tmp_path, "mysql://nowhere")


def test_all_is_well(operator: Operator) -> None:
    """A few short lines, and exit code 0; the path need not be said."""
    with server(body=WELL) as port:
        assert operator.do("health", f"127.0.0.1:{port}") == (
            f"ready, live for 2 h: http://127.0.0.1:{port}/health\n"
            "  database  read 0.2 s ago\n"
            "  agents    12\n"
            "  problems  none\n"
        )
        seen = SeenHealth.model_validate_json(operator.do("health", f"http://127.0.0.1:{port}/health", "--json"))
    assert (seen.ready, seen.state, seen.http_status, seen.details) == (True, "live", 200, None)


@pytest.mark.parametrize(
    ("status", "changes", "lines"),
    [
        (
            200,
            {"state": "stale", "lag": 200.0, "problems": {"unreadable": 1, "unservable": 2, "novelty": 4}},
            [
                "ready, stale for 2 h",
                "  database  read 0.2 s ago; a change of 3 min ago is not served yet",
                "  problems  unreadable: the database cannot be read now",
                "            unservable: 2 active versions cannot be served here",
                "            novelty: 4",
            ],
        ),
        (503, {"ready": False, "state": "starting", "snapshot_age": None}, ["not ready", "  database  not read yet"]),
        (
            200,
            {"problems": {"notice": 1}, "details": {"host": "web-3", "pid": 7, "problems": ["seller: odd\u001b[2J"]}},
            ["  problems  notice: 1 notice in its log", "  host      web-3", "    seller: odd"],
        ),
    ],
)
def test_something_needs_a_look(operator: Operator, status: int, changes: dict[str, Any], lines: list[str]) -> None:
    """What is wrong is said in words, and the exit code is 3; with `--json` too."""
    with server(status, {**WELL, **changes, "of_a_later_release": True}) as port:
        outcome = operator.run("health", f"http://127.0.0.1:{port}")
        assert operator.run("health", f"http://127.0.0.1:{port}", "--json").code == 3
        with operator.at_terminal("health", f"http://127.0.0.1:{port}") as terminal:
            assert terminal.end() == 3
            assert "\x1b[2J" not in terminal.raw
    assert outcome.code == 3
    assert outcome.err == ""
    for line in lines:
        assert line in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("status", "body", "location", "words"),
    [
        (404, {"detail": "Not Found"}, None, "answers HTTP 404, and is not the health route of this library"),
        (200, {"ready": True, "state": "live"}, None, "is not the health route of this library"),
        (200, b"<html>", None, "is not the health route of this library"),
        (200, {"service": "automagik-prompts"}, None, "is not understood by this release (7 fields)"),
        (
            302,
            b"",
            "https://ana:secret@sso.example/login?token=secret",
            "leads on to https://sso.example/login (HTTP 302)",
        ),
    ],
)
def test_it_is_something_else(operator: Operator, status: int, body: Any, location: str | None, words: str) -> None:
    """One line says what answers there; nothing is followed to elsewhere, and no secret of a URL is repeated."""
    with server(status, body, location=location) as port:
        outcome = operator.run("health", f"http://127.0.0.1:{port}/health?key=secret")
    assert (outcome.code, outcome.out) == (1, "")
    assert words in outcome.err
    assert "secret" not in outcome.err
    assert outcome.err.count("\n") == 1


def test_no_answer(operator: Operator) -> None:
    """Where nothing listens, or nothing comes, that is said; a server that hangs costs no more than was allowed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        hung = operator.run("health", f"127.0.0.1:{port}", "--timeout", "0.3")
    assert (hung.code, hung.out) == (1, "")
    assert f"http://127.0.0.1:{port}/health did not answer within 0.3 s." in hung.err
    nobody = operator.run("health", f"127.0.0.1:{port}")
    assert (nobody.code, f"Nothing listens at 127.0.0.1:{port}." in nobody.err) == (1, True)
    for url in ("ftp://127.0.0.1", "http://", "http://ana:secret@127.0.0.1/", "http://127.0.0.1:99999", "http://a b"):
        wrong = operator.run("health", url)
        assert (wrong.code, "secret" in wrong.err) == (2, False), wrong


def test_a_server_that_drips(operator: Operator) -> None:
    """A server that sends a byte now and then is given up when the time is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while not ended.wait(0.05):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        outcome = operator.run("health", f"127.0.0.1:{listener.getsockname()[1]}", "--timeout", "0.5")
        ended.set()
        thread.join()
    assert (outcome.code, "did not answer within 0.5 s" in outcome.err) == (1, True)


def test_tls(operator: Operator, tmp_path: Path) -> None:
    """A certificate that this machine does not trust is refused, and the variable that names its authority helps."""
    made = make_certificates(tmp_path / "certificates")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.server, made.server_key)
    with server(body=WELL, context=context) as port:
        refused = operator.run("health", f"https://localhost:{port}")
        assert (refused.code, f"The certificate of localhost:{port} is not trusted" in refused.err) == (1, True)
        plain = operator.run("health", f"http://localhost:{port}")
        assert (plain.code, "say https:// instead" in plain.err) == (1, True)
        trusting: dict[str, str | None] = {"SSL_CERT_FILE": str(made.authority)}
        assert operator.run("health", f"https://localhost:{port}", environment=trusting).code == 0
        other = operator.run("health", f"https://127.0.0.1:{port}", environment=trusting)
        assert (other.code, "is not trusted" in other.err) == (1, True)
    with server(body=WELL) as port:
        spoken = operator.run("health", f"https://localhost:{port}")
        assert (spoken.code, "say http:// instead" in spoken.err) == (1, True)
