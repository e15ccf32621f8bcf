"""What the tests of faults share: agents that say what they were told, statements round the library, log lines."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sqlite3
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest
from pydantic_ai import Agent

from automagik_prompts.capability import ActivePrompt
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.repository import CHANNEL
from automagik_prompts.settings import sqlite_path
from tests import member
from tests.listening import Listener
from tests.servers import credentials

LIBRARY = "automagik_prompts"


async def told(plugin: PromptPlugin, agent: str, status_key: str | None = None, deps: object = None) -> str:
    """Run an agent and return the one system prompt that its model was told."""
    listener = Listener()
    capability: ActivePrompt[Any] = ActivePrompt(agent, status_key, plugin=plugin)
    await Agent(listener.model, name=agent, capabilities=[capability]).run("hello", deps=deps)
    assert len(listener.heard) == 1
    assert len(listener.last.system) == 1
    return listener.last.system[0]


async def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements by the bare driver, each on its own, and return the rows of the last one."""
    path = sqlite_path(url)
    if path is not None:
        return await asyncio.to_thread(_execute_sqlite, str(path), statements)
    connection = await asyncpg.connect(**credentials(url))
    try:
        rows: list[Any] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


def _execute_sqlite(path: str, statements: Sequence[str]) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path, isolation_level=None, timeout=20)
    try:
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        return rows
    finally:
        connection.close()


def notification(url: str) -> tuple[str, ...]:
    """Return the statement by which a writer tells the listening processes, where the engine has one."""
    return () if url.startswith("sqlite") else (f"SELECT pg_notify('{CHANNEL}', '')",)


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what the library has logged at a level and above."""
    return [
        record.getMessage() for record in caplog.records if record.name.startswith(LIBRARY) and record.levelno >= level
    ]


def assert_silent(caplog: pytest.LogCaptureFixture, *secrets: str) -> None:
    """Make sure that nothing that anybody logged contains a secret."""
    for record in caplog.records:
        text = f"{record.getMessage()} {record.exc_text or ''} {record.exc_info or ''}"
        for secret in secrets:
            assert secret not in text, f"{record.name} has logged what it must not"


def serve_without_powers(
    connections: list[Connection],
    url: str,
    texts: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Be a member of a fleet whose user must obey the modes of files, even where the tests run as root."""
    if os.geteuid() == 0:
        # Not by another user id: that user could not read the interpreter's own files.
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        nothing = (ctypes.c_uint32 * 6)()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.capset(header, nothing) == 0, os.strerror(ctypes.get_errno())
    member.serve(connections, url, texts, settings)
