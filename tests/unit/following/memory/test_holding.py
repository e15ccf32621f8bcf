"""What a process has of a database, as agents are read, renamed, dropped and declared."""

from __future__ import annotations

from itertools import permutations

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import Source
from automagik_prompts.domain.summaries import AgentState
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.following.memory.holding import Holding
from automagik_prompts.following.memory.packing import hash_of, pack

BAD = "{{#if never closed"


def state(number: int, name: str, text: str | None, *, version: int = 1, format: str = "handlebars") -> AgentState:
    """Return an agent as it is read, with one active version or none."""
    info = AgentInfo(number, name, active_default_prompt_id=number * 100 + version, revision=version)
    if text is None:
        return AgentState(info)
    one = ActiveVersion(name, number * 100 + version, "default", version, text, format, hash_of(text))
    return AgentState(info, (one,))


def served(holding: Holding) -> dict[str, str]:
    """Return what is served, by name."""
    snapshot = holding.snapshot(1.0)
    return {one.name: snapshot.select(one.name, None).prompt.text for one in snapshot.each() if one.chosen}


def problems(holding: Holding) -> list[tuple[str, int]]:
    """Return the versions that cannot be served, by agent and number."""
    return [(one.agent, one.prompt.version) for one in holding.snapshot(1.0).problems]


@pytest.fixture
def holding(registry: Registry) -> Holding:
    """What a process has that has read nothing yet."""
    return Holding(registry, None)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_renamed_agent_is_served_under_its_new_name(holding: Holding, at_once: bool) -> None:
    """Its former name is gone, and on disk too."""
    holding.take([state(1, "old", "text")])
    holding.unsaved.clear()
    holding.take([state(1, "new", "text")], at_once=at_once)
    assert served(holding) == {"new": "text"}
    assert holding.unsaved == {"old": None, "new": pack(state(1, "new", "text"))}
    assert holding.ids.get(1) == "new"
    with pytest.raises(NoActivePromptError):
        holding.snapshot(1.0).select("old", None)


@pytest.mark.parametrize("sizes", [(3,), (1, 2), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize("names", list(permutations("abcd", 3)), ids="".join)
def test_agents_that_exchange_their_names(holding: Holding, names: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    """Whatever names agents take over from each other, however they are read, each has its own in the end."""
    holding.take([state(number, name, f"text {number}") for number, name in enumerate("abc", 1)])
    states = iter([state(number, name, f"text {number}") for number, name in enumerate(names, 1)])
    for size in sizes:
        holding.take([next(states) for _ in range(size)])
    assert served(holding) == {name: f"text {number}" for number, name in enumerate(names, 1)}
    assert [holding.ids.get(number) for number in (1, 2, 3)] == list(names)
    saved = {name: packed[0] for name, packed in holding.unsaved.items() if packed is not None}
    assert saved == {name: number for number, name in enumerate(names, 1)}


@pytest.mark.parametrize("dropped_first", [True, False])
def test_an_agent_that_was_made_anew_under_its_name(holding: Holding, dropped_first: bool) -> None:
    """It has another id, and what becomes of the old one does not matter to it."""
    holding.take([state(1, "a", "text")])
    if dropped_first:
        holding.drop([1])
        assert served(holding) == {}
    holding.take([state(9, "a", "another")])
    holding.drop([1])
    assert served(holding) == {"a": "another"}
    assert list(holding.ids.between(0, None)) == [(9, "a")]
    assert holding.unsaved == {"a": pack(state(9, "a", "another"))}


def test_the_last_good_version_stands_in(holding: Holding) -> None:
    """A version that cannot be served leaves the one before in its place, and is told, until it is mended."""
    holding.take([state(1, "a", "good")])
    holding.take([state(1, "a", BAD, version=2)])
    assert (served(holding), problems(holding)) == ({"a": "good"}, [("a", 2)])
    holding.take([state(1, "a", f"{BAD}, too", version=3)])
    assert (served(holding), problems(holding)) == ({"a": "good"}, [("a", 3)])
    holding.take([state(1, "a", "mended", version=4)])
    assert (served(holding), problems(holding)) == ({"a": "mended"}, [])
    holding.take([state(1, "a", BAD, version=5)])
    assert (served(holding), problems(holding)) == ({"a": "mended"}, [("a", 5)])
    holding.drop([1])
    assert (served(holding), problems(holding)) == ({}, [])


def test_a_version_that_is_active_no_more_does_not_stand_in(holding: Holding) -> None:
    """Deactivated by a person, it is not served, and a bad one after it has nothing in its place."""
    holding.take([state(1, "a", "good")])
    holding.take([state(1, "a", None, version=2)])
    assert served(holding) == {}
    holding.take([state(1, "a", BAD, version=3)])
    assert (served(holding), problems(holding)) == ({}, [("a", 3)])


def test_a_format_that_was_changed_in_place_is_told_and_a_restored_version_is_not_one(holding: Holding) -> None:
    """The same text under the same number in another format is refused; another text under it is another version."""
    holding.take([state(1, "a", "{{name}}", format="text")])
    assert served(holding) == {"a": "{{name}}"}
    holding.take([state(1, "a", "{{name}}", format="handlebars")])
    assert (served(holding), problems(holding)) == ({"a": "{{name}}"}, [("a", 1)])
    assert holding.snapshot(1.0).select("a", None).prompt.format == "text"
    holding.take([state(1, "a", "Restored, {{name}}.", format="handlebars")])
    assert (served(holding), problems(holding)) == ({"a": "Restored, {{name}}."}, [])


@pytest.mark.parametrize("is_asked", [True, False])
def test_what_nobody_has_asked_for_is_tried_later(holding: Holding, is_asked: bool) -> None:
    """A page of agents is not compiled at once; a bad version in it is found all the same, also if a run was first."""
    holding.take([state(1, "a", "good"), state(2, "b", BAD)], at_once=False)
    assert problems(holding) == []
    if is_asked:
        assert served(holding) == {"a": "good"}
    assert holding.has_untried
    assert holding.try_some(60)
    assert (holding.has_untried, problems(holding)) == (False, [("b", 1)])
    assert not holding.try_some(60)


def test_what_is_on_disk_is_compared_and_tried(holding: Holding) -> None:
    """What was adopted is served, is not written again unless it differs, and its bad versions are found."""
    holding.adopt([pack(state(1, "a", "good")), pack(state(2, "b", BAD))])
    assert (served(holding), holding.unsaved) == ({"a": "good"}, {})
    assert holding.try_some(60)
    assert problems(holding) == [("b", 1)]
    holding.take([state(1, "a", "good"), state(2, "b", "mended", version=2)])
    assert holding.unsaved == {"b": pack(state(2, "b", "mended", version=2))}
    assert (served(holding), problems(holding)) == ({"a": "good", "b": "mended"}, [])


def test_declarations_that_come_later(registry: Registry, holding: Holding) -> None:
    """An agent that code declares after it was read has the code's names and texts, and its database's versions."""
    holding.take([state(1, "a", "Hello {{name}}"), state(2, "b", "From the database")], at_once=False)
    assert problems(holding) == []
    registry.declare("a", {"default": "from code"}, where="here")
    registry.declare("c", {"default": "only code"}, where="here")
    # What the code does not expose cannot be served: its own text is.
    assert served(holding) == {"a": "from code", "b": "From the database", "c": "only code"}
    assert problems(holding) == [("a", 1)]
    holding.drop([1, 2])
    assert served(holding) == {"a": "from code", "c": "only code"}
    assert holding.snapshot(1.0).select("a", None).prompt.source is Source.CODE
    holding.take([state(7, "c", "From the database, too")])
    assert served(holding)["c"] == "From the database, too"


def test_a_snapshot_is_a_new_one_only_after_a_change(registry: Registry, holding: Holding) -> None:
    """Nothing new gives the same snapshot, and an older one never changes."""
    first = holding.snapshot(1.0)
    assert holding.snapshot(2.0) is first
    holding.take([state(1, "a", "text")])
    second = holding.snapshot(3.0)
    holding.take([state(1, "a", "text")])
    assert holding.snapshot(4.0) is second
    holding.drop([1, 5])
    assert [list(each.agents) for each in (first, second, holding.snapshot(5.0))] == [[], ["a"], []]
    registry.declare("a", {"default": "from code"}, where="here")
    assert list(holding.snapshot(6.0).agents) == ["a"]
    assert not holding.snapshot(None).is_loaded


def test_a_part_has_the_agents_that_are_asked_for(registry: Registry, holding: Holding) -> None:
    """While others are still being compared with the database, those that were read are served."""
    registry.declare("a", {"default": "from code"}, where="here")
    registry.declare("b", {"default": "from code, too"}, where="here")
    holding.adopt([pack(state(2, "b", "from disk")), pack(state(3, "c", "from disk"))])
    holding.take([state(1, "a", "from the database")])
    part = holding.part(["a", "nobody"])
    assert list(part.agents) == ["a"]
    assert part.select("a", None).prompt.text == "from the database"
    assert part.select("b", None).prompt.text == "from code, too"
    assert not part.is_loaded


def test_a_forked_child_goes_on_with_what_its_parent_had(registry: Registry, holding: Holding) -> None:
    """It knows the agents by their ids and what cannot be served, and drops what is gone."""
    holding.take([state(1, "a", "good"), state(2, "b", BAD)])
    child = Holding(registry, holding.snapshot(1.0))
    assert (served(child), problems(child)) == ({"a": "good"}, [("b", 1)])
    child.take([state(2, "c", "good, too", version=2)])
    child.drop([1])
    assert (served(child), problems(child)) == ({"c": "good, too"}, [])
    assert served(holding) == {"a": "good"}
