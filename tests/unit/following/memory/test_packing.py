"""An agent in one tuple: what goes in comes out, and what is not the same is told apart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.summaries import AgentState
from automagik_prompts.following.memory.packing import (
    from_list,
    hash_of,
    is_head,
    is_same,
    listed,
    pack,
    texts_of,
    unpack,
)

TEXT = st.text(max_size=20)
NUMBER = st.integers(-(2**31), 2**31)

VERSIONS = st.lists(
    st.builds(
        lambda number, key, version, text, read_as, digest: ActiveVersion(
            "?", number, key, version, text, read_as, hash_of(text) if digest is None else digest
        ),
        NUMBER,
        TEXT,
        NUMBER,
        TEXT,
        st.sampled_from(["handlebars", "text", "", "mustache"]),
        st.none() | st.sampled_from(["", "0" * 64, "wrong"]),
    ),
    max_size=4,
)
AGENTS = st.builds(
    AgentInfo,
    id=NUMBER,
    name=TEXT,
    default_status_key=TEXT,
    active_default_prompt_id=st.none() | NUMBER,
    variables=st.lists(TEXT, max_size=3).map(tuple),
    revision=NUMBER,
)
STATES = st.builds(
    lambda info, versions: AgentState(info, tuple(replace(one, agent=info.name) for one in versions)), AGENTS, VERSIONS
)

STATE = AgentState(
    AgentInfo(1, "a", "NEW", 11, ("name",), 5),
    (
        ActiveVersion("a", 11, "NEW", 3, "a text", "handlebars", hash_of("a text")),
        ActiveVersion("a", 12, "OLD", 4, "another", "text", ""),
    ),
)
FIRST, SECOND = STATE.active
DIFFERENT = {
    "id": replace(STATE, info=replace(STATE.info, id=2)),
    "name": replace(STATE, info=replace(STATE.info, name="b")),
    "primary": replace(STATE, info=replace(STATE.info, default_status_key="OLD")),
    "active": replace(STATE, info=replace(STATE.info, active_default_prompt_id=12)),
    "no active": replace(STATE, info=replace(STATE.info, active_default_prompt_id=None)),
    "variables": replace(STATE, info=replace(STATE.info, variables=())),
    "revision": replace(STATE, info=replace(STATE.info, revision=4)),
    "none": replace(STATE, active=()),
    "fewer": replace(STATE, active=(FIRST,)),
    "more": replace(STATE, active=(FIRST, SECOND, replace(SECOND, prompt_id=13, status_key="X"))),
    "exchanged": replace(STATE, active=(SECOND, FIRST)),
    "version's id": replace(STATE, active=(replace(FIRST, prompt_id=13), SECOND)),
    "status": replace(STATE, active=(replace(FIRST, status_key="X"), SECOND)),
    "number": replace(STATE, active=(replace(FIRST, version=9), SECOND)),
    "format": replace(STATE, active=(FIRST, replace(SECOND, format="handlebars"))),
    "hash": replace(STATE, active=(replace(FIRST, content_hash="0" * 64), SECOND)),
    "no hash": replace(STATE, active=(replace(FIRST, content_hash=""), SECOND)),
    "a hash where there was none": replace(STATE, active=(FIRST, replace(SECOND, content_hash=hash_of("another")))),
}
TEXT_ALONE = {
    "text": replace(STATE, active=(replace(FIRST, prompt_text="changed in place"), SECOND)),
    "text without a hash": replace(STATE, active=(FIRST, replace(SECOND, prompt_text="changed in place"))),
    "no text": replace(STATE, active=(replace(FIRST, prompt_text=""), SECOND)),
}


def without_texts(state: AgentState) -> AgentState:
    """Return an agent as it is read without its texts."""
    return replace(state, active=tuple(replace(one, prompt_text="") for one in state.active))


def with_hashes(state: AgentState) -> AgentState:
    """Return an agent as it is read with the hashes of its texts in their place."""
    return replace(state, active=tuple(replace(one, prompt_text=hash_of(one.prompt_text)) for one in state.active))


@given(STATES)
@example(AgentState(AgentInfo(1, "\ud800"), (ActiveVersion("\ud800", 1, "\udc80", 1, "\udcff", "text", ""),)))
def test_what_is_packed_is_unpacked(state: AgentState) -> None:
    """Whatever a database may hold comes out as it went in, also by way of JSON, and is the same as itself."""
    packed = pack(state)
    assert unpack(packed) == state
    assert unpack(from_list(json.loads(json.dumps(listed(packed))))) == state
    assert list(texts_of(packed)) == [(one.status_key, one.prompt_text) for one in state.active]
    assert is_head(packed, without_texts(state))
    assert is_same(packed, state)
    assert is_same(packed, with_hashes(state))


@given(STATES, STATES)
def test_only_the_same_are_the_same(one: AgentState, other: AgentState) -> None:
    """Two agents are the same if all that is known of them is."""
    assert is_same(pack(one), other) == is_same(pack(one), with_hashes(other)) == (one == other)
    assert is_head(pack(one), without_texts(other)) == (without_texts(one) == without_texts(other))


@pytest.mark.parametrize("what", DIFFERENT)
def test_each_value_is_compared(what: str) -> None:
    """One value that differs is enough, with texts, with their hashes, and without them."""
    packed, other = pack(STATE), DIFFERENT[what]
    assert not is_head(packed, without_texts(other))
    assert not is_same(packed, other)
    assert not is_same(packed, with_hashes(other))


@pytest.mark.parametrize("what", TEXT_ALONE)
def test_a_text_under_its_old_hash_is_told_apart(what: str) -> None:
    """What was changed in place differs once the text itself is compared."""
    packed, other = pack(STATE), TEXT_ALONE[what]
    assert is_head(packed, without_texts(other))
    assert not is_same(packed, other)
    assert not is_same(packed, with_hashes(other))


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1, "a", "NEW", None, []],
        [1, "a", None, None, [], 0],
        [1, "a", "NEW", None, None, 0],
        [1, "a", "NEW", None, [], 0, 11, "NEW", 3, "text"],
        [1, "a", "NEW", None, [], 0, 11, None, 3, "text", "text", None],
    ],
)
def test_what_is_no_agent_is_refused(values: list[object]) -> None:
    """A line that somebody else wrote is an error that its reader expects, and no agent."""
    with pytest.raises((ValueError, TypeError)):
        from_list(values)
