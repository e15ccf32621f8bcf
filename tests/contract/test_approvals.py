"""Protected statuses: what is asked for, who may approve, what an approval is for, and what passes it by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from automagik_prompts import repository as public
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.records import Action, Event, PromptCreate
from automagik_prompts.domain.review import RequestState
from automagik_prompts.editing import checks
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.editing.findings import Kind
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database
from tests.contract.history import active_text, check_history
from tests.reviewing import ANA, BEA, JOAO, as_, declared, seed
from tests.tampering import unkeep

pytestmark = pytest.mark.usefixtures("_seeded")


@pytest.fixture
async def _seeded(database: Database, agent: str) -> None:
    await seed(database, declared(agent))
    await as_(database, ANA).create(agent, "APPROVED", "two", note="shorter")


async def states(database: Database, agent: str) -> list[str]:
    """Return where all requests of an agent stand, newest first."""
    return [one.state.value for one in (await as_(database, None).requests(agent, waiting=False)).items]


async def newest_event(database: Database, agent: str, action: Action) -> Event:
    """Return the newest event of a kind."""
    found = (await as_(database, None).events(agent)).items
    return next(event for event in found if event.action is action)


async def number_of(result: EditResult) -> int:
    """Return the number of the request that an edit made."""
    assert result.request is not None
    return result.request.id


async def test_an_activation_waits_until_another_person_approves(database: Database, agent: str) -> None:
    """Nothing changes before, and then it is active; the events say who asked, who approved, and why."""
    asked = await as_(database, ANA).activate(agent, "APPROVED", 2, note="legal wants it")
    assert (asked.active_version, asked.previous_version, asked.is_waiting, asked.is_new_request) == (1, 1, True, True)
    assert asked.request is not None
    assert (asked.request.author, asked.request.version, asked.request.from_version) == ("ana", 2, 1)
    assert await active_text(database, agent, "APPROVED") == "code one, approved"
    done = await as_(database, BEA).approve(asked.request.id, note="read it")
    assert (done.active_version, done.previous_version) == (2, 1)
    assert done.request is not None
    assert (done.request.state, done.request.approved_by) == (RequestState.DONE, ("bea",))
    assert await active_text(database, agent, "APPROVED") == "two"
    activated = await newest_event(database, agent, Action.ACTIVATED)
    assert (activated.approval, activated.request_id, activated.author) == ("approved", asked.request.id, "bea")
    assert activated.note == "legal wants it"
    approved = await newest_event(database, agent, Action.APPROVED)
    assert (approved.author, approved.note, approved.version) == ("bea", "read it", 2)
    await check_history(database, agent)


async def test_who_asks_cannot_approve(database: Database, agent: str) -> None:
    """Neither under another name, nor with the rights of an administrator; somebody else can."""
    number = await number_of(await as_(database, ANA).activate(agent, "APPROVED", 2))
    for actor in (ANA, Actor("ana", "Somebody Else", roles=("admin",))):
        with pytest.raises(NotAllowedError, match=f"Request {number} is by ana, and another person has to approve it"):
            await as_(database, actor).approve(number)
    with pytest.raises(NotAllowedError, match="another person has to"):
        await as_(database, None).approve(number)
    # Two people of one name are two people.
    assert (await as_(database, Actor("ana-2", "ana")).approve(number)).active_version == 2


Way = Callable[[DatabaseEdits, str], Coroutine[Any, Any, EditResult]]

WAYS: dict[str, Way] = {
    "activate": lambda edits, agent: edits.activate(agent, "APPROVED", 2),
    "rollback": lambda edits, agent: edits.rollback(agent, "APPROVED"),
    "deactivate": lambda edits, agent: edits.deactivate(agent, "APPROVED"),
    "create": lambda edits, agent: edits.create(agent, "APPROVED", "three", activate=True),
    "spelling": lambda edits, agent: edits.activate(agent, "approved", 2),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_change_it_waits(database: Database, agent: str, way: str) -> None:
    """Whatever changes the active version of a protected status becomes a request, and nothing else."""
    if way == "rollback":
        await as_(database, BEA).approve(await number_of(await as_(database, ANA).activate(agent, "APPROVED", 2)))
    before = await active_text(database, agent, "APPROVED")
    asked = await WAYS[way](as_(database, ANA), agent)
    assert asked.is_waiting
    assert await active_text(database, agent, "APPROVED") == before
    done = await as_(database, BEA).approve(await number_of(asked))
    assert done.request is not None
    assert done.request.state is RequestState.DONE
    assert await active_text(database, agent, "APPROVED") != before
    await check_history(database, agent)


async def test_a_copy_waits_too(database: Database, agent: str) -> None:
    """A text that is copied to a protected status is written, and active once it is approved."""
    source = (await as_(database, ANA).create(agent, "NEW", "for all")).prompt
    assert source is not None
    asked = await as_(database, ANA).copy(source, agent, "APPROVED", activate=True)
    assert asked.is_waiting
    assert asked.prompt is not None
    assert asked.prompt.version == 3
    assert (await as_(database, BEA).approve(await number_of(asked))).active_version == 3


async def test_other_statuses_do_not_wait(database: Database, agent: str) -> None:
    """Only what the code protects does."""
    done = await as_(database, ANA).create(agent, "NEW", "at once", activate=True)
    assert (done.request, done.active_version) == (None, 2)


async def test_an_approval_lapses_when_the_active_version_moves_on(database: Database, agent: str) -> None:
    """For good, even where the version that was active then comes back."""
    ana, bea = as_(database, ANA), as_(database, BEA)
    await ana.create(agent, "APPROVED", "three")
    first = await number_of(await ana.activate(agent, "APPROVED", 2))
    second = await number_of(await ana.activate(agent, "APPROVED", 3))
    await bea.approve(first)
    assert await states(database, agent) == ["lapsed", "done"]
    with pytest.raises(InvalidPromptError, match=f"Request {second}, to activate version 3 of .*, has lapsed"):
        await bea.approve(second)
    await ana.activate(agent, "APPROVED", 1, emergency=True, note="it was wrong")
    assert await states(database, agent) == ["emergency", "lapsed", "done"]
    with pytest.raises(InvalidPromptError, match="has lapsed"):
        await bea.approve(second)
    again = await number_of(await ana.activate(agent, "APPROVED", 3))
    assert again not in {first, second}


async def test_an_approval_is_for_this_text_alone(database: Database, agent: str) -> None:
    """A row that plain SQL changes, or a version that is deleted, is not what was approved."""
    ana, bea = as_(database, ANA), as_(database, BEA)
    await ana.create(agent, "APPROVED", "three")
    changed = await number_of(await ana.activate(agent, "APPROVED", 2))
    await unkeep(database)
    await database.run(
        lambda db: db.execute_query(
            "UPDATE prompts SET prompt_text = 'other', content_hash = 'other' WHERE version = 2 AND agent_id = "
            f"(SELECT id FROM agents WHERE name = '{agent}') AND status_key = 'APPROVED'"
        )
    )
    with pytest.raises(InvalidPromptError, match="has lapsed"):
        await bea.approve(changed)
    deleted = await number_of(await ana.activate(agent, "APPROVED", 3))
    await ana.delete(agent, "APPROVED", 3)
    with pytest.raises(InvalidPromptError, match="has lapsed"):
        await bea.approve(deleted)
    assert await active_text(database, agent, "APPROVED") == "code one, approved"


async def test_a_withdrawn_version_is_not_activated_by_its_approval(database: Database, agent: str) -> None:
    """Neither by the approval, nor by naming it as what takes the place of another one."""
    ana, bea = as_(database, ANA), as_(database, BEA)
    number = await number_of(await ana.activate(agent, "APPROVED", 2))
    await ana.withdraw(agent, "APPROVED", 2)
    with pytest.raises(InvalidPromptError, match="has lapsed"):
        await bea.approve(number)
    with pytest.raises(InvalidPromptError, match="is withdrawn"):
        await ana.activate(agent, "APPROVED", 2)
    await ana.withdraw(agent, "APPROVED", 2, undo=True)
    with pytest.raises(InvalidPromptError, match="has lapsed"):
        await bea.approve(number)
    await ana.create(agent, "APPROVED", "three")
    with pytest.raises(InvalidPromptError, match=r"changes only with approval\. Have version 3 activated first"):
        await ana.withdraw(agent, "APPROVED", 1, activate=3)
    done = await ana.withdraw(agent, "APPROVED", 1, activate=3, emergency=True, note="it leaks")
    assert done.active_version == 3
    assert (await newest_event(database, agent, Action.ACTIVATED)).approval == "emergency"


async def test_several_have_to_approve(database: Database, agent: str) -> None:
    """With two approvals two people besides who asks, each counted once."""
    await seed(database, declared(agent, approvals=2))
    number = await number_of(await as_(database, ANA).activate(agent, "APPROVED", 2))
    first = await as_(database, BEA).approve(number)
    assert first.request is not None
    assert (first.active_version, first.request.state, first.request.approved_by) == (1, RequestState.OPEN, ("bea",))
    with pytest.raises(InvalidPromptError, match=r"You have approved request .* already\. It takes 2 approvals"):
        await as_(database, BEA).approve(number)
    assert (await as_(database, JOAO).approve(number)).active_version == 2


async def test_approved_only_and_carried_out_by_who_asked(database: Database, agent: str) -> None:
    """An approval can leave it to who asked to let the text go live; the same call does it then."""
    ana = as_(database, ANA)
    number = await number_of(await ana.activate(agent, "APPROVED", 2))
    only = await as_(database, BEA).approve(number, activate=False)
    assert only.request is not None
    assert (only.active_version, only.request.state) == (1, RequestState.APPROVED)
    done = await ana.activate(agent, "APPROVED", 2)
    assert (done.active_version, done.is_waiting, await states(database, agent)) == (2, False, ["done"])
    activated = await newest_event(database, agent, Action.ACTIVATED)
    assert (activated.author, activated.approval, activated.request_id) == ("ana", "approved", number)


async def test_asking_twice_is_one_request(database: Database, agent: str) -> None:
    """Whoever asks for the same gets the request that waits."""
    first = await as_(database, ANA).activate(agent, "APPROVED", 2)
    again = await as_(database, JOAO).activate(agent, "APPROVED", 2)
    assert (await number_of(again), again.is_new_request) == (await number_of(first), False)


async def test_decline_withdraw_comment(database: Database, agent: str) -> None:
    """A request is declined by another person, with a reason; withdrawn by who asked; and talked about."""
    ana, bea = as_(database, ANA), as_(database, BEA)
    number = await number_of(await ana.activate(agent, "APPROVED", 2))
    await ana.comment(request_id=number, text="tested it")
    with pytest.raises(InvalidPromptError, match="Say why it is declined"):
        await bea.decline(number)
    with pytest.raises(NotAllowedError, match="ana can withdraw it"):
        await ana.decline(number, note="no")
    with pytest.raises(NotAllowedError, match="nobody else can withdraw it"):
        await bea.withdraw_request(number)
    declined = await bea.decline(number, note="it names a fee")
    assert declined.request is not None
    assert (declined.request.state, declined.request.decided_by) == (RequestState.DECLINED, "bea")
    with pytest.raises(InvalidPromptError, match="was declined by bea; there is nothing to decide"):
        await bea.approve(number)
    again = await number_of(await ana.activate(agent, "APPROVED", 2))
    await ana.withdraw_request(again)
    assert await states(database, agent) == ["withdrawn", "declined"]
    said = (await ana.events(agent, request_id=number)).items
    assert [(event.action.value, event.author, event.note) for event in reversed(said)] == [
        ("requested", "ana", None),
        ("commented", "ana", "tested it"),
        ("declined", "bea", "it names a fee"),
    ]
    with pytest.raises(InvalidPromptError, match="A comment needs words"):
        await ana.comment(agent, "NEW", 1, text=" ")
    with pytest.raises(PromptNotFoundError, match="There is no request 999999"):
        await bea.approve(999999)


async def test_an_emergency_goes_through_and_stays_marked(database: Database, agent: str) -> None:
    """It needs a reason, and the events and the requests keep the mark."""
    ana = as_(database, ANA)
    with pytest.raises(InvalidPromptError, match="An emergency needs a reason"):
        await ana.activate(agent, "APPROVED", 2, emergency=True)
    done = await ana.activate(agent, "APPROVED", 2, emergency=True, note="it promises refunds")
    assert (done.active_version, done.is_new_request) == (2, True)
    assert done.request is not None
    assert done.request.state is RequestState.EMERGENCY
    activated = await newest_event(database, agent, Action.ACTIVATED)
    assert (activated.approval, activated.note) == ("emergency", "it promises refunds")
    with pytest.raises(InvalidPromptError, match="went through as an emergency"):
        await as_(database, BEA).approve(done.request.id)
    # Where nothing is protected there is nothing to mark.
    plain = await ana.create(agent, "NEW", "x", activate=True, emergency=True, note="hurry")
    assert plain.request is None


async def test_nobody_in_particular_cannot_ask(database: Database, agent: str) -> None:
    """Without a name there is nobody else who could approve."""
    with pytest.raises(NotAllowedError, match="so it must be known who asks"):
        await as_(database, None).activate(agent, "APPROVED", 2)


async def test_a_request_for_what_is_not_protected(database: Database, agent: str) -> None:
    """Whoever would rather have another pair of eyes can ask for them."""
    ana = as_(database, ANA)
    await ana.create(agent, "NEW", "new two")
    asked = await ana.request(agent, "NEW", 2, note="please look")
    assert asked.is_waiting
    assert (await as_(database, BEA).approve(await number_of(asked))).active_version == 2
    with pytest.raises(InvalidPromptError, match="is active already; there is nothing to request"):
        await ana.request(agent, "NEW", 2)
    assert (await ana.request(agent, "NEW", None)).is_waiting


async def test_one_approval_is_carried_out_once(database: Database, agent: str) -> None:
    """Of several who approve at once one carries it out."""
    number = await number_of(await as_(database, ANA).activate(agent, "APPROVED", 2))
    answers = await asyncio.gather(
        *(as_(database, Actor(f"approver-{index}")).approve(number) for index in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, EditResult) for answer in answers) == 1
    assert all(isinstance(answer, EditResult | InvalidPromptError) for answer in answers)
    await check_history(database, agent)


# What code says of it.


async def test_what_code_activates_was_reviewed_as_code(database: Database, agent: str) -> None:
    """Its event says so."""
    assert ("APPROVED", 3, "created") in await seed(database, declared(agent, "code two"))
    activated = await newest_event(database, agent, Action.ACTIVATED)
    assert (activated.status_key, activated.approval, activated.author) == ("APPROVED", "code", "code")
    # The release is reverted.
    assert ("APPROVED", 1, "activated") in await seed(database, declared(agent), exact=True)
    assert (await newest_event(database, agent, Action.ACTIVATED)).approval == "code"


async def test_code_that_wants_approval_asks(database: Database, agent: str) -> None:
    """With `approve_code` a new text waits; another start, or a sync, does not ask again."""
    code = declared(agent, "code two", approve_code=True)
    assert await seed(database, code) == [("APPROVED", 3, "requested"), ("NEW", 2, "created")]
    assert await active_text(database, agent, "APPROVED") == "code one, approved"
    assert await active_text(database, agent, "NEW") == "code two"
    assert await seed(database, code) == []
    assert await seed(database, code, exact=True) == []
    [asked] = (await as_(database, BEA).requests(agent)).items
    assert (asked.author, asked.version) == ("code", 3)
    assert (await as_(database, BEA).approve(asked.id)).active_version == 3


async def test_only_a_sync_lowers_protection(database: Database, agent: str) -> None:
    """A start adds what is missing and takes nothing away, so that an old and a new release run side by side."""
    ana = as_(database, ANA)
    await seed(database, declared(agent, protected=()))
    assert (await ana.activate(agent, "APPROVED", 2)).is_waiting
    await seed(database, declared(agent, approvals=3, protected=("NEW", "APPROVED")))
    info = next(one for one in (await ana.agents(limit=1000)).items if one.name == agent)
    assert [(one.status_key, one.approvals) for one in info.protected] == [("APPROVED", 3), ("NEW", 3)]
    await seed(database, declared(agent, protected=()), exact=True)
    info = next(one for one in (await ana.agents(limit=1000)).items if one.name == agent)
    assert info.protected == ()
    said = [event.note for event in (await ana.events(agent)).items if event.action is Action.FACTS]
    assert said[0] == "APPROVED is protected no more; NEW is protected no more"
    assert (await ana.activate(agent, "APPROVED", 2)).active_version == 2


async def test_a_later_text_of_the_code_takes_the_place_of_what_waits(database: Database, agent: str) -> None:
    """Only the newest one can be approved; one that lapsed is asked for again, one that was declined is not."""
    bea = as_(database, BEA)
    two, three = (declared(agent, text, approve_code=True) for text in ("code two", "code three"))
    await seed(database, two)
    await seed(database, three)
    assert await states(database, agent) == ["open", "lapsed"]
    [asked] = (await bea.requests(agent)).items
    assert asked.version == 4
    waiting = [one for one in await checks.check_database(database, three.agents, [agent]) if one.kind is Kind.WAITING]
    assert [(one.status_key, one.version) for one in waiting] == [("APPROVED", 4)]
    revision = (await bea.agents(limit=1000)).items
    assert await seed(database, three, exact=True) == []
    assert (await bea.agents(limit=1000)).items == revision
    await bea.approve(asked.id)
    assert await active_text(database, agent, "APPROVED") == "code three, approved"
    # The release is reverted, comes back, and each time a person approves.
    assert ("APPROVED", 3, "requested") in await seed(database, two, exact=True)
    [asked] = (await bea.requests(agent)).items
    await bea.approve(asked.id)
    assert ("APPROVED", 4, "requested") in await seed(database, three, exact=True)
    [asked] = (await bea.requests(agent)).items
    await bea.decline(asked.id, note="not that again")
    assert await seed(database, three, exact=True) == []
    assert (await bea.requests(agent)).items == ()


async def test_nobody_else_is_the_code(database: Database, agent: str) -> None:
    """The name under which the code's own changes are kept cannot be taken."""
    for edits in (as_(database, Actor("code")), as_(database, Actor("Code"))):
        with pytest.raises(InvalidPromptError, match="'code' is how the code's own changes are kept"):
            await edits.activate(agent, "NEW", 1)
    with pytest.raises(InvalidPromptError, match="is how the code's own changes are kept"):
        await as_(database, None).activate(agent, "NEW", 1, author="code")


@pytest.mark.parametrize("author", ["ana ", " ana", "ana\u200b", "ana\n", ""])
async def test_one_person_has_one_name(database: Database, agent: str, author: str) -> None:
    """Without a policy a name that looks like the one who asked cannot approve."""
    nobody = as_(database, None)
    number = await number_of(await nobody.activate(agent, "APPROVED", 2, author="ana"))
    with pytest.raises(NotAllowedError):
        await nobody.approve(number, author=author)
    assert (await nobody.approve(number, author="bea")).active_version == 2


async def test_an_emergency_is_somebodys(database: Database, agent: str) -> None:
    """By nobody, or for a reason that nobody sees, it does not go through."""
    with pytest.raises(NotAllowedError, match="it must be known who asks"):
        await as_(database, None).activate(agent, "APPROVED", 2, emergency=True, note="hurry")
    with pytest.raises(InvalidPromptError, match="An emergency needs a reason"):
        await as_(database, ANA).activate(agent, "APPROVED", 2, emergency=True, note="\u200b ")
    assert await states(database, agent) == []


async def test_a_deleted_version_lapses_and_can_be_looked_at(database: Database, agent: str) -> None:
    """A request outlives the version that it is about, and says what became of it."""
    ana = as_(database, ANA)
    number = await number_of(await ana.activate(agent, "APPROVED", 2))
    await ana.delete(agent, "APPROVED", 2)
    found = await ana.get_request(number)
    assert (found.state, found.version) == (RequestState.LAPSED, 2)
    with pytest.raises(InvalidPromptError, match="has lapsed"):
        await as_(database, BEA).decline(number, note="no")


async def test_a_second_one_who_asks_is_heard(database: Database, agent: str) -> None:
    """Why they want the same is kept with the request."""
    number = await number_of(await as_(database, ANA).activate(agent, "APPROVED", 2, note="mine"))
    await as_(database, JOAO).activate(agent, "APPROVED", 2, note="and mine")
    said = [(event.author, event.note) for event in (await as_(database, ANA).events(agent, request_id=number)).items]
    assert said == [("joao", "and mine"), ("ana", "mine")]


async def test_what_an_application_writes_itself_counts(database: Database, agent: str) -> None:
    """Its own writes through the public functions are events: conflicts see them, and approvals lapse."""
    ana = as_(database, ANA)
    asked = await ana.activate(agent, "APPROVED", 2)
    revision = asked.agent.revision

    async def write(db: Client) -> None:
        data = PromptCreate(asked.agent.id, "the application's", "APPROVED", is_active=True)
        await public.create_prompt(db, data)

    await database.transaction(write)
    with pytest.raises(ConflictError):
        await ana.create(agent, "APPROVED", "three", expected_revision=revision)
    assert await states(database, agent) == ["lapsed"]
    await check_history(database, agent)
