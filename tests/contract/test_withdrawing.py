"""A withdrawn version is sent to nobody: it cannot be activated, asked for or gone back to, whoever tries."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import Action
from automagik_prompts.editing import checks, queries, sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.editing.findings import Kind
from automagik_prompts.editing.withdrawing import FORGOTTEN, WITHDRAWN_TEXT
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, PromptNotFoundError
from automagik_prompts.following.memory.packing import from_list, is_head, listed, pack, unpack
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of its own, open."""
    async with Database(database_url) as database:
        yield database


@pytest.fixture
async def edits(database: Database) -> DatabaseEdits:
    """An agent whose status has three versions, of which the third is active."""
    edits = DatabaseEdits(database)
    await edits.create("stan", "NEW", "One.", activate=True, new_agent=True)
    await edits.create("stan", "NEW", "Two.", activate=True)
    await edits.create("stan", "NEW", "Three.", activate=True)
    return edits


async def withdrawn_in(database: Database) -> list[int]:
    """Return the numbers of the versions that are withdrawn, as who follows the database reads them."""
    [state] = await database.run(repository.get_states_named, ["stan"])
    return [one.version for one in state.withdrawn]


async def test_it_cannot_be_used(database: Database, edits: DatabaseEdits) -> None:
    """A withdrawn version is not activated, not gone back to, and named where versions are listed."""
    result = await edits.withdraw("stan", "NEW", 2, author="ana", note="wrong price")
    assert (result.active_version, result.previous_version) == (3, 3)
    assert result.prompt is not None
    assert result.prompt.version == 2
    with pytest.raises(InvalidPromptError, match=r"Version 2 of stan/NEW is withdrawn.*withdraw --undo stan NEW 2"):
        await edits.activate("stan", "NEW", 2)
    assert (await edits.rollback("stan", "NEW")).active_version == 1
    shown = await queries.versions(database, "stan")
    assert [prompt.version for prompt in shown if prompt.is_withdrawn] == [2]
    assert (await queries.get(database, "stan", "NEW", 2)).is_withdrawn
    [event] = [one for one in await queries.events(database, "stan") if one.action is Action.WITHDRAWN]
    assert (event.version, event.author, event.note) == (2, "ana", "wrong price")
    assert await withdrawn_in(database) == [2]


async def test_the_active_one_is_replaced(database: Database, edits: DatabaseEdits) -> None:
    """The active version is withdrawn only together with what takes its place, in one change."""
    before = await queries.agents(database)
    with pytest.raises(InvalidPromptError, match=r"is active.*--activate N"):
        await edits.withdraw("stan", "NEW", 3)
    with pytest.raises(InvalidPromptError, match="Version 3 of stan/NEW has the text that is to be withdrawn"):
        await edits.withdraw("stan", "NEW", 3, activate=3)
    with pytest.raises(PromptNotFoundError):
        await edits.withdraw("stan", "NEW", 3, activate=9)
    assert await queries.agents(database) == before
    result = await edits.withdraw("stan", "NEW", 3, activate=1)
    assert (result.active_version, result.previous_version) == (1, 3)
    with pytest.raises(InvalidPromptError, match="withdrawn"):
        await edits.withdraw("stan", "NEW", 1, activate=3)
    assert await withdrawn_in(database) == [3]


async def test_it_is_taken_back(database: Database, edits: DatabaseEdits) -> None:
    """A withdrawal can be taken back once; nothing is activated by that."""
    done = await edits.withdraw("stan", "NEW", 2)
    again = await edits.withdraw("stan", "NEW", 2)  # said again, it stays so
    assert (again.active_version, again.agent.revision) == (3, done.agent.revision)
    assert again.hints == ("It was withdrawn already: nothing was changed, and no note is kept.",)
    result = await edits.withdraw("stan", "NEW", 2, undo=True)
    assert result.active_version == 3
    with pytest.raises(InvalidPromptError, match="not withdrawn"):
        await edits.withdraw("stan", "NEW", 2, undo=True)
    with pytest.raises(InvalidPromptError, match="activates nothing"):
        await edits.withdraw("stan", "NEW", 2, undo=True, activate=1)
    assert (await edits.activate("stan", "NEW", 2)).active_version == 2
    assert await withdrawn_in(database) == []
    told = [event.action for event in await queries.events(database, "stan")]
    assert told.count(Action.WITHDRAWN) == told.count(Action.REINSTATED) == 1


async def test_deleting_implies_it(database: Database, edits: DatabaseEdits) -> None:
    """A deleted version that was active once counts as withdrawn; a draft has been sent to nobody."""
    await edits.create("stan", "NEW", "A draft.")
    await edits.delete("stan", "NEW", 4)
    assert await withdrawn_in(database) == []
    await edits.delete("stan", "NEW", 2)
    [state] = await database.run(repository.get_states_named, ["stan"])
    assert [(one.version, one.status_key, one.content_hash) for one in state.withdrawn] == [(2, None, None)]


async def test_not_under_another_number(database: Database, edits: DatabaseEdits) -> None:
    """The text of a withdrawn version is not activated as a new version either; a draft with it is withdrawn, too."""
    await edits.withdraw("stan", "NEW", 2)
    with pytest.raises(InvalidPromptError, match="This text is withdrawn for stan/NEW"):
        await edits.create("stan", "NEW", "Two.", activate=True)
    draft = await edits.create("stan", "NEW", "Two.")
    assert (draft.active_version, draft.hints) == (3, (WITHDRAWN_TEXT,))
    assert len(await queries.versions(database, "stan")) == 4
    with pytest.raises(InvalidPromptError, match="Version 4 of stan/NEW is withdrawn"):
        await edits.activate("stan", "NEW", 4)
    with pytest.raises(InvalidPromptError, match="Version 4 of stan/NEW is withdrawn"):
        await edits.withdraw("stan", "NEW", 3, activate=4)
    assert sorted(await withdrawn_in(database)) == [2, 4]


async def test_a_withdrawn_version_is_deleted(database: Database, edits: DatabaseEdits) -> None:
    """Its text stays withdrawn as long as a version has it; deleting the last one says that the text is forgotten."""
    await edits.withdraw("stan", "NEW", 2)
    await edits.create("stan", "NEW", "Two.")
    assert (await edits.delete("stan", "NEW", 2)).hints == ()
    with pytest.raises(InvalidPromptError, match="This text is withdrawn for stan/NEW"):
        await edits.create("stan", "NEW", "Two.", activate=True)
    assert (await edits.delete("stan", "NEW", 4)).hints == (FORGOTTEN,)
    assert (await edits.create("stan", "NEW", "Two.", activate=True)).active_version == 5
    assert 2 in await withdrawn_in(database)  # no conversation goes on with that number


async def test_code_brings_a_withdrawn_text_and_the_version_is_deleted(database: Database, registry: Registry) -> None:
    """What code declares of a withdrawn text stays inactive, also when the version that people withdrew is deleted."""
    registry.declare("stan", {"NEW": "One."}, where="here")
    edits = DatabaseEdits(database, registry.agents)
    await edits.sync()
    await edits.create("stan", "NEW", "Two.")
    await edits.withdraw("stan", "NEW", 2)
    later = Registry()
    later.declare("stan", {"NEW": "Two."}, where="here")
    edits = DatabaseEdits(database, later.agents)
    assert [(one.version, one.outcome) for one in await edits.sync()] == [(3, "withdrawn")]
    await edits.delete("stan", "NEW", 2)
    assert await edits.sync() == ()
    [shown] = [one for one in await queries.versions(database, "stan") if one.version == 3]
    assert (shown.is_active, shown.is_withdrawn) == (False, True)
    assert [one.kind for one in await checks.check_database(database, later.agents)] == [Kind.WITHDRAWN]


async def test_versions_of_the_same_text(database: Database, edits: DatabaseEdits) -> None:
    """All versions of a status that have the text are withdrawn with one of them, and come back with it."""
    await edits.create("stan", "NEW", "Two.", activate=True)
    await edits.create("stan", "OTHER", "Two.", activate=True, new_status=True)
    with pytest.raises(InvalidPromptError, match="Version 4 of stan/NEW, which has the same text as version 2, is act"):
        await edits.withdraw("stan", "NEW", 2)
    with pytest.raises(InvalidPromptError, match="Version 4 of stan/NEW has the text that is to be withdrawn"):
        await edits.withdraw("stan", "NEW", 2, activate=4)
    assert await withdrawn_in(database) == []
    result = await edits.withdraw("stan", "NEW", 2, activate=1)
    assert (result.active_version, result.previous_version) == (1, 4)
    assert result.hints == ("The same text is in version 4, withdrawn with it.",)
    assert sorted(await withdrawn_in(database)) == [2, 4]
    with pytest.raises(InvalidPromptError, match="Version 4 of stan/NEW is withdrawn"):
        await edits.activate("stan", "NEW", 4)
    await edits.withdraw("stan", "NEW", 4, undo=True)
    assert await withdrawn_in(database) == []
    told = [event.action for event in await queries.events(database, "stan")]
    assert told.count(Action.WITHDRAWN) == told.count(Action.REINSTATED) == 2


async def test_on_the_state_that_was_seen(edits: DatabaseEdits) -> None:
    """It is a write like any other: who saw an older state is refused."""
    with pytest.raises(ConflictError):
        await edits.withdraw("stan", "NEW", 2, expected_revision=1)


async def test_what_code_still_has(database: Database, registry: Registry) -> None:
    """Neither a start nor `sync` activates a text of the code that is withdrawn; the answer and `check` say so."""
    registry.declare("stan", {"NEW": "From code."}, where="here")
    await sync.seed(database, registry.agents)
    edits = DatabaseEdits(database, registry.agents)
    await edits.create("stan", "NEW", "Mine.")
    [hint] = (await edits.withdraw("stan", "NEW", 1, activate=2)).hints
    assert "The code has this text" in hint
    await edits.deactivate("stan", "NEW")
    for exact in (False, True):
        assert all(one.outcome != "activated" for one in await sync.seed(database, registry.agents, exact=exact))
    assert await queries.get_active(database, "stan", "NEW") is None
    found = await checks.check_database(database, registry.agents)
    assert Kind.WITHDRAWN in {one.kind for one in found}


async def test_code_that_comes_with_a_withdrawn_text(database: Database, registry: Registry) -> None:
    """A text that people have withdrawn and that code then declares becomes a version, and is not activated."""
    edits = DatabaseEdits(database)
    await edits.create("stan", "NEW", "Other.", activate=True, new_agent=True)
    await edits.create("stan", "NEW", "Harmful.", activate=True)
    await edits.withdraw("stan", "NEW", 2, activate=1)
    await edits.deactivate("stan", "NEW")
    registry.declare("stan", {"NEW": "Harmful."}, where="here")
    await sync.seed(database, registry.agents)
    assert await queries.get_active(database, "stan", "NEW") is None


async def test_memory_and_disk(database: Database, edits: DatabaseEdits) -> None:
    """What a process keeps of an agent, and writes to disk, has the withdrawn versions, and is as ever without any."""
    [before] = await database.run(repository.get_states_named, ["stan"])
    await edits.withdraw("stan", "NEW", 2)
    [state] = await database.run(repository.get_states_named, ["stan"])
    [head] = await database.run(repository.get_heads_after, 0, 10)
    packed = pack(state)
    assert unpack(packed) == state
    assert from_list(listed(packed)) == packed
    assert unpack(pack(before)).withdrawn == ()
    assert len(packed) == len(pack(before)) + 1
    assert is_head(packed, head)
    assert not is_head(pack(before), head)


async def test_an_older_schema(database: Database, edits: DatabaseEdits) -> None:
    """A database without the table is read all the same: nothing is withdrawn there."""
    await edits.withdraw("stan", "NEW", 2)
    if database.path is not None:
        await database.run(lambda db: db.execute_query("DROP TRIGGER prompt_withdrawals_reused"))
    await database.run(lambda db: db.execute_query("DROP TABLE prompt_withdrawals"))
    assert await withdrawn_in(database) == []
    assert [prompt.is_withdrawn for prompt in await queries.versions(database, "stan")] == [False] * 3
