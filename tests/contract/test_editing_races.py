"""What happens to an edit when something else happens in the middle of it, ordered step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import Intent
from automagik_prompts.domain.validation import MAX_NOTE_LENGTH
from automagik_prompts.editing import queries, sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client, Connection
from automagik_prompts.storage.database import Database

Step = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize("verb", ["activate", "delete"])
async def test_a_version_that_is_deleted_meanwhile(
    database: Database, agent: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version was there when the edit began and is gone when it writes: nothing is written, and it is said."""
    edits = DatabaseEdits(database)
    await edits.create(agent, "A", "one", activate=True, new_agent=True)
    await edits.create(agent, "A", "two")
    transaction = database.transaction

    async def after_somebody_deleted_it(write: Step, *args: Any) -> Any:
        monkeypatch.setattr(database, "transaction", transaction)
        await database.run(lambda db: Connection(db).run("DELETE FROM prompts WHERE version = 2"))
        return await transaction(write, *args)

    monkeypatch.setattr(database, "transaction", after_somebody_deleted_it)
    with pytest.raises(PromptNotFoundError, match=rf"Version 2 of {agent}/A was deleted meanwhile"):
        await getattr(edits, verb)(agent, "A", 2)
    active = await queries.get_active(database, agent, "A")
    assert active is not None
    assert active.version == 1
    assert [event.action.value for event in await queries.events(database, agent)] == [
        "created",
        "activated",
        "created",
    ]


async def test_seeding_writes_all_or_nothing(database: Database, agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the database gave back fewer versions than were to be written, nothing of it would stay."""
    registry = Registry()
    registry.declare(agent, {"A": "one", "B": "two"}, where="here", primary="A")
    create = repository.create_prompts

    async def all_but_one(db: Client, data: Any) -> Any:
        return (await create(db, data))[:-1]

    monkeypatch.setattr(repository, "create_prompts", all_but_one)
    with pytest.raises(ValueError, match="shorter"):
        await sync.seed(database, registry.agents)
    monkeypatch.setattr(repository, "create_prompts", create)
    assert [item.outcome for item in await sync.seed(database, registry.agents)] == ["created", "created"]


async def test_the_longest_note(database: Database, agent: str) -> None:
    """A note of the greatest length is kept whole; one character more is refused before anything is written."""
    longest = "é" * MAX_NOTE_LENGTH
    edits = DatabaseEdits(database)
    written = (await edits.create(agent, "A", "one", new_agent=True, note=longest)).prompt
    assert written is not None
    assert written.note == longest
    with pytest.raises(InvalidPromptError, match=f"The note has {MAX_NOTE_LENGTH + 1} characters"):
        await edits.create(agent, "A", "two", note=longest + "é")
    with pytest.raises(InvalidPromptError, match="The note has"):
        Intent(note=longest + "é")
    assert len(await queries.versions(database, agent)) == 1
