"""What the shell completes: agents, their statuses, and versions, from the database that the command line names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import typer

from automagik_prompts.db import Database
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.settings import load_settings

Candidate = tuple[str, str]
"""A word, and what the shell says of it."""

_SECONDS = 3.0
"""How long a person waits for the Tab key, at most."""


def complete_agents(ctx: typer.Context, incomplete: str) -> list[Candidate]:
    """Complete the name of an agent."""
    return _beginning(incomplete, _ask(ctx, _agents))


def complete_statuses(ctx: typer.Context, incomplete: str) -> list[Candidate]:
    """Complete a status of the agent before it."""
    return _statuses_of(ctx, incomplete, "agent")


def complete_target_statuses(ctx: typer.Context, incomplete: str) -> list[Candidate]:
    """Complete a status of the agent that gets a copy."""
    return _statuses_of(ctx, incomplete, "to_agent")


def complete_versions(ctx: typer.Context, incomplete: str) -> list[Candidate]:
    """Complete a version of the agent and status before it, newest first."""
    agent, status = ctx.params.get("agent"), ctx.params.get("status")
    if not isinstance(agent, str) or not isinstance(status, str):
        return []
    return _beginning(incomplete, _ask(ctx, lambda database: _versions(database, agent, status)))


def _statuses_of(ctx: typer.Context, incomplete: str, parameter: str) -> list[Candidate]:
    agent = ctx.params.get(parameter)
    if not isinstance(agent, str):
        return []
    return _beginning(incomplete, _ask(ctx, lambda database: _statuses(database, agent)))


async def _agents(database: Database) -> list[Candidate]:
    from automagik_prompts import lookup  # here, so that completing an option needs no query

    return [(info.name, f"primary status {info.default_status_key}") for info in await lookup.agents(database)]


async def _statuses(database: Database, agent: str) -> list[Candidate]:
    from automagik_prompts import lookup  # as above

    return [
        (standing.status_key, f"version {standing.active} is active" if standing.active else "none active")
        for standing in await lookup.standings(database, agent)
    ]


async def _versions(database: Database, agent: str, status: str) -> list[Candidate]:
    from automagik_prompts import lookup  # as above

    return [
        (str(prompt.version), f"{'active, ' if prompt.is_active else ''}{prompt.author or 'unknown'}")
        for prompt in await lookup.versions(database, agent, status, limit=100)
    ]


def _ask(ctx: typer.Context, read: Callable[[Database], Awaitable[list[Candidate]]]) -> list[Candidate]:
    """Read candidates; nothing where the database cannot be read, as a shell has no place for an error."""

    async def work(database: Database) -> list[Candidate]:
        async with asyncio.timeout(_SECONDS), database:
            return await read(database)

    url: Any = ctx.params.get("database_url")
    try:
        database = Database(load_settings(database_url=url).database_url)
        if database.path is not None and not database.path.exists():
            return []
        return asyncio.run(work(database))
    except (PromptsError, TimeoutError):
        return []


def _beginning(incomplete: str, candidates: list[Candidate]) -> list[Candidate]:
    def matching() -> Iterator[Candidate]:
        for word, about in candidates:
            if word.lower().startswith(incomplete.lower()):
                yield word, about

    return list(matching())
