"""A process that writes at random, together with others; `test_concurrency` starts several of them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from multiprocessing.connection import Connection

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import Intent
from automagik_prompts.editing import commands, finding, sync
from automagik_prompts.exceptions import ConflictError, PromptNotFoundError
from automagik_prompts.storage.database import Database

STATUSES = ("A", "B")
VERBS = ("create", "create and activate", "activate", "rollback", "deactivate", "seed", "sync", "stale")


def write(connections: list[Connection], url: str, agent: str, seed: int, steps: int) -> None:
    """Do random things to an agent, tell how often each one succeeded, and wait for the test to say goodbye."""
    done = asyncio.run(_write(url, agent, random.Random(seed), steps))
    connections[0].send((True, done))
    connections[0].poll(None)


def create_many(connections: list[Connection], url: str, agent: str, count: int) -> None:
    """Write versions as fast as possible, and tell how many."""

    async def run() -> int:
        async with Database(url) as database:
            for number in range(count):
                await commands.create(database, agent, "default", f"text {number}")
        return count

    connections[0].send((True, asyncio.run(run())))
    connections[0].poll(None)


async def _write(url: str, agent: str, chance: random.Random, steps: int) -> Counter[str]:
    done: Counter[str] = Counter()
    async with Database(url) as database:
        for step in range(steps):
            verb = chance.choice(VERBS)
            try:
                await _do(database, agent, verb, chance, f"{chance.random()} {step}")
            except (PromptNotFoundError, ConflictError) as error:
                done[type(error).__name__] += 1
            else:
                done[verb] += 1
    return done


async def _do(database: Database, agent: str, verb: str, chance: random.Random, text: str) -> None:
    status_key, intent = chance.choice(STATUSES), Intent(author=f"writer {verb}")
    if verb in {"create", "create and activate"}:
        await commands.create(database, agent, status_key, text, activate=verb != "create", intent=intent)
    elif verb == "activate":
        await commands.activate(database, agent, status_key, chance.randint(1, 12), intent=intent)
    elif verb == "rollback":
        await commands.rollback(database, agent, status_key, intent=intent)
    elif verb == "deactivate":
        await commands.deactivate(database, agent, status_key, intent=intent)
    elif verb == "stale":
        revision = (await finding.find_agent(database, agent)).revision
        intent = Intent(author="careful", expected_revision=revision)
        await commands.create(database, agent, status_key, text, activate=True, intent=intent)
    else:
        registry = Registry()
        texts = {key: f"release {chance.randint(1, 6)} of {key}" for key in STATUSES}
        registry.declare(agent, texts, where="the test", primary=chance.choice(STATUSES))
        await sync.seed(database, registry.agents, exact=verb == "sync")
