"""Durable runs under DBOS: a process that is killed in a tool, another version, a recovery elsewhere."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.acceptance.commands import REPOSITORY, environment
from tests.conftest import ENGINES, MakePlugin

pytest.importorskip("dbos")

ONE = "One: you are Stan. Greet {{name}}, who is {{mood}}. Today is {{today}}."
TWO = "Two: you are Stan. {{name}} is {{mood}}. It is {{today}}."


class Program:
    """Runs the durable program in processes of its own.

    Args:
        folder: Where it leaves what it says.
        database: Our database.
        system: The engine's.
        options: What the agent is like.
    """

    def __init__(self, folder: Path, database: str, system: str, **options: Any) -> None:
        self.folder = folder
        self.given = {
            "folder": str(folder),
            "database": database,
            "system": system,
            "inject": "system_prompt",
            "explicit": True,
            **options,
        }

    async def run(self, what: str, mood: str, *, code: int = 0, **more: Any) -> list[dict[str, Any]]:
        """Run it once, and return what its history says of each request."""
        given = json.dumps({**self.given, "mood": mood, **more})
        env = environment(self.folder, PYTHONPATH=str(REPOSITORY), PYTHONWARNINGS="ignore")

        def start() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "tests.durable_program", what, given],
                capture_output=True,
                text=True,
                cwd=self.folder,
                env=env,
                timeout=120,
                check=False,
            )

        done = await asyncio.to_thread(start)
        assert done.returncode == code, done.stdout + done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
        return json.loads(lines[-1].removeprefix("TOLD ")) if lines else []

    def sent(self) -> list[str]:
        """Return what the model was really sent, by all processes, and forget it."""
        path = self.folder / "log.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        path.unlink()
        return [" | ".join(line["prompt"]) for line in lines]


@pytest.fixture
def urls(tmp_path: Path) -> tuple[str, str]:
    """Our database and the engine's, in files."""
    return f"sqlite://{tmp_path / 'prompts.db'}", f"sqlite:///{tmp_path / 'dbos.db'}"


@pytest.fixture(params=ENGINES)
def each_urls(request: pytest.FixtureRequest, urls: tuple[str, str]) -> tuple[str, str]:
    """Our database and the engine's, in files and on a server."""
    if request.param == "sqlite":
        return urls
    server = request.getfixturevalue("postgres")
    return server.create_database(), server.create_database()


async def edited(make_plugin: MakePlugin, url: str) -> PromptPlugin:
    """Return a plugin that edits, with version 1 of a person's in place of the code's."""
    async with Database(url) as database:
        await upgrade(database)
    plugin = make_plugin(url, disk_snapshot=False, startup_timeout=30)
    await plugin.ready()
    await plugin.create("stan", "NEW", ONE, activate=True)
    return plugin


def declare(registry: Any) -> None:
    """Declare what the program declares, so that its names are exposed here as well."""
    texts = {
        "NEW": "Code: you are Stan. Greet {{name}}, who is {{mood}}. Today is {{today}}.",
        "APPROVED": "Code: {{name}} is approved.",
    }
    registry.declare("stan", texts, where="here", primary="NEW", variables=["name", "mood", "today"])


@pytest.mark.parametrize(("inject", "explicit"), [("system_prompt", True), ("instructions", False)])
async def test_fault_71_killed_and_recovered(
    each_urls: tuple[str, str], registry: Any, make_plugin: MakePlugin, tmp_path: Path, inject: str, explicit: bool
) -> None:
    """Two requests under one version, a kill in a tool, another version active: the run goes on as it began.

    The history, the requests and `prompt_used` say the same, also of values that are others by then.
    """
    declare(registry)
    plugin = await edited(make_plugin, each_urls[0])
    program = Program(tmp_path, *each_urls, inject=inject, explicit=explicit)
    await program.run("begin", "glad", code=-9)
    before = program.sent()
    assert len(before) == 2
    assert all(text.startswith("One: you are Stan. Greet Ada, who is glad.") for text in before)

    await plugin.create("stan", "NEW", TWO, activate=True)
    told = await program.run("recover", "sad")
    [after] = program.sent()
    # What was found out before is recorded, and what is found out now is of today.
    assert after.startswith("One: you are Stan. Greet Ada, who is sad.")
    assert [request["version"] for request in told] == [2, 2, 2]
    said = [request["prompt"][-1] for request in told]
    assert said == ([*before, after] if inject == "instructions" else [after] * 3)

    again = await program.run("recover", "gone")
    assert again == told
    fresh = await program.run("fresh", "new")
    assert [request["version"] for request in fresh] == [3, 3, 3]
    assert all(text.startswith("Two: you are Stan. Ada is new.") for text in program.sent())


async def test_a_status_that_changes(
    urls: tuple[str, str], registry: Any, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """A tool changes the status before the kill: each request has the choice for its status, as it was first made."""
    declare(registry)
    plugin = await edited(make_plugin, urls[0])
    program = Program(tmp_path, *urls, inject="instructions", changes=True)
    await program.run("begin", "glad", code=-9)
    await plugin.create("stan", "NEW", TWO, activate=True)
    await plugin.create("stan", "APPROVED", "Later: {{name}} is approved.", activate=True)
    told = await program.run("recover", "sad")
    assert [(request["status"], request["version"]) for request in told] == [
        ("NEW", 2),
        ("APPROVED", 1),
        ("APPROVED", 1),
    ]
    first, *others = program.sent()
    assert first.startswith("One: you are Stan.")
    assert others == ["Code: Ada is approved."] * 2


async def test_a_version_that_is_gone(
    urls: tuple[str, str], registry: Any, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """What a run goes on with is in its record: also a version that was withdrawn and deleted meanwhile."""
    declare(registry)
    plugin = await edited(make_plugin, urls[0])
    program = Program(tmp_path, *urls)
    await program.run("begin", "glad", code=-9)
    await plugin.create("stan", "NEW", TWO, activate=True)
    await plugin.withdraw("stan", "NEW", 2)
    await plugin.delete("stan", "NEW", 2)
    told = await program.run("recover", "glad")
    assert [request["version"] for request in told] == [2, 2, 2]
    assert all(text.startswith("One: ") for text in program.sent())


async def test_pinned_over_two_workflows(
    urls: tuple[str, str], registry: Any, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """A conversation goes on with its version in the next workflow, where its agent is pinned."""
    declare(registry)
    plugin = await edited(make_plugin, urls[0])
    program = Program(tmp_path, *urls, pin="conversation")
    await program.run("fresh", "glad")
    history = (tmp_path / "fresh.json").read_text(encoding="utf-8")
    await plugin.create("stan", "NEW", TWO, activate=True)
    told = await program.run("fresh", "sad", history=history)
    assert {request["version"] for request in told} == {2}


async def test_without_a_workflow(
    urls: tuple[str, str], registry: Any, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """Outside a workflow a durable agent is an agent like any other."""
    declare(registry)
    await edited(make_plugin, urls[0])
    program = Program(tmp_path, *urls)
    told = await program.run("plain", "glad")
    assert [request["version"] for request in told] == [2, 2, 2]
    assert all(text.startswith("One: you are Stan. Greet Ada, who is glad.") for text in program.sent())
