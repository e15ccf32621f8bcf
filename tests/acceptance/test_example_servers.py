"""The examples of applications: a web server whose prompts change while it runs, and agents as classes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import COMMAND, REPOSITORY, environment, run

EXAMPLES = REPOSITORY / "examples"
PATIENCE = 30.0


def ask(port: int, path: str, **query: str) -> Any:
    """Send a request, POST unless it is about health, and return the answer."""
    method = "GET" if path == "/health" else "POST"
    url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:  # loopback
        return json.load(answer)


def until(holds: Any) -> Any:
    """Wait until something answers as it should."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if found := holds():
                return found
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def server(folder: Path, url: str) -> Iterator[int]:
    """Run the server under uvicorn on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", str(port), "server:app"]
    env = environment(folder, DATABASE_URL=url, PYTHONWARNINGS="ignore")
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: ask(port, "/health")["ready"])
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)
        log.close()


def test_a_server(empty_url: str, tmp_path: Path) -> None:
    """Both agents are served from the server's database, and a change on the command line reaches the next request."""
    if empty_url.startswith("postgres"):
        run(COMMAND, "upgrade", "--database-url", empty_url, cwd=tmp_path)
    with server(tmp_path, empty_url) as port:
        assert ask(port, "/seller")["told"] == ["You sell flour. Ask Ana for the company's tax id."]
        assert ask(port, "/seller", status="APPROVED")["told"] == ["You sell flour. Ana may buy: name prices."]
        assert ask(port, "/summary")["told"] == ["You sum up a chat for Ana."]
        edit = ("create", "seller", "new", "--text", "Welcome, {{name}}.", "--activate", "--author", "marta")
        run(COMMAND, *edit, "--database-url", empty_url, cwd=tmp_path)
        until(lambda: ask(port, "/seller")["told"] == ["Welcome, Ana."])
        assert ask(port, "/health") == {"ready": True, "state": "live", "problems": []}
    assert not (tmp_path / "automagik_prompts.db").exists()


def test_agents_as_classes(tmp_path: Path) -> None:
    """The runtime in the style of its users loads, fills and tells the active texts, each with its name."""
    printed = run(sys.executable, EXAMPLES / "automagik_agent.py", cwd=tmp_path)
    assert "I was told: You are a helpful assistant. Today is 2" in printed
    assert "APPROVED: I was told: You are Stan. Ana may buy: name prices." in printed
    assert "ON_HOLD: I was told: You are Stan. Ask Ana for the company's tax id." in printed
    listed = json.loads(run(COMMAND, "history", "stan_agent", "--json", cwd=tmp_path))
    names = {version["status_key"]: version["name"] for version in listed["versions"]}
    assert names["APPROVED"] == "StanAgent Approved Prompt"
    assert names["NOT_REGISTERED"] == "StanAgent Not Registered Prompt"
    run(COMMAND, "create", "stan_agent", "APPROVED", "--text", "Sell to {{name}}.", "--activate", cwd=tmp_path)
    assert "APPROVED: I was told: Sell to Ana." in run(sys.executable, EXAMPLES / "automagik_agent.py", cwd=tmp_path)


@pytest.mark.parametrize("details", ["name: A name\nnote: Why\nformat: text", "name: A name\ntitle: unknown"])
def test_a_markdown_prompt_with_a_front_matter(tmp_path: Path, details: str) -> None:
    """A front matter with known keys gives name, note and format; with another key it is part of the text."""
    package = tmp_path / "shop_prompts"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "NEW.md").write_text(f"---\n{details}\n---\n\nAsk {{{{name}}}}.\n")
    code = (
        "from automagik_prompts import prompts_from_package\n"
        "from automagik_prompts.declaring.registry import registry\n"
        "prompts_from_package('shop_prompts', agent='shop')\n"
        "new = registry.agents['shop'].prompts['NEW']; print(repr((new.name, new.note, new.format, new.text)))"
    )
    printed = run(sys.executable, "-c", code, cwd=tmp_path).strip()
    if "title" in details:
        assert printed == repr((None, None, "handlebars", f"---\n{details}\n---\n\nAsk {{{{name}}}}.\n"))
    else:
        assert printed == repr(("A name", "Why", "text", "Ask {{name}}.\n"))
