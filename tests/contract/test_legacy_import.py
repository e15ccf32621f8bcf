"""Importing the texts of another database: each becomes a version here, once, however often it is run."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from automagik_prompts.database_url import sqlite_path
from automagik_prompts.editing import commands
from automagik_prompts.exceptions import ConfigurationError, SchemaError
from automagik_prompts.schema import migrate
from automagik_prompts.schema.legacy import importer
from automagik_prompts.schema.legacy.importer import TextSource
from automagik_prompts.schema.legacy.planned import AgentPlan, Outcome
from automagik_prompts.storage.database import Database
from tests.conftest import ENGINES
from tests.hosts import TEXTS, Host, fill_agents, make_agents, upgrade
from tests.operator import Operator
from tests.servers import PostgresServer

SERVED = {name: text for name, text in TEXTS.items() if text is not None and text.strip()}


@pytest.fixture(params=ENGINES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """Another application's database, with columns of other names."""
    if request.param == "sqlite":
        url = f"sqlite://{tmp_path / 'source.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create_database()
    host = Host(url)
    host.run('CREATE TABLE bots ("bot name" TEXT, "the text" TEXT, id {id})')
    host.insert("bots", ('"bot name"', '"the text"'), list(TEXTS.items()))
    return host


def where(source: Host, table: str = "bots") -> TextSource:
    """Return where the texts are."""
    return TextSource(source.url, table, "bot name", "the text")


def imported(url: str, source: TextSource) -> dict[str, AgentPlan]:
    """Import, and return what became of each text."""

    async def work() -> tuple[AgentPlan, ...]:
        async with Database(url) as database:
            await migrate.upgrade(database)
            return await importer.import_texts(database, source)

    return {plan.agent: plan for plan in asyncio.run(work())}


def active_texts(host: Host) -> dict[str, str]:
    """Return the active text of `default`, by agent."""
    query = "SELECT a.name, p.prompt_text FROM agents a JOIN prompts p ON p.id = a.active_default_prompt_id"
    return dict(host.rows(query))


def test_each_text_becomes_a_version(source: Host, empty_url: str) -> None:
    """From either engine to either: texts are active versions byte for byte, and the source is only read."""
    before = source.content()
    target = Host(empty_url)
    plans = imported(target.url, where(source))
    assert active_texts(target) == SERVED
    assert source.content() == before
    assert {name for name, plan in plans.items() if plan.verbatim} == {"broken", "jinja"}
    rows = target.content()
    assert {row["name"] for row in rows["prompts"]} == {"Migrated Default Prompt"}
    assert all(row["is_default_from_code"] and row["version"] == 1 for row in rows["prompts"])
    assert all(row["note"].startswith("from bots.the text of ") for row in rows["prompts"])
    assert sorted(row["action"] for row in rows["prompt_events"]) == ["activated"] * 8 + ["created"] * 8


def test_running_it_again_writes_nothing(source: Host, sqlite_url: str) -> None:
    """What is there already is not written again: not a row, not a counter."""
    target = Host(sqlite_url)
    imported(target.url, where(source))
    before = target.content()
    again = imported(target.url, where(source))
    assert target.content() == before
    assert {name for name, plan in again.items() if plan.outcome is Outcome.PRESENT} == set(SERVED)


def test_it_respects_what_people_decided(empty_url: str, tmp_path: Path) -> None:
    """An active version stays active; the text that differs stands beside it, and is not written twice."""
    source = Host(f"sqlite://{tmp_path / 'source.db'}")
    make_agents(source)
    fill_agents(source, {"plain": "You are {{agent_name}} for {{company}}.", "other": "Hello."})
    target = Host(empty_url)
    upgrade(target.url)

    async def decide() -> None:
        async with Database(target.url) as database:
            await commands.create(
                database, "plain", "default", "A person's.", activate=True, new_agent=True, new_status=True
            )

    asyncio.run(decide())
    for _ in range(2):
        plans = imported(target.url, TextSource(source.url))
        assert active_texts(target) == {"plain": "A person's.", "other": "Hello."}
        assert target.one("SELECT COUNT(*) FROM prompts") == 3
    assert str(plans["plain"]) == "plain: version 2 of 'default' is this text (version 1 is active)"

    async def take_it() -> None:
        async with Database(target.url) as database:
            await commands.activate(database, "plain", "default", 2)

    asyncio.run(take_it())  # its names are exposed, so that it can be activated
    assert active_texts(target)["plain"] == "You are {{agent_name}} for {{company}}."


def test_changed_texts_come_in_later(sqlite_url: str, tmp_path: Path) -> None:
    """A second import brings what was added and changed in the other database since."""
    source = Host(f"sqlite://{tmp_path / 'source.db'}")
    make_agents(source)
    fill_agents(source, {"plain": "First.", "null": None})
    imported(sqlite_url, TextSource(source.url))
    source.run("UPDATE agents SET system_prompt = 'Second.' WHERE name = 'plain'")
    source.run("UPDATE agents SET system_prompt = 'Now there is one.' WHERE name = 'null'")
    plans = imported(sqlite_url, TextSource(source.url))
    assert [(name, plan.outcome, plan.version) for name, plan in plans.items()] == [
        ("null", Outcome.CREATED, 1),
        ("plain", Outcome.INACTIVE, 2),
    ]


def test_what_cannot_be_imported_is_refused_by_name(sqlite_url: str, tmp_path: Path) -> None:
    """Texts and names that could not be kept are reported; all others are imported."""
    source = Host(f"sqlite://{tmp_path / 'source.db'}")
    source.run("CREATE TABLE agents (name TEXT, system_prompt TEXT)")
    source.insert(
        "agents",
        ("name", "system_prompt"),
        [("good", "Hello."), (" bad", "x"), (None, "y"), ("nul", "a\0b"), ("", None)],
    )
    operator = Operator(tmp_path, sqlite_url)
    outcome = operator.run("migrate-legacy", "--from", source.url)
    assert outcome.code == 1
    assert "good: version 1 of 'default', active, text" in outcome.out
    assert " bad: refused: The agent name ' bad' begins or ends with a blank." in outcome.out
    assert ": refused: The agent name is blank." in outcome.out
    assert "nul: refused: " in outcome.out
    assert outcome.out.splitlines()[-1] == "5 agents: 1 new version; without a text: 1 null; 3 refused"
    assert active_texts(Host(sqlite_url)) == {"good": "Hello."}


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"table": "bots2"}, "There is no table 'bots2'.*--table"),
        ({"name_column": "title"}, r"has no column 'title'; it has name, system_prompt\..*--name-column"),
        ({"text_column": "title"}, "has no column 'title'.*--text-column"),
    ],
)
def test_a_wrong_name_is_told(sqlite_url: str, tmp_path: Path, given: dict[str, str], word: str) -> None:
    """A table or column that is not there is an error that lists what is."""
    source = Host(f"sqlite://{tmp_path / 'source.db'}")
    source.run("CREATE TABLE agents (name TEXT, system_prompt TEXT)")
    with pytest.raises(ConfigurationError, match=word):
        imported(sqlite_url, TextSource(source.url, **given))


def test_a_name_in_two_rows_is_told(sqlite_url: str, tmp_path: Path) -> None:
    """Which of two texts is meant cannot be told; nothing is imported."""
    source = Host(f"sqlite://{tmp_path / 'source.db'}")
    source.run("CREATE TABLE agents (name TEXT, system_prompt TEXT)")
    source.insert("agents", ("name", "system_prompt"), [("twice", "a"), ("twice", "b"), ("once", "c")])
    with pytest.raises(ConfigurationError, match="same name in several rows: 'twice'"):
        imported(sqlite_url, TextSource(source.url))
    assert active_texts(Host(sqlite_url)) == {}


def test_another_schema(postgres_url: str, sqlite_url: str) -> None:
    """On PostgreSQL the table may be in a schema of its own, and it may be a view."""
    source = Host(postgres_url)
    source.run(
        "CREATE SCHEMA hr",
        "CREATE TABLE hr.bots (name TEXT, body TEXT)",
        "INSERT INTO hr.bots VALUES ('plain', 'Hello.')",
        "CREATE VIEW hr.named AS SELECT 'bot ' || name AS name, body FROM hr.bots",
    )
    imported(sqlite_url, TextSource(source.url, "hr.named", "name", "body"))
    assert active_texts(Host(sqlite_url)) == {"bot plain": "Hello."}


def test_into_a_hosts_table(empty_url: str, tmp_path: Path) -> None:
    """Where the target's agents need values of the host's own, new ones are refused with the columns' names."""
    source = Host(f"sqlite://{tmp_path / 'source.db'}")
    source.run("CREATE TABLE agents (name TEXT, system_prompt TEXT)")
    source.insert("agents", ("name", "system_prompt"), [("plain", "Hello."), ("new", "Hi.")])
    target = Host(empty_url)
    make_agents(target)
    fill_agents(target, {"plain": "As before."})
    with pytest.raises(SchemaError, match=r"'new' cannot be added.*type, model must have a value"):
        imported(target.url, TextSource(source.url))
    target.run("INSERT INTO agents (name, type, model) VALUES ('new', 'simple', 'x')")
    imported(target.url, TextSource(source.url))
    assert active_texts(target) == {"plain": "As before.", "new": "Hi."}


def test_the_command_and_its_preview(source: Host, sqlite_url: str, tmp_path: Path) -> None:
    """`--dry-run` says the same as the import does, makes no file and changes none."""
    operator = Operator(tmp_path, sqlite_url)
    arguments = ("--from", source.url, "--table", "bots", "--name-column", "bot name", "--text-column", "the text")
    preview = operator.do("migrate-legacy", *arguments, "--dry-run").splitlines()
    path = sqlite_path(sqlite_url)
    assert path is not None
    assert not path.exists()
    assert preview[-1] == "Nothing was written."
    done = operator.do("migrate-legacy", *arguments).splitlines()
    assert done == preview[:-1]
    assert active_texts(Host(sqlite_url)) == SERVED
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    again = operator.run("migrate-legacy", *arguments, "--dry-run", "--json").json
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert {line["outcome"] for line in again["agents"]} == {"present", "null", "empty", "blank"}
    assert again["dry_run"] is True


def test_progress_is_shown_to_whoever_watches(sqlite_url: str, tmp_path: Path) -> None:
    """At a terminal a bar counts the agents."""
    source = Host(f"sqlite://{tmp_path / 'source.db'}")
    source.run("CREATE TABLE agents (name TEXT, system_prompt TEXT)")
    source.insert("agents", ("name", "system_prompt"), [(f"agent {n}", f"Text {n}.") for n in range(450)])
    with Operator(tmp_path, sqlite_url).at_terminal("migrate-legacy", "--from", source.url) as terminal:
        terminal.until("importing")
        assert terminal.end() == 0
    assert "450 agents: 450 new versions" in terminal.shown


def make_seed(host: Host) -> None:
    """Make a database of the shape that this library grew from: versions by status, without a text at the agent."""
    host.run(
        "CREATE TABLE agents (id {id}, name TEXT NOT NULL UNIQUE, active_default_prompt_id INT)",
        "CREATE TABLE prompts (id {id}, agent_id INT NOT NULL, prompt_text TEXT NOT NULL, version INT NOT NULL, "
        "is_active {bool} NOT NULL, is_default_from_code {bool} NOT NULL, status_key VARCHAR(255) NOT NULL, "
        "name VARCHAR(255), created_at {time}, updated_at {time})",
        "INSERT INTO agents (id, name) VALUES (1, 'stan'), (2, 'simple')",
    )
    columns = ("agent_id", "prompt_text", "version", "is_active", "is_default_from_code", "status_key", "name")
    host.insert(
        "prompts",
        columns,
        [
            (1, "Ask {{name}} for the id.", 1, True, True, "NOT_REGISTERED", "StanAgent Not Registered Prompt"),
            (1, "Quote prices.", 1, False, True, "APPROVED", "StanAgent Approved Prompt"),
            (2, "Be helpful.", 1, False, True, "default", None),
            (2, "Be very helpful.", 2, True, False, "default", None),
        ],
    )
    host.run("UPDATE prompts SET created_at = '2025-05-13 18:31:00', updated_at = '2025-05-13 18:31:00'")


def test_versions_of_the_shape_that_this_library_grew_from(empty_url: str, tmp_path: Path) -> None:
    """A database that has `prompts` is imported with its versions, statuses, active flags, names and times."""
    source = Host(empty_url)
    make_seed(source)
    sqlite_url = f"sqlite://{tmp_path / 'target.db'}"
    operator = Operator(tmp_path, sqlite_url)
    lines = operator.do("migrate-legacy", "--from", source.url, "--dry-run").splitlines()
    assert "stan: version 1 of 'APPROVED', not activated, text (it is not active there)" in lines
    for expected in ("4 new versions", "0 new versions"):
        assert expected in operator.do("migrate-legacy", "--from", source.url).splitlines()[-1]
    target = Host(sqlite_url)
    rows = target.rows(
        "SELECT a.name, p.status_key, p.version, p.is_active, p.name, substr(p.created_at, 1, 19) FROM prompts p "
        "JOIN agents a ON a.id = p.agent_id ORDER BY 1, 2, 3"
    )
    at = "2025-05-13 18:31:00"
    assert [tuple(row) for row in rows] == [
        ("simple", "default", 1, 0, "Migrated Default Prompt", at),
        ("simple", "default", 2, 1, "Migrated Default Prompt", at),
        ("stan", "APPROVED", 1, 0, "StanAgent Approved Prompt", at),
        ("stan", "NOT_REGISTERED", 1, 1, "StanAgent Not Registered Prompt", at),
    ]
    assert target.one("SELECT default_status_key FROM agents WHERE name = 'stan'") == "NOT_REGISTERED"


def test_versions_of_nobody_are_named_all_at_once(sqlite_url: str, tmp_path: Path) -> None:
    """Rows of `prompts` whose agent does not exist are named, and nothing is imported."""
    source = Host(f"sqlite://{tmp_path / 'seed.db'}")
    make_seed(source)
    source.run("UPDATE prompts SET agent_id = 7 WHERE agent_id = 2")
    outcome = Operator(tmp_path, sqlite_url).run("migrate-legacy", "--from", source.url)
    assert outcome.code == 1
    assert "version 1 of default (row 3 of prompts), version 2 of default (row 4 of prompts)" in outcome.err
