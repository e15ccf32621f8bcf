"""`automagik-prompts serve` as real processes: what it says, whom it lets in, how it ends, when it does not start."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from automagik_prompts.cli.output.serving import Served
from tests.operator import COMMAND, PATIENCE, Operator
from tests.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Running:
    """A server.

    Attributes:
        process: Its process.
        served: What it said when it listened.
    """

    process: subprocess.Popen[str]
    served: Served

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.served.url.rpartition(":")[2])

    def ask(self, path: str, secret: str | None = None) -> tuple[int, Any]:
        """Send a request, and return the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {secret}"} if secret else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def refuses(self, secret: str) -> bool:
        """Return whether a secret lets nobody in."""
        return self.ask("/api/v1/agents/seller", secret)[0] == 401

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, and return the exit code and what was said on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


@contextmanager
def running(operator: Operator, *arguments: str) -> Iterator[Running]:
    """Run a server on a free port, from when it says that it listens."""
    process = subprocess.Popen(
        [str(COMMAND), "serve", "--port", "0", "--json", *arguments],
        cwd=operator.folder,
        env=operator.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Running(process, Served.model_validate_json(line))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def operator(tmp_path: Path, empty_url: str) -> Operator:
    """Somebody with a database, on each engine, that has an agent in it."""
    operator = Operator(tmp_path, empty_url)
    operator.do("upgrade")
    operator.do("create", "seller", "NEW", "--text", "Sell.", "--new-agent", "--activate")
    return operator


def secret_of(operator: Operator, *arguments: str) -> str:
    """Make a token, and return its secret."""
    secret = operator.run("token", "create", "ci", "--json", *arguments).json["secret"]
    assert isinstance(secret, str)
    return secret


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_life(operator: Operator, number: signal.Signals) -> None:
    """It says how to make a token, lets in who has one, is ready, and ends in order with exit code 0."""
    with running(operator) as server:
        assert server.served.pid == server.process.pid
        assert server.ask("/api/v1/agents")[0] == 401
        secret = secret_of(operator, "--role", "viewer")
        status, found = server.ask("/api/v1/agents", secret)
        assert (status, [one["agent"] for one in found["items"]]) == (200, ["seller"])
        wait_until(lambda: server.ask("/health")[1]["state"] == "live", "it is live")
        assert server.ask("/health?live") == (200, {"service": "automagik-prompts", "live": True})
        assert "ready, live" in operator.do("health", server.served.url)
        code, said = server.end(number)
    assert code == 0
    command = "automagik-prompts token create NAME --role viewer"
    assert said == f"Nobody is let in yet, as there is no usable token. Make one: {command}\n"


def test_a_token_that_ends(operator: Operator) -> None:
    """What its roles do not allow is 403; once it is revoked, two servers that know it answer 401."""
    secret = secret_of(operator, "--role", "viewer", "--agent", "billing*")
    with running(operator) as first, running(operator) as second:
        for server in (first, second):
            assert server.ask("/api/v1/agents/seller", secret)[0] == 403
        operator.do("token", "revoke", "ci")
        for server in (first, second):
            wait_until(partial(server.refuses, secret), "it is refused")
        assert (first.end()[0], second.end()[0]) == (0, 0)


def test_a_stream_does_not_hold_up_the_end(operator: Operator) -> None:
    """Who reads events sees their end; the server ends without waiting for the reader to go, and without a word."""
    secret = secret_of(operator, "--role", "viewer")
    with running(operator) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("GET", "/api/v1/events/stream", headers={"Authorization": f"Bearer {secret}"})
        answer = connection.getresponse()
        kind = (answer.getheader("Content-Type") or "").partition(";")[0]
        assert (answer.status, kind) == (200, "text/event-stream")
        code, said = server.end()
        answer.read()  # whole: no `IncompleteRead`
        connection.close()
    assert (code, said) == (0, "")


def test_a_stream_ends_with_its_token(operator: Operator) -> None:
    """Once a token is revoked, whoever listens by it hears no more."""
    secret = secret_of(operator, "--role", "viewer")
    with running(operator) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("GET", "/api/v1/events/stream", headers={"Authorization": f"Bearer {secret}"})
        answer = connection.getresponse()
        assert answer.status == 200
        operator.do("token", "revoke", "ci")
        answer.read()  # returns once the server has ended it
        operator.do("create", "seller", "NEW", "--text", "Buy.")
        assert server.refuses(secret)
        connection.close()


def test_the_end_while_somebody_waits(operator: Operator) -> None:
    """Who waits for the processes to follow is told what was done, also where the server ends meanwhile."""
    secret = secret_of(operator, "--role", "publisher")
    operator.do("create", "seller", "NEW", "--text", "Buy.")
    with running(operator) as server, running(operator) as other:
        wait_until(lambda: len(operator.run("fleet", "--json").json["processes"]) == 2, "both say that they run")
        other.process.send_signal(signal.SIGSTOP)  # it does not follow
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {secret}", "If-Match": "*", "Content-Type": "application/json"}
        body = json.dumps({"version": 2, "wait": 60})
        connection.request("POST", "/api/v1/agents/seller/statuses/NEW/activate", body, headers)
        wait_until(lambda: operator.run("show", "seller", "NEW", "--json").json["version"] == 2, "it is active")
        code, said = server.end()
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        other.process.send_signal(signal.SIGCONT)
    assert (answer.status, told["active_version"], code, said) == (200, 2, 0, "")


def test_it_does_not_start(operator: Operator, tmp_path: Path) -> None:
    """Where the port is taken, or the database is not there or not up to date, one line says so, and nothing runs."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = operator.run("serve", "--port", str(port))
    assert (taken.code, taken.out) == (1, "")
    assert f"Port {port} of 127.0.0.1 is taken by another program." in taken.err
    nowhere = operator.run("serve", "--port", "0", "--host", "nowhere.invalid")
    assert (nowhere.code, "There is no address nowhere.invalid." in nowhere.err) == (1, True)
    stranger = operator.run("serve", "--port", "0", "--host", "192.0.2.1")
    assert (stranger.code, "It cannot listen at 192.0.2.1" in stranger.err) == (1, True)
    missing = operator.run("serve", "--port", "0", "--database-url", f"sqlite://{tmp_path / 'none.db'}")
    assert (missing.code, "There is no database file" in missing.err) == (1, True)
    gone = operator.run("serve", "--port", "0", "--database-url", "postgresql://ana@127.0.0.1:1/prompts")
    assert (gone.code, gone.err.count("\n")) == (1, 1)
    if operator.url.startswith("postgres"):  # a file's schema comes up to date by itself
        operator.do("downgrade", "--step", "8", "--yes")
        old = operator.run("serve", "--port", "0")
        assert (old.code, "automagik-prompts upgrade" in old.err) == (1, True)


def test_without_the_extra(operator: Operator, tmp_path: Path) -> None:
    """Where the extra is not installed, that is said before anything is opened."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name in ('fastapi', 'uvicorn') else find(name, *more)\n"
    )
    path = f"{blocked}:{operator.environment['PYTHONPATH']}"
    outcome = operator.run("serve", "--port", "0", environment={"PYTHONPATH": path})
    assert (outcome.code, outcome.out) == (1, "")
    assert "fastapi and uvicorn is not installed. Run: pip install 'automagik-prompts[api]'" in outcome.err


def test_for_other_machines(operator: Operator) -> None:
    """An address that others can reach is allowed, and a note says whose matter TLS is."""
    operator.run("token", "create", "ci", "--role", "viewer")
    with running(operator, "--host", "0.0.0.0") as server:  # noqa: S104  # what is tested
        code, said = server.end()
    assert code == 0
    assert said.startswith("0.0.0.0 can be reached from other machines")
