"""The plugin as an application has it, for commands that tell what a process serves; it follows and writes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from automagik_prompts.cli.session import Session, open_database
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.served import Health, State
from automagik_prompts.plugin import PromptPlugin

FIRST_LOAD = 10.0
"""Seconds that a person waits for the first load, at most; a process that serves agents waits less."""


@contextmanager
def following(session: Session) -> Iterator[PromptPlugin]:
    """Follow the database of a command.

    Raises:
        DatabaseUnavailableError: There is no such SQLite file; following it would make one.
    """
    open_database(session.settings.database_url)
    plugin = PromptPlugin(
        session.settings.database_url, startup_timeout=FIRST_LOAD, seed=False, heartbeat=0, registry=registry
    )
    with plugin:
        yield plugin


def wait_until_settled(plugin: PromptPlugin) -> Health:
    """Wait until it is known how the database can be read, and return how the plugin stands."""
    asyncio.run(plugin.ready())
    deadline = time.monotonic() + FIRST_LOAD
    # What is served may be there a moment before the word on how it was read.
    while (health := plugin.health()).state is State.STARTING and time.monotonic() < deadline:
        time.sleep(0.005)
    return health
