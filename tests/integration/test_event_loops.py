"""Applications with event loops of another kind: greenlets, uvloop, trio, loops within loops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.acceptance.commands import COMMAND, environment

PRELUDE = """
import logging, sys, time
logging.basicConfig(format="%(message)s")
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
import automagik_prompts
automagik_prompts.prompt("Hello, {{name}}.", agent="ada")
plain = Agent(TestModel())
ada = Agent(TestModel(), deps_type=dict, capabilities=[automagik_prompts.ActivePrompt("ada")])
def told(run):
    return run.all_messages()[0].parts[0].content
"""

GEVENT = f"""
from gevent import monkey; monkey.patch_all()
{PRELUDE}
import subprocess, gevent
heard = []
plugin = automagik_prompts.default_plugin()
@plugin.on_change
async def on_change(change):
    heard.append(change.after.version)
print(told(ada.run_sync("hi", deps={{"name": "Ada"}})), plain.run_sync("hi").output, plugin.state)
print([told(gevent.spawn(ada.run_sync, "hi", deps={{"name": name}}).get()) for name in "ab"])
command = [{str(COMMAND)!r}, "create", "ada", "default", "--text", "Hi, {{{{name}}}}.", "--activate", "--author", "eve"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
deadline = time.monotonic() + 20
while not heard and time.monotonic() < deadline:
    gevent.sleep(0.02)
print(told(ada.run_sync("hi", deps={{"name": "Ada"}})), heard)
"""

UVLOOP = f"""
import uvloop, asyncio
{PRELUDE}
async def main():
    async with automagik_prompts.default_plugin() as plugin:
        print(told(await ada.run("hi", deps={{"name": "Ada"}})), plugin.state)
uvloop.run(main())
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
print(told(ada.run_sync("hi", deps={{"name": "Eve"}})))
"""

NESTED = f"""
import asyncio, nest_asyncio
{PRELUDE}
async def main():
    nest_asyncio.apply()
    print(told(ada.run_sync("hi", deps={{"name": "Ada"}})))
asyncio.run(main())
"""

TRIO = f"""
import trio
{PRELUDE}
plugin = automagik_prompts.default_plugin()
async def main():
    for coroutine in (plugin.ready, lambda: plugin.history("ada")):
        try:
            await coroutine()
        except automagik_prompts.PromptsError as error:
            print(error)
trio.run(main)
print(automagik_prompts.render("ada", values={{"name": "Ada"}}))
"""


def run(code: str, folder: Path, *, warnings: str = "") -> list[str]:
    """Run a program that must end by itself and say nothing but what it prints."""
    options = ["-W", warnings] if warnings else []
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_gevent(tmp_path: Path) -> None:
    """Under gevent runs work as without us, changes arrive, callbacks are called, and the process ends in silence."""
    assert run(GEVENT, tmp_path) == [
        "Hello, Ada. success (no tool calls) live",
        "['Hello, a.', 'Hello, b.']",
        "Hi, Ada. [2]",
    ]


def test_uvloop(tmp_path: Path) -> None:
    """On uvloop runs and the plugin's own thread work, also where it is every loop's policy."""
    assert run(UVLOOP, tmp_path, warnings="ignore::DeprecationWarning") == ["Hello, Ada. live", "Hello, Eve."]


def test_loops_within_loops(tmp_path: Path) -> None:
    """In a loop that lets others run inside it, as notebooks have them, a synchronous run works."""
    assert run(NESTED, tmp_path, warnings="ignore::DeprecationWarning") == ["Hello, Ada."]


def test_trio(tmp_path: Path) -> None:
    """Under trio the coroutines say what they need; what reads memory works."""
    needs = "This coroutine needs a running asyncio event loop, and there is none here. Call it from asyncio, or use"
    printed = run(TRIO, tmp_path)
    assert len(printed) == 3
    assert all(line.startswith(needs) for line in printed[:2]), printed
    assert printed[2] == "Hello, Ada."
