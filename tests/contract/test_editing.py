"""What people do with versions: every verb checks first, is all or nothing, and leaves its event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.edits import EditResult, Intent
from automagik_prompts.domain.records import AgentInfo
from automagik_prompts.editing import commands, finding, queries
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, PromptNotFoundError, UnexposedVariableError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.contract.history import active_text, check_history, events_of, rows, standing, told
from tests.tampering import unkeep

Verb = Callable[..., Awaitable[EditResult]]


async def versions(database: Database, agent: str, *texts: str, status_key: str = "default") -> None:
    """Write versions, each one activated."""
    for text in texts:
        await commands.create(database, agent, status_key, text, activate=True, new_agent=True, new_status=True)


async def test_create(database: Database, agent: str) -> None:
    """A new version is written and waits; with `activate` it is served at once."""
    intent = Intent(author="ann", note="first")
    first = await commands.create(
        database, agent, "A", "one", name="One", new_agent=True, new_status=True, intent=intent
    )
    assert first.prompt is not None
    assert (first.prompt.version, first.prompt.name, first.prompt.author, first.prompt.note) == (
        1,
        "One",
        "ann",
        "first",
    )
    assert (first.active_version, first.previous_version, first.prompt.is_active) == (None, None, False)
    assert (first.agent.name, first.agent.default_status_key, first.agent.revision) == (agent, "A", 1)
    second = await commands.create(database, agent, "A", "two", activate=True, new_status=True)
    assert second.prompt is not None
    assert (second.active_version, second.previous_version, second.prompt.is_active) == (2, None, True)
    third = await commands.create(database, agent, "A", "three", activate=True, new_status=True)
    assert (third.active_version, third.previous_version, third.agent.revision) == (3, 2, 3)
    fourth = await commands.create(database, agent, "A", "four", new_status=True)
    assert (fourth.active_version, fourth.previous_version) == (3, 3)
    await commands.create(database, agent, "B", "other status", new_status=True)
    assert await standing(database, agent, "A") == [(1, False), (2, False), (3, True), (4, False)]
    assert await standing(database, agent, "B") == [(1, False)]
    assert await told(database, agent) == [
        ("created", 1, None),
        ("created", 2, None),
        ("activated", 2, None),
        ("created", 3, None),
        ("activated", 3, 2),
        ("created", 4, None),
        ("created", 1, None),
    ]
    await check_history(database, agent)


async def test_activate(database: Database, agent: str) -> None:
    """Any version can be activated, an older one and the present one too."""
    await versions(database, agent, "one", "two", "three")
    for number, before in ((1, 3), (2, 1), (2, 2)):
        change = await commands.activate(database, agent, "default", number, intent=Intent("bea", "because"))
        assert change.prompt is not None
        assert (change.prompt.version, change.active_version, change.previous_version) == (number, number, before)
    assert await active_text(database, agent) == "two"
    newest = (await events_of(database, agent))[0]
    assert (newest.author, newest.note, newest.version, newest.from_version) == ("bea", "because", 2, 2)
    await check_history(database, agent)


async def test_deactivate(database: Database, agent: str) -> None:
    """A status is left without an active version, and the agent's pointer is emptied."""
    await versions(database, agent, "one", "two")
    change = await commands.deactivate(database, agent, "default", intent=Intent("ann"))
    assert (change.prompt, change.active_version, change.previous_version) == (None, None, 2)
    assert (await finding.find_agent(database, agent)).active_default_prompt_id is None
    assert await standing(database, agent) == [(1, False), (2, False)]
    assert (await told(database, agent))[-1] == ("deactivated", 2, 2)
    with pytest.raises(PromptNotFoundError, match=f"{agent}/default has no active version; there is nothing to deact"):
        await commands.deactivate(database, agent, "default")
    with pytest.raises(PromptNotFoundError, match=r"no prompts for the status 'defalt'\. Did you mean 'default'\?"):
        await commands.deactivate(database, agent, "defalt")
    await check_history(database, agent)


# Rolling back.


async def test_rolling_back_again_goes_further(database: Database, agent: str) -> None:
    """It goes back along what was active, not along the numbers, until there is nothing before."""
    await versions(database, agent, "one", "two", "three")
    await commands.create(database, agent, "default", "never active", new_status=True)
    await commands.activate(database, agent, "default", 1)
    gone_back = [(await commands.rollback(database, agent, "default")).active_version for _ in range(3)]
    assert gone_back == [3, 2, 1]
    with pytest.raises(PromptNotFoundError, match=r"no version that was active before\. Activate one by its number"):
        await commands.rollback(database, agent, "default")
    assert await active_text(database, agent) == "one"
    assert [event[0] for event in await told(database, agent)][-3:] == ["rolled_back"] * 3
    await check_history(database, agent)


async def test_rolling_back_after_activating_again(database: Database, agent: str) -> None:
    """What was undone does not come back by another rollback; a new decision begins a new trail from there."""
    await versions(database, agent, "one", "two", "three")
    await commands.rollback(database, agent, "default")
    await versions(database, agent, "four")
    gone_back = [(await commands.rollback(database, agent, "default")).active_version for _ in range(2)]
    assert gone_back == [2, 1]


async def test_rolling_back_after_a_deactivation(database: Database, agent: str) -> None:
    """It brings back what was deactivated, and then goes further."""
    await versions(database, agent, "one", "two")
    await commands.deactivate(database, agent, "default")
    change = await commands.rollback(database, agent, "default")
    assert (change.active_version, change.previous_version) == (2, None)
    assert (await commands.rollback(database, agent, "default")).active_version == 1
    await commands.deactivate(database, agent, "default")
    assert (await commands.rollback(database, agent, "default")).active_version == 1
    await check_history(database, agent)


async def test_rolling_back_past_a_deactivation(database: Database, agent: str) -> None:
    """A version that was activated after a deactivation goes back to the one before it, not to nothing."""
    await versions(database, agent, "one")
    await commands.deactivate(database, agent, "default")
    await versions(database, agent, "two")
    assert (await commands.rollback(database, agent, "default")).active_version == 1


async def test_rolling_back_what_sql_did(database: Database, agent: str) -> None:
    """After an activation behind our back it returns to what was active by the events."""
    await versions(database, agent, "one", "two")
    third = (await commands.create(database, agent, "default", "three", new_status=True)).prompt
    assert third is not None

    async def by_sql(db: BaseDBAsyncClient) -> None:
        await rows(db, f"UPDATE prompts SET is_active = false WHERE agent_id = {third.agent_id}")  # numbers
        await rows(db, f"UPDATE prompts SET is_active = true WHERE id = {third.id}")  # as above

    await database.transaction(by_sql)
    assert await active_text(database, agent) == "three"
    assert (await commands.rollback(database, agent, "default")).active_version == 2


async def test_rolling_back_where_there_is_nothing(database: Database, agent: str) -> None:
    """A status that never had an active version, and one that does not exist, are told apart."""
    await commands.create(database, agent, "A", "one", new_agent=True, new_status=True)
    with pytest.raises(PromptNotFoundError, match=f"automagik-prompts activate {agent} A VERSION"):
        await commands.rollback(database, agent, "A")
    with pytest.raises(PromptNotFoundError, match=r"has no prompts for the status 'B'\. Known statuses: A"):
        await commands.rollback(database, agent, "B")


async def test_rolling_back_to_what_cannot_be_served(database: Database, agent: str) -> None:
    """A version that was good once may not be now; nothing changes then."""
    await database.transaction(repository.add_agents, [AgentInfo(0, agent, variables=("name",))])
    await versions(database, agent, "Hi {{name}}", "plain")
    with pytest.raises(UnexposedVariableError, match=r"Version 1 cannot be activated\. .* uses name"):
        await commands.rollback(database, agent, "default", exposed=())
    assert await active_text(database, agent) == "plain"
    assert (await commands.rollback(database, agent, "default", exposed=("name",))).active_version == 1


# Optimistic writes.


async def each_verb(database: Database, agent: str, revision: int) -> list[Awaitable[EditResult]]:
    """Return each verb, ready to be awaited, with an expected revision."""
    intent = Intent(expected_revision=revision)
    return [
        commands.create(database, agent, "default", "new", activate=True, intent=intent, new_status=True),
        commands.activate(database, agent, "default", 1, intent=intent),
        commands.rollback(database, agent, "default", intent=intent),
        commands.deactivate(database, agent, "default", intent=intent),
        commands.delete(database, agent, "default", 1, intent=intent),
    ]


async def test_a_stale_decision_is_refused(database: Database, agent: str) -> None:
    """Each verb takes a revision; with an old one nothing is written, and the error says what is and what was."""
    await versions(database, agent, "one", "two")
    before = await told(database, agent)
    for verb in await each_verb(database, agent, 1):
        with pytest.raises(ConflictError, match="has revision 2, not 1: somebody else wrote to it") as conflict:
            await verb
        assert (conflict.value.expected, conflict.value.actual, conflict.value.agent) == (1, 2, agent)
    assert await told(database, agent) == before
    assert (await finding.find_agent(database, agent)).revision == 2


async def test_a_revision_leads_to_the_next(database: Database, agent: str) -> None:
    """Each change brings the token for the next one."""
    change = await commands.create(
        database, agent, "A", "one", new_agent=True, new_status=True, intent=Intent(expected_revision=0)
    )
    for text in ("two", "three"):
        change = await commands.create(
            database, agent, "A", text, activate=True, intent=Intent(expected_revision=change.agent.revision)
        )
    assert change.agent.revision == 3


async def test_exactly_one_of_two_wins(shared_url: str, database: Database, agent: str) -> None:
    """Two people who decide on the same state at the same time: one wins, the other gets a conflict."""
    await versions(database, agent, "one", "two", "three")
    async with Database(shared_url) as other:
        for _ in range(5):
            revision = (await finding.find_agent(database, agent)).revision
            intent = Intent(expected_revision=revision)
            outcomes = await asyncio.gather(
                commands.activate(database, agent, "default", 1, intent=intent),
                commands.activate(other, agent, "default", 2, intent=intent),
                return_exceptions=True,
            )
            (won,) = [outcome for outcome in outcomes if isinstance(outcome, EditResult)]
            (lost,) = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
            assert (lost.expected, lost.actual) == (revision, revision + 1)
            assert sum(active for _, active in await standing(database, agent)) == 1
            assert (await finding.find_agent(database, agent)).active_default_prompt_id == (
                won.prompt.id if won.prompt is not None else None
            )
    await check_history(database, agent)


# Refusals.


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"text": ""}, "is blank"),
        (
            {"text": "a\0b"},
            "contains the NUL character U+0000 at position 2 (line 1, column 2), which cannot be stored",
        ),
        ({"text": "a\ud800"}, "contains the lone surrogate U+D800 at position 2 (line 1, column 2), which cannot be"),
        ({"text": "x" * 2_000_001}, "has 2000001 characters"),
        ({"text": "a\n{{#if x}}"}, "Unclosed block at line 2, column 10"),
        ({"text": "{{secret}}"}, "uses secret, which the agent's code does not expose. Exposed are: agent_name, name"),
        ({"text": "{{name.__class__}}"}, "uses the name '__class__'"),
        ({"format": "jinja"}, "The format 'jinja' is unknown"),
        ({"status": ""}, "The status key is blank"),
        ({"status": "x" * 256}, "The status key has 256 characters"),
        ({"name": "x" * 256}, "The prompt name has 256 characters"),
    ],
)
async def test_what_cannot_be_served_is_not_written(
    database: Database, agent: str, given: dict[str, Any], reason: str
) -> None:
    """The refusal is the same on every engine, and nothing is left behind."""
    await database.transaction(repository.add_agents, [AgentInfo(0, agent, variables=("name",))])
    await commands.create(database, agent, "default", "Hi {{name}}", activate=True, new_status=True)
    before = await finding.find_agent(database, agent)
    arguments = {"status": "default", "text": "text", **given}
    with pytest.raises(InvalidPromptError) as refused:
        await commands.create(database, agent, **arguments)
    assert reason in refused.value.message
    assert await finding.find_agent(database, agent) == before
    assert await standing(database, agent) == [(1, True)]


async def test_a_refused_text_adds_no_agent(database: Database, agent: str) -> None:
    """Neither a text that is refused nor a conflict leaves an agent without prompts."""
    with pytest.raises(UnexposedVariableError):
        await commands.create(database, agent, "A", "{{name}}", new_agent=True, new_status=True)
    with pytest.raises(ConflictError):
        await commands.create(
            database, agent, "A", "text", new_agent=True, new_status=True, intent=Intent(expected_revision=7)
        )
    with pytest.raises(InvalidPromptError, match="The agent name is blank"):
        await commands.create(database, " ", "A", "text", new_agent=True, new_status=True)
    with pytest.raises(InvalidPromptError, match="The author has 256 characters"):
        Intent(author="x" * 256)
    assert await database.run(repository.get_agent, agent) is None


async def test_a_verbatim_text_may_hold_anything(database: Database, agent: str) -> None:
    """With `format="text"` braces are text."""
    change = await commands.create(
        database, agent, "A", "{{secret}} {{#if", format="text", activate=True, new_agent=True, new_status=True
    )
    assert change.active_version == 1
    assert await active_text(database, agent, "A") == "{{secret}} {{#if"


@pytest.mark.parametrize(
    ("text", "format", "reason"),
    [
        ("{{#if", "handlebars", "is not a valid template"),
        ("{{secret}}", "handlebars", "uses secret"),
        (" ", "text", "is blank"),
        ("text", "jinja", "The format 'jinja' is unknown"),
    ],
)
async def test_what_sql_wrote_cannot_be_activated(
    database: Database, agent: str, text: str, format: str, reason: str
) -> None:
    """A version that could not be served is refused by its number, whoever wrote it."""
    await versions(database, agent, "good")
    broken = (await commands.create(database, agent, "default", "to be broken", new_status=True)).prompt
    assert broken is not None
    statement = f"UPDATE prompts SET prompt_text = '{text}', format = '{format}' WHERE id = {broken.id}"
    await unkeep(database)
    await database.run(rows, statement)
    with pytest.raises(InvalidPromptError) as refused:
        await commands.activate(database, agent, "default", 2)
    assert refused.value.message.startswith("Version 2 cannot be activated. ")
    assert str(refused.value) == refused.value.message
    assert reason in refused.value.message
    assert await active_text(database, agent) == "good"


async def test_names_that_do_not_exist(database: Database, agent: str) -> None:
    """Each error names agent and status, what there is, and the nearest spelling whatever its case."""
    await versions(database, agent, "one", "two", status_key="APPROVED")
    with pytest.raises(PromptNotFoundError, match=f"no agent '{agent.upper()}' .*Did you mean '{agent}'") as missing:
        await commands.create(database, agent.upper(), "APPROVED", "text", new_status=True)
    assert missing.value.agent == agent.upper()
    assert "automagik-prompts sync" in missing.value.message
    with pytest.raises(PromptNotFoundError, match=r"status 'aproved'\. Did you mean 'APPROVED'\?") as missing:
        await commands.activate(database, agent, "aproved", 1)
    assert (missing.value.agent, missing.value.status_key) == (agent, "aproved")
    assert (await commands.activate(database, agent, "approved", 1)).status_key == "APPROVED"
    with pytest.raises(PromptNotFoundError, match=r"status 'XYZ'\. Known statuses: APPROVED\."):
        await queries.diff(database, agent, "XYZ", 1, 2)
    with pytest.raises(PromptNotFoundError, match="has no version 3; its versions go from 1 to 2"):
        await commands.activate(database, agent, "APPROVED", 3)
    for call in (queries.versions(database, "nobody-at-all"), queries.events(database, "nobody-at-all")):
        with pytest.raises(PromptNotFoundError, match="There is no agent 'nobody-at-all'"):
            await call


async def test_a_failure_in_the_middle_leaves_nothing(database: Database, agent: str) -> None:
    """A write that fails at its last step is undone as a whole."""
    await versions(database, agent, "one")
    before = await finding.find_agent(database, agent)

    async def write_and_fail(db: BaseDBAsyncClient) -> None:
        locked = await repository.lock_agent(db, before.id)
        assert locked is not None
        await repository.set_prompt_active(db, before.id, None, "default")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.transaction(write_and_fail)
    assert await finding.find_agent(database, agent) == before
    assert await active_text(database, agent) == "one"
    await check_history(database, agent)


async def test_a_write_that_is_cancelled_leaves_nothing(database: Database, agent: str) -> None:
    """A caller who gives up in the middle of a transaction has written nothing."""
    await versions(database, agent, "one")
    info, reached = await finding.find_agent(database, agent), asyncio.Event()

    async def write_and_hang(db: BaseDBAsyncClient) -> None:
        await repository.lock_agent(db, info.id)
        await repository.set_prompt_active(db, info.id, None, "default")
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(database.transaction(write_and_hang))
    await asyncio.wait_for(reached.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await active_text(database, agent) == "one"
    await versions(database, agent, "two")
    await check_history(database, agent)


# Copying, deleting, looking back.


async def test_copy(database: Database, agent: str) -> None:
    """A version becomes a new one of another status or agent, with its format and name."""
    source = (
        await commands.create(
            database, agent, "A", "{{ verbatim", format="text", name="Name", new_agent=True, new_status=True
        )
    ).prompt
    assert source is not None
    copied = (await DatabaseEdits(database).copy(source, agent, "B", activate=True, new_status=True)).prompt
    assert copied is not None
    assert (copied.prompt_text, copied.format, copied.name, copied.version, copied.is_active) == (
        "{{ verbatim",
        "text",
        "Name",
        1,
        True,
    )
    await DatabaseEdits(database).copy(source, f"{agent}-2", "A", new_agent=True, new_status=True)
    assert await standing(database, f"{agent}-2", "A") == [(1, False)]
    await check_history(database, agent)


async def test_delete(database: Database, agent: str) -> None:
    """A draft can be deleted; what is active or came from code cannot, and a number is never given again."""
    await versions(database, agent, "one")
    await commands.create(database, agent, "default", "draft", new_status=True)
    await commands.delete(database, agent, "default", 2, intent=Intent("ann", "a mistake"))
    assert await standing(database, agent) == [(1, True)]
    assert (await told(database, agent))[-1] == ("deleted", 2, None)
    assert (await commands.create(database, agent, "default", "next", new_status=True)).prompt is not None
    assert await standing(database, agent) == [(1, True), (3, False)]
    with pytest.raises(InvalidPromptError, match=r"is active\. Activate another one, or deactivate it"):
        await commands.delete(database, agent, "default", 1)
    with pytest.raises(PromptNotFoundError, match="has no version 2"):
        await commands.delete(database, agent, "default", 2)
    await commands.activate(database, agent, "default", 3)
    await commands.delete(database, agent, "default", 1)
    with pytest.raises(PromptNotFoundError, match="has no version that was active before"):
        await commands.rollback(database, agent, "default")


async def test_looking_back(database: Database, agent: str) -> None:
    """History and events are told newest first, of one status or all, as many as wanted."""
    await versions(database, agent, "one\ntwo\n", "one\nTWO", status_key="A")
    await versions(database, agent, "other", status_key="B")
    history = await queries.versions(database, agent)
    assert [(prompt.status_key, prompt.version) for prompt in history] == [("A", 2), ("A", 1), ("B", 1)]
    assert len(await queries.versions(database, agent, "A", limit=1)) == 1
    assert len(await events_of(database, agent, "B")) == 2
    (newest,) = await events_of(database, agent, limit=1)
    assert (newest.status_key, newest.action.value) == ("B", "activated")
    assert newest.created_at.utcoffset() is not None
    assert await queries.diff(database, agent, "A", 1, 2) == (
        "--- version 1\n+++ version 2\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n\\ No newline at end of text\n"
    )
    assert await queries.diff(database, agent, "A", 2, 2) == ""
