"""The short way to fill a text: what it fills is what the long way fills, and what it cannot fill it leaves alone."""

from __future__ import annotations

from collections import UserDict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automagik_prompts.domain.served import DEFAULT_LIMITS, Limits
from automagik_prompts.templating.access import get
from automagik_prompts.templating.compiling import compile_template

NAMES = ["name", "city", "first-name", "missing"]
PIECES = st.sampled_from(
    ["Hello ", "{{name}}", "{{ city }}", "{{first-name}}", "{{missing}}", "\\{{name}}", ".\n", "é"]
)
VALUES = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.lists(st.text(max_size=2), max_size=2))


class Shouting(str):
    """A string of a class of its own."""

    __slots__ = ()


@dataclass
class Deps:
    """What an application passes."""

    name: Any = "Ada"
    city: Any = "Oslo"
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def broken(self) -> str:
        """Raise, as a property that loads something may."""
        raise LookupError("no connection")


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=6), VALUES, VALUES, st.booleans())
def test_it_fills_what_the_long_way_fills(pieces: list[str], name: Any, city: Any, as_dict: bool) -> None:
    """Whatever the text and the values are, both ways fill the same, or the short one does not fill it."""
    template = compile_template("".join(pieces), "handlebars")
    deps: Any = {"name": name, "city": city} if as_dict else Deps(name, city)
    text = template.joined(deps, DEFAULT_LIMITS)
    assert text is None or text == template.render(lambda wanted: get(deps, wanted))
    if name == city == "Oslo" and {"{{missing}}", "{{first-name}}", "\\{{name}}", "é"}.isdisjoint(pieces):
        assert text is not None


@pytest.mark.parametrize(
    ("text", "deps"),
    [
        ("Hello {{name}}.", Deps("Zoë")),
        ("Hello {{name}}.", Deps(Shouting("Ada"))),
        ("Hello {{name}}.", Deps(7)),
        ("Hello {{name}}.", None),
        ("Hello {{name}}.", UserDict({"name": "Ada"})),
        ("Hello {{broken}}.", Deps()),
        ("Hello {{missing}}.", Deps()),
        ("Hello {{agent_name}}.", Deps()),
        ("Hello {{run_id}}.", {"run_id": "x"}),
        ("Hello {{#if name}}you{{/if}}.", Deps()),
        ("Hello {{more.name}}.", Deps()),
        ("Hello {{name}}.", Deps("x" * 100)),
    ],
)
def test_what_it_leaves_alone(text: str, deps: Any) -> None:
    """What takes more than plain short attributes is left to the long way."""
    assert compile_template(text, "handlebars").joined(deps, Limits(50, 10)) is None


def test_what_may_not_be_reached() -> None:
    """What an agent's code does not expose is not reached by the short way either."""
    template = compile_template("Hello {{name}} of {{city}}.", "handlebars")
    assert template.joined(Deps(), DEFAULT_LIMITS) == "Hello Ada of Oslo."
    assert template.restricted({"name"}).joined(Deps(), DEFAULT_LIMITS) is None
    assert compile_template("Hello {{name}}.", "simple").restricted({"name"}).joined(Deps(), DEFAULT_LIMITS) is None
