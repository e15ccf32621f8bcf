"""Random transactions of plain SQL over a few agents, and what the tables say that must be served in the end."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection

from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.following.memory.packing import hash_of
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from tests.faults import execute
from tests.tampering import unkept

COLUMNS = "agent_id, status_key, version, prompt_text, is_active, format, content_hash, created_at, updated_at"
NOW = "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"


async def prepare(url: str, count: int) -> None:
    """Make a database with so many agents, with two versions each, the first of them active."""
    async with Database(url) as database:
        await migrate.upgrade(database)
    # What follows is all that SQL can do.
    await execute(
        url, *unkept(url), "BEGIN", *(one for number in range(1, count + 1) for one in added(number)), "COMMIT"
    )


def added(number: int, text: str = "first") -> tuple[str, ...]:
    """Return the statements that add an agent with two versions."""
    return (
        f"INSERT INTO agents (id, name, variables) VALUES ({number}, 'a{number}', '[]') ON CONFLICT DO NOTHING",
        *(
            f"INSERT INTO prompts ({COLUMNS}) VALUES ({number}, 'default', {version}, '{text}', {is_active}, 'text', "
            f"'{hash_of(text)}', {NOW}) ON CONFLICT DO NOTHING"
            for version, is_active in ((1, "true"), (2, "false"))
        ),
    )


def edited(number: int, text: str) -> str:
    """Return the statement that gives an agent's active version another text."""
    return (
        f"UPDATE prompts SET prompt_text = '{text}', content_hash = '{hash_of(text)}' "
        f"WHERE agent_id = {number} AND is_active"
    )


def transaction(chance: random.Random, count: int) -> Iterator[str]:
    """Yield the statements of one transaction over some agents, always in the order of their ids, and how it ends."""
    for number in sorted(chance.sample(range(1, count + 1), chance.randint(1, 3))):
        is_undone = chance.random() < 0.2
        if is_undone:
            yield "SAVEPOINT one"
        verb = chance.choice(("edit", "edit", "exchange", "deactivate", "delete", "add", "rename", "revision"))
        if verb == "edit":
            yield edited(number, f"{chance.random()}")
        elif verb == "exchange":
            kept = chance.randint(1, 2)
            yield f"UPDATE prompts SET is_active = false WHERE agent_id = {number}"
            yield f"UPDATE prompts SET is_active = true WHERE agent_id = {number} AND version = {kept}"
        elif verb == "deactivate":
            yield f"UPDATE prompts SET is_active = false WHERE agent_id = {number}"
        elif verb == "delete":
            yield f"DELETE FROM prompts WHERE agent_id = {number}"
            yield f"DELETE FROM agents WHERE id = {number}"
        elif verb == "rename":
            yield f"UPDATE agents SET name = 'a{number}.{chance.randint(1, 2)}' WHERE id = {number}"
        elif verb == "revision":
            yield f"UPDATE agents SET revision = revision + 1 WHERE id = {number}"
        else:
            yield from added(number, f"{chance.random()}")
        if is_undone:
            yield "ROLLBACK TO one"
    yield chance.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))


async def in_tables(url: str) -> dict[str, str | None]:
    """Return the active text of each agent that the tables have."""
    rows = await execute(
        url,
        "SELECT a.name, p.prompt_text FROM agents a LEFT JOIN prompts p ON p.agent_id = a.id AND p.is_active",
    )
    return {str(name): text for name, text in rows}


def in_memory(plugin: PromptPlugin) -> dict[str, str | None]:
    """Return the text that is served for each agent that a plugin knows."""
    snapshot = plugin._life.state.snapshot
    return {} if snapshot is None else {name: text_of(plugin, name) for name in snapshot.agents}


def text_of(plugin: PromptPlugin, name: str) -> str | None:
    """Return what is served for an agent, if there is anything."""
    try:
        return plugin.resolve(name).text
    except NoActivePromptError:
        return None


def write(connections: list[Connection], path: str, seed: int, steps: int, count: int) -> None:
    """Be a process that writes random transactions to an SQLite file, and say when it has."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as file:
        for _ in range(steps):
            file.execute("BEGIN IMMEDIATE")
            for statement in transaction(chance, count):
                file.execute(statement)
    connections[0].send((True, "written"))
    connections[0].poll(None)


async def pause(chance: random.Random) -> None:
    """Let others go on for a moment, now and then for a longer one."""
    await asyncio.sleep(chance.choice((0, 0, 0.001, 0.02)))
