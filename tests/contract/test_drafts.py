"""Drafts: one's own, saved as one types, never served; and never lost to another window."""

from __future__ import annotations

import asyncio

import pytest

from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.review import Draft
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.storage.database import Database
from tests.contract.history import active_text
from tests.reviewing import ANA, BEA, as_, declared, seed


@pytest.fixture(autouse=True)
async def _seeded(database: Database, agent: str) -> None:
    await seed(database, declared(agent))


async def test_saved_as_one_types(database: Database, agent: str) -> None:
    """Half a text is kept as it is, and what is served, the versions and the events are as before."""
    ana = as_(database, ANA)
    events = len((await ana.events(agent)).items)
    text = "You are {{nam"
    first = await ana.save_draft(agent, "approved", text, base_version=1)
    assert (first.counter, first.text, first.status_key, first.base_version) == (1, text, "APPROVED", 1)
    second = await ana.save_draft(agent, "APPROVED", f"{text}e}}}}", note="why", base_version=1, counter=1)
    assert (second.counter, second.note) == (2, "why")
    assert await ana.get_draft(agent, "APPROVED") == second
    assert await active_text(database, agent, "APPROVED") == "code one, approved"
    assert len((await ana.events(agent)).items) == events
    assert len((await ana.versions(agent, "APPROVED")).items) == 1
    # An empty one, too: somebody has just begun.
    assert (await ana.save_draft(agent, "NEW", "")).text == ""


async def test_each_person_has_their_own(database: Database, agent: str) -> None:
    """Nobody sees, changes or discards another's; each person's are listed, the newest first."""
    me, her = Actor(f"me-{agent}"), Actor(f"her-{agent}")
    mine, hers = as_(database, me), as_(database, her)
    await mine.save_draft(agent, "APPROVED", "mine")
    await mine.save_draft(agent, "NEW", "mine too")
    await hers.save_draft(agent, "APPROVED", "hers")
    assert [one.text for one in await mine.drafts()] == ["mine too", "mine"]
    assert [one.text for one in await hers.drafts()] == ["hers"]
    await hers.discard_draft(agent, "APPROVED")
    with pytest.raises(PromptNotFoundError, match="You have no draft of"):
        await hers.discard_draft(agent, "APPROVED")
    assert await hers.get_draft(agent, "APPROVED") is None
    assert [one.text for one in await mine.drafts()] == ["mine too", "mine"]


async def test_another_window_is_not_overwritten(database: Database, agent: str) -> None:
    """Who saves upon an older state is told, and what was saved stays."""
    ana = as_(database, ANA)
    await ana.save_draft(agent, "NEW", "one")
    await ana.save_draft(agent, "NEW", "two, in one window", counter=1)
    with pytest.raises(
        ConflictError, match="changed elsewhere, in another window for instance: it was saved 2 times"
    ) as told:
        await ana.save_draft(agent, "NEW", "two, in the other window", counter=1)
    assert (told.value.expected, told.value.actual) == (1, 2)
    with pytest.raises(ConflictError):
        await ana.save_draft(agent, "NEW", "a first one again")
    kept = await ana.get_draft(agent, "NEW")
    assert kept is not None
    assert kept.text == "two, in one window"
    await ana.discard_draft(agent, "NEW")
    with pytest.raises(ConflictError, match="it is gone"):
        await ana.save_draft(agent, "NEW", "three", counter=2)


async def test_many_windows(database: Database, agent: str) -> None:
    """However many save at once, each save is upon what it has seen, and one of them wins each time."""
    ana = as_(database, ANA)
    await ana.save_draft(agent, "NEW", "0")
    for counter in range(1, 6):
        saves = (ana.save_draft(agent, "NEW", f"{counter}-{window}", counter=counter) for window in range(4))
        answers = await asyncio.gather(*saves, return_exceptions=True)
        won = [answer for answer in answers if isinstance(answer, Draft)]
        assert [one.counter for one in won] == [counter + 1]
        assert sum(isinstance(answer, ConflictError) for answer in answers) == 3
        assert await ana.get_draft(agent, "NEW") == won[0]


async def test_a_draft_becomes_a_version(database: Database, agent: str) -> None:
    """The draft is discarded with it, unless it was saved again since: then nothing of it is lost."""
    ana = as_(database, ANA)
    draft = await ana.save_draft(agent, "NEW", "done")
    await ana.create(agent, "NEW", draft.text, draft=draft.counter)
    assert await ana.get_draft(agent, "NEW") is None
    draft = await ana.save_draft(agent, "NEW", "done again")
    later = await ana.save_draft(agent, "NEW", "typed on", counter=draft.counter)
    await ana.create(agent, "NEW", draft.text, draft=draft.counter)
    assert await ana.get_draft(agent, "NEW") == later
    # A text that is refused leaves the draft.
    with pytest.raises(InvalidPromptError):
        await ana.create(agent, "NEW", "{{#if}", draft=later.counter)
    assert await ana.get_draft(agent, "NEW") == later


async def test_refusals(database: Database, agent: str) -> None:
    """What no database can keep, an unknown place, and nobody in particular."""
    ana = as_(database, ANA)
    for text in ("a\0b", "\ud800", "x" * 2_000_001):
        with pytest.raises(InvalidPromptError):
            await ana.save_draft(agent, "NEW", text)
    with pytest.raises(PromptNotFoundError, match="has no status"):
        await ana.save_draft(agent, "NWE", "x")
    with pytest.raises(NotAllowedError, match="A draft belongs to a person"):
        await as_(database, None).save_draft(agent, "NEW", "x")
    assert (await as_(database, None).save_draft(agent, "NEW", "x", author="bea")).actor_id == "bea"
    assert await as_(database, BEA).get_draft(agent, "NEW") is not None


async def test_a_newer_draft_is_not_met_by_chance(database: Database, agent: str) -> None:
    """Who saves upon a draft that was discarded meanwhile never meets a later one, nor ends it with a version."""
    ana = as_(database, ANA)
    first = await ana.save_draft(agent, "NEW", "in one window")
    await ana.discard_draft(agent, "NEW")
    second = await ana.save_draft(agent, "NEW", "begun again")
    assert second.counter > first.counter
    with pytest.raises(ConflictError):
        await ana.save_draft(agent, "NEW", "in one window, typed on", counter=first.counter)
    await ana.create(agent, "NEW", "in one window", draft=first.counter)
    assert await ana.get_draft(agent, "NEW") == second


@pytest.mark.parametrize("number", [0, -1, 2**63, "1"])
async def test_what_is_no_number(database: Database, agent: str, number: int) -> None:
    """A counter or a version that cannot be one is refused."""
    ana = as_(database, ANA)
    with pytest.raises(InvalidPromptError, match="is no number of a version, or of a draft"):
        await ana.save_draft(agent, "NEW", "x", counter=number)
    with pytest.raises(InvalidPromptError, match="is no number of a version, or of a draft"):
        await ana.save_draft(agent, "NEW", "x", base_version=number)
    with pytest.raises(PromptNotFoundError, match="There is no request"):
        await ana.approve(number)
