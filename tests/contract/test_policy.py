"""The policy: asked before anything is locked, with what is there and what would be; and what it answers holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from automagik_prompts.domain.policy import (
    ALLOW,
    NEEDS_APPROVAL,
    Actor,
    Decision,
    Operation,
    Policy,
    TextState,
    deny,
)
from automagik_prompts.domain.roles import ROLES, Roles
from automagik_prompts.editing.review.authorizing import load_policy
from automagik_prompts.exceptions import ConfigurationError, ConflictError, InvalidPromptError, NotAllowedError
from automagik_prompts.storage.database import Database
from tests.contract.history import active_text
from tests.reviewing import ANA, BEA, as_, declared, seed

Asked = tuple[Operation, str, str, str | None, str | None]


class Recorder:
    """Answers as it is told, and notes what it was asked."""

    def __init__(self, *answers: tuple[Operation, Decision]) -> None:
        self.answers = dict(answers)
        self.asked: list[Asked] = []
        self.then: Callable[[], Awaitable[object]] | None = None

    async def __call__(
        self,
        actor: Actor | None,
        operation: Operation,
        agent: str,
        status_key: str,
        before: TextState | None,
        after: TextState | None,
    ) -> Decision:
        """Answer."""
        assert actor in {ANA, BEA}
        texts = (before.text if before is not None else None, after.text if after is not None else None)
        self.asked.append((operation, agent, status_key, *texts))
        if self.then is not None:
            then, self.then = self.then, None
            await then()
        return self.answers.get(operation, ALLOW)


@pytest.fixture(autouse=True)
async def _seeded(database: Database, agent: str) -> None:
    await seed(database, declared(agent, protected=()))
    await as_(database, BEA).create(agent, "NEW", "two", activate=True)
    await as_(database, BEA).create(agent, "NEW", "three")


async def test_what_it_is_asked(database: Database, agent: str) -> None:
    """With the status as it is spelt, the active text, and the one that would be active."""
    policy = Recorder()
    ana = as_(database, ANA, policy)
    await ana.create(agent, "new", "four", activate=True)
    await ana.activate(agent, "New", 3)
    await ana.rollback(agent, "NEW")
    await ana.deactivate(agent, "NEW")
    await ana.delete(agent, "NEW", 3)
    await ana.withdraw(agent, "NEW", 2)
    await ana.withdraw(agent, "NEW", 2, undo=True)
    await ana.comment(agent, "NEW", 2, text="hm")
    await ana.save_draft(agent, "NEW", "half a te")
    assert policy.asked[:2] == [
        (Operation.CREATE, agent, "NEW", "two", "four"),
        (Operation.ACTIVATE, agent, "NEW", "two", "four"),
    ]
    assert policy.asked[2:] == [
        (Operation.ACTIVATE, agent, "NEW", "four", "three"),
        (Operation.ROLLBACK, agent, "NEW", "three", "four"),
        (Operation.DEACTIVATE, agent, "NEW", "four", None),
        (Operation.DELETE, agent, "NEW", "three", None),
        (Operation.WITHDRAW, agent, "NEW", "two", None),
        (Operation.REINSTATE, agent, "NEW", "two", None),
        (Operation.COMMENT, agent, "NEW", None, "two"),
        (Operation.DRAFT, agent, "NEW", None, None),
    ]


@pytest.mark.parametrize("operation", [Operation.ACTIVATE, Operation.CREATE])
async def test_a_refusal_writes_nothing(database: Database, agent: str, operation: Operation) -> None:
    """The person is told why, and an edit of two parts is done as a whole or not at all."""
    ana = as_(database, ANA, Recorder((operation, deny("Not on Fridays."))))
    before = len((await ana.events(agent)).items)
    with pytest.raises(NotAllowedError) as refused:
        await ana.create(agent, "NEW", "four", activate=True)
    assert str(refused.value) == f"ana may not {operation.value} {agent}/NEW. Not on Fridays."
    assert (refused.value.actor, refused.value.operation, refused.value.agent) == ("ana", operation, agent)
    assert len((await ana.events(agent)).items) == before
    assert await active_text(database, agent, "NEW") == "two"


async def test_an_answer_for_another_state_does_not_count(database: Database, agent: str) -> None:
    """Where another version became active while it was asked, nothing is written: it decided about something else."""
    policy = Recorder()
    ana = as_(database, ANA, policy)

    async def meanwhile() -> None:
        await as_(database, BEA).activate(agent, "NEW", 1)

    edits: list[Callable[[], Awaitable[object]]] = [
        lambda: ana.activate(agent, "NEW", 3),
        lambda: ana.create(agent, "NEW", "four"),
        lambda: ana.deactivate(agent, "NEW"),
        lambda: ana.rollback(agent, "NEW"),
    ]
    for edit in edits:
        policy.then = meanwhile
        with pytest.raises(ConflictError, match=r"changed while it was decided|version 2 now|version 1 is active now"):
            await edit()
        assert await active_text(database, agent, "NEW") == "code one"
        await as_(database, BEA).activate(agent, "NEW", 2)


async def test_it_is_never_asked_under_a_lock(database: Database, agent: str) -> None:
    """While it takes its time, others write to the same agent."""
    policy, waiting, go_on = Recorder(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await go_on.wait()

    policy.then = wait
    edit = asyncio.create_task(as_(database, ANA, policy).create(agent, "APPROVED", "two", activate=True))
    await asyncio.wait_for(waiting.wait(), 10)
    await asyncio.wait_for(as_(database, BEA).activate(agent, "NEW", 3), 10)
    go_on.set()
    assert (await edit).active_version == 2


async def test_it_can_ask_for_approval(database: Database, agent: str) -> None:
    """Of a status that no code protects, too; of what changes no active version it cannot."""
    policy = Recorder((Operation.ACTIVATE, NEEDS_APPROVAL), (Operation.DELETE, NEEDS_APPROVAL))
    ana, bea = as_(database, ANA, policy), as_(database, BEA, policy)
    asked = await ana.activate(agent, "NEW", 3)
    assert asked.is_waiting
    assert asked.request is not None
    with pytest.raises(NotAllowedError, match="another person"):
        await ana.approve(asked.request.id)
    assert (await bea.approve(asked.request.id)).active_version == 3
    with pytest.raises(NotAllowedError, match="only a change of the active version can be"):
        await ana.delete(agent, "NEW", 1)


async def test_an_emergency_is_a_right_of_its_own(database: Database, agent: str) -> None:
    """Who may activate may not, by that, pass approval by."""
    await seed(database, declared(agent))
    await as_(database, ANA).create(agent, "APPROVED", "two")
    ana = as_(database, ANA, Recorder((Operation.EMERGENCY, deny("Call the manager."))))
    with pytest.raises(NotAllowedError, match=r"ana may not change .*/APPROVED without approval\. Call the manager\."):
        await ana.activate(agent, "APPROVED", 2, emergency=True, note="hurry")
    assert (await ana.activate(agent, "APPROVED", 2)).is_waiting


def _raising(*_: object) -> Decision:
    raise KeyError("secret text")


def _nothing(*_: object) -> None:
    return None


@pytest.mark.parametrize("policy", [_raising, _nothing, lambda *_: True])
async def test_a_broken_policy_allows_nothing(database: Database, agent: str, policy: Policy) -> None:
    """One that raises, or answers with something else, lets nothing through and its error tells no secret."""
    ana = as_(database, ANA, policy)
    with pytest.raises(ConfigurationError, match=r"The policy (raised KeyError|answered with)") as broken:
        await ana.activate(agent, "NEW", 3)
    assert "secret" not in str(broken.value)
    assert await active_text(database, agent, "NEW") == "two"


async def test_an_author_is_not_taken_from_a_form(database: Database, agent: str) -> None:
    """With a policy, or for somebody who acts, the author is the actor."""
    for edits in (as_(database, ANA, Recorder()), as_(database, ANA), as_(database, None, Recorder())):
        with pytest.raises(ConfigurationError, match="the author of a change is who acts"):
            await edits.create(agent, "NEW", "four", author="bea")
    done = await as_(database, Actor("u-17", "Ana Lima")).create(agent, "NEW", "four")
    assert done.prompt is not None
    assert done.prompt.author == "Ana Lima"
    newest = (await as_(database, ANA).events(agent)).items[0]
    assert (newest.author, newest.actor_id) == ("Ana Lima", "u-17")


async def test_what_may_not_be_seen_is_not_told(database: Database, agent: str) -> None:
    """An agent that the policy does not show is not listed, not found by a search, and its statuses are not named."""
    other = f"{agent}-other"
    await seed(database, declared(other, "the other one"))
    ana = as_(database, Actor("ana", roles=("editor",), agents=(agent,)), Roles())
    assert [one.name for one in (await ana.agents()).items] == [agent]
    assert {one.agent for one in (await ana.statuses()).items} == {agent}
    assert {one.agent for one in (await ana.events()).items} == {agent}
    assert (await ana.search("the other one")).items == ()
    for look in (ana.versions(other), ana.statuses(other), ana.events(other), ana.search("x", agent=other)):
        with pytest.raises(NotAllowedError, match=f"ana may not view {other}"):
            await look
    with pytest.raises(NotAllowedError, match="ana may not activate nobody/NEW"):
        await as_(database, Actor("ana"), Roles()).activate("nobody", "NEW", 1)


# Roles.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operation", Operation)
def test_roles(role: str, operation: Operation) -> None:
    """Each role may do what it is for, for its agents, and says who could where it may not."""
    policy = Roles(Actor("bea", roles=(role,)))
    for actor in (Actor("ana", roles=(role,), agents=("sup*",)), Actor("bea")):
        decision = policy(actor, operation, "support", "NEW", None, None)
        assert decision.allowed is (operation in ROLES[role])
        if not decision.allowed:
            assert decision.reason is not None
            assert f"{actor.id} has the role {role} for support." in decision.reason
    elsewhere = policy(Actor("ana", roles=(role,), agents=("sup*",)), operation, "billing", "NEW", None, None)
    everywhere = policy(Actor("ana", roles=(role,), agents=("sup*",)), operation, "", "", None, None)
    assert not elsewhere.allowed
    assert not everywhere.allowed


def test_roles_that_are_not() -> None:
    """A member with a misspelt role is refused where the policy is made."""
    with pytest.raises(ConfigurationError, match=r"ana has a role .*no role 'publsher'\. Did you mean 'publ"):
        Roles(Actor("ana", roles=("publsher",)))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing", "is not of the form module:object"),
        ("no_such_module:policy", "cannot be loaded .ModuleNotFoundError"),
        ("automagik_prompts.domain.roles:nobody", "cannot be loaded .AttributeError"),
        ("automagik_prompts.domain.roles:_LOOK", "cannot be called"),
    ],
)
def test_a_policy_that_cannot_be_loaded(path: str, words: str) -> None:
    """The message names the setting and what is wrong; nothing is allowed instead."""
    with pytest.raises(ConfigurationError, match=words):
        load_policy(path)


def test_actors() -> None:
    """An id is needed, and one that nobody sees or that is not text is refused."""
    assert str(Actor("u-17", "Ana")) == "Ana"
    assert Actor("ana", roles="editor", agents="a*").covers("ab")  # type: ignore[arg-type]  # as it is easily written
    for wrong in ("", " ", "a\u200b", "a\nb"):
        with pytest.raises(InvalidPromptError):
            Actor(wrong)


async def test_versions_and_differences_are_for_who_may_look(database: Database, agent: str) -> None:
    """The older ways to look ask as the pages do."""
    ana = as_(database, Actor("ana", roles=("viewer",), agents=(agent,)), Roles())
    assert [one.version for one in await ana.history(agent, "NEW")] == [3, 2, 1]
    assert "+three" in await ana.diff(agent, "NEW", 2, 3)
    rui = as_(database, Actor("rui"), Roles())
    for look in (rui.history(agent), rui.diff(agent, "NEW", 1, 2), rui.preview(agent, "NEW"), rui.drift(agent, "NEW")):
        with pytest.raises(NotAllowedError, match=f"rui may not view {agent}"):
            await look


async def test_a_number_says_nothing_to_who_may_not_look(database: Database, agent: str) -> None:
    """A request's number names no agent to somebody who has no role for it."""
    await seed(database, declared(agent))
    await as_(database, BEA).create(agent, "APPROVED", "two")
    asked = await as_(database, BEA).activate(agent, "APPROVED", 2)
    assert asked.request is not None
    number, rui = asked.request.id, as_(database, Actor("rui"), Roles())
    for look in (
        rui.get_request(number),
        rui.approve(number),
        rui.decline(number, note="no"),
        rui.comment("elsewhere", "NEW", request_id=number, text="hm"),
    ):
        with pytest.raises(NotAllowedError) as refused:
            await look
        assert agent not in str(refused.value)
