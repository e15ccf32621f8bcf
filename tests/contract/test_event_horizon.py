"""The events in their order: a number is passed only when nothing lower can come to be any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from automagik_prompts.editing.access import feeding
from automagik_prompts.editing.access.feeding import Horizon
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.storage.connection import Client, Connection
from automagik_prompts.storage.database import Database
from tests.tampering import unkeep

AGENTS = ("one", "two")
_EVENT = (
    "INSERT INTO prompt_events (agent_id, status_key, action, revision, created_at) "
    "SELECT id, 'NEW', 'commented', revision, CURRENT_TIMESTAMP FROM agents WHERE name = ?"
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with two agents."""
    async with Database(database_url) as database:
        edits = DatabaseEdits(database)
        for name in AGENTS:
            await edits.create(name, "NEW", "Hi.", new_agent=True)
        yield database


async def lock(db: Client, agent: str) -> None:
    """Begin to write, as every transaction does: from now on it has a number."""
    await Connection(db).run("UPDATE agents SET revision = revision + 1 WHERE name = ?", agent)


async def note(db: Client, agent: str) -> None:
    """Append an event."""
    await Connection(db).run(_EVENT, agent)


async def newest(database: Database) -> int:
    """Return the highest number that is there."""
    rows = await database.run(lambda db: Connection(db).rows("SELECT MAX(id) AS id FROM prompt_events"))
    return int(rows[0]["id"])


async def test_what_is_there_is_settled(database: Database) -> None:
    """Where nobody writes, everything is there at once."""
    horizon = Horizon()
    assert await horizon.look(database) == await newest(database) == 2
    await DatabaseEdits(database).comment("one", "NEW", text="Why?")
    assert await horizon.look(database) == await newest(database) == 3
    events = await feeding.events_after(database, 1, until=3, limit=10)
    assert [(event.id, event.agent, event.action.value) for event in events] == [
        (2, "two", "created"),
        (3, "one", "commented"),
    ]


@pytest.mark.parametrize("first", AGENTS)
@pytest.mark.parametrize("ending", ["commit", "abort"])
async def test_two_transactions(database: Database, first: str, ending: str) -> None:
    """One takes the lower number and ends later, whichever has begun first: until then nobody is told of the other."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite lets one write at a time")
    horizon = Horizon()
    before = await horizon.look(database)
    slow, fast = AGENTS
    async with Database(database.url) as another:
        stack = AsyncExitStack()
        connections = {slow: await stack.enter_async_context(another.connection())}
        async with database.connection() as connections[fast]:
            for name in sorted(AGENTS, key=lambda one: one != first):
                await lock(connections[name], name)
            await note(connections[slow], slow)
            await note(connections[fast], fast)
        assert await newest(database) == before + 2
        for _ in range(3):
            assert await horizon.look(database) == before
        fresh = Horizon()
        assert await fresh.look(database) < before + 2
        assert fresh.newest == before + 2
        if ending == "commit":
            await stack.aclose()
        else:
            with pytest.raises(ZeroDivisionError):
                async with stack:
                    raise ZeroDivisionError
    assert await horizon.look(database) == await fresh.look(database) == before + 2
    found = await feeding.events_after(database, before, until=before + 2, limit=10)
    assert [event.agent for event in found] == ([slow, fast] if ending == "commit" else [fast])


async def test_a_database_that_was_restored(database: Database) -> None:
    """Where the numbers have gone back, it begins anew."""
    horizon = Horizon()
    assert await horizon.look(database) == 2
    await unkeep(database)
    await database.run(lambda db: Connection(db).run("DELETE FROM prompt_events WHERE id = 2"))
    assert await horizon.look(database) == 1
    await DatabaseEdits(database).comment("one", "NEW", text="Why?")
    assert await horizon.look(database) == await newest(database)


async def test_an_unrelated_transaction(database: Database) -> None:
    """Whatever goes on may still write: an event waits for it, also where nothing comes of it."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite lets one write at a time")
    horizon = Horizon()
    before = await horizon.look(database)
    async with Database(database.url) as another:
        async with another.connection() as db:
            await lock(db, "one")
            await DatabaseEdits(database).comment("two", "NEW", text="Why?")
            assert await horizon.look(database) == await horizon.look(database) == before
        assert await horizon.look(database) == before + 1


async def test_a_server_that_was_replaced(database: Database) -> None:
    """Where the transactions' numbers have gone back it begins anew, and does not wait for those of another server."""
    horizon = Horizon()
    await horizon.look(database)
    horizon._oldest = 10**12
    horizon._seen.append((horizon.newest, 10**12))
    await DatabaseEdits(database).comment("one", "NEW", text="Why?")
    assert await horizon.look(database) == await newest(database)
