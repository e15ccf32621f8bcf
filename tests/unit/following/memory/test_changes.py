"""What differs between two snapshots."""

from __future__ import annotations

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import PromptChange
from automagik_prompts.following.memory.builder import build_snapshot
from automagik_prompts.following.memory.changes import changes_between
from automagik_prompts.following.memory.snapshot import Snapshot


def version(agent: str, status_key: str, number: int, text: str, *, format: str = "handlebars") -> ActiveVersion:
    """Return an active version as the database would give it."""
    return ActiveVersion(agent, number * 100 + len(status_key), status_key, number, text, format)


def build(registry: Registry, *active: ActiveVersion) -> Snapshot:
    """Return the snapshot for active versions."""
    agents = [AgentInfo(number, name) for number, name in enumerate(sorted({item.agent for item in active}), 1)]
    return build_snapshot(registry, agents, active, loaded_at=1.0)


@pytest.fixture
def stan(registry: Registry) -> Registry:
    """An agent with a primary status and another one."""
    registry.declare("stan", {"NEW": "code new", "OK": "code ok"}, where="x", primary="NEW")
    return registry


def test_a_status_that_came_or_went_is_a_change(registry: Registry) -> None:
    """Where one side has no selection, that side is told as nothing; what is the same on both sides is not told."""
    here, gone = version("ben", "OK", 1, "kept"), version("ada", "OLD", 3, "gone")
    come = version("cleo", "NEW", 1, "new")
    before, after = build(registry, here, gone), build(registry, here, come)
    nothing = build(registry)
    found = changes_between(before, after)
    assert found == (
        PromptChange("ada", "OLD", before.select("ada", "OLD").prompt, None),
        PromptChange("cleo", "NEW", None, after.select("cleo", "NEW").prompt),
    )
    assert [(change.before is None, change.after is None) for change in found] == [(False, True), (True, False)]
    assert [(item.agent, item.after) for item in changes_between(after, nothing)] == [("ben", None), ("cleo", None)]
    assert [(item.agent, item.before) for item in changes_between(nothing, before)] == [("ada", None), ("ben", None)]
    assert changes_between(before, before) == changes_between(nothing, build(registry)) == ()


@pytest.mark.parametrize(
    ("first", "second", "is_change"),
    [
        (version("stan", "OK", 1, "one"), version("stan", "OK", 2, "one"), True),
        (version("stan", "OK", 1, "one"), version("stan", "OK", 1, "two"), True),
        (version("stan", "OK", 1, "one"), version("stan", "OK", 1, "one", format="text"), True),
        (version("stan", "OK", 1, "one"), version("stan", "OK", 1, "one"), False),
        (None, version("stan", "OK", 1, "code ok"), False),
        (version("stan", "OK", 1, "code ok"), None, False),
        (None, version("stan", "OK", 1, "another"), True),
        (None, version("stan", "OK", 1, "code ok", format="text"), True),
        (version("stan", "NEW", 1, "code ok"), None, True),
    ],
)
def test_what_is_another_text(
    stan: Registry, first: ActiveVersion | None, second: ActiveVersion | None, is_change: bool
) -> None:
    """Another version, text or format is a change; the code's text that only got its version is none."""
    before, after = (build(stan, *([item] if item is not None else [])) for item in (first, second))
    assert bool(changes_between(before, after)) is is_change


def test_the_same_text_of_another_status_is_a_change(stan: Registry) -> None:
    """Where another status stood in with the same words and number, whoever follows is told that it does no more."""
    primary = version("stan", "NEW", 1, "same")
    (change,) = changes_between(build(stan, primary), build(stan, primary, version("stan", "OK", 1, "same")))
    assert change.before is not None
    assert change.after is not None
    assert (change.status_key, change.before.status_key, change.after.status_key) == ("OK", "NEW", "OK")
