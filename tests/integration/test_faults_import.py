"""The first import is under way on the plugin's thread: the process forks, or ends, at any moment of it."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import REPOSITORY, environment

ENDS = """
import sys, time
from pydantic_ai import Agent
from automagik_prompts import ActivePrompt, PromptPlugin, prompt
prompt("You are Stan.", agent="stan")
plugin = PromptPlugin(sys.argv[1])
agent = Agent("test", capabilities=[ActivePrompt("stan", plugin=plugin)])
plugin.start()
time.sleep(float(sys.argv[2]))
"""

FORKS = """
import os, sys, time
from pydantic_ai import Agent
from automagik_prompts import ActivePrompt, PromptPlugin, prompt
prompt("You are Stan.", agent="stan")
plugin = PromptPlugin(sys.argv[1], startup_timeout=30)
agent = Agent("test", capabilities=[ActivePrompt("stan", plugin=plugin)])
plugin.start()
time.sleep(float(sys.argv[2]))
children = []
for _ in range(2):
    if (child := os.fork()) == 0:
        agent.run_sync("hi")
        until = time.monotonic() + 30
        while plugin.state.value != "live" and time.monotonic() < until:
            time.sleep(0.02)
        os._exit(0 if plugin.state.value == "live" else 1)
    children.append(child)
agent.run_sync("hi")
codes = [os.waitpid(child, 0)[1] for child in children]
assert codes == [0, 0], codes
"""


async def run(code: str, folder: Path, number: int, wait: float) -> str:
    """Run a program that waits for so many seconds, and return what it printed; it must end well."""
    env = environment(folder, PYTHONPATH=str(REPOSITORY), PYTHONWARNINGS="error,ignore::ResourceWarning")
    url = f"sqlite://{folder / f'{number}.db'}"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, url, str(wait)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=env,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, f"after {wait:.3f} s: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize("code", [ENDS, FORKS], ids=["ends", "forks"])
async def test_fault_66_at_any_moment_of_the_first_import(tmp_path: Path, code: str) -> None:
    """Nothing is printed, each child serves and follows, and nobody hangs."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for number in range(5):
        assert await run(code, tmp_path, number, chance.uniform(0, 0.35)) == ""


WHERE = """
import asyncio, gc, importlib.abc, sys, threading
found = {}
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {"tortoise", "asyncpg", "aiosqlite", "aerich", "pydantic_settings"}:
            found.setdefault(name.split(".")[0], threading.current_thread().name)
sys.meta_path.insert(0, Watch())
from pydantic_ai import Agent
from automagik_prompts import ActivePrompt, PromptPlugin, prompt
prompt("You are Stan.", agent="stan")
plugin = PromptPlugin(sys.argv[1], startup_timeout=30) if sys.argv[2] == "1.0" else None
agent = Agent("test", capabilities=[ActivePrompt("stan", plugin=plugin)])
before = set(found)
collections = []
def note(phase, info):
    if info["generation"] == 2:
        collections.append(threading.current_thread().name)
gc.callbacks.append(note)
result = asyncio.run(agent.run("hi"))
assert before == {"pydantic_settings"}, before
assert found["tortoise"] == found["aiosqlite"] == "automagik-prompts", found
assert "automagik-prompts" not in collections, collections
"""


@pytest.mark.parametrize("explicit", [0.0, 1.0], ids=["default", "explicit"])
async def test_the_event_loop_does_not_wait_for_the_first_import(tmp_path: Path, explicit: float) -> None:
    """What is light is imported when the agent is built, the rest on the plugin's thread, without a full collection."""
    assert await run(WHERE, tmp_path, 0, explicit) == ""
