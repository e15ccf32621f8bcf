"""Processes that write at random; `test_concurrency` starts several of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from multiprocessing.connection import Connection

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import Intent
from automagik_prompts.editing import commands, finding, queries, sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage.database import Database

AGENT = "contended"
STATUSES = ("A", "B", "C")
VERBS = ("create", "publish", "activate", "rollback", "deactivate", "seed", "sync", "copy", "delete", "careful")

Done = Counter[str]


def write(connections: list[Connection], url: str, seed: int, steps: int) -> None:
    """Do so many random things to one agent, tell what came of them, and wait for the test to say goodbye."""
    connections[0].send((True, asyncio.run(_write(url, random.Random(seed), steps))))
    connections[0].poll(None)


def keep_busy(connections: list[Connection], path: str) -> None:
    """Write to an SQLite file all the time, with short rests, until the test says goodbye."""
    chance = random.Random(path)
    with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as database:
        while not connections[0].poll(chance.uniform(0, 0.02)):
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE agents SET updated_at = CURRENT_TIMESTAMP WHERE name = 'a'")
            connections[0].poll(chance.uniform(0, 0.3))  # as long as a busy application's transaction
            database.execute("COMMIT")


async def _write(url: str, chance: random.Random, steps: int) -> Done:
    done: Done = Counter()
    async with Database(url) as database:
        for step in range(steps):
            verb = chance.choice(VERBS)
            try:
                await _do(database, verb, chance, f"{verb} {step} {chance.random()}")
            except (ConflictError, InvalidPromptError, PromptNotFoundError) as error:
                done[type(error).__name__] += 1
            else:
                done[verb] += 1
    return done


async def _do(database: Database, verb: str, chance: random.Random, text: str) -> None:
    status_key, version = chance.choice(STATUSES), chance.randint(1, 12)
    intent = Intent(author=f"writer, {verb}")
    if verb == "activate":
        await commands.activate(database, AGENT, status_key, version, intent=intent)
    elif verb == "rollback":
        await commands.rollback(database, AGENT, status_key, intent=intent)
    elif verb == "deactivate":
        await commands.deactivate(database, AGENT, status_key, intent=intent)
    elif verb == "delete":
        await commands.delete(database, AGENT, status_key, version, intent=intent)
    elif verb == "copy":
        source = await queries.get(database, AGENT, status_key, version)
        await DatabaseEdits(database).copy(source, AGENT, chance.choice(STATUSES), activate=chance.random() < 0.5)
    elif verb in {"seed", "sync"}:
        registry = Registry()
        texts = {key: f"release {chance.randint(1, 6)} of {key}" for key in STATUSES}
        registry.declare(AGENT, texts, where="the test", primary=chance.choice(STATUSES))
        await sync.seed(database, registry.agents, exact=verb == "sync")
    else:
        if verb == "careful":
            revision = (await finding.find_agent(database, AGENT)).revision
            intent = Intent(author="careful", expected_revision=revision)
        await commands.create(database, AGENT, status_key, text, activate=verb != "create", intent=intent)
