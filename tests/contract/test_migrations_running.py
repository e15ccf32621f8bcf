"""What a downgrade puts aside of tokens and usage, and the next upgrade takes back; two upgrades at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from automagik_prompts.schema import migrate, migrations, outlook
from automagik_prompts.schema.legacy.tables import TEXT_COLUMN
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.base import DatabaseReader
from tests.hosts import Host, downgrade, make_first_shape, upgrade

STEP = 8

AGENTS = "INSERT INTO agents (id, name) VALUES (1, 'stan'), (2, 'lea')"
PROMPT = (
    "INSERT INTO prompts (agent_id, status_key, version, prompt_text, format, is_active, is_default_from_code, "
    "content_hash, created_at, updated_at) VALUES ({}, 'default', {}, 'text', 'text', {{false}}, {{false}}, '', "
    "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
)
USAGE = "INSERT INTO prompt_usage (prompt_id, day, process_id, runs) VALUES ({}, '{}', '{}', {})"
CREDENTIAL = (
    "INSERT INTO prompt_tokens (name, hash, actor_id, roles, agents, created_at) "
    "VALUES ('{0}', '{0}', 'ci', '[\"editor\"]', '[\"*\"]', CURRENT_TIMESTAMP)"
)
PROCESS = (
    "INSERT INTO prompt_processes (id, host, pid, state, server, position, problems, started_at, seen_at, due_at) "
    "VALUES ('p1', 'web', 7, 'live', '', '', '[]', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
)
ANSWER = (
    "INSERT INTO prompt_idempotency_keys (actor_id, key, fingerprint, created_at) "
    "VALUES ('ci', 'k', '', CURRENT_TIMESTAMP)"
)


def usage(host: Host) -> list[tuple[object, ...]]:
    """Return how often each version was sent, by the names that last."""
    return host.rows(
        "SELECT a.name, p.version, u.process_id, u.runs FROM prompt_usage u JOIN prompts p ON p.id = u.prompt_id "
        "JOIN agents a ON a.id = p.agent_id ORDER BY a.name, p.version, u.day"
    )


@pytest.mark.parametrize("number", [STEP, 0])
def test_tokens_and_usage_come_back(empty_url: str, number: int) -> None:
    """Down and up, one step or all: tokens stay what they were, usage is summed up; processes and answers are gone."""
    host = Host(empty_url)
    upgrade(host.url)
    host.run(AGENTS, PROMPT.format(1, 1), PROMPT.format(1, 2), PROMPT.format(2, 1))
    host.run(
        *(USAGE.format(1, "2026-11-27", "p1", 3), USAGE.format(1, "2026-11-27", "p2", 4)),
        *(USAGE.format(1, "2026-11-26", "p1", 5), USAGE.format(3, "2026-11-27", "", 6)),
        USAGE.format(99, "2026-11-27", "p1", 7),
        *(
            CREDENTIAL.format("a"),
            CREDENTIAL.format("b"),
            "DELETE FROM prompt_tokens WHERE name = 'a'",
            PROCESS,
            ANSWER,
        ),
    )
    tokens = host.rows("SELECT * FROM prompt_tokens")
    downgrade(host.url, number)
    assert not {table for table in host.tables() if table.startswith(("prompt_p", "prompt_u", "prompt_t", "prompt_i"))}
    upgrade(host.url)
    assert host.rows("SELECT * FROM prompt_tokens") == tokens
    assert usage(host) == [("lea", 1, "", 6), ("stan", 1, "", 5), ("stan", 1, "", 7)]
    assert host.one("SELECT COUNT(*) FROM prompt_processes") == 0
    assert host.one("SELECT COUNT(*) FROM prompt_idempotency_keys") == 0
    assert not [table for table in host.tables() if "archive" in table]
    host.run(CREDENTIAL.format("c"))
    assert host.one("SELECT MAX(id) FROM prompt_tokens") == 3


async def test_another_upgrade_between_two_looks(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks while another process' upgrade ends sees the new schema, and takes no table of it for somebody's."""
    read = migrations.read_applied
    others: Iterator[Database]

    async def overtaken(db: DatabaseReader) -> tuple[str, ...]:
        found = await read(db)
        for other in others:
            async with other:
                await migrate.upgrade(other)
        return found

    monkeypatch.setattr(outlook, "read_applied", overtaken)
    others = iter([Database(empty_url)])
    async with Database(empty_url) as database:
        assert await outlook.look_ahead(database) == outlook.Outlook()
        assert await migrate.upgrade(database) == ()


def test_a_column_that_goes_between_two_looks(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process' upgrade drops in the middle of a look is no error of this one's."""
    host = Host(empty_url)
    make_first_shape(host)
    upgrade(host.url)
    downgrade(host.url, 2)
    others = iter([Database(empty_url)])

    async def overtaken(db: DatabaseReader) -> tuple[str, ...]:
        for other in others:
            async with other:
                await migrate.upgrade(other)
        await db.rows(f"SELECT {TEXT_COLUMN} FROM agents")
        return ()

    async def look() -> outlook.Outlook:
        async with Database(empty_url) as database:
            return await outlook.look_ahead(database)

    monkeypatch.setattr(outlook, "texts_without_version", overtaken)
    assert asyncio.run(look()) == outlook.Outlook()
    assert not next(others, None)
