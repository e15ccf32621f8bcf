"""One of the processes: its agents run all the time, in several ways at once, and note what their models are told."""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.domain.served import PromptChange
from automagik_prompts.plugin import PromptPlugin
from tests import member
from tests.faults import LongLivedMember

AGENT, STATUSES = "soaked", ("default", "OTHER")

Told = tuple[str, int]
"""A text: the status that it was written for, and its number."""

Deps = dict[str, str]

_PAUSE = 0.3
"""Seconds between two runs of a worker, at most."""

_TICK = 0.05
_TOOL_SHARE = 0.2
"""The share of the runs that call a tool, and so tell their model twice."""

_TEXT = re.compile(r"^Text (\d+) of (\w+) for (.*)\. The end\.$")


def text(status_key: str, number: int) -> str:
    """Return a text that tells which it is, and whether it is whole."""
    return f"Text {number} of {status_key} for {{{{name}}}}. The end."


def told(words: str) -> Told:
    """Return which text a template is."""
    found = _TEXT.match(words)
    if found is None:
        raise ValueError(f"This is no text of the soak's: {words[:80]!r}")
    return found[2], int(found[1])


@dataclass(frozen=True, slots=True)
class Seen:
    """A text that a worker's model was told and that was another than the time before.

    Attributes:
        at: When, on the clock that all processes share.
        status_key: The status that the run was in.
        told: The text.
    """

    at: float
    status_key: str
    told: Told


@dataclass(frozen=True, slots=True)
class Report:
    """What one process did.

    Attributes:
        runs: How many runs ended.
        failures: What went wrong, in words.
        slowest: The longest run, in seconds.
        late: How late a thread woke up that did nothing but sleep, at most, in seconds: so long the machine, or this
            interpreter, was busy with something else.
        seen: What the models of each worker were told, in order.
        served: When each text of the first status began to be served.
    """

    runs: int
    failures: tuple[str, ...]
    slowest: float
    late: float
    seen: tuple[tuple[Seen, ...], ...]
    served: Mapping[int, float]


class Worker:
    """Runs one agent again and again, one run after the other.

    Args:
        plugin: Where its prompts come from.
        chance: What the statuses, names and pauses come from.
        inject: How the prompt reaches the model.
    """

    def __init__(
        self, plugin: PromptPlugin, chance: random.Random, inject: Literal["system_prompt", "instructions"]
    ) -> None:
        self.runs, self.slowest = 0, 0.0
        self.failures: list[str] = []
        self.seen: list[Seen] = []
        self._chance = chance
        self._latest: dict[str, Told] = {}
        self._heard: list[str] = []
        self._calls = False
        self._agent: Agent[Deps, str] = Agent(
            FunctionModel(self._answer),
            name=AGENT,
            deps_type=dict,
            capabilities=[ActivePrompt(AGENT, _status, plugin=plugin, inject=inject)],
        )
        self._agent.tool_plain(_look)

    async def run(self) -> None:
        """Run once, and note what came of it."""
        status_key, name = self._chance.choice(STATUSES), f"Ann {self._chance.random()}"
        self._heard.clear()
        self._calls = self._chance.random() < _TOOL_SHARE
        requests = 2 if self._calls else 1
        began = time.perf_counter()
        try:
            await self._agent.run("hello", deps={"name": name, "status": status_key})
        except Exception:  # noqa: BLE001  # it is what this program looks for
            self.failures.append(traceback.format_exc())
        else:
            self._note(status_key, name, requests)
        self.slowest = max(self.slowest, time.perf_counter() - began)
        self.runs += 1

    async def pause(self) -> None:
        """Wait a moment."""
        await asyncio.sleep(self._chance.uniform(0, _PAUSE))

    def _note(self, status_key: str, name: str, requests: int) -> None:
        found = _TEXT.match(self._heard[0])
        if found is None or found[3] != name or self._heard != [self._heard[0]] * requests:
            self.failures.append(f"In the status {status_key} the model was told: {self._heard!r}")
            return
        now = found[2], int(found[1])
        if self._latest.get(status_key) != now:
            self._latest[status_key] = now
            self.seen.append(Seen(time.monotonic(), status_key, now))

    def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        prompts = [
            part.content
            for message in messages
            if isinstance(message, ModelRequest)
            for part in message.parts
            if isinstance(part, SystemPromptPart)
        ]
        self._heard.append("\n\n".join([*prompts, *([info.instructions] if info.instructions else [])]))
        if self._calls:
            self._calls = False
            return ModelResponse(parts=[ToolCallPart("_look", {})])
        return ModelResponse(parts=[TextPart("done")])


def _status(ctx: RunContext[Deps]) -> str:
    return ctx.deps["status"]


def _look() -> str:
    """Do nothing, so that there is a second request."""
    return "nothing"


class Runner(LongLivedMember):
    """What the soak can have one of its processes do; each method is called by its name."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._workers: list[Worker] = []
        self._served: dict[int, float] = {}
        self._late = 0.0
        self.plugin.on_change(self._changed)

    def begin(self, seed: int) -> None:
        """Run agents from now on: several at once on one event loop, and one after the other on loops of their own."""
        chance = random.Random(seed)
        injects: tuple[Literal["system_prompt", "instructions"], ...] = ("system_prompt", "instructions")
        self._workers = [
            Worker(self.plugin, random.Random(chance.random()), injects[number % 2]) for number in range(4)
        ]
        for work in (self._on_one_loop, self._on_many_loops, self._sleep):
            threading.Thread(target=work, daemon=True).start()

    def report(self) -> Report:
        """Return what was done."""
        workers = self._workers
        failures = [words for worker in workers for words in worker.failures]
        # What asks to be reported is a bug, even where no run came to harm.
        failures += [line for level, line in self._handler.lines if level in {"ERROR", "CRITICAL"}]
        return Report(
            sum(worker.runs for worker in workers),
            tuple(failures[:20]),
            max((worker.slowest for worker in workers), default=0.0),
            self._late,
            tuple(tuple(worker.seen) for worker in workers),
            self._first_served(),
        )

    def _changed(self, change: PromptChange) -> None:
        if change.status_key == STATUSES[0] and change.after is not None:
            self._served.setdefault(told(change.after.text)[1], time.monotonic())

    def _first_served(self) -> dict[int, float]:
        """Return when each text began to be served; what the first load brings is no change, but runs tell."""
        served = dict(self._served)
        for seen in (each for worker in self._workers for each in worker.seen):
            if seen.told[0] == STATUSES[0]:
                served[seen.told[1]] = min(seen.at, served.get(seen.told[1], seen.at))
        return served

    def _sleep(self) -> None:
        while True:
            began = time.monotonic()
            time.sleep(_TICK)
            self._late = max(self._late, time.monotonic() - began - _TICK)

    def _on_one_loop(self) -> None:
        async def for_ever(worker: Worker) -> None:
            while True:
                await worker.run()
                await worker.pause()

        async def several() -> None:
            await asyncio.gather(*map(for_ever, self._workers[1:]))

        asyncio.run(several())

    def _on_many_loops(self) -> None:
        async def twice() -> None:
            await self._workers[0].run()
            await self._workers[0].pause()

        while True:
            asyncio.run(twice())


def run_agents(
    connections: list[Connection], url: str, texts: Mapping[str, Mapping[str, str]], settings: Mapping[str, Any]
) -> None:
    """Be one of the processes until the connection is closed."""
    member._obey(Runner(connections, url, texts, settings), connections[0])  # noqa: SLF001  # made for tests
