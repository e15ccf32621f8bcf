"""The log of changes under real conditions: least rights, hostile names, other schemas, lost triggers, up and down."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.domain.summaries import Changes, Position
from automagik_prompts.editing import commands
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.following import listening
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema import migrate
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client, Connection
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.introspection import notes_changes
from tests.conftest import MakePlugin
from tests.faults import execute
from tests.hosts import Host
from tests.servers import PostgresServer
from tests.tampering import unkept
from tests.waiting import until

PLENTY = 3 * repository.SLICE


async def look(database: Database, since: Position | None = None) -> Changes:
    """Look at the log once."""
    return await database.run(repository.get_changes, since, 0)


def activate(number: int, agent: int = 1, table: str = "prompts") -> tuple[str, ...]:
    """Return the statements that make another version of an agent the active one."""
    return (
        "BEGIN",
        f"UPDATE {table} SET is_active = false WHERE agent_id = {agent}",
        f"UPDATE {table} SET is_active = true WHERE agent_id = {agent} AND version = {number}",
        "COMMIT",
    )


def text_of(plugin: PromptPlugin, name: str) -> str | None:
    """Return what is served for an agent, if there is anything."""
    try:
        return plugin.resolve(name).text
    except NoActivePromptError:
        return None


async def with_agents(url: str, count: int = 2) -> None:
    """Give agents 1 and so on two versions each, the first of them active."""
    async with Database(url) as database:
        await migrate.upgrade(database)
        for number in range(1, count + 1):
            await commands.create(database, f"a{number}", "default", "one", activate=True, new_agent=True)
            await commands.create(database, f"a{number}", "default", "two")


async def is_noting(client: Client) -> bool:
    """Return whether the database has all triggers."""
    return await notes_changes(Connection(client))


def as_role(url: str, role: str) -> str:
    """Return the URL by which a role comes to a database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
def role(postgres: PostgresServer, postgres_url: str) -> Iterator[str]:
    """A role that may do nothing yet."""
    name = f"role_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    postgres.drop_database(postgres_url)
    postgres.execute(f"DROP ROLE {name}")


async def test_truncating_is_noted(postgres_url: str) -> None:
    """Agents that are all gone at once are all noted, and so are those whose versions are."""
    await with_agents(postgres_url)
    async with Database(postgres_url) as database:
        for table in ("prompts", "agents"):
            before = await look(database)
            await execute(postgres_url, *unkept(postgres_url), f"TRUNCATE {table} CASCADE")
            found = await look(database, before.position)
            assert {number for number, _ in found.agents or ()} == {1, 2}


async def test_a_role_with_the_least_rights_writes_and_is_noted(postgres_url: str, role: str) -> None:
    """Whoever may write to agents and prompts needs no right to the log, and cannot write to it."""
    await with_agents(postgres_url)
    await execute(
        postgres_url,
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE ON agents, prompts TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "REVOKE ALL ON prompt_changes FROM PUBLIC",
    )
    async with Database(postgres_url) as database:
        before = await look(database)
        url = as_role(postgres_url, role)
        await execute(url, *activate(2), "INSERT INTO agents (name) VALUES ('new')")
        assert len((await look(database, before.position)).agents or ()) == 2
        for statement in ("SELECT * FROM prompt_changes", "DELETE FROM prompt_changes"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await execute(url, statement)
        may = "SELECT has_function_privilege('prompt_changes_note()', 'execute')"
        assert await execute(url, may) == [(False,)]


async def test_a_role_that_only_reads_follows(
    postgres_url: str, role: str, make_plugin: MakePlugin, registry: Registry
) -> None:
    """Reading the tables is enough to follow them, without a note of it anywhere."""
    await with_agents(postgres_url)
    await execute(postgres_url, f"GRANT SELECT ON agents, prompts, prompt_changes, aerich TO {role}")
    plugin = make_plugin(as_role(postgres_url, role), seed=False)
    await plugin.ready()
    assert text_of(plugin, "a1") == "one"
    async with Database(as_role(postgres_url, role)) as database:
        assert (await look(database)).position.server
    await until(lambda: plugin.health().listening, "notifications arrive")
    await execute(postgres_url, *activate(2))
    await until(lambda: text_of(plugin, "a1") == "two", "it is followed", 5)
    assert plugin.state is State.LIVE
    assert not registry.agents


@pytest.mark.parametrize(
    "trap",
    [
        ("CREATE TEMP TABLE prompt_changes (agent_id INT PRIMARY KEY, change BIGINT)",),
        ("CREATE TEMP TABLE prompt_changes (other TEXT)", "SET search_path = pg_temp, public"),
        ("CREATE TABLE trap.prompt_changes (other TEXT)", "SET search_path = trap, public"),
        ("SET search_path = trap", "SET search_path = ''"),
        (
            "CREATE FUNCTION trap.prompt_changes_note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "SET search_path = trap, public",
        ),
        (
            "CREATE FUNCTION trap.pg_current_xact_id() RETURNS xid8 LANGUAGE sql AS 'SELECT ''7''::xid8'",
            "CREATE FUNCTION trap.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT 1/0'",
            "SET search_path = trap, pg_catalog, public",
        ),
    ],
    ids=["temporary table", "before all", "another schema", "no path", "function", "functions of the server's names"],
)
async def test_what_a_session_puts_in_the_way_changes_nothing(postgres_url: str, trap: tuple[str, ...]) -> None:
    """The log is the one beside the tables, whatever path and whatever tables and functions a writer has."""
    await with_agents(postgres_url)
    async with Database(postgres_url) as database:
        before = await look(database)
        await execute(postgres_url, "CREATE SCHEMA trap", *trap, *activate(2, table="public.prompts"))
        found = await look(database, before.position)
        assert {number for number, _ in found.agents or ()} == {1}


async def test_another_schema_has_a_log_of_its_own(postgres_url: str, make_plugin: MakePlugin) -> None:
    """Tables in a schema of whatever name are followed there, and those in public are not mixed up with them."""
    name = 'My "schema'
    quoted = name.replace('"', '""')
    await execute(postgres_url, f'CREATE SCHEMA "{quoted}"')
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}schema=%22My%20%22%22schema%22"
    await with_agents(url)
    await with_agents(postgres_url)
    plugin = make_plugin(url, seed=False)
    await plugin.ready()
    await until(lambda: plugin.health().listening, "notifications arrive")
    async with Database(url) as own, Database(postgres_url) as public:
        before, other = await look(own), await look(public)
        await execute(postgres_url, *activate(2, table=f'"{quoted}".prompts'))
        assert {number for number, _ in (await look(own, before.position)).agents or ()} == {1}
        assert (await look(public, other.position)).agents == ()
    await until(lambda: text_of(plugin, "a1") == "two", "it is followed", 5)


async def test_up_and_down_and_up_again(database_url: str, make_plugin: MakePlugin) -> None:
    """Downgrading leaves nothing behind, upgrading brings all back, twice; who follows goes on all the time."""
    await with_agents(database_url)
    host = Host(database_url)
    shape = await asyncio.to_thread(host.shape)
    plugin = make_plugin(database_url, seed=False, poll_interval=0.05)
    await plugin.ready()
    if plugin.settings.dialect == "postgres":
        await until(lambda: plugin.health().listening, "notifications arrive")
    async with Database(database_url) as database:
        for number in (2, 1, 2, 1):
            if number == 2:
                await migrate.downgrade(database, 4)
                assert "prompt_changes" not in str(await asyncio.to_thread(host.shape))
                assert not await execute(database_url, _functions(database_url))
            else:
                await migrate.upgrade(database)
                assert await asyncio.to_thread(host.shape) == shape
            assert await database.run(is_noting) == (number == 1)
            await execute(database_url, *activate(number))
            text = "one" if number == 1 else "two"
            await until(lambda text=text: text_of(plugin, "a1") == text, "it is followed")  # type: ignore[misc]


def _functions(url: str) -> str:
    """Return the query for functions of the log's."""
    if url.startswith("sqlite"):
        return "SELECT name FROM sqlite_master WHERE name LIKE '%note%'"
    return "SELECT proname FROM pg_proc WHERE proname LIKE 'prompt_changes%'"


REBUILD = {
    "sqlite": (
        "PRAGMA foreign_keys = OFF",
        "BEGIN",
        "CREATE TABLE agents_new AS SELECT * FROM agents",
        "DROP TABLE agents",
        "ALTER TABLE agents_new RENAME TO agents",
        "COMMIT",
    ),
    "postgres": (
        "BEGIN",
        "CREATE TABLE agents_new (LIKE agents INCLUDING ALL)",
        "INSERT INTO agents_new SELECT * FROM agents",
        "ALTER SEQUENCE agents_id_seq OWNED BY NONE",
        "DROP TABLE agents CASCADE",
        "ALTER TABLE agents_new RENAME TO agents",
        "COMMIT",
    ),
}


async def test_an_application_that_rebuilds_its_table(
    database_url: str, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The triggers go with the table; who follows finds every change all the same, and an upgrade makes them again."""
    monkeypatch.setattr(listening, "SAFETY_INTERVAL", 0.5)
    await with_agents(database_url, PLENTY)
    plugin = make_plugin(database_url, seed=False, poll_interval=0.05)
    await plugin.ready()
    await execute(database_url, *REBUILD[plugin.settings.dialect])
    async with Database(database_url) as database:
        assert not await database.run(is_noting)
        assert (await look(database)).agents is None
        for last in (PLENTY, 1):
            await execute(database_url, f"UPDATE agents SET name = 'renamed{last}' WHERE id = {last}")
            name = f"renamed{last}"
            await until(lambda name=name: text_of(plugin, name) == "one", "it is followed")  # type: ignore[misc]
        assert plugin.state is State.LIVE
        await migrate.upgrade(database)
        assert await database.run(is_noting)
        before = await look(database)
        await execute(database_url, "UPDATE agents SET revision = 99 WHERE id = 7")
        found_ids = {number for number, _ in (await look(database, before.position)).agents or ()}
        assert found_ids == {7}


async def test_what_no_trigger_tells_is_found_in_a_file_that_nobody_writes_to_afterwards(
    sqlite_url: str, make_plugin: MakePlugin
) -> None:
    """One write that goes round the log is found, wherever its agent is, although no other write follows."""
    await with_agents(sqlite_url, PLENTY)
    plugin = make_plugin(sqlite_url, seed=False, poll_interval=0.02)
    await plugin.ready()
    for number in (PLENTY, 1, PLENTY // 2):
        # Two versions whose ids are the same in the end leave one of them, without a DELETE.
        await execute(
            sqlite_url,
            *unkept(sqlite_url),
            "UPDATE OR REPLACE prompts SET id = (SELECT id FROM prompts p WHERE p.agent_id = prompts.agent_id "
            f"AND p.version = 1) WHERE agent_id = {number} AND version = 2",
        )
        name = f"a{number}"
        await until(lambda name=name: text_of(plugin, name) is None, "it is found")  # type: ignore[misc]


async def test_agents_may_be_numbered_from_anywhere(empty_url: str, make_plugin: MakePlugin) -> None:
    """Agents of an application that begins with 0, or below, are served by who starts later, and are followed."""
    await with_agents(empty_url, 2)
    await execute(
        empty_url,
        *unkept(empty_url),
        "INSERT INTO agents (id, name, variables) VALUES (0, 'z0', '[]'), (-5, 'z5', '[]')",
        "UPDATE prompts SET agent_id = 0 WHERE agent_id = 1",
        "UPDATE prompts SET agent_id = -5 WHERE agent_id = 2",
    )
    plugin = make_plugin(empty_url, seed=False, poll_interval=0.05)
    await plugin.ready()
    assert {plugin.resolve(name).text for name in ("z0", "z5")} == {"one"}
    await execute(empty_url, *activate(2, -5))
    await until(lambda: plugin.resolve("z5").text == "two", "it is followed")


async def test_an_application_may_alter_its_column_after_a_trigger_is_dropped(postgres_url: str) -> None:
    """What the page of migrating says: PostgreSQL refuses at first, and an upgrade brings back what was dropped."""
    await with_agents(postgres_url)
    alter = "ALTER TABLE agents ALTER name TYPE TEXT"
    with pytest.raises(asyncpg.FeatureNotSupportedError, match="prompt_changes_agents_update"):
        await execute(postgres_url, alter)
    await execute(postgres_url, "DROP TRIGGER prompt_changes_agents_update ON agents", alter)
    async with Database(postgres_url) as database:
        assert (await look(database)).agents is None
        await migrate.upgrade(database)
        before = await look(database)
        await execute(postgres_url, "UPDATE agents SET name = 'renamed' WHERE id = 1")
        assert dict((await look(database, before.position)).agents or ()).keys() == {1}
