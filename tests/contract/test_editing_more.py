"""What operators do besides the everyday verbs: copy, delete, look up, check, export and import, on each engine."""

from __future__ import annotations

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import Intent
from automagik_prompts.domain.records import Action, AgentInfo
from automagik_prompts.editing import commands, queries, sync, withdrawing
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, PromptNotFoundError, UnexposedVariableError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.contract.history import standing, told


async def versions(database: Database, agent: str, *texts: str, status_key: str = "default") -> None:
    """Write versions, each one activated."""
    for text in texts:
        await commands.create(database, agent, status_key, text, activate=True, new_agent=True, new_status=True)


async def test_check_writes_nothing(database: Database, agent: str) -> None:
    """A text is checked as `create` checks it, and neither an agent nor a version appears."""
    assert (await commands.check(database, agent, "A", "fine", new_agent=True)).agent is None
    with pytest.raises(PromptNotFoundError, match="There is no agent"):
        await commands.check(database, agent, "A", "fine")
    await versions(database, agent, "one")
    known = (await commands.check(database, agent, "default", "fine")).agent
    assert known is not None
    assert known.revision == 1
    with pytest.raises(UnexposedVariableError, match="secret"):
        await commands.check(database, agent, "default", "{{secret}}")
    with pytest.raises(InvalidPromptError, match="template"):
        await commands.check(database, agent, "default", "{{#if")
    assert await standing(database, agent) == [(1, True)]


async def test_copy(database: Database, agent: str) -> None:
    """A copy is a new version of the other status with text, format and name, and the original stays."""
    await commands.create(
        database, agent, "A", "{{verbatim}}", format="text", name="One", new_agent=True, new_status=True
    )
    source = await queries.get(database, agent, "A", 1)
    change = await DatabaseEdits(database).copy(source, agent, "B", author="ann", note="why", new_status=True)
    assert change.prompt is not None
    assert (change.prompt.prompt_text, change.prompt.format, change.prompt.name, change.prompt.author) == (
        "{{verbatim}}",
        "text",
        "One",
        "ann",
    )
    assert change.active_version is None
    again = await DatabaseEdits(database).copy(source, agent, "B", activate=True, new_status=True)
    assert (again.active_version, await standing(database, agent, "A")) == (2, [(1, False)])


async def test_copy_to_an_agent_that_does_not_expose_its_variables(database: Database, agent: str) -> None:
    """A text that the other agent could not be served is refused, and nothing is written."""
    exposing = AgentInfo(0, f"{agent}-from", variables=("name",))
    await database.transaction(repository.add_agents, [exposing])
    await commands.create(database, exposing.name, "A", "Hi {{name}}", new_status=True)
    await versions(database, agent, "plain")
    source = await queries.get(database, exposing.name, "A", 1)
    with pytest.raises(UnexposedVariableError):
        await DatabaseEdits(database).copy(source, agent, "default", new_status=True)
    assert await standing(database, agent) == [(1, True)]


async def test_delete(database: Database, agent: str) -> None:
    """A deleted version is gone, what was done to it stays told, and its number is never given again."""
    await versions(database, agent, "one", "two")
    await commands.create(database, agent, "default", "three", new_status=True)
    change = await commands.delete(database, agent, "default", 3, intent=Intent("ann", "a mistake"))
    assert change.prompt is not None
    assert (change.prompt.version, change.active_version, change.agent.revision) == (3, 2, 4)
    assert await standing(database, agent) == [(1, False), (2, True)]
    assert (await told(database, agent))[-2:] == [("created", 3, None), ("deleted", 3, None)]
    assert (await commands.create(database, agent, "default", "four", new_status=True)).prompt.version == 4  # type: ignore[union-attr]  # written
    await commands.delete(database, agent, "default", 1)
    assert await standing(database, agent) == [(2, True), (4, False)]
    with pytest.raises(PromptNotFoundError, match="has no version 3"):
        await commands.activate(database, agent, "default", 3)


@pytest.mark.parametrize("version", [0, -1, 2**31, 2**63, 10**30, True])
async def test_a_number_that_no_version_can_have(database: Database, agent: str, version: int) -> None:
    """A number that the database has no room for is no version, and `True` is not the first one."""
    await versions(database, agent, "one", "two")
    for command in (commands.activate, withdrawing.withdraw, commands.delete):
        with pytest.raises(PromptNotFoundError, match="its versions go from 1 to 2"):
            await command(database, agent, "default", version)
    assert await standing(database, agent) == [(1, False), (2, True)]


async def test_a_rollback_passes_over_what_was_deleted(database: Database, agent: str) -> None:
    """Whoever goes back gets to the version that was active before the deleted one."""
    await versions(database, agent, "one", "two", "three")
    await commands.delete(database, agent, "default", 2)
    assert (await queries.find_earlier(database, agent, "default")).version == 1
    assert (await commands.rollback(database, agent, "default")).active_version == 1


async def test_a_status_whose_only_version_was_deleted_goes_on_counting(
    database: Database, agent: str, registry: Registry
) -> None:
    """Also the code's first text gets a number that was not used before."""
    await commands.create(database, agent, "A", "a draft", new_agent=True, new_status=True)
    await commands.delete(database, agent, "A", 1)
    registry.declare(agent, {"A": "from code", "B": "other"}, where="here", primary="A")
    await sync.seed(database, registry.agents)
    assert await standing(database, agent, "A") == [(2, True)]
    assert await standing(database, agent, "B") == [(1, True)]


async def test_delete_refuses_what_is_needed(database: Database, agent: str, registry: Registry) -> None:
    """What is active or came from code is not deleted, nor is anything deleted on a wrong assumption."""
    registry.declare(agent, {"default": "from code"}, where="here")
    await sync.seed(database, registry.agents)
    await commands.create(database, agent, "default", "a person's", activate=True, new_status=True)
    with pytest.raises(InvalidPromptError, match=r"Version 2 .* is active"):
        await commands.delete(database, agent, "default", 2)
    with pytest.raises(InvalidPromptError, match=r"Version 1 .* came from code"):
        await commands.delete(database, agent, "default", 1)
    with pytest.raises(PromptNotFoundError, match="versions go from 1 to 2"):
        await commands.delete(database, agent, "default", 9)
    await commands.create(database, agent, "default", "a draft", new_status=True)
    with pytest.raises(ConflictError):
        await commands.delete(database, agent, "default", 3, intent=Intent(expected_revision=1))
    assert await standing(database, agent) == [(1, False), (2, True), (3, False)]


async def test_standings(database: Database, agent: str, registry: Registry) -> None:
    """An overview tells the active version, who wrote it, and whether the code has changed under a person's version."""
    registry.declare(agent, {"A": "one", "B": "b"}, where="here", primary="A")
    await sync.seed(database, registry.agents)
    await commands.create(database, agent, "A", "better", activate=True, intent=Intent("ann", "why"), new_status=True)
    await commands.deactivate(database, agent, "B")
    first, second = await queries.summaries(database, agent)
    assert (first.status_key, first.primary, first.active, first.latest, first.versions) == ("A", True, 2, 2, 2)
    assert (first.from_code, first.author, first.note, first.code_version, first.drift) == (
        False,
        "ann",
        "why",
        1,
        False,
    )
    assert (second.status_key, second.primary, second.active, second.active_since) == ("B", False, None, None)
    changed = Registry()
    changed.declare(agent, {"A": "two", "B": "b"}, where="here", primary="A")
    await sync.seed(database, changed.agents)
    drifted = (await queries.summaries(database, agent))[0]
    assert (drifted.active, drifted.code_version, drifted.drift) == (2, 3, True)
    await commands.activate(database, agent, "A", 3)
    assert not (await queries.summaries(database, agent))[0].drift
    assert {one.agent for one in await queries.summaries(database)} >= {agent}


async def test_finding_versions(database: Database, agent: str, registry: Registry) -> None:
    """A version is found by its number, as the active one, and as the code's newest; a wrong name is told."""
    registry.declare(agent, {"A": "from code"}, where="here")
    await sync.seed(database, registry.agents)
    await commands.create(database, agent, "A", "better", activate=True, new_status=True)
    await commands.create(database, agent, "B", "a person's", new_status=True)
    active, code = await queries.get_active(database, agent, "A"), await queries.get_code_default(database, agent, "A")
    assert active is not None
    assert code is not None
    assert (active.version, code.version) == (2, 1)
    assert await queries.get_active(database, agent, "B") is None
    assert await queries.get_code_default(database, agent, "B") is None
    for find in (queries.get_active, queries.get_code_default, queries.versions):
        with pytest.raises(PromptNotFoundError, match="no prompts for the status 'C'"):
            await find(database, agent, "C")
    assert [prompt.version for prompt in await queries.versions(database, agent, "A", limit=1)] == [2]


async def test_events_of_all_agents(database: Database, agent: str) -> None:
    """What was done can be read for one agent, for one status, and for all agents, newest first."""
    await versions(database, agent, "one")
    await versions(database, f"{agent}-other", "two")
    newest = await queries.events(database, limit=2)
    assert [(event.agent, event.action) for event in newest] == [
        (f"{agent}-other", Action.ACTIVATED),
        (f"{agent}-other", Action.CREATED),
    ]
    mine = await queries.events(database, agent, "default", limit=1)
    assert [(event.agent, event.action) for event in mine] == [(agent, Action.ACTIVATED)]
    with pytest.raises(PromptNotFoundError, match="no prompts for the status 'other'"):
        await queries.events(database, agent, "other")


async def test_search(database: Database, agent: str) -> None:
    """Words are found in active versions or in all, with their line, whatever the engine thinks of letters."""
    await versions(database, agent, "old words", "first\nSTRASSE and Straße 100%\nlast", status_key="A")
    found = await queries.search(database, "straSSE", agent=agent)
    assert [(match.prompt.version, match.line, match.excerpt) for match in found] == [(2, 2, "STRASSE and Straße 100%")]
    assert (found[0].start, found[0].end) == (0, 7)
    assert await queries.search(database, "words", agent=agent) == []
    every = await queries.search(database, "words", agent=agent, every_version=True)
    assert [(match.prompt.version, match.line) for match in every] == [(1, 1)]
    assert await queries.search(database, "strasse", agent=agent, match_case=True) == []
    assert len(await queries.search(database, "100%", agent=agent)) == 1
    assert await queries.search(database, "_", agent=agent) == []
    with pytest.raises(InvalidPromptError, match="nothing to search"):
        await queries.search(database, "  ")


async def test_search_shortens_long_lines(database: Database, agent: str) -> None:
    """A long line is cut around the words, and they can be found in what is left."""
    await versions(database, agent, "x" * 500 + "İneedle" + "y" * 500)
    (match,) = await queries.search(database, "needle", agent=agent)
    assert match.excerpt[match.start : match.end] == "needle"
    assert len(match.excerpt) < 150
    assert match.excerpt.startswith("…")
    assert match.excerpt.endswith("…")
