"""What keeps a host's tables from being adopted is told before anything is changed, all at once and with what to do."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.database_url import sqlite_path
from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.schema import migrate, migrations
from automagik_prompts.schema.legacy import preview as legacy
from automagik_prompts.schema.migrations import all_migrations
from automagik_prompts.storage.database import Database
from tests.hosts import PROMPTS, TEXTS, Host, fill_agents, make_agents, make_loose, upgrade
from tests.operator import Operator

MESSAGE = r"Nothing was changed\. These tables cannot be adopted as they are: .*"


def state(host: Host) -> Any:
    """Return everything there is, also in aerich's table."""
    tables = (
        "sqlite_master WHERE type = 'table'" if host.dialect == "sqlite" else "pg_tables WHERE schemaname = 'public'"
    )
    return host.shape(), host.content(), host.one(f"SELECT COUNT(*) FROM {tables}")


def refused(host: Host, *words: str) -> None:
    """Make sure that an upgrade and its preview say so, and that neither changes anything."""
    before = state(host)
    for word in words:
        with pytest.raises(SchemaError, match=MESSAGE + word):
            upgrade(host.url)
    assert state(host) == before
    preview = asyncio.run(legacy.preview(host.url))
    assert preview.agents == ()
    for word in words:
        assert any(re.search(word, blocker) for blocker in preview.blockers), preview.blockers
    assert state(host) == before


@pytest.fixture
def host(empty_url: str) -> Host:
    """A host's database with a text for each agent."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    return host


def test_views_on_the_column(host: Host) -> None:
    """A view that shows the texts would break, or keep the column from being dropped."""
    host.run(
        "CREATE VIEW texts AS SELECT name, system_prompt FROM agents",
        "CREATE VIEW innocent AS SELECT name, model FROM agents",
        "CREATE VIEW again AS SELECT upper(system_prompt) AS loud FROM agents",
    )
    refused(host, "the view texts uses agents.system_prompt", "the view again uses agents.system_prompt")


def test_triggers_on_the_column(host: Host) -> None:
    """A trigger that looks at the texts would fail when it fires."""
    if host.dialect == "sqlite":
        host.run(
            "CREATE TABLE seen (body TEXT)",
            "CREATE TRIGGER keep AFTER UPDATE ON agents BEGIN INSERT INTO seen VALUES (OLD.system_prompt); END",
        )
        refused(host, "the trigger keep uses agents.system_prompt")
    else:
        host.run(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NEW.system_prompt IS NULL THEN RETURN NULL; END IF; RETURN NEW; END $$",
            "CREATE TRIGGER keep BEFORE INSERT ON agents FOR EACH ROW EXECUTE FUNCTION keep()",
            "CREATE TRIGGER on_text AFTER UPDATE OF system_prompt ON agents FOR EACH ROW EXECUTE FUNCTION keep()",
        )
        refused(
            host,
            "the trigger keep, whose function keep mentions it uses agents.system_prompt",
            "the trigger on_text on table agents uses agents.system_prompt",
        )


def test_indexes_and_checks_on_the_column(host: Host) -> None:
    """An index or a check over the texts would be refused by SQLite, and would go without a word on PostgreSQL."""
    host.run("CREATE INDEX agents_with_text ON agents (name) WHERE system_prompt IS NOT NULL")
    host.run("CREATE INDEX agents_by_text ON agents (type, system_prompt)")
    refused(host, "the index agents_with_text uses", "the index agents_by_text uses")
    host.run("DROP INDEX agents_with_text", "DROP INDEX agents_by_text")
    if host.dialect == "postgres":
        host.run("ALTER TABLE agents ADD CONSTRAINT told CHECK (system_prompt <> 'x' OR name <> 'x')")
        refused(host, "the constraint told on table agents uses")
        host.run("ALTER TABLE agents DROP CONSTRAINT told")
    upgrade(host.url)


def test_a_check_inside_an_sqlite_table(sqlite_url: str) -> None:
    """SQLite's own objection is passed on where it cannot be named."""
    host = Host(sqlite_url)
    host.run(
        "CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, system_prompt TEXT, "
        "CHECK (system_prompt <> name))"
    )
    refused(host, "SQLite itself .*system_prompt")


def test_texts_that_cannot_be_kept(sqlite_url: str) -> None:
    """A NUL and bytes that are no text, which SQLite lets stand, are told with their agents; each can be corrected."""
    host = Host(sqlite_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    host.run("UPDATE agents SET system_prompt = 'a' || char(0) || 'b' WHERE name = 'plain'")
    host.run("UPDATE agents SET system_prompt = CAST(x'ff41' AS TEXT) WHERE name = 'json'")
    refused(
        host,
        r"the text of the agent 'plain' cannot be kept: .*NUL character U\+0000 at position 2",
        "the text of the agent 'json' cannot be kept: its bytes are no valid UTF-8",
    )
    host.run("UPDATE agents SET system_prompt = 'ab' WHERE name IN ('plain', 'json')")
    upgrade(host.url)


def test_a_text_too_long(empty_url: str) -> None:
    """A text that is longer than what can be served is told."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, {"long": "x" * 2_000_001})
    refused(host, "the text of the agent 'long' cannot be kept: .*2000001 characters")


SHAPES = [
    ("CREATE TABLE agents (id {id}, title TEXT)", "has no column name"),
    ("CREATE TABLE agents (id {id}, name TEXT NOT NULL)", "agents.name is not unique: CREATE UNIQUE INDEX"),
    ("CREATE TABLE agents (id INTEGER, name TEXT UNIQUE)", "agents.id is not unique"),
    ("CREATE TABLE agents (id VARCHAR(36) PRIMARY KEY, name TEXT UNIQUE)", "agents.id has the type .*--from"),
    ("CREATE TABLE agents (id {id}, name TEXT UNIQUE, revision INTEGER)", "agents.revision exists already"),
    ("CREATE TABLE agents (id {id}, name TEXT UNIQUE, updated_at INTEGER)", "agents.updated_at has the type"),
    (
        "CREATE TABLE agents (id {id}, name TEXT UNIQUE, active_default_prompt_id TEXT)",
        "agents.active_default_prompt_id has the type",
    ),
    ("CREATE TABLE prompt_events (id {id})", "there is a table prompt_events already"),
    ("CREATE TABLE prompts (id {id})", "there is a table prompts, but no table agents"),
    ("CREATE VIEW agents AS SELECT 1 AS id, 'x' AS name", "agents is not a table"),
    (
        "CREATE TABLE agents (id {id}, name TEXT UNIQUE, system_prompt TEXT REFERENCES agents (name))",
        "uses agents.system_prompt|agents.system_prompt has a foreign key",
    ),
]


def test_tables_of_another_shape(empty_url: str) -> None:
    """A table that merely has the same name, or that this library's columns do not fit into, is left alone."""
    host = Host(empty_url)
    for statement, word in SHAPES:
        host.run(statement)
        refused(host, word)
        kind, name = statement.split()[1:3]
        host.run(f"DROP {kind} {name}")


def test_keys_that_sqlite_does_not_number(sqlite_url: str) -> None:
    """`INT PRIMARY KEY` is no row id for SQLite: a new row has NULL there, which nothing can refer to."""
    host = Host(sqlite_url)
    host.run("CREATE TABLE agents (id INT PRIMARY KEY, name TEXT NOT NULL UNIQUE)")
    refused(host, "agents.id has the type INT, which SQLite neither numbers nor keeps from being NULL")


def test_names_that_are_no_text(sqlite_url: str) -> None:
    """Numbers, bytes and NULL, which SQLite keeps in any column, are no names."""
    host = Host(sqlite_url)
    host.run(
        "CREATE TABLE agents (id INTEGER PRIMARY KEY, name UNIQUE, system_prompt TEXT)",
        "INSERT INTO agents (name) VALUES ('good'), (5), (x'61'), (CAST(x'ff' AS TEXT)), (NULL), ('')",
    )
    refused(host, "agents without a name, with the ids 5, 6", "agents.name is no text in the rows with the ids 2, 3, 4")


def test_a_full_text_index_over_the_texts(sqlite_url: str) -> None:
    """An SQLite search index that reads its texts from `agents` would fail when it is asked."""
    host = Host(sqlite_url)
    make_agents(host)
    host.run("CREATE VIRTUAL TABLE search USING fts5 (system_prompt, content='agents', content_rowid='id')")
    # The harness' own look at all tables cannot read a virtual one after this.
    with pytest.raises(SchemaError, match=MESSAGE + "the virtual table search uses agents.system_prompt"):
        upgrade(host.url)


def test_a_table_of_prompts_that_is_a_view(host: Host) -> None:
    """A view in the place of `prompts` is told, whatever its columns are."""
    host.run(PROMPTS.replace("TABLE prompts", "TABLE texts"), "CREATE VIEW prompts AS SELECT * FROM texts")
    refused(host, "prompts is not a table: rename it")


def test_ids_of_prompts_that_nobody_gives(host: Host) -> None:
    """A new version needs an id that the database gives it."""
    host.run(PROMPTS.replace("{id}", "INT PRIMARY KEY"))
    refused(host, "prompts.id must have a value in each new row: give it a default")


def test_a_column_that_is_no_text(postgres_url: str) -> None:
    """Texts in a column of another type are not converted by guess."""
    host = Host(postgres_url)
    host.run("CREATE TABLE agents (id SERIAL PRIMARY KEY, name TEXT UNIQUE NOT NULL, system_prompt JSONB)")
    refused(host, "agents.system_prompt has the type jsonb")


def test_numbers_that_do_not_fit(postgres_url: str) -> None:
    """Ids beyond what `prompts.agent_id` can hold are told."""
    host = Host(postgres_url)
    host.run(
        "CREATE TABLE agents (id BIGINT PRIMARY KEY, name TEXT UNIQUE NOT NULL)",
        "INSERT INTO agents VALUES (3000000000, 'far')",
    )
    refused(host, "agents.id goes beyond 2147483647: 3000000000")


def test_a_table_of_somebody_else(postgres_url: str) -> None:
    """Who may not alter the table is told whose it is."""
    host = Host(postgres_url)
    host.run("CREATE TABLE agents (id SERIAL PRIMARY KEY, name TEXT UNIQUE NOT NULL, system_prompt TEXT)")
    role = f"guest_{postgres_url.rpartition('/test_')[2].partition('?')[0]}"
    host.run(
        f"CREATE ROLE {role} LOGIN",
        f"GRANT CREATE, USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, UPDATE ON agents TO {role}",
    )

    async def as_guest() -> None:
        async with Database(host.url.replace("postgres:@", f"{role}:@").replace("postgres@", f"{role}@")) as database:
            await migrate.upgrade(database)

    try:
        with pytest.raises(SchemaError, match=f"the table agents belongs to .*, and {role} may not alter it"):
            asyncio.run(as_guest())
    finally:
        host.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


ROWS = [
    ("ALTER TABLE prompts DROP COLUMN status_key", "a table prompts, but not the one of an earlier version"),
    ("UPDATE prompts SET prompt_text = NULL WHERE id = 3", "prompts has rows without agent_id or prompt_text"),
    (
        "INSERT INTO prompts (agent_id, prompt_text) VALUES (99, 'lost')",
        "agents that do not exist, with the ids 11",
    ),
    (
        "INSERT INTO prompts (agent_id, prompt_text, version) VALUES (2, 'again', 2)",
        "the same agent, status and version twice: 2/default/2",
    ),
    (
        f"INSERT INTO prompts (agent_id, prompt_text, version, status_key) VALUES (2, 'x', 1, '{'s' * 256}')",
        "prompts.status_key is longer than 255 characters in the rows with the ids 11",
    ),
]


def test_rows_of_the_first_shape_that_cannot_be_judged(empty_url: str) -> None:
    """Rows of `prompts` that no rule decides are named, for a person to decide; the host's own columns do no harm."""
    host = Host(empty_url)
    for change, word in ROWS:
        make_loose(host)
        host.run(change)
        refused(host, word)
        host.run("DROP TABLE prompts", "DROP TABLE messages", "DROP TABLE agents")


def test_all_obstacles_are_told_at_once(host: Host) -> None:
    """Nobody has to try again for each of them."""
    host.run(
        "CREATE VIEW texts AS SELECT name, system_prompt FROM agents",
        "ALTER TABLE agents ADD COLUMN variables TEXT",
        "CREATE TABLE prompt_events (id INTEGER)",
    )
    preview = asyncio.run(legacy.preview(host.url))
    assert len(preview.blockers) == 3


def test_aerich_refuses_as_well(host: Host) -> None:
    """The same check is inside the migration, whoever applies it: nothing is recorded as applied."""
    host.run("CREATE VIEW texts AS SELECT name, system_prompt FROM agents")
    before = state(host)

    async def first_step() -> None:
        async with Database(host.url) as database:
            await database.transaction(migrations.all_migrations()[0].load().upgrade)

    with pytest.raises(SchemaError, match=MESSAGE):
        asyncio.run(first_step())
    assert state(host) == before


@pytest.mark.parametrize(
    ("preset", "word"), [("", "prompts.owner must have a value in each new row"), ("DEFAULT 'x'", "")]
)
def test_a_column_of_prompts_that_no_version_could_fill(host: Host, preset: str, word: str) -> None:
    """A column of the host's own in `prompts` does no harm, unless each new row needs a value for it."""
    host.run(PROMPTS.replace("name VARCHAR(255),", f"name VARCHAR(255), owner TEXT NOT NULL {preset},"))
    if word:
        refused(host, word)
    else:
        upgrade(host.url)
        assert host.one("SELECT COUNT(*) FROM prompts WHERE owner = 'x'") == 8


def test_a_table_that_somebody_holds(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade does not queue for long behind a long transaction, as everybody else would queue behind it."""
    monkeypatch.setattr("automagik_prompts.schema.legacy.locks.TABLE_TIMEOUT", 0.2)
    host = Host(postgres_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    before = state(host)

    async def both() -> None:
        async with Database(host.url) as other, Database(host.url) as database:

            async def hold(client: BaseDBAsyncClient) -> None:
                await client.execute_query("SELECT name FROM agents")
                await migrate.upgrade(database)

            await other.transaction(hold)

    with pytest.raises(DatabaseUnavailableError, match="Somebody else's transaction has held the table agents"):
        asyncio.run(both())
    assert state(host) == before


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_file_that_somebody_writes_to(sqlite_url: str, tmp_path: Path, mode: str, begin: str) -> None:
    """An application in the middle of a change to the file is waited for a while; then its owner is told what to do."""
    path = sqlite_path(sqlite_url)
    assert path is not None
    host = Host(sqlite_url)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute(f"PRAGMA journal_mode = {mode}")
        make_agents(host)
        fill_agents(host, TEXTS)
        writer.execute(begin)
        writer.execute("UPDATE agents SET model = 'other'")
        outcome = Operator(tmp_path, f"{sqlite_url}?busy_timeout=100").run("upgrade")
        assert outcome.code == 1
        assert "is locked by another program that writes to it or reads from it. Nothing was changed" in outcome.err
        writer.execute("COMMIT")
        assert len(upgrade(sqlite_url, adopt=True)) == len(all_migrations())
        # The old application's connection goes on, and finds its table without the column.
        assert writer.execute("SELECT COUNT(*) FROM agents WHERE model = 'other'").fetchone() == (len(TEXTS),)
        with pytest.raises(sqlite3.OperationalError, match="no such column: system_prompt"):
            writer.execute("SELECT system_prompt FROM agents")
