"""The setting `only`: a process that follows a few of many agents."""

from __future__ import annotations

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import execute, notification, told
from tests.waiting import until


async def write(url: str, agent: str, text: str) -> None:
    """Write and activate a version in another process' way."""
    async with Database(url) as database:
        edits = DatabaseEdits(database)
        await edits.create(agent, "default", text, activate=True, new_agent=True, new_status=True)


async def test_a_part_of_the_agents(database_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """What is named and what the code declares is followed, whenever it comes and goes; of others nothing is held."""
    async with Database(database_url) as database:
        await upgrade(database)
    for name in ("one", "two", "three"):
        await write(database_url, name, f"First of {name}.")
    registry.declare("mine", {"default": "From code."}, where="here")
    plugin = make_plugin(database_url, poll_interval=0.05, only=["two", "later"])
    await plugin.ready()
    await until(lambda: plugin.state is State.LIVE, "it is followed")
    assert await told(plugin, "two") == "First of two."
    assert await told(plugin, "mine") == "From code."
    assert plugin.health().agents == 2
    with pytest.raises(NoActivePromptError, match="add it there"):
        plugin.resolve("one")
    await write(database_url, "one", "Second of one.")
    await write(database_url, "two", "Second of two.")
    await write(database_url, "mine", "From a person.")
    await until(lambda: plugin.resolve("two").text == "Second of two.", "a change is followed")
    await until(lambda: plugin.resolve("mine").text == "From a person.", "also one of the code's")
    await write(database_url, "later", "First of later.")
    await until(lambda: plugin.snapshot() is not None and "later" in set(plugin.snapshot().agents), "it has come")  # type: ignore[union-attr]  # it is there
    registry.declare("new", {"default": "New in code."}, where="there")
    await until(lambda: plugin.resolve("new").version == 1, "what is declared later is followed, too")
    await execute(database_url, "DELETE FROM agents WHERE name = 'two'", *notification(database_url))
    await until(lambda: "two" not in set(plugin.snapshot().agents), "it has gone")  # type: ignore[union-attr]  # it is there
    assert plugin.state is State.LIVE
    plugin.close()
    again = make_plugin(database_url, only="later, three")
    await again.ready()
    await until(lambda: again.state is State.LIVE, "another part")
    assert await told(again, "three") == "First of three."
    assert await told(again, "later") == "First of later."
