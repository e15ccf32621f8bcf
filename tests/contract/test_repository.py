"""The seven functions of the original design by their names, and what the database itself guarantees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.edits import Intent
from automagik_prompts.domain.records import AgentInfo, Prompt, PromptCreate
from automagik_prompts.domain.text import content_hash
from automagik_prompts.editing import commands, finding
from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.contract.history import rows
from tests.tampering import unkeep


async def add(database: Database, agent: str, primary: str = "default") -> AgentInfo:
    """Add an agent."""
    await database.transaction(repository.add_agents, [AgentInfo(0, agent, primary, variables=("b", "a"))])
    return await finding.find_agent(database, agent)


async def create(
    database: Database, agent: AgentInfo, text: str, status_key: str = "default", **more: object
) -> Prompt:
    """Write a version, as the transactions of this library do: the lock first."""

    async def write(db: BaseDBAsyncClient) -> Prompt:
        assert await repository.lock_agent(db, agent.id)
        data = PromptCreate(agent_id=agent.id, prompt_text=text, status_key=status_key, **more)  # type: ignore[arg-type]  # per test
        return await repository.create_prompt(db, data)

    return await database.transaction(write)


async def set_active(database: Database, agent: AgentInfo, prompt_id: int | None, status_key: str) -> Prompt | None:
    """Activate a version in a transaction."""

    async def write(db: BaseDBAsyncClient) -> Prompt | None:
        assert await repository.lock_agent(db, agent.id)
        return await repository.set_prompt_active(db, agent.id, prompt_id, status_key)

    return await database.transaction(write)


async def test_create_prompt(database: Database, agent: str) -> None:
    """It writes the next version of a status and returns all that there is to know of it."""
    info = await add(database, agent)
    before = datetime.now(UTC) - timedelta(seconds=5)
    first = await create(
        database,
        info,
        "Hello\r\n",
        status_key="A",
        name="Greeting",
        author="ann",
        note="why",
        is_default_from_code=True,
    )
    second = await create(database, info, "Hi {{", status_key="A", format="text")
    other = await create(database, info, "Other", status_key="B")
    assert [prompt.version for prompt in (first, second, other)] == [1, 2, 1]
    assert (first.prompt_text, first.format, first.name, first.author, first.note) == (
        "Hello\r\n",
        "handlebars",
        "Greeting",
        "ann",
        "why",
    )
    assert (first.agent_id, first.status_key, first.is_active, first.is_default_from_code) == (
        info.id,
        "A",
        False,
        True,
    )
    assert first.content_hash == content_hash("Hello\r\n")
    assert before < first.created_at == first.updated_at < datetime.now(UTC) + timedelta(seconds=5)
    assert first.created_at.utcoffset() == timedelta(0)
    assert (second.format, second.name, second.author, second.note) == ("text", None, None, None)
    assert len({first.id, second.id, other.id}) == 3


async def test_create_prompt_that_is_active(database: Database, agent: str) -> None:
    """An active one takes the place of the one before, and the agent points to it."""
    info = await add(database, agent)
    first = await create(database, info, "one", is_active=True)
    second = await create(database, info, "two", is_active=True)
    other = await create(database, info, "three", status_key="A", is_active=True)
    assert (first.is_active, second.is_active, other.is_active) == (True, True, True)
    found = await database.run(repository.get_prompts_by_agent_id, info.id)
    assert {prompt.id for prompt in found if prompt.is_active} == {second.id, other.id}
    assert (await finding.find_agent(database, agent)).active_default_prompt_id == second.id


async def test_get_prompt_by_id(database: Database, agent: str) -> None:
    """It returns what was written, or nothing."""
    info = await add(database, agent)
    written = await create(database, info, "Hello", name="Name")
    assert await database.run(repository.get_prompt_by_id, written.id) == written
    assert await database.run(repository.get_prompt_by_id, -1) is None


async def test_get_active_prompt(database: Database, agent: str) -> None:
    """It returns the active version of the status, and of no other."""
    info = await add(database, agent)
    assert await database.run(repository.get_active_prompt, info.id, "A") is None
    written = await create(database, info, "Hello", status_key="A")
    assert await database.run(repository.get_active_prompt, info.id, "A") is None
    await set_active(database, info, written.id, "A")
    found = await database.run(repository.get_active_prompt, info.id, "A")
    assert found is not None
    assert (found.id, found.is_active) == (written.id, True)
    for agent_id, status_key in ((info.id, "a"), (info.id, "B"), (-1, "A")):
        assert await database.run(repository.get_active_prompt, agent_id, status_key) is None


async def test_set_prompt_active(database: Database, agent: str) -> None:
    """One version is active afterwards; the agent points to that of its primary status; other statuses stay."""
    info = await add(database, agent, primary="A")
    one, two = [await create(database, info, text, status_key="A") for text in ("one", "two")]
    other = await create(database, info, "other", status_key="B")

    async def pointed() -> int | None:
        return (await finding.find_agent(database, agent)).active_default_prompt_id

    for wanted in (two, one, two, two):
        found = await set_active(database, info, wanted.id, "A")
        assert found is not None
        assert (found.id, found.is_active, await pointed()) == (wanted.id, True, wanted.id)
    assert await set_active(database, info, other.id, "B") is not None
    assert await pointed() == two.id
    assert await set_active(database, info, None, "A") is None
    assert await pointed() is None
    assert await database.run(repository.get_active_prompt, info.id, "A") is None
    assert await database.run(repository.get_active_prompt, info.id, "B") is not None


async def test_set_prompt_active_of_another_agent_or_status(database: Database, agent: str) -> None:
    """An id that belongs elsewhere changes nothing."""
    info, foreign = await add(database, agent), await add(database, f"{agent}-2")
    mine = await create(database, info, "mine", is_active=True)
    other = await create(database, info, "other", status_key="B")
    theirs = await create(database, foreign, "theirs")
    for prompt_id in (other.id, theirs.id, -1):
        assert await set_active(database, info, prompt_id, "default") is None
        found = await database.run(repository.get_active_prompt, info.id, "default")
        assert found is not None
        assert found.id == mine.id


async def test_find_code_default_prompt(database: Database, agent: str) -> None:
    """It returns the newest version that came from code, active or not."""
    info = await add(database, agent)
    assert await database.run(repository.find_code_default_prompt, info.id, "default") is None
    await create(database, info, "one", is_default_from_code=True, is_active=True)
    second = await create(database, info, "two", is_default_from_code=True)
    await create(database, info, "three")
    await create(database, info, "elsewhere", status_key="B", is_default_from_code=True)
    assert await database.run(repository.find_code_default_prompt, info.id, "default") == second


async def test_get_latest_version_for_status(database: Database, agent: str) -> None:
    """It returns the highest number of the status, or nothing."""
    info = await add(database, agent)
    assert await database.run(repository.get_latest_version_for_status, info.id, "A") is None
    for text in ("one", "two", "three"):
        await create(database, info, text, status_key="A")
    await create(database, info, "one", status_key="B")
    assert await database.run(repository.get_latest_version_for_status, info.id, "A") == 3
    assert await database.run(repository.get_latest_version_for_status, info.id, "B") == 1


async def test_get_prompts_by_agent_id(database: Database, agent: str) -> None:
    """It returns all versions, or those of a status, by status and newest first."""
    info, other = await add(database, agent), await add(database, f"{agent}-2")
    for status_key in ("B", "A", "A"):
        await create(database, info, "text", status_key=status_key)
    await create(database, other, "text", status_key="A")

    def numbers(found: list[Prompt]) -> list[tuple[str, int]]:
        return [(prompt.status_key, prompt.version) for prompt in found]

    assert numbers(await database.run(repository.get_prompts_by_agent_id, info.id)) == [("A", 2), ("A", 1), ("B", 1)]
    assert numbers(await database.run(repository.get_prompts_by_agent_id, info.id, "A")) == [("A", 2), ("A", 1)]
    assert numbers(await database.run(repository.get_prompts_by_agent_id, info.id, limit=1)) == [("A", 2)]
    assert await database.run(repository.get_prompts_by_agent_id, info.id, "C") == []
    assert await database.run(repository.get_prompts_by_agent_id, -1) == []


async def test_several_texts_at_once(database: Database, agent: str) -> None:
    """What seeding writes in one go has the same numbers and ids as if written one by one."""
    one, two = await add(database, agent), await add(database, f"{agent}-2")
    await create(database, two, "earlier", status_key="A")

    async def write(db: BaseDBAsyncClient) -> list[Prompt]:
        for info in (one, two):
            assert await repository.lock_agent(db, info.id)
        new = [PromptCreate(info.id, f"{info.name} {key}", key) for info in (one, two) for key in ("A", "B", "C")]
        return await repository.create_prompts(db, new)

    written = await database.transaction(write)
    assert [prompt.version for prompt in written] == [1, 1, 1, 2, 1, 1]
    for prompt in written:
        found = await database.run(repository.get_prompt_by_id, prompt.id)
        assert found is not None
        assert (found.prompt_text, found.version) == (prompt.prompt_text, prompt.version)


async def test_agents(database: Database, agent: str) -> None:
    """Agents are added once, found by name, and told with what the code exposes, sorted."""
    first = await add(database, agent, primary="A")
    again = await add(database, agent, primary="B")
    assert first == again == AgentInfo(first.id, agent, "A", None, ("a", "b"), 0)
    assert await database.run(repository.get_agent, agent.upper()) is None
    other = await add(database, f"{agent}-2")
    assert await database.run(repository.get_agents, [agent, f"{agent}-2", "nobody"]) == [first, other]
    assert {first, other} <= set(await database.run(repository.get_agents))
    locked = await database.transaction(repository.lock_agent, first.id)
    assert locked is not None
    assert locked.revision == 1
    assert await database.transaction(repository.lock_agent, -1) is None


# What the database itself guarantees, whoever writes to it.


async def test_the_database_refuses_a_second_active_version(database: Database, agent: str) -> None:
    """Not this library but the database keeps at most one version of a status active."""
    info = await add(database, agent)
    await create(database, info, "one", is_active=True)
    second = await create(database, info, "two")
    with pytest.raises(DatabaseUnavailableError, match=r"(?i)unique"):
        await database.run(rows, f"UPDATE prompts SET is_active = true WHERE id = {second.id}")  # a number
    other = await create(database, info, "other", status_key="B")
    await database.run(rows, f"UPDATE prompts SET is_active = true WHERE id = {other.id}")  # a number
    found = await database.run(repository.get_prompts_by_agent_id, info.id)
    assert [(prompt.prompt_text, prompt.is_active) for prompt in found] == [
        ("other", True),
        ("two", False),
        ("one", True),
    ]


async def test_the_database_refuses_a_version_twice(database: Database, agent: str) -> None:
    """No number of a status is given twice, by whatever way."""
    info = await add(database, agent)
    await create(database, info, "one")
    second = await create(database, info, "two")
    await unkeep(database)
    with pytest.raises(DatabaseUnavailableError, match=r"(?i)unique"):
        await database.run(rows, f"UPDATE prompts SET version = 1 WHERE id = {second.id}")  # a number


async def test_an_agent_takes_its_versions_with_it(database: Database, agent: str) -> None:
    """An agent that is deleted leaves no versions and no events; a deleted version leaves no dangling pointer."""
    change = await commands.create(database, agent, "default", "one", activate=True, new_agent=True, new_status=True)
    assert change.prompt is not None
    await database.run(rows, f"DELETE FROM prompts WHERE id = {change.prompt.id}")  # a number
    assert (await finding.find_agent(database, agent)).active_default_prompt_id is None
    await commands.create(database, agent, "default", "two", activate=True)
    await database.run(rows, f"DELETE FROM agents WHERE id = {change.agent.id}")  # a number
    for table in ("prompts", "prompt_events"):
        assert not await database.run(rows, f"SELECT id FROM {table} WHERE agent_id = {change.agent.id}")


async def test_a_version_needs_an_agent(database: Database) -> None:
    """A version of no agent cannot be written."""
    with pytest.raises(DatabaseUnavailableError, match=r"(?i)foreign key"):
        await database.transaction(repository.create_prompt, PromptCreate(agent_id=-1, prompt_text="x"))


async def test_a_version_outlives_its_creation_unchanged(database: Database, agent: str) -> None:
    """Whatever is done with a version, its text, format, number, name, author and note stay as they were written."""
    change = await commands.create(
        database,
        agent,
        "A",
        "the text",
        name="N",
        new_agent=True,
        new_status=True,
        intent=Intent("ann", "why"),
    )
    written = change.prompt
    assert written is not None
    await commands.activate(database, agent, "A", 1)
    await commands.create(database, agent, "A", "another", activate=True)
    await commands.rollback(database, agent, "A")
    await commands.deactivate(database, agent, "A")
    found = await database.run(repository.get_prompt_by_id, written.id)
    assert found is not None
    changing = {"is_active", "updated_at"}
    for name in set(Prompt.__slots__) - changing:
        assert getattr(found, name) == getattr(written, name), name


def test_nothing_changes_a_text() -> None:
    """No function of the library writes over a text: only activation, deletion and agents are ever updated."""
    files = Path(repository.__file__).parent.glob("*.py")
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    updates = [part.split(")", 1)[0] for part in source.split(".update(")[1:]]
    updates += [part.split(" WHERE ", 1)[0] for part in source.split("UPDATE prompts ")[1:]]
    assert len(updates) >= 6
    for arguments in updates:
        assert "prompt_text" not in arguments
        assert "content_hash" not in arguments
