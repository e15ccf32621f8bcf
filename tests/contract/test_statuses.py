"""A status is found however it is given, a misspelt one is refused, and two spellings of one cannot come to be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import PromptCreate
from automagik_prompts.editing import checks, commands, finding, queries, sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.editing.files import exporting, importing
from automagik_prompts.editing.files.checks import check_files
from automagik_prompts.editing.files.folder import FoundFile, read_folder
from automagik_prompts.editing.files.text import PromptFile
from automagik_prompts.editing.findings import Kind, Level
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.contract.history import standing
from tests.tampering import unkeep

COMPOSED, DECOMPOSED = "CAF\u00c9", "cafe\u0301"


class Status(Enum):
    """An application's own statuses, whose names are the keys."""

    NEW = "new"
    APPROVED = "approved"
    CLOSED = 3


async def declare(database: Database, agent: str, *statuses: str) -> Registry:
    """Seed an agent with a text for each status."""
    registry = Registry()
    registry.declare(agent, {key: f"The code's {key}." for key in statuses}, where="here", primary=statuses[0])
    await sync.seed(database, registry.agents)
    return registry


async def insert_pair(database: Database, agent: str, old: str, new: str) -> None:
    """Have a second spelling beside a status, as a database from before may have it."""
    info = await finding.find_agent(database, agent)

    async def write(db: BaseDBAsyncClient) -> None:
        await repository.lock_agent(db, info.id)
        written = await repository.create_prompt(db, PromptCreate(info.id, f"The old {old}.", "to be renamed"))
        await db.execute_query(f"UPDATE prompts SET status_key = '{old}' WHERE id = {written.id}")
        await repository.set_prompt_active(db, info.id, written.id, old)

    await unkeep(database)
    await database.transaction(write)
    assert new in await database.run(repository.get_status_keys, info.id)


async def statuses(database: Database, agent: str) -> list[str]:
    """Return the statuses in the database."""
    return sorted(one.status_key for one in await queries.summaries(database, agent))


# However it is given.

Given = list[str | Enum]


@pytest.mark.parametrize(
    ("key", "given"),
    [("APPROVED", [Status.APPROVED, "approved", "Approved"]), ("CLOSED", [Status.CLOSED]), (COMPOSED, [DECOMPOSED])],
)
async def test_every_verb_finds_a_status(database: Database, agent: str, key: str, given: Given) -> None:
    """Writing, activating, going back, looking and deleting: each does it to the status that is there."""
    await declare(database, agent, "NEW", key)
    for status in given:
        written = await commands.create(database, agent, status, "By hand.", activate=True)
        assert written.status_key == key
        assert written.prompt is not None
        version, before = written.prompt.version, written.previous_version
        assert (await commands.rollback(database, agent, status)).active_version == before
        assert (await commands.activate(database, agent, status, version)).status_key == key
        assert (await queries.find_earlier(database, agent, status)).version == before
        assert (await queries.get(database, agent, status, version)).status_key == key
        active = await queries.get_active(database, agent, status)
        assert active is not None
        assert active.version == version
        code = await queries.get_code_default(database, agent, status)
        assert code is not None
        assert {one.status_key for one in await queries.versions(database, agent, status)} == {key}
        assert {event.status_key for event in await queries.events(database, agent, status)} == {key}
        assert await queries.diff(database, agent, status, 1, version)
        assert await queries.find_key(database, agent, status) == (agent, key)
        assert (await commands.deactivate(database, agent, status)).status_key == key
        assert (await commands.delete(database, agent, status, version)).status_key == key
        copied = await DatabaseEdits(database).copy(code, agent, status, activate=True)
        assert copied.status_key == key
    assert await statuses(database, agent) == sorted(["NEW", key])


async def test_agents_are_named_in_one_form(database: Database, agent: str) -> None:
    """A name typed with its accents apart is the same agent; another case is another one."""
    await commands.create(database, f"{agent}-{DECOMPOSED}", "NEW", "text", new_agent=True)
    await commands.create(database, f"{agent}-{DECOMPOSED}", "NEW", "text", new_agent=True)
    assert len(await queries.versions(database, f"{agent}-caf\u00e9")) == 2
    with pytest.raises(PromptNotFoundError):
        await queries.versions(database, f"{agent}-CAF\u00c9")


# A new status must be said to be one.


async def test_an_unknown_status_needs_a_word(database: Database, agent: str) -> None:
    """Neither the database nor the code knows it: the nearest spelling is offered and nothing is written."""
    await declare(database, agent, "NEW", "APPROVED")
    source = await queries.get(database, agent, "NEW", 1)
    tries: list[Callable[..., Awaitable[Any]]] = [
        lambda **more: commands.create(database, agent, "APROVED", "text", activate=True, **more),
        lambda **more: commands.check(database, agent, "APROVED", "text", **more),
        lambda **more: DatabaseEdits(database).copy(source, agent, "APROVED", **more),
    ]
    for attempt in tries:
        with pytest.raises(PromptNotFoundError, match=r"no status 'APROVED'\. Did you mean 'APPROVED'") as refused:
            await attempt()
        assert (refused.value.agent, refused.value.status_key) == (agent, "APROVED")
        assert "--new-status" in refused.value.message
        assert "new_status=True" in refused.value.message
    with pytest.raises(PromptNotFoundError, match=r"no status 'VIP'\. Known statuses: APPROVED, NEW\."):
        await commands.create(database, agent, "VIP", "text", new_agent=True)
    assert await statuses(database, agent) == ["APPROVED", "NEW"]
    for attempt in tries:
        await attempt(new_status=True)
    assert await standing(database, agent, "APROVED") == [(1, True), (2, False)]


async def test_what_the_code_knows_is_not_new(database: Database, agent: str) -> None:
    """A status that is declared and not yet in the database is written under the code's spelling."""
    await declare(database, agent, "NEW")
    written = await commands.create(database, agent, Status.APPROVED, "text", statuses=["NEW", "APPROVED"])
    assert written.status_key == "APPROVED"
    with pytest.raises(PromptNotFoundError, match="Did you mean 'CLOSED'"):
        await commands.create(database, agent, "CLOSD", "text", statuses=["NEW", "APPROVED", "CLOSED"])


async def test_the_first_status_of_an_agent_needs_no_word(database: Database, agent: str) -> None:
    """There is nothing beside which it could be misspelt; the second one does need it."""
    await commands.create(database, agent, "FIRST", "text", new_agent=True)
    with pytest.raises(PromptNotFoundError, match="no status 'SECOND'"):
        await commands.create(database, agent, "SECOND", "text", new_agent=True)
    with pytest.raises(PromptNotFoundError, match=r"no status 'SECOND'\. Did you mean"):
        await commands.create(database, f"{agent}-2", "SECOND", "text", new_agent=True, statuses=["SECONDS"])
    assert await database.run(repository.get_agent, f"{agent}-2") is None


# Two spellings of one status.


async def test_no_door_lets_a_second_spelling_in(database: Database, agent: str) -> None:
    """`create default` beside DEFAULT writes DEFAULT; the repository itself refuses what comes by another way."""
    await declare(database, agent, "DEFAULT", "NEW")
    assert (await commands.create(database, agent, "default", "text", new_status=True)).status_key == "DEFAULT"
    info = await finding.find_agent(database, agent)

    async def write(db: BaseDBAsyncClient, *keys: str) -> None:
        await repository.lock_agent(db, info.id)
        await repository.create_prompts(db, [PromptCreate(info.id, "text", key) for key in keys])

    for keys in (["Default"], ["FRESH", "new"], ["FRESH", "Fresh"], [COMPOSED, COMPOSED.lower()]):
        with pytest.raises(InvalidPromptError, match="differs only in case or in Unicode form from"):
            await database.transaction(write, *keys)
    assert await statuses(database, agent) == ["DEFAULT", "NEW"]


async def test_pairs_that_exist_each_keep_their_spelling(database: Database, agent: str) -> None:
    """Exact comes before case, for reading and for writing, and seeding goes on with its own."""
    registry = await declare(database, agent, "DEFAULT", "NEW")
    await insert_pair(database, agent, "default", "DEFAULT")
    for key, number in (("DEFAULT", 2), ("default", 2)):
        change = await commands.create(database, agent, key, f"Another {key}.", activate=True)
        assert (change.status_key, change.active_version) == (key, number)
        active = await queries.get_active(database, agent, key)
        assert active is not None
        assert active.prompt_text == f"Another {key}."
    assert await sync.seed(database, registry.agents) == ()
    changed = Registry()
    changed.declare(agent, {"DEFAULT": "Changed.", "NEW": "The code's NEW."}, where="here", primary="DEFAULT")
    assert [(item.status_key, item.outcome) for item in await sync.seed(database, changed.agents)] == [
        ("DEFAULT", "drift")
    ]
    found = [one for one in await checks.check_database(database, registry.agents, {agent}) if one.kind is Kind.ALIKE]
    assert [(one.status_key, one.level) for one in found] == [("default", Level.ERROR)]
    assert "'DEFAULT' and 'default', which differ only in case" in found[0].message


@pytest.mark.parametrize("exact", [False, True])
async def test_seeding_another_spelling_writes_nothing(database: Database, agent: str, exact: bool) -> None:
    """It is reported each time and raises no revision, the other statuses are written, and `check` names it alone."""
    await declare(database, agent, "approved", "NEW")
    before = await finding.find_agent(database, agent)
    renamed = Registry()
    renamed.declare(agent, {"APPROVED": "New text.", "NEW": "The code's NEW."}, where="here", primary="APPROVED")
    for _ in range(2):
        (item,) = await sync.seed(database, renamed.agents, exact=exact)
        assert (item.status_key, item.version, item.outcome) == ("APPROVED", None, "alike")
        assert item.clash == (agent, "APPROVED", "approved")
        assert "the status 'APPROVED' and the database 'approved'" in str(item.clash)
    assert await finding.find_agent(database, agent) == before
    assert await standing(database, agent, "approved") == [(1, True)]
    (found,) = await checks.check_database(database, renamed.agents, {agent})
    assert (found.kind, found.status_key, found.level) == (Kind.ALIKE, "APPROVED", Level.ERROR)
    renamed.declare(agent, {"MORE": "More."}, where="here")
    done = await sync.seed(database, renamed.agents, exact=exact)
    assert [(item.status_key, item.outcome) for item in done] == [("APPROVED", "alike"), ("MORE", "created")]
    assert await statuses(database, agent) == ["MORE", "NEW", "approved"]
    info = await finding.find_agent(database, agent)
    assert (info.default_status_key, info.active_default_prompt_id) == ("approved", before.active_default_prompt_id)


async def test_a_clash_ends_when_the_other_spelling_is_gone(database: Database, agent: str) -> None:
    """A person's status can be deleted; then the code's text is written."""
    registry = await declare(database, agent, "NEW")
    await commands.create(database, agent, "approved", "By hand.", new_status=True)
    registry.declare(agent, {"APPROVED": "The code's."}, where="here")
    assert [item.outcome for item in await sync.seed(database, registry.agents)] == ["alike"]
    await commands.delete(database, agent, "approved", 1)
    assert [(item.status_key, item.outcome) for item in await sync.seed(database, registry.agents)] == [
        ("APPROVED", "created")
    ]


# What a check finds.


async def test_a_check_finds_statuses_that_the_code_does_not_know(database: Database, agent: str) -> None:
    """With the nearest one; an agent whose code was not found is left out, and so is what came from code once."""
    registry = await declare(database, agent, "NEW", "APPROVED", "GONE")
    await commands.create(database, agent, "APROVED", "text", activate=True, new_status=True)
    now = Registry()
    now.declare(agent, {key: f"The code's {key}." for key in ("NEW", "APPROVED")}, where="here", primary="NEW")
    found = await checks.check_database(database, now.agents, {agent})
    assert [(one.kind, one.status_key, one.level) for one in found] == [
        (Kind.ORPHAN, "GONE", Level.WARNING),
        (Kind.UNKNOWN_STATUS, "APROVED", Level.WARNING),
    ]
    assert "Did you mean 'APPROVED'?" in found[1].message
    other = Registry()
    other.declare("another", {"default": "x"}, where="here")
    others = await checks.check_database(database, other.agents, {agent})
    assert Kind.UNKNOWN_STATUS not in {one.kind for one in others}
    del registry


# Files.


def written(folder: Path, agent: str, *keys: str, primary: str | None = None) -> list[FoundFile]:
    """Return files as a person has them."""
    return [
        FoundFile(folder / f"{number}.md", PromptFile(agent, key, f"Text of {key}.", primary=key == primary))
        for number, key in enumerate(keys)
    ]


async def test_files_are_for_the_status_that_is_there(database: Database, agent: str, tmp_path: Path) -> None:
    """A file in another spelling is a version of the known status; two files for one are refused by name."""
    await declare(database, agent, "NEW", COMPOSED)
    plan = await importing.plan_import(database, written(tmp_path, agent, "new", DECOMPOSED), activate=True)
    assert [step.file.prompt.status_key for step in plan.steps] == ["NEW", COMPOSED]
    await importing.carry_out(
        database, DatabaseEdits(database), plan, activate=True, note=None, progress=lambda _step: None
    )
    assert await standing(database, agent, COMPOSED) == [(1, False), (2, True)]
    for name, keys in ((agent, ("new", "NEW")), (f"{agent}-2", ("fresh", "FRESH"))):
        with pytest.raises(InvalidPromptError, match=r"two files, which spell it differently: .*0\.md and .*1\.md"):
            await importing.plan_import(database, written(tmp_path, name, *keys, primary=keys[0]), activate=True)


async def test_files_of_unknown_statuses_are_all_named(database: Database, agent: str, tmp_path: Path) -> None:
    """Nothing is written; what the code knows, and a new agent's statuses, need no word."""
    registry = await declare(database, agent, "NEW", "APPROVED")
    files = written(tmp_path, agent, "APROVED", "VIP", "NEW")
    with pytest.raises(PromptNotFoundError, match="--new-status") as refused:
        await importing.plan_import(database, files, activate=True)
    assert f"0.md: {agent} has no status 'APROVED'. Did you mean 'APPROVED'?" in refused.value.message
    assert f"1.md: {agent} has no status 'VIP'. Known statuses: APPROVED, NEW." in refused.value.message
    plan = await importing.plan_import(database, files, activate=True, new_status=True)
    await importing.carry_out(
        database, DatabaseEdits(database), plan, activate=True, note=None, progress=lambda _step: None
    )
    assert await statuses(database, agent) == ["APPROVED", "APROVED", "NEW", "VIP"]
    registry.declare(agent, {"LATER": "Not written yet."}, where="here")
    later = written(tmp_path, agent, "later")
    plan = await importing.plan_import(database, later, activate=True, declared=registry.agents)
    assert plan.steps[0].file.prompt.status_key == "LATER"
    others = written(tmp_path, f"{agent}-2", "DEFAULT", "OTHER")
    plan = await importing.plan_import(database, others, activate=True)
    assert plan.new_agents[0].default_status_key == "DEFAULT"


async def test_pairs_go_out_and_come_back(database: Database, agent: str, tmp_path: Path) -> None:
    """An export of two spellings is two files, and an import of it changes nothing."""
    await declare(database, agent, "DEFAULT")
    await insert_pair(database, agent, "default", "DEFAULT")
    exporting.export(await exporting.read_prompts(database, [agent]), tmp_path, agents=[agent])
    files, _ = read_folder(tmp_path)
    plan = await importing.plan_import(database, files, activate=True)
    assert [step.action for step in plan.steps] == ["unchanged", "unchanged"]
    assert await check_files(tmp_path, {}, database, {agent}) == []
