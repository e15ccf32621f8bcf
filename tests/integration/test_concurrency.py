"""Eight processes write to one agent at once: whatever they do, in whatever order, the database stays as it must be."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.editing import commands, finding
from automagik_prompts.editing.sync import seed as seed_code
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.storage.database import Database
from tests.checker import Active, check
from tests.conftest import MakePlugin
from tests.faults import execute
from tests.processes import Launcher
from tests.tampering import unkept
from tests.waiting import until
from tests.writers import AGENT, STATUSES, VERBS, Done

PROCESSES = 8
STEPS = 30
SEED = "AUTOMAGIK_PROMPTS_TEST_SEED"


@pytest.fixture
def seed() -> int:
    """What the schedules come from; printed, and taken from the environment to do the same again."""
    chosen = int(os.environ.get(SEED) or random.randrange(2**32))
    print(f"To do the same again: {SEED}={chosen}")
    return chosen


async def _begin(url: str, registry: Registry) -> None:
    registry.declare(AGENT, {key: f"The code's text of {key}." for key in STATUSES}, where="here", primary="A")
    async with Database(url) as database:
        await seed_code(database, registry.agents)


async def test_eight_writers_at_once(
    database_url: str, registry: Registry, make_plugin: MakePlugin, launcher: Launcher, seed: int
) -> None:
    """No gap and no double, one active version or none, and the events tell it all; a process that follows agrees."""
    await _begin(database_url, registry)
    plugin = make_plugin(database_url, poll_interval=0.05)
    await plugin.ready()
    children = [launcher.fork("tests.writers:write", database_url, seed + number, STEPS) for number in range(PROCESSES)]
    done: Done = sum((child.answer() for child in children), Counter())
    for child in children:
        assert child.close() == 0
    assert sum(done.values()) == PROCESSES * STEPS
    # Everything was done at least once, or tried: a conflict is what `careful` comes to among so many.
    assert {*done, "careful"} >= set(VERBS)
    active = await check(database_url)
    await until(lambda: _served(plugin) == active, "the process that follows serves what is active")
    assert plugin.state is State.LIVE


def _served(plugin: PromptPlugin) -> Active:
    """Return what a process serves for each status that has a text of its own."""
    found = {key: plugin.explain(AGENT, key) for key in STATUSES}
    return {
        (AGENT, key): explained.version
        for key, explained in found.items()
        if explained.version is not None and explained.served_status_key == key
    }


async def test_writers_that_are_killed(database_url: str, registry: Registry, launcher: Launcher, seed: int) -> None:
    """Writers that are killed in the middle leave nothing half-done, and hold up nobody."""
    await _begin(database_url, registry)
    children = [
        launcher.fork("tests.writers:write", database_url, seed + number, STEPS if number % 2 else 100_000)
        for number in range(PROCESSES)
    ]
    async with Database(database_url) as database:
        for number, child in enumerate(children[::2], start=1):
            while (await finding.find_agent(database, AGENT)).revision < number * 15:
                pass  # asking takes its time, and they write meanwhile
            child.send_signal(signal.SIGKILL)
        for child in children[1::2]:
            assert sum(child.answer().values()) == STEPS
        for number, child in enumerate(children):
            assert child.close() == (0 if number % 2 else -signal.SIGKILL)
        await check(database_url)
        # And whoever comes next writes as if nothing had happened.
        change = await commands.create(database, AGENT, "A", "afterwards", activate=True)
    assert (await check(database_url))[AGENT, "A"] == change.active_version


async def test_checker_can_object(database_url: str, registry: Registry) -> None:
    """Each thing that the checker looks at, broken by hand, is found."""
    await _begin(database_url, registry)
    async with Database(database_url) as database:
        for text in ("two", "three"):
            await commands.create(database, AGENT, "A", text, activate=True)
    assert (await check(database_url))[AGENT, "A"] == 3
    sabotage = (
        "UPDATE prompts SET version = 9 WHERE version = 2",
        "UPDATE prompts SET is_active = false WHERE status_key = 'A'",
        "UPDATE prompts SET is_active = true WHERE status_key = 'A' AND version = 2",
        "UPDATE agents SET active_default_prompt_id = NULL",
        "UPDATE agents SET revision = 1",
        "UPDATE prompts SET prompt_text = 'other' WHERE version = 3",
        "DELETE FROM prompts WHERE version = 2",
        "DELETE FROM prompt_events WHERE action = 'activated' AND version = 3",
        "DELETE FROM prompt_events WHERE action = 'created' AND version = 2",
    )
    tables = ("agents", "prompts", "prompt_events")
    await execute(database_url, *unkept(database_url))
    for statement in sabotage:
        copies = [f"CREATE TABLE kept_{table} AS SELECT * FROM {table}" for table in tables]
        await execute(database_url, *copies)
        if "is_active = true" in statement:
            await execute(database_url, "DROP INDEX uid_prompts_one_active")
        await execute(database_url, statement)
        with pytest.raises(AssertionError):
            await check(database_url)
        await _restore(database_url, tables)
        assert (await check(database_url))[AGENT, "A"] == 3


async def _restore(url: str, tables: tuple[str, ...]) -> None:
    for table in reversed(tables):
        await execute(url, f"DELETE FROM {table}")
    agents, *others = tables
    columns = "id, name, default_status_key, variables, revision, created_at, updated_at"
    await execute(url, f"INSERT INTO {agents} ({columns}) SELECT {columns} FROM kept_{agents}")
    for table in others:
        await execute(url, f"INSERT INTO {table} SELECT * FROM kept_{table}")
    await execute(
        url,
        f"UPDATE {agents} SET active_default_prompt_id = (SELECT active_default_prompt_id FROM kept_{agents} k "
        f"WHERE k.id = {agents}.id)",
    )
    await execute(url, *(f"DROP TABLE kept_{table}" for table in tables))
