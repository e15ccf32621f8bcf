"""Fault 53: a table or a column is gone although its migration is recorded; everybody says the same, and what helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_follows, execute, notification, told
from tests.operator import Operator
from tests.waiting import until

CODE = "From code."
PERSON = "From a person."

LOSSES = {
    "prompts": ("ALTER TABLE prompts RENAME TO gone", "ALTER TABLE gone RENAME TO prompts"),
    "prompt_events": ("ALTER TABLE prompt_events RENAME TO gone", "ALTER TABLE gone RENAME TO prompt_events"),
    "agents": ("ALTER TABLE agents RENAME TO gone", "ALTER TABLE gone RENAME TO agents"),
    "prompts.note": ("ALTER TABLE prompts RENAME note TO gone", "ALTER TABLE prompts RENAME gone TO note"),
    "prompts.format": ("ALTER TABLE prompts RENAME format TO gone", "ALTER TABLE prompts RENAME gone TO format"),
}
"""What somebody does to the tables, and what puts it back."""


@pytest.mark.parametrize("loss", LOSSES)
async def test_fault_53_something_was_dropped(
    database_url: str, tmp_path: Path, registry: Registry, make_plugin: MakePlugin, loss: str
) -> None:
    """The running process, a new one, `doctor` and `upgrade` agree, nothing is made anew, and putting it back helps."""
    (lose, put_back), words = LOSSES[loss], f"{loss} is not there"
    registry.declare("a", {"default": CODE}, where="here")
    async with Database(database_url) as database:
        await upgrade(database)
    plugin = make_plugin(database_url, poll_interval=0.05)
    await plugin.ready()
    await plugin.create("a", "default", PERSON, activate=True)
    await execute(database_url, lose, *notification(database_url))
    operator = Operator(tmp_path, database_url)
    for command in ("doctor", "upgrade"):
        told_there = operator.run(command)
        assert told_there.code == 1
        assert words in f"{told_there.out}{told_there.err}".replace("\n", " ")
    if loss in {"prompts", "agents", "prompts.format"}:  # what is served needs them
        await until(lambda: plugin.state is State.STALE, "the loss is noticed", 70)
        assert words in (plugin.health().error or "")
    assert await told(plugin, "a") == PERSON
    fresh = make_plugin(database_url, cache_dir=tmp_path / "none")
    await fresh.ready()
    await until(lambda: words in f"{fresh.health().error} {fresh.health().unwritten}", "it is told")
    async with Database(database_url) as database:
        with pytest.raises(SchemaError, match="restore a backup"):
            await upgrade(database)
    await execute(database_url, put_back)
    await until(lambda: plugin.state is State.LIVE, "it is followed again", 30)
    assert operator.run("upgrade").code == 0
    assert (await plugin.create("a", "default", "Later.", activate=True)).active_version == 3
    # What could not be written is tried again after a while.
    await until(lambda: plugin.health().unwritten is None, "writing goes on", 30)
    assert_follows(plugin, "a", 3)
