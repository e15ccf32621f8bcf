"""What the database keeps as it was written: texts and events, on each engine, whoever writes by plain SQL."""

from __future__ import annotations

import pytest

from automagik_prompts.editing import commands, queries
from automagik_prompts.exceptions import MissingRightError
from automagik_prompts.schema import migrate
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.introspection import keeps_history
from automagik_prompts.storage.repository import get_events
from tests.faults import execute
from tests.tampering import unkeep, unkept

RIGHTS = "7_20261127210000_rights.py"

CHANGES = (
    *("UPDATE prompts SET prompt_text = 'Forged.'", "UPDATE prompts SET format = 'text'"),
    *(
        "UPDATE prompt_events SET note = 'other'",
        "UPDATE prompt_events SET db_user = 'other'",
        "DELETE FROM prompt_events",
    ),
)
UNCHANGED = (
    *("UPDATE prompts SET prompt_text = prompt_text, version = version", "UPDATE prompts SET name = 'a', note = 'b'"),
    *("UPDATE prompts SET is_active = false", "DELETE FROM prompts", "DELETE FROM agents"),
)


@pytest.fixture
async def filled_url(database_url: str) -> str:
    """A database with two versions of an agent's text, each with its events."""
    async with Database(database_url) as database:
        await fill(database, "a")
    return database_url


async def fill(database: Database, agent: str) -> None:
    """Write two versions, one of them active."""
    await commands.create(database, agent, "default", "okapi", activate=True, new_agent=True, new_status=True)
    await commands.create(database, agent, "default", "two")


async def run(database: Database, statement: str) -> None:
    """Run one statement in a transaction of its own."""
    await database.transaction(lambda client: Connection(client).run(statement))


async def standing(database: Database) -> list[object]:
    """Return all that is written."""
    rows = [
        await database.run(lambda client, name: Connection(client).rows(f"SELECT * FROM {name} ORDER BY id"), name)
        for name in ("prompts", "prompt_events")
    ]
    return [*rows]


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_written_stays(filled_url: str, change: str) -> None:
    """Plain SQL is refused in words that say what to do; nothing is changed."""
    async with Database(filled_url) as database:
        before = await standing(database)
        with pytest.raises(MissingRightError, match="stays as it was written") as refused:
            await run(database, change)
        assert refused.value.message.startswith("The database ")
        assert ("automagik_prompts.maintenance" in refused.value.message) is (database.dialect == "postgres")
        assert "okapi" not in refused.value.message
        assert await standing(database) == before


@pytest.mark.parametrize("change", UNCHANGED)
async def test_all_else_is_as_before(filled_url: str, change: str) -> None:
    """What is no change of a text or an event is done, and a deleted agent takes its events along."""
    async with Database(filled_url) as database:
        await run(database, change)
        if change == "DELETE FROM agents":
            assert await standing(database) == [[], []]
            # Its number and its name may be used again, and what is written then stays as well.
            await fill(database, "a")
            with pytest.raises(MissingRightError):
                await run(database, "DELETE FROM prompt_events")


async def test_events_of_nobody_may_go(sqlite_url: str) -> None:
    """An application that does not enforce foreign keys can delete an agent, and then what is left of it."""
    async with Database(sqlite_url) as database:
        await migrate.upgrade(database)
        await fill(database, "a")
        await fill(database, "b")
    gone = (
        "DELETE FROM agents WHERE name = 'a'",
        "DELETE FROM prompt_events WHERE agent_id NOT IN (SELECT id FROM agents)",
    )
    await execute(sqlite_url, "PRAGMA foreign_keys = OFF", *gone)
    async with Database(sqlite_url) as database:
        assert {event.agent for event in await queries.events(database)} == {"b"}


async def test_an_application_may_rebuild_its_agents(sqlite_url: str) -> None:
    """Until the next upgrade events can be deleted then, and an agent's deletion still takes them along."""
    async with Database(sqlite_url) as database:
        await migrate.upgrade(database)
        await fill(database, "a")
        await fill(database, "b")
    ((create,),) = await execute(sqlite_url, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'agents'")
    await execute(
        sqlite_url,
        "PRAGMA foreign_keys = OFF",
        str(create).replace('"agents"', '"new_agents"', 1),
        "INSERT INTO new_agents SELECT * FROM agents",
        "DROP TABLE agents",
        "ALTER TABLE new_agents RENAME TO agents",
    )
    async with Database(sqlite_url) as database:
        await run(database, "DELETE FROM agents WHERE name = 'a'")
        assert {event.agent for event in await queries.events(database)} == {"b"}
        assert RIGHTS in await migrate.upgrade(database)
        with pytest.raises(MissingRightError):
            await run(database, "DELETE FROM prompt_events")


async def test_an_upgrade_brings_the_triggers_back(filled_url: str) -> None:
    """What an owner has dropped for a retention is there again after the next upgrade."""
    dropped = unkept(filled_url)
    if filled_url.startswith("postgres"):
        dropped = ("DROP TRIGGER prompt_events_kept_delete ON prompt_events",)
    await execute(filled_url, *dropped, "DELETE FROM prompt_events WHERE action = 'created'")
    async with Database(filled_url) as database:
        assert not await database.run(lambda client: keeps_history(Connection(client)))
        assert await migrate.upgrade(database) == (RIGHTS,)
        assert await database.run(lambda client: keeps_history(Connection(client)))
        with pytest.raises(MissingRightError):
            await run(database, "DELETE FROM prompt_events")


@pytest.mark.parametrize("step", [7, 6, 0])
async def test_who_had_logged_in_comes_back_with_an_upgrade(filled_url: str, step: int) -> None:
    """A downgrade puts it aside, and whoever upgrades does not become the writer."""
    async with Database(filled_url) as database:
        events = await database.run(get_events, None)
        assert [event.db_user is None for event in events] == [database.dialect == "sqlite"] * len(events)
        if database.dialect == "postgres":
            await unkeep(database)
            await run(database, "UPDATE prompt_events SET db_user = 'ana' WHERE action = 'activated'")
        before = [(event.action, event.db_user) for event in await database.run(get_events, None)]
        assert len(set(before)) > 1
        await migrate.downgrade(database, step)
        await migrate.upgrade(database)
        assert [(event.action, event.db_user) for event in await database.run(get_events, None)] == before
