"""SQLite before 3.35, which cannot return the rows that it wrote: activations are the same there."""

from __future__ import annotations

import pytest

from automagik_prompts.domain.edits import Intent
from automagik_prompts.editing import commands, withdrawing
from automagik_prompts.exceptions import ConflictError, InvalidPromptError
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.postgres import PostgresEngine
from automagik_prompts.storage.dialects.sqlite import SqliteEngine
from tests.contract.history import standing, told


@pytest.fixture(autouse=True)
def _returns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # A library of that age cannot be had beside the interpreter's own.
    for engine in (SqliteEngine, PostgresEngine):
        monkeypatch.setattr(engine, "returning", lambda _self, _statement, _columns, _then=None: None)


async def test_activations(database: Database, agent: str) -> None:
    """Versions become active and are active no more, the primary one is pointed to, and what was before is told."""
    for text in ("one", "two"):
        change = await commands.create(database, agent, "default", text, activate=True, new_agent=True, new_status=True)
    assert (change.active_version, change.previous_version) == (2, 1)
    change = await commands.activate(database, agent, "default", 1)
    assert (change.active_version, change.previous_version, change.agent.revision) == (1, 2, 3)
    assert change.prompt is not None
    assert (change.prompt.prompt_text, change.prompt.is_active) == ("one", True)
    assert change.agent.active_default_prompt_id == change.prompt.id
    assert await standing(database, agent) == [(1, True), (2, False)]
    assert (await told(database, agent))[-1] == ("activated", 1, 2)
    assert (await commands.rollback(database, agent, "default")).active_version == 2


async def test_refusals(database: Database, agent: str) -> None:
    """What is refused there changes nothing either."""
    for text in ("one", "two"):
        await commands.create(database, agent, "default", text, activate=True, new_agent=True, new_status=True)
    await withdrawing.withdraw(database, agent, "default", 1)
    with pytest.raises(InvalidPromptError, match="is withdrawn"):
        await commands.activate(database, agent, "default", 1)
    with pytest.raises(ConflictError):
        await commands.activate(database, agent, "default", 2, intent=Intent(expected_revision=1))
    assert await standing(database, agent) == [(1, False), (2, True)]
