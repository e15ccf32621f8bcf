"""Playing stories of durable runs: programs as processes, one after the other, and what they leave behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_ai import ModelMessage, ModelMessagesTypeAdapter
from pydantic_ai.messages import ModelRequest, SystemPromptPart

from automagik_prompts import prompt_used
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.acceptance.commands import REPOSITORY, environment

EAST, WEST = "Etc/GMT-14", "Etc/GMT+12"
"""Where it is never the same day."""

VERSION_2 = {
    ("olga", "NEW"): "Two: you are Olga. {{name}} is {{mood}}. It is {{today}}.",
    ("olga", "APPROVED"): "Two: {{name}} is approved.",
    ("ada", "NEW"): "Two: you are Ada.",
    ("ivy", "NEW"): "Two: you are Ivy.",
}
"""What a person writes in place of the texts of `tests.durable_agents`."""


class Stage:
    """Plays the steps of a story.

    Args:
        folder: Where the processes leave what they say.
        program: The module that is run.
        arguments: What each process is given, after the name of its step.
        variables: More of the environment of each.

    Attributes:
        sent: What models were sent, in order, by step: in which workflow, to which agent.
    """

    def __init__(self, folder: Path, program: str, *arguments: str, variables: Mapping[str, str] | None = None) -> None:
        self.sent: dict[str, list[dict[str, Any]]] = {}
        self._folder = folder
        self._program = program
        self._arguments = arguments
        self._variables = variables or {}

    def play(self, step: str, mood: str = "glad", zone: str = EAST, code: int = 0) -> Any:
        """Run a process to its end, and return what it has found.

        Args:
            step: What it does.
            mood: What another system says meanwhile.
            zone: Its time zone.
            code: The exit code that it must end with.
        """
        (self._folder / "mood.txt").write_text(mood, encoding="utf-8")
        env = environment(
            self._folder,
            PYTHONPATH=str(REPOSITORY),
            PYTHONWARNINGS="ignore",
            DURABLE_FOLDER=str(self._folder),
            TZ=zone,
            **self._variables,
        )
        done = subprocess.run(
            [sys.executable, "-m", self._program, step, *self._arguments],
            env=env,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout
        log = self._folder / "sent.jsonl"
        self.sent[step] = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        log.unlink(missing_ok=True)
        found = self._folder / f"{step}.json"
        return json.loads(found.read_text(encoding="utf-8")) if found.exists() else None


async def prepare(database: str) -> None:
    """Bring a database to the schema of this release: a server's is not, by itself."""
    async with Database(database) as opened:
        await upgrade(opened)


async def activate_version_2(database: str) -> None:
    """Write and activate version 2 of every text, as a person does."""
    async with PromptPlugin(database, registry=Registry(), disk_snapshot=False, startup_timeout=30) as plugin:
        for (agent, status), text in VERSION_2.items():
            done = await plugin.create(agent, status, text, activate=True)
            assert done.active_version == 2


def read(history: str) -> list[ModelMessage]:
    """Return the messages of a history."""
    return ModelMessagesTypeAdapter.validate_json(history)


def versions(history: str) -> list[tuple[str, int | None]]:
    """Return the status and the version that each request of a history says that it was sent."""
    return [(used.status_key, used.version) for [used] in prompt_used(read(history)).requests]


def prompts_in(history: str) -> list[list[str]]:
    """Return what a history says that each request was sent: the system prompts up to it, and its instructions."""
    told: list[list[str]] = []
    system: list[str] = []
    for message in read(history):
        if isinstance(message, ModelRequest):
            system += [part.content for part in message.parts if isinstance(part, SystemPromptPart)]
            told.append([*system, *filter(None, [message.instructions])])
    return told
