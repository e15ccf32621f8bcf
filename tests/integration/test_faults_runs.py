"""Faults 1, 2, 15 and 16: what histories, threads, deploys and changing statuses do to the runs of agents."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.agent.history.provenance import prompt_used
from automagik_prompts.declaring.registry import Registry
from tests.conftest import MakePlugin
from tests.faults import assert_follows, lines
from tests.listening import Listener, call
from tests.processes import Launcher
from tests.waiting import wait_until

THREADS = 32
RUNS_PER_THREAD = 6
ACTIVATIONS = 12


async def test_fault_01_history_with_only_user_and_assistant_parts(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """A history that never had a system prompt gets the active one, once, and keeps everything else."""
    registry.declare("a", {"default": "from code"}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("a", "default", "the active prompt", activate=True)
    history: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("first question")]),
        ModelResponse(parts=[TextPart("first answer")]),
    ]
    listener = Listener("second answer", "third answer")
    agent = Agent(listener.model, name="a", capabilities=[ActivePrompt[None]("a", plugin=plugin)])
    result = await agent.run("second question", message_history=history)
    assert listener.last.system == ["the active prompt"]
    assert listener.last.user == ["first question", "second question"]
    await agent.run("third question", message_history=result.all_messages())
    assert listener.last.system == ["the active prompt"]
    assert listener.last.user == ["first question", "second question", "third question"]
    assert_follows(plugin, "a", 2)


def test_fault_02_loops_and_threads_while_refreshes_land(
    database_url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    launcher: Launcher,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """Two event loops in turn and 32 threads at once get their prompt, and text and version always match."""
    registry.declare("a", {"default": "text of version 1"}, where="here")
    plugin = make_plugin(database_url, startup_timeout=30, poll_interval=0.01)

    async def run() -> tuple[str, int | None]:
        listener = Listener()
        result = await Agent(listener.model, capabilities=[ActivePrompt[None]("a", plugin=plugin)]).run("hello")
        used = prompt_used(result).last
        assert used is not None
        return listener.last.system[0], used.version

    for _ in range(2):
        assert asyncio.run(run()) == ("text of version 1", 1)

    writer = launcher.fork("tests.member:serve", database_url, {"a": {"default": "text of version 1"}}, {"seed": False})
    begun, written = threading.Barrier(THREADS + 1, timeout=60), threading.Event()

    def run_in_thread(_number: int) -> list[tuple[str, int | None]]:
        # As a web framework's worker threads do: a loop of its own for each thread.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            listener = Listener()
            agent = Agent(listener.model, capabilities=[ActivePrompt[None]("a", plugin=plugin)])
            begun.wait()
            told: list[tuple[str, int | None]] = []
            while len(told) < RUNS_PER_THREAD or not written.is_set():
                used = prompt_used(agent.run_sync("hello")).last
                assert used is not None
                told.append((listener.last.system[0], used.version))
            return told
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    with writer, ThreadPoolExecutor(THREADS) as threads:
        results = [threads.submit(run_in_thread, number) for number in range(THREADS)]
        begun.wait()
        try:
            for number in range(2, ACTIVATIONS + 2):
                assert writer.ask("create_and_activate", "a", "default", f"text of version {number}") == number
        finally:
            written.set()
        told = [pair for result in results for pair in result.result(60)]
    assert len(told) >= THREADS * RUNS_PER_THREAD
    assert len({version for _, version in told}) > 1
    assert {text for text, version in told if text != f"text of version {version}"} == set()
    last = ACTIVATIONS + 1
    wait_until(lambda: plugin.resolve("a").version == last, "the last activation is served")
    assert_follows(plugin, "a", last)
    versions = len({version for _, version in told})
    record_property(
        "measured", f"{len(told)} runs in {THREADS} threads met {versions} versions, each with its own text"
    )
    assert lines(caplog, logging.WARNING) == []


async def test_fault_15_activation_between_two_requests_of_one_run(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """A run keeps the versions it began with; the next run has the new one."""
    registry.declare("a", {"default": "old"}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()

    async def deploy(request: int) -> None:
        if request == 1:
            await plugin.create("a", "default", "new", activate=True)
            assert plugin.resolve("a").text == "new"

    listener = Listener(call("look"), "done", before=deploy)
    agent = Agent(listener.model, name="a", capabilities=[ActivePrompt[None]("a", plugin=plugin)])

    @agent.tool_plain
    def look() -> str:
        return "seen"

    result = await agent.run("hello")
    assert [heard.system for heard in listener.heard] == [["old"], ["old"]]
    assert [[used.version for used in told] for told in prompt_used(result).requests] == [[1], [1]]
    await agent.run("hello again", message_history=result.all_messages())
    assert listener.last.system == ["new"]
    assert_follows(plugin, "a", 2)


@dataclass
class Contact:
    """What the agent knows of whom it talks to."""

    status: str


async def test_fault_16_status_changes_between_two_requests_of_one_run(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """The status is read again before each request, so a tool that changes it changes the prompt in the same run."""
    registry.declare("a", {"NEW": "for a new one", "KNOWN": "for a known one"}, where="here", primary="NEW")
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("a", "KNOWN", "for one known in the database", activate=True)
    listener = Listener(call("register"), "done")
    capability: ActivePrompt[Contact] = ActivePrompt("a", lambda ctx: ctx.deps.status, plugin=plugin)
    agent = Agent(listener.model, name="a", deps_type=Contact, capabilities=[capability])

    @agent.tool
    def register(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "KNOWN"
        return "registered"

    result = await agent.run("hello", deps=Contact("NEW"))
    assert [heard.system for heard in listener.heard] == [["for a new one"], ["for one known in the database"]]
    assert [[used.version for used in told] for told in prompt_used(result).requests] == [[1], [2]]
    assert_follows(plugin, "a", 2, "KNOWN")
    assert plugin.explain("a", "KNOWN").served_status_key == "KNOWN"
