from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import environment, run

APPLICATION = """
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from automagik_prompts import ActivePrompt, prompt

prompt("Hello from code, {{name}}.", agent="greeter")
agent = Agent(TestModel(), name="greeter", capabilities=[ActivePrompt(variables={"name": "Ada"})])
"""

# Two tests that are there at the same time, in two workers, each with an override of its own for the same status.
WORKERS = """
import os, time
from pathlib import Path
import pytest
from automagik_prompts import prompt_used
from application import agent

def meet(name, text):
    folder = Path(os.environ["MEETING"])
    (folder / name).write_text(os.environ["PYTEST_XDIST_WORKER"])
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < deadline, "the other worker did not come"
        time.sleep(0.01)

def system(result):
    return result.all_messages()[0].parts[0].content

@pytest.mark.xdist_group("one")
async def test_one(prompt_plugin, prompt_override, assert_prompt_used):
    prompt_override("greeter", "default", "One, {{name}}.")
    meet("one", "One")
    result = await agent.run("hi")
    assert system(result) == "One, Ada."
    assert_prompt_used(result, "greeter", source="override", text="One, {{name}}.")

@pytest.mark.xdist_group("two")
async def test_two(prompt_plugin, prompt_override, assert_prompt_used):
    prompt_override("greeter", "default", "Two, {{name}}.")
    meet("two", "Two")
    result = await agent.run("hi")
    assert system(result) == "Two, Ada."
    assert_prompt_used(result, "greeter", source="override", text="Two, {{name}}.")
"""

# Loops of a test's own, loops of a module's, and none; fixtures of each kind that use ours.
LOOPS = """
import asyncio
import pytest, pytest_asyncio
from application import agent

def system(result):
    return result.all_messages()[0].parts[0].content

@pytest.fixture
def by_plain_fixture(prompt_override):
    prompt_override("greeter", "default", "By a plain fixture.")

@pytest_asyncio.fixture
async def by_async_fixture(prompt_override):
    prompt_override("greeter", "default", "By an async fixture.")

async def test_own_loop(prompt_plugin, by_plain_fixture):
    assert system(await agent.run("hi")) == "By a plain fixture."

async def test_own_loop_again(prompt_plugin):
    assert system(await agent.run("hi")) == "Hello from code, Ada."
    await prompt_plugin.create("greeter", "default", "Version two.", activate=True)
    assert system(await agent.run("hi")) == "Version two."

async def test_async_fixture(prompt_plugin, by_async_fixture):
    assert system(await agent.run("hi")) == "By an async fixture."

class TestOneLoopForAll:
    pytestmark = pytest.mark.asyncio(loop_scope="class")

    async def test_first(self, prompt_plugin, prompt_override):
        prompt_override("greeter", "default", "In a shared loop.")
        assert system(await agent.run("hi")) == "In a shared loop."

    async def test_second(self, prompt_plugin):
        assert system(await agent.run("hi")) == "Hello from code, Ada."

def test_no_loop(prompt_plugin, prompt_override):
    prompt_override("greeter", "default", "Without a loop.")
    assert system(asyncio.run(agent.run("hi"))) == "Without a loop."

def test_nothing_is_left(prompt_plugin):
    assert system(asyncio.run(agent.run("hi"))) == "Hello from code, Ada."
"""

UNUSED = """
import sys

def test_nothing_is_loaded():
    own = {"automagik_prompts.plugin", "automagik_prompts.domain.records"}
    heavy = {"pydantic_ai", "tortoise", "aerich", "pydantic"} | own
    assert "automagik_prompts.pytest_plugin" in sys.modules
    assert not heavy & set(sys.modules)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of somebody else's."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
        "pythonpath = .\n"
    )
    (tmp_path / "application.py").write_text(APPLICATION)
    return tmp_path


def run_pytest(project: Path, *arguments: str, **env: str) -> str:
    """Run pytest there, with the plugins that are installed."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    return run(*command, cwd=project, env=environment(project, **env))


def test_two_workers_with_different_overrides_at_the_same_time(project: Path, tmp_path: Path) -> None:
    """Under pytest-xdist each worker's test sees its own override, while the other one's is in force."""
    (project / "test_workers.py").write_text(WORKERS)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    output = run_pytest(project, "-n", "2", "--dist", "loadgroup", "test_workers.py", MEETING=str(meeting))
    assert "2 passed" in output
    assert {file.read_text() for file in meeting.iterdir()} == {"gw0", "gw1"}
    assert not list(project.glob("*.db"))


def test_event_loops_of_each_kind(project: Path) -> None:
    """The fixtures work with a loop for each test, with a shared one and without, and leave nothing behind."""
    (project / "test_loops.py").write_text(LOOPS)
    assert "7 passed" in run_pytest(project, "-p", "no:randomly", "test_loops.py")
    assert not list(project.glob("*.db"))


def test_the_fixtures_are_listed(project: Path) -> None:
    """`pytest --fixtures` shows them with what they are for."""
    output = run_pytest(project, "--fixtures")
    for name in ("prompt_plugin", "prompt_override", "assert_prompt_used"):
        assert f"\n{name} -- " in output


def test_it_costs_nothing_where_it_is_not_used(project: Path) -> None:
    """A test run that uses none of the fixtures loads none of this library's dependencies."""
    (project / "test_unused.py").write_text(UNUSED)
    # Other plugins of this machine load pydantic themselves.
    arguments = ("-p", "no:hypothesispytest", "-p", "no:anyio", "test_unused.py")
    assert "1 passed" in run_pytest(project, *arguments)


def test_it_can_be_left_out(project: Path) -> None:
    """A project that does not want it says so in pytest's own way."""
    (project / "test_none.py").write_text("def test_none(request):\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:automagik_prompts", "--fixtures", "test_none.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=True)
    assert "prompt_plugin" not in done.stdout
