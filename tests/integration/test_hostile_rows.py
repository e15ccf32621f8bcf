"""Rows that plain SQL has written, at random from a printed seed: a problem of their agent, and of no other."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import pytest

from automagik_prompts import PromptPlugin, State
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.storage.connection import Client, Connection
from automagik_prompts.storage.database import Database
from tests.waiting import until

MakePlugin = Callable[..., PromptPlugin]

TEXTS = [
    *("{{truncate name ²}}", "{{-²}}", "{{truncate name " + "9" * 5000 + "}}", "{{" * 500, "{{#if " * 300, "", " "),
    *("{{truncate " + "(json " * 40 + '"x"' + ")" * 40 + " 0}}", "{{#each a}}" * 60 + "x" + "{{/each}}" * 60),
    *("{{#each a}}" + "{{x}}" * 3000 + "{{/each}}", "{{api_key}}", "\u202e{{name}}", "x" * 100_000, "{{a.__class__}}"),
    *("{{[constructor]}}", "{{@root}}", "${{ secrets.X }}", "{{/if}}", "{{!--", "{{name}}\ufeff"),
]
FORMATS = ["handlebars", "handlebars", "simple", "text", "jinja", ""]


async def write(db: Client, chance: random.Random, rows: int) -> None:
    """Write active versions of the agent `bad`, each of another status."""
    connection = Connection(db)
    ((row),) = await connection.rows("SELECT id FROM agents WHERE name = ?", "bad")
    for number in range(rows):
        await connection.run(
            "INSERT INTO prompts (agent_id, status_key, version, prompt_text, format, content_hash, is_active, "
            "is_default_from_code, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, CURRENT_TIMESTAMP, "
            "CURRENT_TIMESTAMP)",
            row["id"],
            f"S{chance.randrange(10**9)}\x1b[2J\n",
            chance.choice([1, 7, 2**31 - 1]),
            chance.choice(TEXTS),
            chance.choice(FORMATS),
            chance.choice(["", "0" * 64, f"{number}"]),
            True,
            chance.random() < 0.5,
        )


def serves(plugin: PromptPlugin, text: str) -> bool:
    """Return whether the good agent is served a text."""
    return plugin.resolve("good").text == text


async def test_fault_56_hostile_rows(database_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """The fleet goes on following every other agent; each row that cannot be served is named, none is dropped."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")  # to repeat a run that failed
    chance = random.Random(seed)
    registry.declare("good", {"default": "code"}, where="here", variables=["name"])
    registry.declare("bad", {"default": "bad code"}, where="here", variables=["name"])
    plugin = make_plugin(database_url, poll_interval=0.05, heartbeat=0)  # the test reads before it writes
    await plugin.ready()
    async with Database(database_url) as database:
        for round_ in range(4):
            await database.transaction(write, chance, 8)
            text = f"round {round_}"
            await plugin.create("good", "default", text, activate=True)
            fresh = make_plugin(database_url, disk_snapshot=False, heartbeat=0)
            await fresh.ready()
            for one in (plugin, fresh):
                await until(partial(serves, one, text), "the good agent is followed")
                assert one.state is State.LIVE
                assert one.resolve("bad").text == "bad code"
                snapshot = one.snapshot()
                assert snapshot is not None
                assert {problem.agent for problem in snapshot.problems} == {"bad"}
            fresh.close()


async def test_fault_74_names_that_forge_lines(
    database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A line break or an escape in a name that SQL has written begins no line in a log and moves no cursor."""
    registry.declare("bad", {"default": "bad code"}, where="here")
    plugin = make_plugin(database_url, heartbeat=0)  # as above
    await plugin.ready()
    async with Database(database_url) as database:
        await database.transaction(write, random.Random(1), 12)
    await plugin.create("bad", "default", "This is written properly, so it is read.")
    await until(lambda: plugin.health().problems, "they are found")
    await until(lambda: "cannot be served" in caplog.text, "they are logged")
    for record in caplog.records:
        assert "\n" not in record.getMessage()
        assert "\x1b" not in record.getMessage()
    assert "<U+001B>[2J<U+000A>" in caplog.text
