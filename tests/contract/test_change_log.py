"""The log of changes: what is written by plain SQL is noted, for the agents that it is about and for no others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.faults import execute
from tests.tampering import unkept

MORE = "is_active, format, content_hash, created_at, updated_at"
VALUES = "'text', '', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"
ACTIVE, DRAFT = f"true, {VALUES}", f"false, {VALUES}"

# What each statement is about; {a}, {b} and {c} are agents, {a_on}, {b_on} and {a_off} active and inactive versions.
NOTED = {
    "agent added": ("INSERT INTO agents (id, name) VALUES ({new}, '{name}-new')", "new"),
    "agent renamed": ("UPDATE agents SET name = '{name}-renamed' WHERE id = {a}", "a"),
    "primary status": ("UPDATE agents SET default_status_key = 'X' WHERE id = {a}", "a"),
    "pointer": ("UPDATE agents SET active_default_prompt_id = {a_on} WHERE id = {a}", "a"),
    "variables": ("UPDATE agents SET variables = '[\"x\"]' WHERE id = {a}", "a"),
    "revision": ("UPDATE agents SET revision = revision + 1 WHERE id = {a}", "a"),
    "several agents": ("UPDATE agents SET revision = revision + 1 WHERE id IN ({a}, {b}, {c})", "a b c"),
    "agent deleted": ("DELETE FROM agents WHERE id = {c}", "c"),
    "agent deleted with versions": ("DELETE FROM agents WHERE id IN ({a}, {b})", "a b"),
    "version added": (
        "INSERT INTO prompts (agent_id, status_key, prompt_text, {more}) VALUES ({c}, 'X', 't', {active})",
        "c",
    ),
    "activated": ("UPDATE prompts SET is_active = true WHERE id = {c_off}", "c"),
    "deactivated": ("UPDATE prompts SET is_active = false WHERE id = {a_on}", "a"),
    "text": ("UPDATE prompts SET prompt_text = 'changed in place' WHERE id = {a_on}", "a"),
    "format": ("UPDATE prompts SET format = 'text' WHERE id = {a_on}", "a"),
    "hash": ("UPDATE prompts SET content_hash = '' WHERE id = {a_on}", "a"),
    "status": ("UPDATE prompts SET status_key = 'X' WHERE id = {a_on}", "a"),
    "number": ("UPDATE prompts SET version = 99 WHERE id = {a_on}", "a"),
    "version's id": ("UPDATE prompts SET id = {new} WHERE id = {a_on}", "a"),
    "moved": ("UPDATE prompts SET agent_id = {c}, status_key = 'X' WHERE id = {a_on}", "a c"),
    "version deleted": ("DELETE FROM prompts WHERE id = {a_on}", "a"),
    "all at once": ("UPDATE prompts SET prompt_text = prompt_text WHERE agent_id IN ({a}, {b}, {c})", "a b"),
    "upsert of a version": (
        (
            "INSERT INTO prompts (id, agent_id, status_key, prompt_text, {more}) "
            "VALUES ({a_on}, {b}, 'X', 't', {active}) ON CONFLICT (id) DO UPDATE SET prompt_text = 'upserted'"
        ),
        "a",
    ),
    "upsert of an agent": (
        "INSERT INTO agents (name) VALUES ('{name}-a') ON CONFLICT (name) DO UPDATE SET default_status_key = 'X'",
        "a",
    ),
}
NOT_NOTED = {
    "a column of the host's": "UPDATE agents SET mood = 'good'",
    "the same revision": "UPDATE agents SET revision = revision, name = name, variables = variables",
    "note of an active version": "UPDATE prompts SET note = 'a note', author = 'somebody' WHERE id = {a_on}",
    "a draft's text": "UPDATE prompts SET prompt_text = 'another draft', content_hash = '' WHERE id = {a_off}",
    "a draft moved": "UPDATE prompts SET agent_id = {b}, status_key = 'X' WHERE id = {a_off}",
    "a draft added": "INSERT INTO prompts (agent_id, status_key, prompt_text, {more}) VALUES ({a}, 'X', 't', {draft})",
    "a draft deleted": "DELETE FROM prompts WHERE id = {a_off}",
    "nothing updated": "UPDATE prompts SET is_active = true WHERE id = -1",
    "conflict ignored": "INSERT INTO agents (name) VALUES ('{name}-a') ON CONFLICT DO NOTHING",
}
ON_SQLITE = {
    "ignored": ("INSERT OR IGNORE INTO agents (id, name) VALUES ({a}, '{name}-a')", ""),
    "version replaced": (
        (
            "INSERT OR REPLACE INTO prompts (id, agent_id, status_key, prompt_text, {more}) "
            "VALUES ({a_on}, {a}, 'X', 't', {active})"
        ),
        "a",
    ),
    "active version replaced by a draft": (
        (
            "INSERT OR REPLACE INTO prompts (id, agent_id, status_key, prompt_text, {more}) "
            "VALUES ({a_on}, {a}, 'X', 't', {draft})"
        ),
        "a",
    ),
    "active version replaced by another agent's": (
        "REPLACE INTO prompts (id, agent_id, status_key, prompt_text, {more}) VALUES ({a_on}, {b}, 'X', 't', {active})",
        "a b",
    ),
    "agent replaced": ("INSERT OR REPLACE INTO agents (id, name) VALUES ({new}, '{name}-c')", "new"),
    "updated or ignored": ("UPDATE OR IGNORE agents SET revision = 9 WHERE id = {a}", "a"),
}
ON_SERVER = {
    "merged": (
        (
            "MERGE INTO prompts p USING (VALUES ({a_on})) AS v (id) ON p.id = v.id "
            "WHEN MATCHED THEN UPDATE SET version = 9"
        ),
        "a",
    ),
    "written in a query": (
        "WITH w AS (UPDATE prompts SET prompt_text = 'x' WHERE id = {b_on} RETURNING id) SELECT * FROM w",
        "b",
    ),
}


@dataclass
class Watched:
    """Agents of one test, and what the log says of them.

    Attributes:
        database: The shared database, open.
        names: What the statements are filled with.
    """

    database: Database
    names: dict[str, object]

    async def noted(self, *statements: str) -> set[str]:
        """Run statements on a connection of their own, and return which agents were noted since."""
        before = await self.database.run(repository.get_changes, None, 0)
        await self.run(*statements)
        found = await self.database.run(repository.get_changes, before.position, 0)
        assert found.agents is not None
        ids = {number for number, _ in found.agents}
        known = {self.names[name]: name for name in ("a", "b", "c", "new")}
        assert len(ids) == len(found.agents)
        return {known.pop(number, str(number)) for number in ids}

    async def run(self, *statements: str) -> None:
        """Run statements on a connection of their own."""
        url = self.database.url
        await execute(url, *unkept(url), *(one.format(**self.names) for one in statements))


@pytest.fixture
async def watched(database: Database, agent: str) -> Watched:
    """Three agents with an active version and a draft each; the third one's is only a draft."""
    url = database.url
    columns = {"mood"} & {str(row[0]) for row in await execute(url, _columns_of_agents(url))}
    if not columns:
        await execute(url, "ALTER TABLE agents ADD COLUMN mood TEXT")
    names: dict[str, object] = {"name": agent, "more": MORE, "active": ACTIVE, "draft": DRAFT}
    for letter in "abc":
        await execute(url, f"INSERT INTO agents (name, variables) VALUES ('{agent}-{letter}', '[]')")
        ((names[letter],),) = await execute(url, f"SELECT id FROM agents WHERE name = '{agent}-{letter}'")
        for number, is_active in ((1, letter != "c"), (2, False)):
            await execute(
                url,
                f"INSERT INTO prompts (agent_id, status_key, version, prompt_text, {MORE}) "
                f"VALUES ({names[letter]}, 'default', {number}, 'text of {letter}', {ACTIVE if is_active else DRAFT})",
            )
        rows = await execute(url, f"SELECT id FROM prompts WHERE agent_id = {names[letter]} ORDER BY version")
        names[f"{letter}_on"], names[f"{letter}_off"] = (number for (number,) in rows)
    names["new"] = int(str(names["c_off"])) + 1_000_000
    return Watched(database, names)


def _columns_of_agents(url: str) -> str:
    if url.startswith("sqlite"):
        return "SELECT name FROM pragma_table_info('agents')"
    return "SELECT column_name FROM information_schema.columns WHERE table_name = 'agents'"


@pytest.mark.parametrize("what", NOTED)
async def test_what_matters_is_noted(what: str, watched: Watched) -> None:
    """Whatever plain SQL does to what is served, the agents that it is about are noted, and no others."""
    statement, expected = NOTED[what]
    assert await watched.noted(statement) == set(expected.split())


@pytest.mark.parametrize("what", NOT_NOTED)
async def test_what_does_not_matter_is_not_noted(what: str, watched: Watched) -> None:
    """What no run is told of makes no process read."""
    assert await watched.noted(NOT_NOTED[what]) == set()


@pytest.mark.parametrize("shared_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", ON_SQLITE)
async def test_what_sqlite_does_on_a_conflict_is_noted(what: str, watched: Watched) -> None:
    """A row that is replaced goes without a DELETE, and its agent is noted all the same."""
    statement, expected = ON_SQLITE[what]
    assert await watched.noted(statement) == set(expected.split())


@pytest.mark.parametrize("shared_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("what", ON_SERVER)
async def test_what_only_a_server_can_do_is_noted(what: str, watched: Watched) -> None:
    """Statements that write in other words are noted like others."""
    statement, expected = ON_SERVER[what]
    assert await watched.noted(statement) == set(expected.split())


async def test_what_is_exchanged_is_noted(watched: Watched) -> None:
    """Two agents whose active versions change places in one transaction are both noted, though all sums are equal."""
    noted = await watched.noted(
        "BEGIN",
        "UPDATE prompts SET agent_id = {c}, status_key = 'X' WHERE id = {a_on}",
        "UPDATE prompts SET agent_id = {a} WHERE id = {b_on}",
        "UPDATE prompts SET agent_id = {b}, status_key = 'default' WHERE id = {a_on}",
        "COMMIT",
    )
    assert noted == {"a", "b", "c"}
    assert await watched.noted("BEGIN", "UPDATE agents SET revision = 77 WHERE id = {a}", "ROLLBACK") == set()
    noted = await watched.noted(
        "BEGIN",
        "SAVEPOINT one",
        "UPDATE agents SET revision = 78 WHERE id = {a}",
        "ROLLBACK TO one",
        "UPDATE agents SET revision = 78 WHERE id = {b}",
        "SAVEPOINT two",
        "UPDATE agents SET revision = 78 WHERE id = {c}",
        "RELEASE two",
        "COMMIT",
    )
    assert noted == {"b", "c"}


async def test_a_deleted_agent_stays_in_the_log(watched: Watched) -> None:
    """Its row goes on telling those who were not there; added anew under its id, it is noted again."""
    before = await watched.database.run(repository.get_changes, None, 0)
    await watched.run("DELETE FROM agents WHERE id = {a}")
    assert await watched.noted("UPDATE agents SET revision = 5 WHERE id = {b}") == {"b"}
    found = await watched.database.run(repository.get_changes, before.position, 0)
    assert {number for number, _ in found.agents or ()} == {watched.names["a"], watched.names["b"]}
    assert await watched.noted("INSERT INTO agents (id, name) VALUES ({a}, '{name}-again')") == {"a"}


async def test_numbers_of_another_server_hide_nothing(watched: Watched) -> None:
    """Huge, tiny and negative numbers, as a restore may bring, neither hide a change nor come back for ever."""
    for number in (0, 1, -5, 2**33, 2**62, 2**63 - 1):
        await watched.run(f"UPDATE prompt_changes SET change = {number} WHERE agent_id IN ({{a}}, {{b}})")
        position = (await watched.database.run(repository.get_changes, None, 0)).position
        for _ in range(2):
            assert await watched.noted("UPDATE agents SET revision = revision + 1 WHERE id = {a}") == {"a"}
            assert await watched.noted("UPDATE agents SET revision = revision + 1 WHERE id = {c}") == {"c"}
        found = await watched.database.run(repository.get_changes, position, 0)
        assert {"a", "c"} == {name for name in "abc" if watched.names[name] in {one for one, _ in found.agents or ()}}
        again = await watched.database.run(repository.get_changes, found.position, 0)
        assert again.agents == ()
        await watched.run("UPDATE agents SET revision = revision + 1 WHERE id = {b}")


async def test_many_writers_note_all_that_they_write(watched: Watched) -> None:
    """What several connections write at once is noted for each."""
    statements = [f"UPDATE agents SET revision = {number} WHERE id = {{{name}}}" for number in (5, 6) for name in "abc"]
    before = await watched.database.run(repository.get_changes, None, 0)
    await asyncio.gather(*map(watched.run, statements))
    found = await watched.database.run(repository.get_changes, before.position, 0)
    assert {number for number, _ in found.agents or ()} == {watched.names[name] for name in "abc"}
