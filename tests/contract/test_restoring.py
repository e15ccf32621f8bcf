"""Going back to a moment: what was active then is active again, whatever was done since."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from automagik_prompts.domain.edits import RestorePlan
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.records import Action, Prompt
from automagik_prompts.domain.review import RequestState
from automagik_prompts.domain.roles import Roles
from automagik_prompts.editing import queries
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from tests.reviewing import ANA, BEA, declared, seed
from tests.tampering import unkeep

AGENTS = ("billing", "seller")
STATUSES = ("APPROVED", "NEW")
Active = dict[tuple[str, str], int | None]


@pytest.fixture
async def database(empty_url: str) -> AsyncIterator[Database]:
    """A database with two agents, each with two statuses as the code has them."""
    async with Database(empty_url) as database:
        await migrate.upgrade(database)
        for name in AGENTS:
            await seed(database, declared(name, protected=()))
        yield database


@pytest.fixture
def edits(database: Database) -> DatabaseEdits:
    """Somebody who may do everything."""
    return DatabaseEdits(database, author="ana")


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


async def active(database: Database) -> Active:
    """Return what is active, of each status."""
    return {(one.agent, one.status_key): one.active for one in await queries.summaries(database)}


def wanted(plan: RestorePlan) -> list[tuple[str, str, int | None, int | None]]:
    """Return what a plan says: the status, what is active, and what was."""
    return [(step.agent, step.status_key, step.active_version, step.version) for step in plan.steps]


async def test_a_moment_comes_back(database: Database, edits: DatabaseEdits) -> None:
    """What was activated, taken back and taken out of use since is as it was; a second time there is nothing to do."""
    await edits.create("seller", "NEW", "Two.", activate=True)
    then, was = now(), await active(database)
    await edits.create("seller", "NEW", "Three.", activate=True)
    await edits.deactivate("seller", "APPROVED")
    await edits.create("billing", "LATER", "A status that was not there.", activate=True, new_status=True)
    await edits.create("billing", "NEW", "Not active.")
    plan = await edits.plan_restore(then)
    assert wanted(plan) == [
        ("billing", "LATER", 1, None),
        ("seller", "APPROVED", None, 1),
        ("seller", "NEW", 3, 2),
    ]
    done = await edits.restore(plan)
    assert [(one.status_key, one.active_version, one.previous_version) for one in done] == [
        ("LATER", None, 1),
        ("APPROVED", 1, None),
        ("NEW", 2, 3),
    ]
    assert await active(database) == {**was, ("billing", "LATER"): None}
    [event] = await queries.events(database, "seller", "NEW", limit=1)
    assert (event.action, event.author, event.note) == (
        Action.ACTIVATED,
        "ana",
        f"as of {then.isoformat(' ', 'seconds')}",
    )
    assert (await edits.plan_restore(then)).steps == ()


async def test_one_agent_alone(database: Database, edits: DatabaseEdits) -> None:
    """The others stay as they are."""
    then = now()
    for name in AGENTS:
        await edits.create(name, "NEW", "Two.", activate=True)
    plan = await edits.plan_restore(then, agent="seller")
    assert wanted(plan) == [("seller", "NEW", 2, 1)]
    await edits.restore(plan, note="the wrong text")
    assert {key for key, version in (await active(database)).items() if version == 2} == {("billing", "NEW")}


async def test_what_came_later_is_left_alone(database: Database, edits: DatabaseEdits) -> None:
    """An agent that was not there yet is named, and is no agent to go back with."""
    await edits.create("newcomer", "NEW", "Hello.", activate=True, new_agent=True)
    then = now() - timedelta(hours=1)
    await unkeep(database)
    await database.run(
        lambda db: db.execute_query(
            "UPDATE agents SET created_at = '2020-01-01 00:00:00+00:00' WHERE name <> 'newcomer'"
        )
    )
    await database.run(
        lambda db: db.execute_query(
            "UPDATE prompt_events SET created_at = '2020-01-01 00:00:00+00:00' "
            "WHERE agent_id IN (SELECT id FROM agents WHERE name <> 'newcomer')"
        )
    )
    plan = await edits.plan_restore(then)
    assert (plan.steps, plan.added) == ((), ("newcomer",))
    with pytest.raises(PromptNotFoundError, match="'newcomer' was not there yet"):
        await edits.plan_restore(then, agent="newcomer")


async def test_what_cannot_come_back_is_said(edits: DatabaseEdits) -> None:
    """A version that was deleted, withdrawn or can no longer be served stays away, and the rest comes back."""
    await edits.create("seller", "NEW", "Two.", activate=True)
    await edits.create("seller", "APPROVED", "Two.", activate=True)
    await edits.create("billing", "NEW", "Two.", activate=True)
    then = now()
    for agent, status in [("seller", "NEW"), ("seller", "APPROVED"), ("billing", "NEW")]:
        await edits.activate(agent, status, 1)
    await edits.withdraw("seller", "NEW", 2)
    await edits.delete("seller", "APPROVED", 2)
    plan = await edits.plan_restore(then)
    withdrawn = "Version 2 of seller/NEW is withdrawn. Use another one, or take that back:"
    assert [(step.status_key, step.blocker) for step in plan.steps if step.agent == "seller"] == [
        ("APPROVED", "Version 2 of seller/APPROVED was deleted."),
        ("NEW", f"{withdrawn} automagik-prompts withdraw --undo seller NEW 2"),
    ]
    assert [str(step.key) for step in plan.work] == ["billing/NEW"]
    assert [one.active_version for one in await edits.restore(plan)] == [2]


async def test_a_history_that_does_not_reach_back(database: Database, edits: DatabaseEdits) -> None:
    """Where the first events are gone, the first one that is left tells what it took the place of."""
    await edits.create("seller", "NEW", "Two.", activate=True)
    then = now()
    await edits.create("seller", "NEW", "Three.", activate=True)
    long_ago = now() + timedelta(days=-1)
    plan = await edits.plan_restore(long_ago)
    assert plan.added == AGENTS
    await database.run(lambda db: db.execute_query("UPDATE agents SET created_at = '2020-01-01 00:00:00+00:00'"))
    assert wanted(await edits.plan_restore(long_ago)) == [
        *[(name, status, 1, None) for name in AGENTS[:1] for status in STATUSES],
        ("seller", "APPROVED", 1, None),
        ("seller", "NEW", 3, None),
    ]
    assert wanted(await edits.plan_restore(then)) == [("seller", "NEW", 3, 2)]


async def test_somebody_else_wrote(database: Database, edits: DatabaseEdits) -> None:
    """What was written since the plan is a conflict, to that status alone; nothing of the agent is done."""
    then = now()
    await edits.create("seller", "APPROVED", "Two.", activate=True)
    await edits.create("seller", "NEW", "Two.", activate=True)
    plan = await edits.plan_restore(then)
    await edits.create("seller", "NEW", "Three.")
    before = await active(database)
    with pytest.raises(ConflictError, match="seller/NEW"):
        await edits.restore(plan)
    assert await active(database) == before
    plan = await edits.plan_restore(then)
    await edits.create("seller", "OTHER", "Nobody's matter.", new_status=True)
    assert len(await edits.restore(plan)) == 2


async def test_a_protected_status_asks_for_approval(database: Database, edits: DatabaseEdits) -> None:
    """It becomes a request, also where nothing was active then; an emergency passes that by."""
    await edits.create("seller", "APPROVED", "Two.", activate=True)
    then = now()
    await edits.activate("seller", "APPROVED", 1)
    await edits.create("seller", "NEW", "Two.", activate=True)
    await seed(database, declared("seller"), exact=True)
    ana = DatabaseEdits(database, actor=ANA)
    plan = await ana.plan_restore(then)
    asked, done = await ana.restore(plan)
    assert asked.request is not None
    assert (asked.active_version, asked.is_waiting, asked.request.version) == (1, True, 2)
    assert (done.active_version, done.request) == (1, None)
    approved = await DatabaseEdits(database, actor=BEA).approve(asked.request.id)
    assert approved.active_version == 2
    await ana.activate("seller", "APPROVED", 1, emergency=True, note="once more")
    hurried = await ana.restore(await ana.plan_restore(then), emergency=True, note="it burns")
    assert [(one.active_version, one.request and one.request.state) for one in hurried] == [(2, RequestState.EMERGENCY)]


async def test_the_policy_is_asked_for_each(database: Database, edits: DatabaseEdits) -> None:
    """Who may not change one of them changes none, and who may not look is told nothing."""
    then = now()
    for name in AGENTS:
        await edits.create(name, "NEW", "Two.", activate=True)
    policy = Roles(
        Actor("joao", roles=("publisher",), agents=("seller",)),
        Actor("joao", roles=("viewer",), agents=("billing",)),
        Actor("eva", roles=("viewer",), agents=("seller",)),
    )
    joao = DatabaseEdits(database, policy=policy, actor=Actor("joao"))
    plan = await joao.plan_restore(then)
    assert len(plan.steps) == 2
    before = await active(database)
    with pytest.raises(NotAllowedError, match="billing/NEW"):
        await joao.restore(plan)
    assert await active(database) == before
    assert len(await joao.restore(await joao.plan_restore(then, agent="seller"))) == 1
    eva = DatabaseEdits(database, policy=policy, actor=Actor("eva"))
    assert (await eva.plan_restore(then)).steps == ()
    with pytest.raises(NotAllowedError):
        await eva.plan_restore(then, agent="billing")


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), now() + timedelta(days=1)])  # is refused
async def test_no_moment(edits: DatabaseEdits, moment: datetime) -> None:
    """A moment without a zone, or one that is yet to come, is refused."""
    with pytest.raises(InvalidPromptError, match=r"zone|yet to come"):
        await edits.plan_restore(moment)


async def test_any_moment_of_a_random_history(database: Database, edits: DatabaseEdits) -> None:
    """Whatever was done, each moment comes back exactly."""
    seed_ = random.randrange(10**6)
    print(f"seed {seed_}")
    rng = random.Random(seed_)
    moments: list[tuple[datetime, Active]] = []
    for number in range(25):
        agent, status = rng.choice(AGENTS), rng.choice((*STATUSES, "OTHER"))
        versions = [one.version for one in await _versions(database, agent, status)]
        what = rng.choice(["create", "activate", "rollback", "deactivate", "write"])
        try:
            if what in {"create", "write"} or not versions:
                await edits.create(
                    agent, status, f"Text {number}.", activate=what != "write", new_status=True, note=what
                )
            elif what == "activate":
                await edits.activate(agent, status, rng.choice(versions))
            elif what == "rollback":
                await edits.rollback(agent, status)
            else:
                await edits.deactivate(agent, status)
        except PromptNotFoundError:
            pass  # nothing to go back to, or nothing active
        moments.append((now(), await active(database)))
    rng.shuffle(moments)
    for moment, was in moments:
        await edits.restore(await edits.plan_restore(moment))
        present = await active(database)
        assert {key: present[key] for key in was} == was
        assert not any(version for key, version in present.items() if key not in was)


async def _versions(database: Database, agent: str, status: str) -> list[Prompt]:
    try:
        return await queries.versions(database, agent, status)
    except PromptNotFoundError:
        return []


async def test_a_plan_of_one_s_own(edits: DatabaseEdits) -> None:
    """A plan is no right: a version that is not there is refused, and nothing is done."""
    then = now()
    await edits.create("seller", "NEW", "Two.", activate=True)
    plan = await edits.plan_restore(then)
    forged = replace(plan, steps=(replace(plan.steps[0], version=9),))
    with pytest.raises(PromptNotFoundError):
        await edits.restore(forged)
