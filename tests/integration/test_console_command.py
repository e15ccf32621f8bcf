"""`automagik-prompts console` as real processes: its link, whom it lets in, by which name, how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from automagik_prompts.cli.output.serving import Served
from tests.operator import COMMAND, PATIENCE, Operator

IDENTIFY = """
from automagik_prompts import Actor, Identity

def identify(request):
    name = request.headers.get("X-User")
    return Identity(Actor(name)) if name else None
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A console.

    Attributes:
        process: Its process.
        served: What it said when it listened.
    """

    process: subprocess.Popen[str]
    served: Served

    @property
    def url(self) -> str:
        """Where it is, without the path."""
        return self.served.url.partition("/enter")[0]

    def link(self) -> str:
        """Return the next link that it shows."""
        assert self.process.stdout is not None
        return Served.model_validate_json(self.process.stdout.readline()).url

    def browser(self) -> httpx.Client:
        """Return a browser that nobody has let in yet."""
        return httpx.Client(base_url=self.url, follow_redirects=True, timeout=PATIENCE)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, and return the exit code and what was said on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


@contextmanager
def running(operator: Operator, *arguments: str) -> Iterator[Running]:
    """Run a console on a free port, from when it says that it listens."""
    process = subprocess.Popen(
        [str(COMMAND), "console", "--port", "0", "--json", *arguments],
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


def test_a_life(operator: Operator) -> None:
    """The link lets one browser in, once; another is told where to look, and gets a link of its own there."""
    with running(operator, "--label", "Test") as console:
        with console.browser() as browser, console.browser() as other:
            assert other.get("/").status_code == 401
            assert other.head(console.served.url).status_code == 200  # what looks ahead at links uses none up
            page = browser.get(console.served.url)
            assert (page.status_code, "What your agents say now" in page.text) == (200, True)
            assert '<span class="env">Test</span>' in page.text
            assert 'href="./agents/seller/NEW"' in page.text
            used = other.get(console.served.url)
            assert (used.status_code, "Each link works once" in used.text) == (401, True)
            assert browser.get("/").status_code == 200
            assert other.get(console.link()).status_code == 200
            cookie = next(iter(browser.cookies.jar))
            assert cookie.has_nonstandard_attr("HttpOnly")
            assert cookie.get_nonstandard_attr("SameSite", "") == "strict"
            left = browser.post("/leave", headers={"Sec-Fetch-Site": "same-origin"})
            assert left.status_code == 401
            assert browser.get("/").status_code == 401
            assert other.get("/").status_code == 200
        assert console.end()[0] == 0


def test_its_name(operator: Operator) -> None:
    """It answers to the names of this machine alone: what a page of a site was made to lead here gets nothing."""
    with running(operator) as console:
        port = console.url.rpartition(":")[2]
        with console.browser() as browser:
            browser.get(console.served.url)
            assert browser.get("/", headers={"Host": f"localhost:{port}"}).status_code == 200
            for host in (f"evil.example:{port}", "127.0.0.1", "localhost:1", ""):
                refused = browser.get("/", headers={"Host": host})
                assert (refused.status_code, "seller" in refused.text) == (421, False), host
        assert console.end(signal.SIGINT)[0] == 0


def test_with_an_identity(operator: Operator) -> None:
    """With what tells who sends a request there is no link, and other addresses are allowed."""
    (operator.folder / "who_sends.py").write_text(IDENTIFY)
    with running(operator, "--host", "0.0.0.0", "--identify", "who_sends:identify") as console:  # noqa: S104  # what is tested
        with httpx.Client(base_url=f"http://127.0.0.1:{console.url.rpartition(':')[2]}", timeout=PATIENCE) as browser:
            assert browser.get("/").status_code == 401
            assert browser.get("/enter?code=").status_code == 404
            page = browser.get("/", headers={"X-User": "ines"})
            assert (page.status_code, "ines" in page.text) == (200, True)
            assert "Sign out" not in page.text
        code, said = console.end()
    assert code == 0
    assert said.startswith("0.0.0.0 can be reached from other machines")


def test_it_does_not_start(operator: Operator, tmp_path: Path) -> None:
    """Nobody else's machine may open it as this person; the rest is as for `serve`."""
    open_to_all = operator.run("console", "--host", "0.0.0.0", "--port", "0")  # noqa: S104  # what is tested
    assert (open_to_all.code, "--identify MODULE:NAME" in open_to_all.err) == (1, True)
    for path, said in (("nothing", "takes MODULE:NAME"), ("no_such:thing", "cannot be loaded"), ("os:sep", "called")):
        refused = operator.run("console", "--identify", path, "--port", "0")
        assert (refused.code, said in refused.err) == (1, True), path
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = operator.run("console", "--port", str(other.getsockname()[1]))
    assert (taken.code, "is taken by another program" in taken.err) == (1, True)
    missing = operator.run("console", "--port", "0", "--database-url", f"sqlite://{tmp_path / 'none.db'}")
    assert (missing.code, "There is no database file" in missing.err) == (1, True)
