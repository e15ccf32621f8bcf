"""Optimistic writes: a conflict is where somebody wrote to the same status or the agent's facts, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import ConflictError
from automagik_prompts.storage.database import Database
from tests.reviewing import ANA, BEA, as_, declared, seed

Write = Callable[[DatabaseEdits, str], Coroutine[Any, Any, object]]

NO_CONFLICT: dict[str, Write] = {
    "another status": lambda edits, agent: edits.create(agent, "APPROVED", "other", activate=True),
    "a comment": lambda edits, agent: edits.comment(agent, "NEW", 1, text="hm"),
    "a request": lambda edits, agent: edits.request(agent, "NEW", 1),
    "a draft": lambda edits, agent: edits.save_draft(agent, "NEW", "half"),
}

CONFLICT: dict[str, Write] = {
    "the same status": lambda edits, agent: edits.create(agent, "NEW", "same"),
    "its activation": lambda edits, agent: edits.activate(agent, "NEW", 1),
    "its deactivation": lambda edits, agent: edits.deactivate(agent, "NEW"),
    "a withdrawal": lambda edits, agent: edits.withdraw(agent, "NEW", 1),
}


@pytest.fixture
async def revision(database: Database, agent: str) -> int:
    """The revision of an agent with two versions of `NEW`, the second one active."""
    await seed(database, declared(agent, protected=()))
    return (await as_(database, ANA).create(agent, "NEW", "two", activate=True)).agent.revision


@pytest.mark.parametrize("write", NO_CONFLICT)
async def test_what_is_no_conflict(database: Database, agent: str, revision: int, write: str) -> None:
    """What changes nothing of the status is none, also after others have written to other statuses."""
    bea = as_(database, BEA)
    await bea.create(agent, "APPROVED", "before")
    await NO_CONFLICT[write](bea, agent)
    done = await as_(database, ANA).create(agent, "NEW", "three", activate=True, expected_revision=revision)
    assert done.active_version == 3
    with pytest.raises(ConflictError, match=f"{agent}/NEW has revision {done.agent.revision}, not {revision}"):
        await as_(database, ANA).deactivate(agent, "NEW", expected_revision=revision)


@pytest.mark.parametrize("write", CONFLICT)
async def test_what_is_a_conflict(database: Database, agent: str, revision: int, write: str) -> None:
    """Whatever was written to the status is, and the error has both revisions."""
    await CONFLICT[write](as_(database, BEA), agent)
    with pytest.raises(ConflictError) as conflict:
        await as_(database, ANA).create(agent, "NEW", "three", expected_revision=revision)
    assert (conflict.value.expected, conflict.value.actual) == (revision, revision + 1)


@pytest.mark.parametrize("fact", ["primary status", "names", "protection"])
async def test_the_facts_of_an_agent(database: Database, agent: str, revision: int, fact: str) -> None:
    """What code says of the agent as a whole is a conflict for each of its statuses, and an event."""
    code = declared(agent, protected=("APPROVED",) if fact == "protection" else ())
    if fact == "names":
        code.expose(agent, ["company"])
    if fact == "primary status":
        code.agents = {agent: replace(code.agents[agent], primary="APPROVED")}
    await seed(database, code, exact=True)
    newest = (await as_(database, ANA).events(agent)).items[0]
    assert (newest.action.value, newest.status_key, newest.revision) == ("facts", "", revision + 1)
    with pytest.raises(ConflictError):
        await as_(database, ANA).create(agent, "NEW", "three", expected_revision=revision)


async def test_a_revision_of_another_database(database: Database, agent: str, revision: int) -> None:
    """One that is not there yet is of a database that was restored since, or of another one."""
    with pytest.raises(ConflictError, match=f"has revision {revision}, not {revision + 5}"):
        await as_(database, ANA).create(agent, "NEW", "three", expected_revision=revision + 5)


async def test_a_request_is_not_made_upon_an_old_state(database: Database, agent: str, revision: int) -> None:
    """What somebody asks for is what they have seen."""
    await as_(database, BEA).activate(agent, "NEW", 1)
    with pytest.raises(ConflictError):
        await as_(database, ANA).request(agent, "NEW", 2, expected_revision=revision)
