"""`plugin.connection()` with the seven functions of `automagik_prompts.repository`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from automagik_prompts import PromptPlugin, PromptsError, repository
from automagik_prompts.declaring.registry import Registry
from tests.waiting import until

MakePlugin = Callable[..., PromptPlugin]


async def test_the_seven_functions(database_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """What an application writes in a transaction of its own is served, and what raises is undone."""
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin(database_url, poll_interval=0.05)
    await plugin.ready()
    agent_id = (await plugin.history("a"))[0].agent_id
    async with plugin.connection() as db:
        active = await repository.get_active_prompt(db, agent_id, "default")
        assert active is not None
        assert active == await repository.get_prompt_by_id(db, active.id)
        assert active == await repository.find_code_default_prompt(db, agent_id, "default")
        data = repository.PromptCreate(agent_id=agent_id, status_key="default", prompt_text="second")
        written = await repository.create_prompt(db, data)
        assert await repository.get_latest_version_for_status(db, agent_id, "default") == written.version == 2
        await repository.set_prompt_active(db, agent_id, written.id, "default")
        assert len(await repository.get_prompts_by_agent_id(db, agent_id)) == 2
    await until(lambda: plugin.resolve("a").text == "second", "it is served")
    with suppress(RuntimeError):
        async with plugin.connection() as db:
            await repository.create_prompt(db, data)
            raise RuntimeError("on purpose")
    assert len(await plugin.history("a")) == 2


async def test_a_database_in_memory(registry: Registry, make_plugin: MakePlugin) -> None:
    """A database in memory has one connection, so none is given away."""
    registry.declare("a", {"default": "first"}, where="here")
    plugin = make_plugin("sqlite://:memory:")
    with pytest.raises(PromptsError, match="in memory"):
        async with plugin.connection():
            pass
