"""Writers that are processes, at the same time, on the same agent."""

from __future__ import annotations

import random
from collections import Counter

from automagik_prompts.editing import commands
from automagik_prompts.storage.database import Database
from tests.contract.history import check_history, standing
from tests.contract.writer import STATUSES, VERBS
from tests.processes import Launcher

PROCESSES = 5
STEPS = 30


async def test_writers_at_random(shared_url: str, database: Database, agent: str, launcher: Launcher) -> None:
    """Whatever several processes do at once: no gap, no double, one active or none, and the events tell it all."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # to do the same again after a failure
    for status_key in STATUSES:
        await commands.create(database, agent, status_key, "the first", activate=True, new_agent=True, new_status=True)
    children = [
        launcher.fork("tests.contract.writer:write", shared_url, agent, seed + number, STEPS)
        for number in range(PROCESSES)
    ]
    done: Counter[str] = sum((child.answer() for child in children), Counter())
    for child in children:
        assert child.close() == 0
    assert sum(done.values()) == PROCESSES * STEPS
    assert set(VERBS) - {"stale"} <= set(done), f"not everything was done: {done}"
    assert done["stale"] + done["ConflictError"] > 0
    await check_history(database, agent)


async def test_writers_of_one_status(shared_url: str, database: Database, agent: str, launcher: Launcher) -> None:
    """Versions written by several processes are numbered without a gap, and none is lost."""
    await commands.create(database, agent, "default", "the first", new_agent=True, new_status=True)
    children = [launcher.fork("tests.contract.writer:create_many", shared_url, agent, STEPS) for _ in range(PROCESSES)]
    assert sum(child.answer() for child in children) == PROCESSES * STEPS
    for child in children:
        assert child.close() == 0
    found = await standing(database, agent)
    assert [number for number, _ in found] == list(range(1, PROCESSES * STEPS + 2))
    await check_history(database, agent)
