"""What differs between two snapshots."""

from __future__ import annotations

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.following.builder import build_snapshot
from automagik_prompts.following.changes import changes_between


def test_a_status_that_comes_and_one_that_goes(registry: Registry) -> None:
    """Where one side serves nothing, the other side is the change, in both directions."""
    empty = build_snapshot(registry, (), (), loaded_at=1.0)
    one = build_snapshot(registry, [AgentInfo(1, "a")], [ActiveVersion("a", 1, "A", 1, "text", "text")], loaded_at=2.0)
    came = [(change.status_key, change.before, change.after) for change in changes_between(empty, one)]
    went = [(change.status_key, change.before, change.after) for change in changes_between(one, empty)]
    served = one.select("a", "A").prompt
    assert ("A", None, served) in came
    assert ("A", served, None) in went
    assert changes_between(one, one) == changes_between(empty, empty) == ()


def test_the_same_text_before_and_after_it_has_a_version(registry: Registry) -> None:
    """The code's text and its first version are the same thing; another version with the same text is another one."""
    registry.declare("a", {"default": "text"}, where="here")
    code = build_snapshot(registry, (), (), loaded_at=1.0)
    first, second = (
        build_snapshot(
            registry,
            [AgentInfo(1, "a")],
            [ActiveVersion("a", number, "default", number, "text", "handlebars")],
            loaded_at=2.0,
        )
        for number in (1, 2)
    )
    assert changes_between(code, first) == ()
    assert [(change.before, change.after) for change in changes_between(first, second)] == [
        (first.select("a", None).prompt, second.select("a", None).prompt)
    ]
