"""Adopting a host's tables in place: every text becomes a version, and all that is the host's stays as it was."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest

from automagik_prompts.declaring.decorators import prompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source
from automagik_prompts.domain.text import content_hash
from automagik_prompts.editing import checks, commands, findings, queries, sync
from automagik_prompts.editing.sync import seed
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema import migrate
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.postgres import connect_parameters
from tests.conftest import MakePlugin
from tests.hosts import (
    AGENTS,
    TEXTS,
    Host,
    downgrade,
    fill_agents,
    make_agents,
    make_first_shape,
    upgrade,
    work_on,
)
from tests.waiting import wait_until

NO_TEXT = {name for name, text in TEXTS.items() if text is None or not text.strip()}
VERBATIM = {"broken", "jinja"}

CHANGE = "UPDATE agents SET system_prompt = 'Text {}.' WHERE name = 'plain'"

Row = dict[str, Any]


def by_agent(host: Host, table: str = "prompts") -> dict[str, list[Row]]:
    """Return the rows of a table by their agent's name, versions in order."""
    content = host.content()
    names = {row["id"]: row["name"] for row in content["agents"]}
    found: dict[str, list[Row]] = {name: [] for name in names.values()}
    for row in sorted(content[table], key=lambda row: row["id"]):
        found[names[row["agent_id"]]].append(row)
    return found


def agents(host: Host) -> dict[str, Row]:
    """Return the rows of `agents` by name."""
    return {row["name"]: row for row in host.content()["agents"]}


@pytest.mark.parametrize("pointer", ["none", "empty", "stale"])
def test_each_text_becomes_version_one(empty_url: str, pointer: str) -> None:
    """A text is version 1 of `default`, active, from code, byte for byte; NULL, empty and blank become none."""
    host = Host(empty_url)
    make_agents(host, pointer=pointer != "none")
    fill_agents(host, TEXTS)
    if pointer == "stale":
        host.run("UPDATE agents SET active_default_prompt_id = id + 3 WHERE id > 2")
    upgrade(host.url)
    versions, rows = by_agent(host), agents(host)
    assert {name for name, found in versions.items() if not found} == NO_TEXT
    for name, text in TEXTS.items():
        if name in NO_TEXT:
            assert rows[name]["active_default_prompt_id"] is None
            continue
        (version,) = versions[name]
        assert version["prompt_text"] == text
        assert version["content_hash"] == content_hash(text or "")
        assert (version["status_key"], version["version"]) == ("default", 1)
        assert (version["is_active"], version["is_default_from_code"]) == (True, True)
        assert version["name"] == "Migrated Default Prompt"
        assert version["author"] == "migration"
        assert version["format"] == ("text" if name in VERBATIM else "handlebars")
        assert ("no valid template" in version["note"]) == (name in VERBATIM)
        assert rows[name]["active_default_prompt_id"] == version["id"]
        assert rows[name]["default_status_key"] == "default"
        assert rows[name]["revision"] == 1
    assert "system_prompt" not in rows["plain"]


def test_each_new_version_has_its_events(empty_url: str) -> None:
    """The history says of each text that it was created and activated, by what and from where."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    upgrade(host.url)
    events = by_agent(host, "prompt_events")
    ids = {name: found[0]["id"] for name, found in by_agent(host).items() if found}
    for name, found in events.items():
        told = [(row["action"], row["version"], row["from_version"], row["author"]) for row in found]
        if name in NO_TEXT:
            assert told == []
            continue
        assert told == [("created", 1, None, "migration"), ("activated", 1, None, "migration")]
        assert {row["prompt_id"] for row in found} == {ids[name]}
        assert all(row["note"].startswith("from agents.system_prompt") for row in found)


def test_names_that_a_text_uses_are_exposed(empty_url: str) -> None:
    """A migrated template can be served without any code: the names that it uses are the ones that are exposed."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    upgrade(host.url)

    async def exposed() -> dict[str, tuple[str, ...]]:
        async with Database(host.url) as database:
            return {agent.name: agent.variables for agent in await database.run(repository.get_agents)}

    found = {name: names for name, names in asyncio.run(exposed()).items() if names}
    assert found == {"template": ("contact.name",), "loop": ("items?", "items[].price", "vip?")}


def test_what_was_adopted_is_served(empty_url: str, make_plugin: MakePlugin) -> None:
    """A process without any declaration serves each migrated text, templates filled, other texts as they are."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    upgrade(host.url)
    plugin: PromptPlugin = make_plugin(host.url, startup_timeout=30.0)
    with plugin:
        for name, text in TEXTS.items():
            if name in NO_TEXT:
                continue
            served = plugin.resolve(name)
            assert (served.text, served.version, served.source) == (text, 1, Source.DATABASE)
        assert plugin.render("broken") == TEXTS["broken"]
        assert plugin.render("template", values={"contact": {"name": "Ann"}}) == "You are template. Serve Ann."


def test_a_table_of_the_first_shape(empty_url: str) -> None:
    """Versions that were there stay, one of two active ones stays active, a text among them is not written again."""
    host = Host(empty_url)
    make_first_shape(host)
    before = {name: {row["version"]: row["prompt_text"] for row in found} for name, found in by_agent(host).items()}
    upgrade(host.url)
    versions, rows = by_agent(host), agents(host)
    for name, known in before.items():
        assert all(row["content_hash"] == content_hash(row["prompt_text"]) for row in versions[name])
        kept = {row["version"]: row["prompt_text"] for row in versions[name] if row["author"] is None}
        assert kept == known

    def active(name: str, status_key: str = "default") -> list[int]:
        found = [row for row in versions[name] if row["status_key"] == status_key]
        return [row["version"] for row in found if row["is_active"]]

    def texts(name: str) -> list[str]:
        return [row["prompt_text"] for row in versions[name] if row["status_key"] == "default"]

    # The text was version 1 already.
    assert (active("plain"), len(versions["plain"])) == ([1], 1)
    # Two were active and the pointer named a third; the newer one stays, and the text of the column stands beside it.
    assert (active("template"), texts("template")[-1]) == ([3], TEXTS["template"])
    assert [row["version"] for row in versions["template"]] == [1, 2, 3, 4]
    # The pointer tells the primary status; where two were active and it names neither, the newer one stays.
    assert (active("loop", "NOT_REGISTERED"), active("loop", "APPROVED"), active("loop")) == ([1], [2], [1])
    assert rows["loop"]["default_status_key"] == "NOT_REGISTERED"
    # Nothing was active, so that the text of the column is.
    assert (active("broken"), texts("broken")) == ([2], ["Neither on nor off.", TEXTS["broken"]])
    assert (active("jinja"), texts("jinja")) == ([1], [TEXTS["jinja"]])
    # There is no text in the column, but a version.
    assert (active("null"), texts("null")) == ([1], ["Only here."])
    ids = {row["id"]: row for found in versions.values() for row in found}
    for name, row in rows.items():
        pointed = ids.get(row["active_default_prompt_id"])
        assert (pointed is not None) == bool(active(name, row["default_status_key"]))
        if pointed is not None:
            assert (pointed["status_key"], pointed["is_active"]) == (row["default_status_key"], True)


def test_the_pointer_decides_between_two_active_versions(empty_url: str) -> None:
    """Of two active versions the one that the agent points to stays active, though it is the older one."""
    host = Host(empty_url)
    make_first_shape(host)
    host.run("UPDATE agents SET active_default_prompt_id = 3 WHERE name = 'template'")
    upgrade(host.url)
    assert host.rows("SELECT version FROM prompts WHERE agent_id = 2 AND is_active = true") == [(2,)]
    told = [
        (row["action"], row["version"], row["note"])
        for row in by_agent(host, "prompt_events")["template"]
        if row["action"] != "created"
    ]
    assert told == [
        ("deactivated", 3, "one of two active versions in prompts"),
        ("activated", 2, "the active version in prompts"),
    ]


def test_a_rollback_leads_back_to_the_adopted_text(empty_url: str) -> None:
    """After a later activation a rollback brings the migrated text back: its activation is in the history."""
    host = Host(empty_url)
    make_first_shape(host)
    upgrade(host.url)
    work_on(host.url)
    versions = by_agent(host)
    assert [row["version"] for row in versions["trailing"] if row["is_active"]] == [1]
    assert [row["prompt_text"] for row in versions["trailing"] if row["is_active"]] == [TEXTS["trailing"]]
    assert [row["version"] for row in versions["null"] if row["is_active"]] == [2]


@pytest.mark.parametrize("missing", ["name", "is_active", "is_default_from_code", "created_at", "updated_at"])
def test_a_table_of_the_first_shape_may_lack_columns(empty_url: str, missing: str) -> None:
    """A table `prompts` that has only what names a version is brought into shape, whatever else it lacks."""
    host = Host(empty_url)
    make_first_shape(host)
    host.run(f"ALTER TABLE prompts DROP COLUMN {missing}")
    upgrade(host.url)
    work_on(host.url)
    assert host.one("SELECT COUNT(*) FROM prompts WHERE created_at IS NULL OR is_active IS NULL") == 0


def test_the_hosts_own_things_go_on_working(empty_url: str) -> None:
    """Columns, indexes, views, triggers and rows of the host, and tables that refer to agents, are as before."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    host.run(
        "CREATE INDEX agents_by_type ON agents (type, model)",
        "CREATE VIEW active_agents AS SELECT id, name, model FROM agents WHERE active = {true}",
        "CREATE TABLE seen (agent_name TEXT)",
    )
    if host.dialect == "sqlite":
        host.run("CREATE TRIGGER note AFTER UPDATE OF model ON agents BEGIN INSERT INTO seen VALUES (NEW.name); END")
    else:
        host.run(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO seen VALUES (NEW.name); RETURN NEW; END $$",
            "CREATE TRIGGER note AFTER UPDATE OF model ON agents FOR EACH ROW EXECUTE FUNCTION note()",
        )
    names = "id, name, type, model, description, version, config, active, run_id, created_at, updated_at"
    queries = [
        f"SELECT {names} FROM agents ORDER BY id",
        "SELECT * FROM messages ORDER BY id",
        "SELECT * FROM active_agents ORDER BY id",
    ]
    before = host.all_rows(queries)
    upgrade(host.url)
    assert host.all_rows(queries) == before
    host.run("UPDATE agents SET model = 'other' WHERE name = 'plain'")
    assert host.rows("SELECT * FROM seen") == [("plain",)]
    # The host's application goes on adding and deleting agents as it always did.
    host.run("INSERT INTO agents (name, type, model) VALUES ('another', 'simple', 'x')")
    host.run("DELETE FROM agents WHERE name = 'plain'")
    assert host.one("SELECT COUNT(*) FROM prompts WHERE agent_id = 1") == 0
    assert host.one("SELECT COUNT(*) FROM messages WHERE agent_id = 1") == 0
    assert host.one("SELECT COUNT(*) FROM active_agents") == len(TEXTS)


@pytest.mark.parametrize("kind", ["{naive}", "TEXT", "{time} NOT NULL"])
def test_times_of_any_kind_are_written(empty_url: str, kind: str) -> None:
    """Whatever type the host's own times have, agents can be written to and read."""
    host = Host(empty_url)
    host.run(
        f"CREATE TABLE agents (id {{id}}, name TEXT NOT NULL UNIQUE, system_prompt TEXT, "
        f"created_at {kind} DEFAULT CURRENT_TIMESTAMP, updated_at {kind} DEFAULT CURRENT_TIMESTAMP)",
        "INSERT INTO agents (name, system_prompt) VALUES ('plain', 'You are kind.')",
    )
    if kind == "TEXT":
        host.run("UPDATE agents SET created_at = '13/05/2025', updated_at = 'yesterday'")
    upgrade(host.url)

    async def write() -> str:
        registry = Registry()
        prompt("New from code.", agent="plain", registry=registry)
        prompt("Another agent.", agent="newcomer", registry=registry)
        async with Database(host.url) as database:
            await seed(database, registry.agents)
            active = await database.run(repository.get_active_prompt, 1, "default")
            assert active is not None
            return active.prompt_text

    assert asyncio.run(write()) == "New from code."
    assert host.one("SELECT created_at FROM agents WHERE name = 'plain'") is not None


def test_a_strict_table_is_adopted(sqlite_url: str) -> None:
    """SQLite's strict tables, which know five types only, are adopted too."""
    host = Host(sqlite_url)
    host.run(
        "CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, system_prompt TEXT) STRICT",
        "INSERT INTO agents (name, system_prompt) VALUES ('plain', 'You are kind.')",
    )
    before = host.shape()
    upgrade(host.url)
    assert host.one("SELECT prompt_text FROM prompts WHERE is_active = true") == "You are kind."
    downgrade(host.url)
    assert {name: rows for name, rows in host.shape().items() if "archive" not in name} == before


def test_a_utf_16_database_is_adopted(sqlite_url: str) -> None:
    """A file whose texts are UTF-16 inside gives the same texts."""
    host = Host(sqlite_url)
    host.run("PRAGMA encoding = 'UTF-16le'", AGENTS.replace("{pointer}", ""))
    host.run("CREATE TABLE messages (id INTEGER PRIMARY KEY, agent_id INTEGER REFERENCES agents (id), body TEXT)")
    fill_agents(host, TEXTS)
    upgrade(host.url)
    assert {name: found[0]["prompt_text"] for name, found in by_agent(host).items() if found} == {
        name: text for name, text in TEXTS.items() if name not in NO_TEXT
    }


def seeded(url: str, text: str) -> list[tuple[str, int | None]]:
    """Start a process whose code declares a text for the agent `plain`, and return what it wrote."""

    async def start() -> list[tuple[str, int | None]]:
        registry = Registry()
        prompt(text, agent="plain", registry=registry)
        async with Database(url) as database:
            return [(item.outcome, item.version) for item in await seed(database, registry.agents)]

    return asyncio.run(start())


@pytest.mark.parametrize(("text", "written"), [("same", []), ("other", [("created", 2)])])
def test_code_that_declares_the_text_finds_it_there(
    empty_url: str, text: str, written: list[tuple[str, int | None]]
) -> None:
    """A constant that equals the migrated text writes nothing; one that differs is the next version."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    upgrade(host.url)
    assert seeded(host.url, TEXTS["plain"] or "" if text == "same" else "Another text.") == written


def test_a_process_that_starts_too_early(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that meets a host's file changes nothing, serves from code, says what to do, and heals afterwards."""
    host = Host(sqlite_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    before = host.shape(), host.content()
    prompt("From code.", agent="plain", registry=registry)
    with caplog.at_level(logging.WARNING), make_plugin(sqlite_url, startup_timeout=30.0, poll_interval=0.05) as plugin:
        assert (plugin.resolve("plain").text, plugin.resolve("plain").source) == ("From code.", Source.CODE)
        wait_until(lambda: "migrate-legacy --dry-run" in caplog.text, "the log named the command")
        assert (host.shape(), host.content()) == before
        upgrade(sqlite_url)
        wait_until(lambda: plugin.resolve("plain").version == 2, "the code's text became a version")
        assert plugin.resolve("unicode").source is Source.DATABASE


def test_an_application_that_goes_on_writing(empty_url: str) -> None:
    """What the old application has written until the moment of the upgrade has arrived: not one text is lost."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, TEXTS)
    written, over = 0, threading.Event()

    def write_to_file() -> None:
        nonlocal written
        with closing(sqlite3.connect(empty_url.removeprefix("sqlite://"), timeout=30)) as connection:
            while not over.is_set():
                connection.execute(CHANGE.format(written + 1))
                connection.commit()
                written += 1
                over.wait(0.01)  # one that never rests leaves nobody else a turn

    async def write_to_server() -> None:
        nonlocal written
        connection = await asyncpg.connect(**connect_parameters(empty_url))
        try:
            while not over.is_set():
                await connection.execute(CHANGE.format(written + 1))
                written += 1
        finally:
            await connection.close()

    with ThreadPoolExecutor() as pool:
        on_file = host.dialect == "sqlite"
        writer = pool.submit(write_to_file) if on_file else pool.submit(asyncio.run, write_to_server())
        try:
            wait_until(lambda: written > 10, "the application writes")
            upgrade(empty_url)
            with pytest.raises((sqlite3.OperationalError, asyncpg.UndefinedColumnError), match="system_prompt"):
                writer.result(30)
        finally:
            over.set()
    assert host.one("SELECT prompt_text FROM prompts WHERE agent_id = 1") == f"Text {written}."
    downgrade(empty_url)
    assert host.one("SELECT system_prompt FROM agents WHERE id = 1") == f"Text {written}."


def test_names_in_capitals(empty_url: str) -> None:
    """SQLite does not tell `System_Prompt` from `system_prompt`: it is to be renamed. PostgreSQL does: it stays."""
    host = Host(empty_url)
    host.run(
        'CREATE TABLE agents ("Id" {id}, "Name" TEXT NOT NULL UNIQUE, "System_Prompt" TEXT)'
        if host.dialect == "sqlite"
        else 'CREATE TABLE agents (id {id}, name TEXT NOT NULL UNIQUE, "System_Prompt" TEXT)',
        """INSERT INTO agents (name, "System_Prompt") VALUES ('plain', 'You are kind.')""",
    )
    if host.dialect == "sqlite":
        with pytest.raises(SchemaError, match="spelled in lower case") as refused:
            upgrade(host.url)
        commands = re.findall(r"ALTER TABLE \w+ RENAME COLUMN \S+ TO \w+", str(refused.value))
        assert len(commands) == 3
        host.run(*commands)
    before = host.content()
    upgrade(host.url, adopt=True)
    assert host.one("SELECT COUNT(*) FROM prompts") == (1 if host.dialect == "sqlite" else 0)
    downgrade(host.url)
    assert host.content()["agents"] == before["agents"]


def test_a_status_that_was_never_active_is_activated_by_sync(empty_url: str, registry: Registry) -> None:
    """The older system wrote all but the primary status as not active: `sync` activates the code's text there, once."""
    host = Host(empty_url)
    host.run(
        "CREATE TABLE agents (id {id}, name TEXT NOT NULL UNIQUE, active_default_prompt_id INT)",
        "CREATE TABLE prompts (id {id}, agent_id INT NOT NULL, prompt_text TEXT NOT NULL, version INT NOT NULL, "
        "is_active {bool} NOT NULL, is_default_from_code {bool} NOT NULL, status_key VARCHAR(255) NOT NULL)",
        "INSERT INTO agents (id, name) VALUES (1, 'stan')",
    )
    columns = ("agent_id", "prompt_text", "version", "is_active", "is_default_from_code", "status_key")
    host.insert("prompts", columns, [(1, "Ask.", 1, True, True, "NEW"), (1, "Quote.", 1, False, True, "APPROVED")])
    registry.declare("stan", {"NEW": "Ask.", "APPROVED": "Quote."}, where="here", primary="NEW")

    async def work() -> list[findings.Finding]:
        async with Database(empty_url) as database:
            await migrate.upgrade(database)
            assert await sync.seed(database, registry.agents) == ()  # a start changes nothing
            assert await queries.get_active(database, "stan", "APPROVED") is None
            done = await sync.seed(database, registry.agents, exact=True)
            assert [(item.status_key, item.version, item.outcome) for item in done] == [("APPROVED", 1, "activated")]
            assert await sync.seed(database, registry.agents, exact=True) == ()
            # What a person deactivates stays so.
            await commands.deactivate(database, "stan", "APPROVED")
            assert await sync.seed(database, registry.agents, exact=True) == ()
            return await checks.check_database(database, {"other": registry.agents["stan"]})

    undeclared = asyncio.run(work())
    told = [finding for finding in undeclared if finding.kind is findings.Kind.UNDECLARED]
    assert [(finding.agent, finding.command) for finding in told] == [("stan", None)]


def test_plain_sql_gets_the_defaults_that_it_expects(empty_url: str) -> None:
    """A row that names neither number nor flags is version 1, not active, and not from code."""

    async def work() -> None:
        async with Database(empty_url) as database:
            await migrate.upgrade(database)
            await commands.create(database, "stan", "NEW", "Hi.", new_agent=True)

    asyncio.run(work())
    host = Host(empty_url)
    now = "'2025-05-13 18:31:00+00:00'"
    host.run(
        "INSERT INTO prompts (agent_id, status_key, prompt_text, format, content_hash, created_at, updated_at) "
        f"SELECT id, 'OTHER', 'Hello.', 'text', '', {now}, {now} FROM agents"
    )
    found = host.rows("SELECT version, is_active, is_default_from_code FROM prompts WHERE status_key = 'OTHER'")
    assert [(row[0], bool(row[1]), bool(row[2])) for row in found] == [(1, False, False)]
