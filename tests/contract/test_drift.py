"""Drift: shown three ways, decided by keeping, taking or merging, and what code wants to become of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from automagik_prompts.domain.edits import EditResult
from automagik_prompts.editing import checks, queries, sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.editing.findings import Kind, Level
from automagik_prompts.exceptions import ConflictError, DriftError, InvalidPromptError
from automagik_prompts.storage.database import Database
from tests.contract.history import active_text, check_history
from tests.reviewing import ANA, as_, declared, seed


@pytest.fixture
async def drifted(database: Database, agent: str) -> DatabaseEdits:
    """A status with a person's version 2 of the code's version 1, and a later version 3 of the code."""
    await seed(database, declared(agent, "code one", protected=()))
    ana = as_(database, ANA)
    await ana.create(agent, "NEW", "a person's", activate=True)
    await seed(database, declared(agent, "code two", protected=()))
    return ana


async def has_drifted(database: Database, agent: str) -> bool:
    """Return whether all that tells of drift tells of it for `NEW`; they must agree."""
    [summary] = [one for one in await queries.summaries(database, agent) if one.status_key == "NEW"]
    found = await checks.check_database(database, {}, [agent])
    kinds = {one.status_key: one.level for one in found if one.kind is Kind.DRIFT}
    assert kinds in ({}, {"NEW": Level.ERROR})
    three = await as_(database, None).drift(agent, "NEW")
    assert (three is not None) == summary.drift == bool(kinds)
    return summary.drift


async def test_three_ways(agent: str, drifted: DatabaseEdits) -> None:
    """What the code said when the person wrote, what it says now, and what the person made of it."""
    found = await drifted.drift(agent, "new")
    assert found is not None
    assert found.base is not None
    assert (found.base.version, found.base.prompt_text) == (1, "code one")
    assert (found.code.version, found.code.prompt_text) == (3, "code two")
    assert (found.person.version, found.person.prompt_text) == (2, "a person's")
    assert await drifted.drift(agent, "APPROVED") is None


Decide = Callable[[DatabaseEdits, str], Coroutine[Any, Any, EditResult]]

DECISIONS: dict[str, Decide] = {
    "keep": lambda edits, agent: edits.keep(agent, "NEW", code_version=3, note="better"),
    "take": lambda edits, agent: edits.activate(agent, "NEW", 3),
    "merge": lambda edits, agent: edits.create(agent, "NEW", "of both", activate=True, based_on=3),
}


@pytest.mark.parametrize("decision", DECISIONS)
async def test_a_decision_holds_until_the_code_changes_again(
    database: Database, agent: str, drifted: DatabaseEdits, decision: str
) -> None:
    """Each of the three ends the drift, also for a start and a sync of the same code; the next text begins another."""
    assert await has_drifted(database, agent)
    await DECISIONS[decision](drifted, agent)
    assert not await has_drifted(database, agent)
    text = await active_text(database, agent, "NEW")
    for exact in (False, True):
        await seed(database, declared(agent, "code two", protected=()), exact=exact)
        assert not await has_drifted(database, agent)
    assert await active_text(database, agent, "NEW") == text
    await check_history(database, agent)
    await seed(database, declared(agent, "code three", protected=()))
    # Where the code's text was taken, the next one is active by itself.
    assert await has_drifted(database, agent) is (decision != "take")


async def test_yet_another_version_decides_nothing(database: Database, agent: str, drifted: DatabaseEdits) -> None:
    """Who writes on from the person's version has not looked at the code's; it stays to be decided."""
    await drifted.create(agent, "NEW", "a person's, spelt better", activate=True)
    assert await has_drifted(database, agent)
    found = await drifted.drift(agent, "NEW")
    assert found is not None
    assert found.base is not None
    assert (found.base.version, found.person.version) == (1, 4)
    [newest] = (await drifted.versions(agent, "NEW", limit=1)).items
    assert newest.based_on == 1


async def test_merged_and_not_active_yet(database: Database, agent: str, drifted: DatabaseEdits) -> None:
    """A draft of both decides nothing until it is active."""
    await drifted.create(agent, "NEW", "of both", based_on=3)
    assert await has_drifted(database, agent)
    await drifted.activate(agent, "NEW", 4)
    assert not await has_drifted(database, agent)


async def test_a_persons_first_version(database: Database, agent: str) -> None:
    """A status that people wrote before the code had one has no base."""
    ana = as_(database, ANA)
    await ana.create(agent, "NEW", "a person's", activate=True, new_agent=True)
    await seed(database, declared(agent, protected=()))
    found = await ana.drift(agent, "NEW")
    assert found is not None
    assert (found.base, found.code.version, found.person.version) == (None, 2, 1)


async def test_refusals(database: Database, agent: str, drifted: DatabaseEdits) -> None:
    """What has not drifted, code that moved on, and a base that is none."""
    with pytest.raises(InvalidPromptError, match="APPROVED has not drifted: there is nothing to decide"):
        await drifted.keep(agent, "APPROVED")
    await seed(database, declared(agent, "code three", protected=()))
    with pytest.raises(ConflictError, match=r"newest version of .* is 4, not 3"):
        await drifted.keep(agent, "NEW", code_version=3)
    for wrong in (2, 9):
        with pytest.raises(InvalidPromptError, match=f"Version {wrong} of .*/NEW is no version of the code"):
            await drifted.create(agent, "NEW", "of both", based_on=wrong)
    assert await has_drifted(database, agent)


# What code wants to become of it.


async def test_code_takes_over_at_first_sight(database: Database, agent: str, drifted: DatabaseEdits) -> None:
    """With `on_drift="code"` a new text is active at once, and an older process that restarts changes nothing."""
    new = declared(agent, "code three", protected=(), on_drift="code")
    assert ("NEW", 4, "created") in await seed(database, new)
    assert await active_text(database, agent, "NEW") == "code three"
    old = declared(agent, "code two", protected=(), on_drift="code")
    assert await seed(database, old) == []
    assert await active_text(database, agent, "NEW") == "code three"
    # A person decides otherwise, and a restart of either leaves that.
    await drifted.create(agent, "NEW", "again a person's", activate=True)
    assert await seed(database, new) == await seed(database, old) == []
    assert await active_text(database, agent, "NEW") == "again a person's"


async def test_sync_takes_over_what_nobody_has_decided(database: Database, agent: str, drifted: DatabaseEdits) -> None:
    """A text that was seen before takes over by `sync` alone, and never against a decision to keep."""
    code = declared(agent, "code two", protected=(), on_drift="code")
    assert await seed(database, code) == []
    assert await active_text(database, agent, "NEW") == "a person's"
    await drifted.keep(agent, "NEW")
    await seed(database, code, exact=True)
    assert await active_text(database, agent, "NEW") == "a person's"
    await drifted.create(agent, "NEW", "wild", activate=True, based_on=1)
    assert await has_drifted(database, agent)
    assert ("NEW", 3, "activated") in await seed(database, code, exact=True)
    assert await active_text(database, agent, "NEW") == "code two"


async def test_fail_is_for_sync_alone(database: Database, agent: str, drifted: DatabaseEdits) -> None:
    """A start never fails; `sync` writes everything and then says what is to be decided, until it is."""
    code = declared(agent, "code three", protected=(), on_drift="fail")
    assert ("NEW", 4, "drift") in await seed(database, code)
    release = DatabaseEdits(database, code.agents)
    with pytest.raises(DriftError, match=f"{agent}/NEW: a person's version is active") as failed:
        await release.sync()
    assert [(item.status_key, item.outcome) for item in failed.value.results] == [("NEW", "undecided")]
    assert await active_text(database, agent, "NEW") == "a person's"
    await drifted.keep(agent, "NEW")
    assert await release.sync() == ()


async def test_a_withdrawn_text_is_none_to_decide_for(database: Database, agent: str, drifted: DatabaseEdits) -> None:
    """Where the code's text is withdrawn nothing can be taken, so nothing has drifted."""
    await drifted.withdraw(agent, "NEW", 3)
    assert not await has_drifted(database, agent)
    await drifted.withdraw(agent, "NEW", 3, undo=True)
    assert await has_drifted(database, agent)


async def test_a_take_over_names_what_it_replaced(database: Database, agent: str, drifted: DatabaseEdits) -> None:
    """With `on_drift="code"` it is said whose version the code's text took the place of."""
    code = declared(agent, "code three", protected=(), on_drift="code")
    done = await sync.seed(database, code.agents)
    assert [(one.status_key, one.version, one.replaced) for one in done] == [("APPROVED", 3, None), ("NEW", 4, 2)]
    assert (await drifted.rollback(agent, "NEW")).active_version == 2
