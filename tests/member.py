"""One process of a fleet: a plugin with an agent, which a test asks to do things."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.served import Explanation, Health
from automagik_prompts.editing import sync
from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.launcher import end

Served = tuple[int | None, str, str]
"""The version, the source and the text that are served."""


class Lines(logging.Handler):
    """Keeps what is logged at level INFO and above, by whomever."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the level and the message, with the traceback if there is one."""
        self.lines.append((record.levelname, self.format(record)))


class Member:
    """What a test can have a process do; each method is called by its name.

    Args:
        connections: The test's connection, and spare ones for children of its own.
        url: The database URL.
        texts: The texts that the code declares, by agent and status.
        settings: As for `PromptPlugin`; the disk snapshot is off where nothing is said.
    """

    def __init__(
        self,
        connections: list[Connection],
        url: str,
        texts: Mapping[str, Mapping[str, str]],
        settings: Mapping[str, Any],
    ) -> None:
        self._spares = connections[1:]
        self._handler = Lines()
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(logging.INFO)
        self._registry = Registry()
        for agent, statuses in texts.items():
            primary = next(iter(statuses))
            self._registry.declare(agent, statuses, where="the test", primary=primary)
        self._url = url
        self._committed = 0.0
        self.plugin = PromptPlugin(url, **{"registry": self._registry, "disk_snapshot": False, **settings})

    def start(self) -> float:
        """Start to follow the database and return when there was something to serve."""
        asyncio.run(self.plugin.ready())
        return time.monotonic()

    def start_and_resolve(self, agent: str) -> Served:
        """Start to follow the database and return what is served to the first run."""
        self.start()
        return self.resolve(agent)

    def until_state(self, state: str, seconds: float = 30) -> float:
        """Wait for a state and return when it was there."""
        return self._until(lambda: self.plugin.state.value == state, seconds)

    def until_version(self, agent: str, status_key: str, version: int | None, seconds: float = 30) -> float:
        """Wait until a version is served and return when it was."""
        return self._until(lambda: self.plugin.resolve(agent, status_key).version == version, seconds)

    def until_listening(self, seconds: float = 30) -> float:
        """Wait until notifications are known to arrive and return when they were."""
        return self._until(lambda: self.plugin.health().listening, seconds)

    def until_well(self, seconds: float = 30) -> float:
        """Wait until nothing that failed is still to be tried again, and return when that was."""
        return self._until(lambda: self.plugin.health().error is None, seconds)

    def resolve(self, agent: str, status_key: str | None = None) -> Served:
        """Return what is served."""
        served = self.plugin.resolve(agent, status_key)
        return served.version, served.source.value, served.text

    def run(self, agent: str, status_key: str | None = None) -> str:
        """Run an agent, and return the system prompt that its model was told."""
        told: list[str] = []

        def model(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
            told.extend(
                part.content
                for message in messages
                if isinstance(message, ModelRequest)
                for part in message.parts
                if isinstance(part, SystemPromptPart)
            )
            return ModelResponse(parts=[TextPart("done")])

        capability: ActivePrompt[None] = ActivePrompt(agent, status_key, plugin=self.plugin)
        # Not by `run_sync`, which leaves an event loop behind that `asyncio.run` elsewhere would drop unclosed.
        asyncio.run(Agent(FunctionModel(model), name=agent, capabilities=[capability]).run("hello"))
        assert len(told) == 1
        return told[0]

    def edit(self, verb: str, *arguments: Any, **options: Any) -> int | None:
        """Have the plugin edit and return the version that is active then."""
        change = asyncio.run(getattr(self.plugin, verb)(*arguments, **options))
        self._committed = time.monotonic()
        return change.active_version if isinstance(change, EditResult) else None

    def create_and_activate(self, agent: str, status_key: str, text: str) -> int | None:
        """Write a version as a person does, active at once, and return its number."""
        return self.edit("create", agent, status_key, text, activate=True, author="ann")

    def create_and_activate_patiently(self, agent: str, status_key: str, text: str, seconds: float = 60) -> int | None:
        """The same, tried again while the database cannot be used."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.create_and_activate(agent, status_key, text)
            except DatabaseUnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def create_many(self, agent: str, status_key: str, count: int) -> int:
        """Write and activate so many versions, `text N` as version N, and return the last one's number."""
        for _ in range(count):
            latest = max(prompt.version for prompt in asyncio.run(self.plugin.history(agent, status_key)))
            self.create_and_activate(agent, status_key, f"text {latest + 1}")
        return latest + 1

    def declare_and_until_written(self, agent: str, text: str) -> float:
        """Declare another prompt, and return when the thread has begun to write it."""
        self._registry.declare(agent, {"default": text}, where="the test")
        worker = self.plugin._life.worker
        assert worker is not None
        refresher = worker._follower
        assert refresher is not None
        return self._until(lambda: refresher._writer._generation == self._registry.generation, 30)

    def last_commit(self) -> float:
        """Return when the last edit was known to be done here, on the clock of the whole machine."""
        return self._committed

    def upgrade_alone(self) -> tuple[str, ...]:
        """Bring the schema up to date, without the plugin, and return what this process applied."""

        async def run() -> tuple[str, ...]:
            async with Database(self._url) as database:
                return await upgrade(database)

        return asyncio.run(run())

    def seed_alone(self) -> list[str]:
        """Write what the code declares, without the plugin, and return what this process did."""

        async def run() -> list[str]:
            async with Database(self._url) as database:
                return [item.outcome for item in await sync.seed(database, self._registry.agents)]

        return asyncio.run(run())

    def explain(self, agent: str, status_key: str | None = None) -> Explanation:
        """Return the plugin's explanation."""
        return self.plugin.explain(agent, status_key)

    def health(self) -> Health:
        """Return the plugin's health."""
        return self.plugin.health()

    def lines(self) -> list[tuple[str, str]]:
        """Return the level and the text of what was logged."""
        return list(self._handler.lines)

    def until_lines(self, level: str, count: int, seconds: float = 30) -> list[str]:
        """Wait until so many lines of a level were logged, and return them."""
        self._until(lambda: [each for each, _ in self._handler.lines].count(level) >= count, seconds)
        return [line for each, line in self._handler.lines if each == level]

    def close(self) -> None:
        """Close the plugin."""
        self.plugin.close()

    def fork(self) -> list[int]:
        """Fork a child for each spare connection, as a prefork server does, and return their ids."""
        pids: list[int] = []
        while self._spares:
            connection = self._spares.pop(0)
            logged = len(self._handler.lines)
            pid = os.fork()
            if pid == 0:
                for spare in self._spares:
                    spare.close()
                self._spares.clear()
                del self._handler.lines[:logged]
                _obey(self, connection)
                end(0)
            connection.close()
            pids.append(pid)
        return pids

    def _until(self, holds: Callable[[], bool], seconds: float) -> float:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not come within {seconds} s: {self.plugin.health()} {self.lines()}")
            time.sleep(0.002)
        return time.monotonic()


def serve(
    connections: list[Connection],
    url: str,
    texts: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Be a member of a fleet until the test closes the connection."""
    _obey(Member(connections, url, texts, settings or {}), connections[0])


def _obey(member: Member, connection: Connection) -> None:
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            answer = (True, getattr(member, name)(*arguments))
        except Exception:  # noqa: BLE001  # the test is told, whatever it is
            answer = (False, traceback.format_exc())
        connection.send(answer)
