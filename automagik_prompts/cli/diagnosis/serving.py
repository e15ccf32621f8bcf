"""What a process would serve, and whether it would hear of changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from automagik_prompts.cli.live import following, wait_until_settled
from automagik_prompts.cli.output.reports import Diagnosed
from automagik_prompts.cli.output.text import plural
from automagik_prompts.cli.session import Session, open_database
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.served import State
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.survey import Survey, survey
from automagik_prompts.settings import Settings

_NOTIFIED_WITHIN = 10.0
"""Seconds within which it is known whether notifications are delivered."""


def served(session: Session) -> Iterator[Diagnosed]:
    """Look at what would be served; the texts are gone through, and nothing of them is kept."""
    with following(session, ()) as plugin:  # of no agent, as a process would be told of changes of any
        health = wait_until_settled(plugin)
        if health.state is not State.LIVE:
            words = health.error or "the database was not read in time"
            yield Diagnosed(name="serving", outcome="failed", message=words)
            return
        for problem in health.problems:
            yield Diagnosed(name="serving", outcome="failed", message=problem)
        found = asyncio.run(_survey(session))
        for problem in found.problems.shown:
            yield Diagnosed(name="serving", outcome="failed", message=problem)
        if (more := found.problems.count - len(found.problems.shown)) > 0:
            words = f"{more} more cannot be served. See: automagik-prompts check"
            yield Diagnosed(name="serving", outcome="failed", message=words)
        if not (health.problems or found.problems.count):
            words = f"{plural(found.agents, 'agent')}, all can be served"
            yield Diagnosed(name="serving", outcome="ok", message=words)
        if found.idle.count:
            words = f"no version is active, and no code stands in: {found.idle}. See: automagik-prompts check"
            yield Diagnosed(name="serving", outcome="warning", message=words)
        yield from _statuses(found)
        yield _notifications(plugin, session.settings)


async def _survey(session: Session) -> Survey:
    async with open_database(session.settings.database_url, looking=True) as database:
        return await survey(database, registry, session.settings.only)


def _statuses(found: Survey) -> Iterator[Diagnosed]:
    """Tell of statuses that the code does not know, and where the lists of variables come from."""
    if found.unknown.count:
        words = f"the code does not know {found.unknown}. See: automagik-prompts check"
        yield Diagnosed(name="statuses", outcome="warning", message=words)
    if found.declared.count:
        words = f"from the code's declarations: {found.declared}"
        yield Diagnosed(name="variables", outcome="ok", message=words)
    if found.others.count:
        words = f"not declared here, so runs reach what ActivePrompt(expose=...) names and nothing else: {found.others}"
        yield Diagnosed(name="variables", outcome="ok", message=words)


def _notifications(plugin: PromptPlugin, settings: Settings) -> Diagnosed:
    if settings.dialect == "sqlite":
        words = f"a file has none; changes are found within {settings.interval:g} s"
        return Diagnosed(name="notifications", outcome="ok", message=words)
    deadline = time.monotonic() + _NOTIFIED_WITHIN
    while not ((health := plugin.health()).listening or health.unheard) and time.monotonic() < deadline:
        time.sleep(0.02)
    if health.listening:
        return Diagnosed(name="notifications", outcome="ok", message="delivered; changes are seen at once")
    words = health.unheard or (
        f"not known to be delivered; changes are found within {settings.interval:g} s. Connections are short, or the "
        "server did not answer in time: run this again later."
    )
    return Diagnosed(name="notifications", outcome="warning", message=words)
