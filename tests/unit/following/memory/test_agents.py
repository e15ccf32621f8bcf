"""Agents by name and by id, against plain dictionaries that are told the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import Source
from automagik_prompts.domain.summaries import AgentState
from automagik_prompts.following.memory.agents import AgentIds, AgentMap, Entry
from automagik_prompts.following.memory.choosing import AgentTexts
from automagik_prompts.following.memory.compiling import compile_agent
from automagik_prompts.following.memory.packing import Packed, pack
from automagik_prompts.following.memory.snapshot import Snapshot

NAMES = st.sampled_from([*"abcdef", "", "ü", "\ud800"]) | st.text(max_size=3)
TEXTS = st.sampled_from([None, "good", "also good", "{{#if bad}}"])
CHANGES = st.dictionaries(NAMES, st.none() | st.tuples(st.integers(1, 9), TEXTS), max_size=6)
IDS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 9)


def agent(name: str, number: int, text: str | None) -> Packed:
    """Return an agent with one version, or with none."""
    active = (ActiveVersion(name, number, "default", 1, text, "handlebars"),) if text is not None else ()
    return pack(AgentState(AgentInfo(number, name), active))


def compiled(packed: Packed) -> AgentTexts:
    """Return an agent with its texts compiled."""
    return compile_agent(packed[1], None, packed, Source.DATABASE)


@given(st.lists(CHANGES, max_size=8))
def test_it_is_what_a_dictionary_is_and_older_ones_stay(steps: list[dict[str, Any]]) -> None:
    """After each change it has what a dictionary has, and whoever holds an older one sees no difference."""
    model: dict[str, Entry] = {}
    known = [(AgentMap(), dict(model))]
    for step in steps:
        changes = {name: agent(name, *facts) if facts else None for name, facts in step.items()}
        for name, entry in changes.items():
            model.pop(name, None)
            if entry is not None:
                model[name] = entry
        known.append((known[-1][0].updated(changes), dict(model)))
    for agents, expected in known:
        assert sorted(agents) == sorted(expected)
        assert len(agents) == len(expected)
        assert {name: agents.get(name) for name in agents} == expected
        assert agents.with_texts == sum(len(entry) > 6 for entry in expected.values() if isinstance(entry, tuple))


@given(CHANGES, CHANGES)
def test_what_differs_is_found(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Every name is yielded whose agent is another one, once, and none whose agent is the same."""
    one = AgentMap().updated({name: agent(name, *facts) for name, facts in before.items() if facts})
    two = one.updated({name: agent(name, *facts) if facts else None for name, facts in after.items()})
    expected = sorted(name for name in {*one, *two} if one.get(name) is not two.get(name))
    assert sorted(two.differing(one)) == sorted(one.differing(two)) == expected
    assert list(two.differing(two)) == []


def test_what_is_compiled_is_kept_for_all_that_share_it() -> None:
    """A compiled agent takes the place of the one that was read, unless that was replaced meanwhile."""
    first, second = agent("a", 1, "first"), agent("a", 1, "second")
    old = AgentMap().updated({"a": first, "b": agent("b", 2, "other")})
    shared = old.updated({})
    new = old.updated({"a": second})
    texts = compiled(first)
    new.keep("a", first, texts)
    assert new.get("a") is second
    old.keep("a", first, texts)
    assert old.get("a") is shared.get("a") is texts
    assert new.get("a") is second


@given(st.lists(st.tuples(st.sampled_from("abc"), TEXTS, st.booleans()), max_size=12))
@settings(deadline=None)
def test_agents_with_texts_are_counted_whoever_asks_for_them(steps: list[tuple[str, str | None, bool]]) -> None:
    """The count is that of a mapping made at once of the same, whichever agents were compiled on the way."""
    agents, last = AgentMap(), dict[str, Packed]()
    for name, text, is_asked in steps:
        last[name] = agent(name, 1, text)
        agents = agents.updated({name: last[name]})
        if is_asked:
            Snapshot(Registry(), agents).agent(name)
    assert agents.with_texts == AgentMap().updated(last).with_texts
    assert agents.updated(dict.fromkeys(last)).with_texts == 0


@given(st.lists(st.tuples(st.sampled_from(["put", "remove"]), IDS, NAMES), max_size=30), IDS, st.none() | IDS)
def test_names_by_id_are_what_a_dictionary_has(steps: list[tuple[str, int, str]], after: int, last: int | None) -> None:
    """It finds what a dictionary finds, and a range of ids in their order."""
    ids, model = AgentIds(), dict[int, str]()
    for verb, number, name in steps:
        if verb == "put":
            ids.put(number, name)
            model[number] = name
        else:
            ids.remove(number)
            model.pop(number, None)
    for number in (*model, after):
        assert ids.get(number) == model.get(number)
    expected = [
        (number, model[number]) for number in sorted(model) if after < number <= (2**63 if last is None else last)
    ]
    assert list(ids.between(after, last)) == expected
