"""A server with a running application: schemas, rights, policies, timeouts and locks that stand in an upgrade's way."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest

from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.schema import migrate, migrations
from automagik_prompts.schema.legacy import preview
from automagik_prompts.schema.migrations import all_migrations
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.postgres import connect_parameters
from tests.hosts import TEXTS, Host, downgrade, fill_agents, make_agents, make_first_shape, upgrade
from tests.operator import Operator
from tests.servers import PostgresServer

UNCHANGED = r"Nothing was changed"


@pytest.fixture
def host(postgres_url: str) -> Host:
    """A host's database on a server, with a text for each agent."""
    host = Host(postgres_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    return host


@pytest.fixture
def role(postgres: PostgresServer, host: Host) -> Iterator[str]:
    """A user of the host's own, who may log in and do nothing else."""
    name = f"guest_{uuid.uuid4().hex[:8]}"
    host.run(f"CREATE ROLE {name} LOGIN")
    yield name
    host.run(f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}")
    postgres.execute(f"DROP ROLE {name}")


def as_role(url: str, role: str) -> str:
    """Return the URL of the same database for another user."""
    return re.sub(r"//[^@]*@", f"//{role}:@", url)


def settings_of_database(host: Host, **settings: str) -> None:
    """Set something for every connection to a database that is made from now on."""
    name = host.one("SELECT current_database()::text")
    host.run(*(f'ALTER DATABASE "{name}" SET {setting} = {value}' for setting, value in settings.items()))


def refused(host: Host, url: str, word: str) -> None:
    """Make sure that an upgrade says so and changes nothing, and that the preview says it beforehand."""
    before = host.shape(), host.content()
    with pytest.raises(SchemaError, match=f"{UNCHANGED}.*{word}"):
        upgrade(url)
    assert (host.shape(), host.content()) == before
    assert any(re.search(word, blocker) for blocker in asyncio.run(preview.preview(url)).blockers)


def test_a_schema_of_its_own(postgres_url: str) -> None:
    """Tables in the schema that comes first in the search path are adopted there, and a like-named one is let alone."""
    host = Host(postgres_url)
    host.run("CREATE SCHEMA app", "CREATE TABLE agents (id INTEGER, name TEXT, system_prompt TEXT)")
    host.run("INSERT INTO agents VALUES (1, 'other', 'Not meant.')")
    settings_of_database(host, search_path="app, public")
    make_first_shape(host)
    before = host.shape(), host.content()
    upgrade(host.url)
    assert host.one("SELECT COUNT(*) FROM prompts") == 16
    assert host.rows("SELECT * FROM public.agents") == [(1, "other", "Not meant.")]
    downgrade(host.url)
    assert host.content()["agents"] == before[1]["agents"]
    assert host.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'") == [("agents",)]


def test_tables_that_would_be_hidden(host: Host) -> None:
    """Where new tables would be made in another schema than the host's, the upgrade would pass its texts by."""
    host.run("CREATE SCHEMA app")
    settings_of_database(host, search_path="app, public")
    refused(host, host.url, "a table agents in the schema public, and the upgrade would create another one in the sch")
    assert host.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'app'") == []


def test_no_schema_at_all(host: Host) -> None:
    """A search path that leads nowhere is told, with the command."""
    settings_of_database(host, search_path="nowhere")
    refused(host, host.url, r"no schema of the search path \(nowhere\) exists: .* SET search_path")


def test_a_user_who_may_not_create_tables(host: Host, role: str) -> None:
    """Since PostgreSQL 15 an ordinary user may not create tables in `public`: who may, and how to let this one."""
    host.run(*(f"ALTER TABLE {table} OWNER TO {role}" for table in ("agents", "messages")))
    refused(host, as_role(host.url, role), f"{role} may not create tables in the schema public: GRANT CREATE ON SCHEMA")
    host.run(f"GRANT CREATE ON SCHEMA public TO {role}")
    assert len(upgrade(as_role(host.url, role))) == len(all_migrations())
    host.run(f"REVOKE CREATE ON SCHEMA public FROM {role}")
    assert upgrade(as_role(host.url, role)) == ()


def test_a_server_that_takes_no_writes(host: Host, tmp_path: Path) -> None:
    """On a standby an upgrade says in one line where to go; the preview works."""
    settings_of_database(host, default_transaction_read_only="on")
    outcome = Operator(tmp_path, host.url).run("upgrade")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "takes no writes for this user" in outcome.err
    assert len(asyncio.run(preview.preview(host.url)).agents) == len(TEXTS)


def test_rows_that_a_policy_hides(host: Host, role: str) -> None:
    """Texts in rows that this user does not see would be dropped unread, so that nothing is done at all."""
    host.run(
        f"GRANT CREATE ON SCHEMA public TO {role}",
        *(f"ALTER TABLE {table} OWNER TO {role}" for table in ("agents", "messages")),
        "ALTER TABLE agents ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY early ON agents USING (name < 'd')",
    )
    host.run("ALTER TABLE agents FORCE ROW LEVEL SECURITY")
    url = as_role(host.url, role)
    refused(host, url, f"row-level security hides rows of agents from {role}: .*NO FORCE ROW LEVEL SECURITY")
    # Without FORCE a policy does not concern the owner.
    host.run("ALTER TABLE agents NO FORCE ROW LEVEL SECURITY")
    upgrade(url)
    assert host.one("SELECT COUNT(*) FROM prompts") == 8
    # A policy that came between two steps is seen by the last one.
    downgrade(url, 2)
    host.run("ALTER TABLE agents FORCE ROW LEVEL SECURITY")
    with pytest.raises(DatabaseUnavailableError, match="row-level security policy"):
        upgrade(url)
    assert host.one("SELECT COUNT(system_prompt) FROM agents") == 12


def test_tables_that_inherit(host: Host) -> None:
    """Rows of a table that inherits from `agents` are seen with it, but no foreign key reaches them."""
    host.run("CREATE TABLE special () INHERITS (agents)")
    refused(host, host.url, "agents has partitions or tables that inherit from it")


def test_timeouts_of_ordinary_work(host: Host) -> None:
    """What a server allows a statement or a transaction to take, for its application, does not cut an upgrade short."""
    fill_agents(host, {f"agent {number}": f"{number}: {{{{name}}}}" for number in range(3000)})
    settings_of_database(host, statement_timeout="'300ms'", idle_in_transaction_session_timeout="'300ms'")
    assert len(upgrade(host.url)) == len(all_migrations())
    assert len(downgrade(host.url)) == len(all_migrations())


def test_a_row_that_somebody_holds(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that holds one row of `agents` is not waited for without end, neither by aerich's step."""
    monkeypatch.setattr("automagik_prompts.schema.legacy.locks.TABLE_TIMEOUT", 0.2)
    before = host.shape(), host.content()

    async def both() -> None:
        holder = await asyncpg.connect(**connect_parameters(host.url))
        try:
            async with holder.transaction(), Database(host.url) as database:
                await holder.execute("SELECT 1 FROM agents WHERE name = 'plain' FOR UPDATE")
                with pytest.raises(DatabaseUnavailableError, match="has held the table agents or prompts for more"):
                    await migrate.upgrade(database)
                first = migrations.all_migrations()[0].load()
                with pytest.raises(DatabaseUnavailableError, match="lock timeout"):
                    await database.transaction(first.upgrade)
        finally:
            await holder.close()

    asyncio.run(both())
    assert (host.shape(), host.content()) == before


def test_an_application_that_reads_one_table_after_the_other(postgres_url: str) -> None:
    """A transaction that has read `agents` and goes on to `prompts` is let through: nobody waits in a circle."""
    host = Host(postgres_url)
    make_first_shape(host)

    async def both() -> tuple[str, ...]:
        reader = await asyncpg.connect(**connect_parameters(host.url))
        try:
            async with Database(host.url) as database:
                async with reader.transaction():
                    await reader.fetch("SELECT name FROM agents")
                    upgrading = asyncio.create_task(migrate.upgrade(database))
                    while not await waiting(database):
                        assert not upgrading.done()
                        await asyncio.sleep(0.01)
                    # Long enough for PostgreSQL to look for circles, and to end one of their transactions.
                    await asyncio.wait_for(reader.fetch("SELECT version FROM prompts"), 3)
                return await upgrading
        finally:
            await reader.close()

    async def waiting(database: Database) -> bool:
        rows = await database.run(
            lambda client: Connection(client).rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'")
        )
        return bool(rows)

    assert len(asyncio.run(both())) == len(all_migrations())


def test_ids_that_are_always_generated(postgres_url: str) -> None:
    """A table `prompts` whose ids may not be written comes back with its ids all the same."""
    host = Host(postgres_url)
    make_first_shape(host)
    host.run(
        "ALTER TABLE prompts ALTER id DROP DEFAULT",
        "ALTER TABLE prompts ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 100)",
    )
    before = host.shape(), host.content()
    upgrade(host.url)
    upgraded = host.content()
    downgrade(host.url)
    assert {table: rows for table, rows in host.content().items() if "archive" not in table} == before[1]
    upgrade(host.url)
    assert host.content() == upgraded
