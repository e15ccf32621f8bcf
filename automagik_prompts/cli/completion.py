"""What the shell completes: agents, their statuses, and versions, from the database that the command line names.

Typer leaves out what does not begin with the word that was begun.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Awaitable, Callable
from typing import Any

import typer

from automagik_prompts.exceptions import PromptsError
from automagik_prompts.settings import load_settings
from automagik_prompts.storage.database import Database

Candidate = tuple[str, str]
"""A word, and what the shell says of it."""

_SECONDS = 3.0
"""How long a person waits for the Tab key, at most."""


def complete_agents(ctx: typer.Context) -> list[Candidate]:
    """Complete the name of an agent."""
    return _ask(ctx, _agents)


def complete_statuses(ctx: typer.Context) -> list[Candidate]:
    """Complete a status of the agent before it."""
    return _statuses_of(ctx, _argument(ctx, "agent", 0))


def complete_target_statuses(ctx: typer.Context) -> list[Candidate]:
    """Complete a status of the agent that gets a copy."""
    return _statuses_of(ctx, _argument(ctx, "to_agent", 2))


def complete_versions(ctx: typer.Context) -> list[Candidate]:
    """Complete a version of the agent and status before it, newest first."""
    agent, status = _argument(ctx, "agent", 0), _argument(ctx, "status", 1)
    if agent is None or status is None:
        return []
    return _ask(ctx, lambda database: _versions(database, agent, status))


def _argument(ctx: typer.Context, name: str, position: int) -> str | None:
    """Return an argument that stands on the command line already.

    While an option waits for its value, the parser gives up what stands before it; then the shell's own words are read.
    """
    value = ctx.params.get(name)
    if value is not None:
        return value if isinstance(value, str) else None
    written = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    try:
        words = shlex.split(written)
        given = words[words.index(ctx.info_name or "") + 1 :]
    except ValueError:
        return None
    arguments = [word for word in given if not word.startswith("-")]
    return arguments[position] if position < len(arguments) else None


def _statuses_of(ctx: typer.Context, agent: str | None) -> list[Candidate]:
    if agent is None:
        return []
    return _ask(ctx, lambda database: _statuses(database, agent))


async def _agents(database: Database) -> list[Candidate]:
    from automagik_prompts.editing import queries  # here, so that completing an option needs no query

    return [(info.name, f"primary status {info.default_status_key}") for info in await queries.agents(database)]


async def _statuses(database: Database, agent: str) -> list[Candidate]:
    from automagik_prompts.editing import queries  # as above

    return [
        (summary.status_key, f"version {summary.active} is active" if summary.active else "none active")
        for summary in await queries.summaries(database, agent)
    ]


async def _versions(database: Database, agent: str, status: str) -> list[Candidate]:
    from automagik_prompts.editing import queries  # as above

    return [
        (str(prompt.version), f"{'active, ' if prompt.is_active else ''}{prompt.author or 'unknown'}")
        for prompt in await queries.versions(database, agent, status, limit=100)
    ]


def _ask(ctx: typer.Context, read: Callable[[Database], Awaitable[list[Candidate]]]) -> list[Candidate]:
    """Read candidates; nothing where the database cannot be read, as a shell has no place for an error."""

    async def work(database: Database) -> list[Candidate]:
        async with asyncio.timeout(_SECONDS), database:
            return await read(database)

    url: Any = ctx.params.get("database_url")
    try:
        database = Database(load_settings(database_url=url).database_url, looking=True)
        if database.path is not None and not os.access(database.path, os.F_OK):
            return []
        return asyncio.run(work(database))
    except (PromptsError, TimeoutError):
        return []
