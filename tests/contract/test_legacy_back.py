"""The way back: a downgrade gives the host its tables as they were, and the next upgrade takes up where it was left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from automagik_prompts.editing import commands
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from tests.hosts import (
    PROMPTS,
    TEXTS,
    Host,
    downgrade,
    fill_agents,
    make_agents,
    make_first_shape,
    make_loose,
    upgrade,
    work_on,
)

Make = Callable[[Host], None]

OURS = ("agents", "prompts", "prompt_events", "messages")


def plain(host: Host) -> None:
    """Make agents with every kind of text."""
    make_agents(host, pointer=False)
    fill_agents(host, TEXTS)


def stale(host: Host) -> None:
    """Make agents whose pointers are stale."""
    make_agents(host)
    fill_agents(host, TEXTS)
    host.run("UPDATE agents SET active_default_prompt_id = id + 3 WHERE id > 2")


def strict(host: Host) -> None:
    """Make agents whose text must not be NULL, beside what a host may have around them."""
    host.run(
        "CREATE TABLE agents (name VARCHAR(100) NOT NULL UNIQUE, system_prompt VARCHAR(200) NOT NULL DEFAULT 'none', "
        "model TEXT NOT NULL DEFAULT 'x', id {id})",
        "CREATE TABLE messages (id {id}, agent_id INTEGER REFERENCES agents (id), body TEXT)",
        "CREATE INDEX by_model ON agents (model)",
        "CREATE VIEW models AS SELECT name, model FROM agents",
    )
    texts = [(name, text) for name, text in TEXTS.items() if text is not None]
    host.insert("agents", ("name", "system_prompt"), texts)


def bare(host: Host) -> None:
    """Make the smallest table that can be adopted; it looks like this library's own."""
    host.run("CREATE TABLE agents (id {id}, name VARCHAR(255) NOT NULL UNIQUE)")
    host.run("INSERT INTO agents (name) VALUES ('plain')")


def deferred(host: Host) -> None:
    """Make tables whose foreign keys are checked when a transaction ends, as some frameworks make them."""
    make_first_shape(host)
    if host.dialect == "postgres":
        defer = "ALTER TABLE {0} ALTER CONSTRAINT {0}_agent_id_fkey DEFERRABLE INITIALLY DEFERRED"
        host.run(defer.format("prompts"), defer.format("messages"))


def circular(host: Host) -> None:
    """Make tables that refer to each other, and whose columns have what comes back only if it was noted."""
    own = " COLLATE \"C\" DEFAULT 'none' || ''" if host.dialect == "postgres" else " DEFAULT ('it''s none')"
    host.run(
        f"CREATE TABLE agents (id {{id}}, name TEXT NOT NULL UNIQUE, system_prompt TEXT{own}, "
        "active_default_prompt_id INTEGER)",
        PROMPTS.replace("name VARCHAR(255)", "name TEXT, author TEXT, note TEXT, format TEXT DEFAULT 'of the host'"),
        "INSERT INTO agents (name, system_prompt) VALUES ('plain', 'First.'), ('later', 'Second.')",
        "INSERT INTO agents (name) VALUES ('preset')",
        f"INSERT INTO prompts (agent_id, prompt_text, is_active, name, author) VALUES (1, 'First.', {{true}}, "
        f"'{'n' * 300}', '{'a' * 300}')",
    )
    if host.dialect == "postgres":
        host.run("ALTER TABLE agents ADD FOREIGN KEY (active_default_prompt_id) REFERENCES prompts (id)")
    host.run("UPDATE agents SET active_default_prompt_id = 1 WHERE id = 1")


def without_archive(found: Any) -> Any:
    """Return what there is besides the archive, of a shape or a content."""
    if isinstance(found, dict):
        return {name: without_archive(rows) for name, rows in found.items() if "archive" not in name}
    return [row for row in found if not (isinstance(row, tuple) and any("archive" in str(part) for part in row))]


def whole(host: Host) -> tuple[Any, Any]:
    """Return all that a host has, apart from the archive."""
    return without_archive(host.shape()), without_archive(host.content())


def ours(host: Host) -> dict[str, Any]:
    """Return the rows of the tables that are read and written after an upgrade."""
    content = host.content()
    return {table: content[table] for table in OURS if table in content}


@pytest.mark.parametrize("make", [plain, stale, strict, bare, make_first_shape, make_loose, deferred, circular])
def test_down_is_what_was_there_before(empty_url: str, make: Make) -> None:
    """After up and down the host's tables are what they were, texts, numbers, columns, keys and all; then up again."""
    host = Host(empty_url)
    make(host)
    before = whole(host)
    upgrade(host.url, adopt=make is bare)
    upgraded = whole(host)
    downgrade(host.url)
    assert whole(host) == before
    upgrade(host.url)
    assert whole(host) == upgraded
    assert not [table for table in host.tables() if "archive" in table]
    for number in (2, 1, 0):
        downgrade(host.url, number)
    assert whole(host) == before


@pytest.mark.parametrize("make", [plain, make_first_shape])
def test_what_was_written_since_is_kept_for_the_next_upgrade(empty_url: str, make: Make) -> None:
    """Later versions, activations and events are out of the host's way after a downgrade, and come back whole."""
    host = Host(empty_url)
    make(host)
    before = host.content()
    upgrade(host.url)
    work_on(host.url)
    worked = ours(host)
    downgrade(host.url)
    content = host.content()
    newcomer = [row for row in content["agents"] if row["name"] == "newcomer"]
    assert [row["system_prompt"] for row in newcomer] == ["I came later."]
    assert [row for row in content["agents"] if row["name"] != "newcomer"] == without_times(before["agents"], content)
    assert content.get("prompts") == before.get("prompts")
    assert len(content["automagik_prompts_archive_prompts"]) == len(worked["prompts"])
    upgrade(host.url)
    assert ours(host) == worked
    # And writing goes on: numbers and ids do not collide with what was restored.
    work_again(host)


def without_times(rows: list[dict[str, Any]], now: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return agents as they were, but with the time of their last change, which was since."""
    times = {row["name"]: row["updated_at"] for row in now["agents"]}
    return sorted(({**row, "updated_at": times[row["name"]]} for row in rows), key=lambda row: str(tuple(row.values())))


def work_again(host: Host) -> None:
    """Write another version, and make sure that it follows."""

    async def work() -> int:
        async with Database(host.url) as database:
            change = await commands.create(database, "plain", "default", "Once more.", activate=True)
            assert change.prompt is not None
            return change.prompt.version

    assert asyncio.run(work()) == 3
    assert host.one("SELECT COUNT(*) FROM prompts") == host.one("SELECT COUNT(DISTINCT id) FROM prompts")


def test_a_database_of_ours_comes_back_too(empty_url: str) -> None:
    """Where no table was the host's, a downgrade leaves only the archive, and the next upgrade is as if nothing was."""
    host = Host(empty_url)
    upgrade(host.url)
    host.run("INSERT INTO agents (name) VALUES ('null'), ('plain')")

    async def work() -> None:
        async with Database(host.url) as database:
            await commands.create(database, "plain", "default", "First.", activate=True)
            await commands.create(database, "plain", "default", "A later text.")

    asyncio.run(work())
    worked = ours(host)
    downgrade(host.url)
    # Who had logged in is something that a server alone knows.
    aside = ("agents", "events", "prompts") if host.dialect == "sqlite" else ("agents", "db_users", "events", "prompts")
    assert host.tables() == [f"automagik_prompts_archive_{name}" for name in aside]
    upgrade(host.url)
    assert ours(host) == worked
    assert host.tables() == [
        "agents",
        *(("prompt_agents_gone",) if host.dialect == "sqlite" else ()),
        *("prompt_bases", "prompt_changes", "prompt_drafts", "prompt_events", "prompt_idempotency_keys"),
        *("prompt_processes", "prompt_requests", "prompt_tokens", "prompt_usage", "prompt_withdrawals", "prompts"),
    ]
    work_again(host)


def test_texts_changed_while_it_was_down(empty_url: str) -> None:
    """What the old application wrote meanwhile is the newest wish: a new version, or an earlier one, becomes active."""
    host = Host(empty_url)
    plain(host)
    upgrade(host.url)
    work_on(host.url)
    downgrade(host.url)
    change = "UPDATE agents SET system_prompt = '{}' WHERE name = '{}'"
    host.run(change.format("Written meanwhile.", "plain"), change.format("Too much.", "trailing"))
    host.run(
        "UPDATE agents SET system_prompt = NULL WHERE name = 'json'",
        "INSERT INTO agents (name, type, model, system_prompt) VALUES ('meanwhile', 'simple', 'x', 'I am new.')",
    )
    upgrade(host.url)
    active = "SELECT a.name, p.version, p.prompt_text FROM prompts p JOIN agents a ON a.id = p.agent_id AND "
    found = {name: (version, text) for name, version, text in host.rows(f"{active} p.is_active = true")}
    assert found["plain"] == (3, "Written meanwhile.")
    assert found["trailing"] == (2, "Too much.")
    assert found["meanwhile"] == (1, "I am new.")
    # A text that was taken away takes no version away.
    assert found["json"] == (1, TEXTS["json"])
    downgrade(host.url)
    assert host.one("SELECT system_prompt FROM agents WHERE name = 'plain'") == "Written meanwhile."
    assert host.one("SELECT system_prompt FROM agents WHERE name = 'json'") is None


def test_prompts_changed_while_it_was_down(empty_url: str) -> None:
    """Where the old application has changed the versions of a status, these stand, and later ones follow, inactive."""
    host = Host(empty_url)
    make_first_shape(host)
    upgrade(host.url)
    work_on(host.url)
    worked = ours(host)
    downgrade(host.url)
    host.insert(
        "prompts",
        ("agent_id", "status_key", "version", "prompt_text", "is_active"),
        [(1, "default", 2, "Of the old application.", False)],
    )
    host.run("UPDATE agents SET system_prompt = NULL WHERE name = 'plain'")
    upgrade(host.url)
    find = (
        "SELECT version, prompt_text, is_active FROM prompts WHERE agent_id = {} AND status_key = '{}' ORDER BY version"
    )
    found = [(version, text, bool(active)) for version, text, active in host.rows(find.format(1, "default"))]
    assert found == [
        (1, TEXTS["plain"], True),
        (2, "Of the old application.", False),
        (3, "A later text.", False),
    ]
    others = [row for row in worked["prompts"] if (row["agent_id"], row["status_key"]) != (1, "default")]
    now = [row for row in ours(host)["prompts"] if (row["agent_id"], row["status_key"]) != (1, "default")]
    assert [(row["agent_id"], row["version"], row["prompt_text"], row["is_active"]) for row in now] == [
        (row["agent_id"], row["version"], row["prompt_text"], row["is_active"]) for row in others
    ]


def test_agents_deleted_while_it_was_down(empty_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Versions of an agent that does not exist any more stay in the archive, and the log says so."""
    host = Host(empty_url)
    plain(host)
    upgrade(host.url)
    downgrade(host.url)
    host.run("DELETE FROM agents WHERE name = 'plain'")
    with caplog.at_level(logging.WARNING):
        upgrade(host.url)
    assert (
        "Versions of agents that do not exist any more stay in automagik_prompts_archive_prompts: plain" in caplog.text
    )
    assert host.rows("SELECT agent_name, prompt_text FROM automagik_prompts_archive_prompts") == [
        ("plain", TEXTS["plain"])
    ]
    # An agent of that name later is another one; going back and forth once more does not mix them.
    host.run("INSERT INTO agents (name, type, model) VALUES ('plain', 'simple', 'x')")
    downgrade(host.url)
    upgrade(host.url)
    assert host.one("SELECT COUNT(*) FROM prompts p JOIN agents a ON a.id = p.agent_id WHERE a.name = 'plain'") == 0


def test_nothing_is_dropped_while_a_text_has_no_equal_version(empty_url: str) -> None:
    """The last step refuses, names the agents and changes nothing; then the command writes what is missing."""
    host = Host(empty_url)
    plain(host)
    upgrade(host.url)
    downgrade(host.url, 2)
    host.run("UPDATE prompts SET prompt_text = 'tampered with' WHERE prompt_text LIKE 'You are a helpful%'")
    # Not even a blank or the size of a letter may differ.
    host.run("UPDATE prompts SET prompt_text = trim(prompt_text) WHERE prompt_text LIKE '  Keep my blanks%'")
    host.run("UPDATE prompts SET prompt_text = lower(prompt_text) WHERE prompt_text LIKE 'Hello %'")
    host.run("UPDATE agents SET system_prompt = 'new' WHERE name = 'unicode'")
    host.run("UPDATE agents SET system_prompt = '  ' WHERE name = 'json'")
    before = host.shape(), host.content()
    with pytest.raises(SchemaError, match=r"the text of plain, jinja, trailing, unicode\. Nothing was ch"):
        upgrade(host.url)
    assert (host.shape(), host.content()) == before

    async def adopt() -> tuple[str, ...]:
        async with Database(host.url) as database:
            return await migrate.upgrade(database, adopt=True)

    assert len(asyncio.run(adopt())) == 7
    texts = {text for (text,) in host.rows("SELECT prompt_text FROM prompts")}
    assert {TEXTS["plain"], TEXTS["jinja"], TEXTS["trailing"], "new", "tampered with"} <= texts
    downgrade(host.url)
    assert host.one("SELECT system_prompt FROM agents WHERE name = 'plain'") == TEXTS["plain"]
    assert host.one("SELECT system_prompt FROM agents WHERE name = 'json'") == "  "
    assert host.one("SELECT system_prompt FROM agents WHERE name = 'unicode'") == "new"
