"""The plugin as an application has it, for commands that tell what a process serves; it follows and writes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from automagik_prompts.cli.session import Session, open_database
from automagik_prompts.declaring.registry import Registry, registry
from automagik_prompts.domain.served import Health, State
from automagik_prompts.domain.validation import normalized
from automagik_prompts.following.memory.snapshot import Look
from automagik_prompts.plugin import PromptPlugin

FIRST_LOAD = 10.0
"""Seconds that a person waits for the first load, at most; a process that serves agents waits less."""


class LookingPlugin(PromptPlugin):
    """Serves what a process would that starts now, and writes nothing: no text, no event, no disk snapshot.

    Args:
        database_url: The database URL.
        agents: The agents to read; `None` for all that a process would follow.
        declared: What the code declares.
    """

    def __init__(self, database_url: str, agents: Collection[str] | None = None, declared: Registry = registry) -> None:
        self._look = Look(frozenset(map(normalized, agents)) if agents is not None else None)
        super().__init__(database_url, startup_timeout=FIRST_LOAD, seed=False, heartbeat=0, registry=declared)


@contextmanager
def following(session: Session, agents: Collection[str] | None = None) -> Iterator[PromptPlugin]:
    """Follow the database of a command, as far as these agents are concerned; `None` stands for all.

    Raises:
        DatabaseUnavailableError: There is no such SQLite file; following it would make one.
    """
    open_database(session.settings.database_url)
    with LookingPlugin(session.settings.database_url, agents) as plugin:
        yield plugin


def wait_until_settled(plugin: PromptPlugin) -> Health:
    """Wait until it is known how the database can be read, and return how the plugin stands."""
    asyncio.run(plugin.ready())
    deadline = time.monotonic() + FIRST_LOAD
    # What is served may be there a moment before the word on how it was read.
    while (health := plugin.health()).state is State.STARTING and time.monotonic() < deadline:
        time.sleep(0.005)
    return health
