"""Random programs with random values: no exception but ours, no run over its budget, nothing that was not exposed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automagik_prompts.domain.served import Gap, Limits, MissingMode
from automagik_prompts.domain.validation import Format
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating import engine
from automagik_prompts.templating.access import ABSENT, get
from automagik_prompts.templating.content import PromptContent
from automagik_prompts.templating.lint import lint
from automagik_prompts.templating.template import Template

WORD = "hunter2"
EXPOSED = ["name", "items[].price", "orders.*", "vip?", "n"]
LIMITS = Limits(value_length=500, items=30, units=2_000)

paths = st.sampled_from(
    [
        *("name", "n", "vip", "items", "items.0.price", "items.length", "orders", "orders.0", "orders.rows", "this"),
        *("this.price", "price", "../name", "../../items", "@index", "@key", "@root.name", "@root.api_key", "@first"),
        *("api_key", "orders.owner", "orders.owner.api_key", "orders.__class__", "items.0.api_key", "[api_key]", "x y"),
    ]
)
numbers = st.sampled_from(["0", "-1", "1e999", "²", "-²", "9" * 5000, "0x10", "1_000", "٣", "-0", "00", ".5", "NaN"])
strings = st.sampled_from(['"x"', "'y'", '"{{name}}"', '""', '"é\u202e"', "true", "null", "undefined"])
helpers = st.sampled_from(
    [
        *(
            "uppercase",
            "lowercase",
            "trim",
            "truncate",
            "join",
            "json",
            "default",
            "and",
            "or",
            "not",
            "eq",
            "gt",
            "lte",
        ),
        *("lookup", "log", "each", "shout"),
    ]
)
expressions = st.recursive(
    st.one_of(paths, numbers, strings),
    lambda inner: st.builds("({} {})".format, helpers, st.lists(inner, max_size=3).map(" ".join)),
    max_leaves=12,
)
tags = st.one_of(
    st.builds("{{{{{}}}}}".format, expressions),
    st.builds("{{{{{} {}}}}}".format, helpers, st.lists(expressions, max_size=3).map(" ".join)),
    st.sampled_from(
        ["{{", "}}", "{{{name}}}", "{{! c }}", "{{else}}", "\\{{name}}", "{name}", "${{ x }}", "{{> p}}", "{"]
    ),
)
words = st.one_of(st.text(max_size=8), st.just("\u200b"), st.just("\n"))
programs = st.recursive(
    st.lists(st.one_of(tags, words), max_size=4).map("".join),
    lambda inner: st.one_of(
        st.builds(
            "{{{{#{0} {1}}}}}{2}{{{{else}}}}{3}{{{{/{0}}}}}".format,
            st.sampled_from(["if", "each", "with", "unless", "orders"]),
            expressions,
            inner,
            inner,
        ),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=8,
)


# Programs that are mostly accepted, as random ones mostly are not.
sound_values = st.recursive(
    st.sampled_from(["name", "n", "orders", "orders.rows", "orders.0.name", "items.0.price", '"x"', "7", "true"]),
    lambda inner: st.one_of(
        st.builds("({} {})".format, st.sampled_from(["uppercase", "lowercase", "trim", "json", "not"]), inner),
        st.builds(
            "({} {} {})".format, st.sampled_from(["truncate", "join", "default", "eq", "gt", "and"]), inner, inner
        ),
    ),
    max_leaves=6,
)
sound_tags = st.one_of(
    st.sampled_from(["{{name}} ", "{{n}}", "{{orders}}", "{{orders.owner.name}}", "text ", "\n", "{{agent_name}}"]),
    st.builds("{{{{{} {}}}}}".format, st.sampled_from(["uppercase", "json", "trim", "join"]), sound_values),
    st.builds("{{{{truncate {} {}}}}}".format, sound_values, sound_values),
)
sound = st.recursive(
    st.lists(sound_tags, min_size=1, max_size=4).map("".join),
    lambda inner: st.one_of(
        st.builds("{{{{#if vip}}}}{}{{{{else}}}}{}{{{{/if}}}}".format, inner, inner),
        st.builds("{{{{#each items}}}}{{{{price}}}}{{{{@index}}}}{}{{{{/each}}}}".format, st.just("{{../name}}")),
        st.builds(
            "{{{{#each {}}}}}{{{{this}}}}{}{{{{/each}}}}".format, st.sampled_from(["orders", "@root.orders"]), inner
        ),
        st.builds("{{{{#with @root}}}}{}{{{{/with}}}}{}".format, inner, inner),
    ),
    max_leaves=8,
)


class Owner:
    """An object with a secret that nobody exposed, and one that is in reach by no name."""

    def __init__(self) -> None:
        self.name = "Ada"
        self._key = WORD

    @property
    def broken(self) -> str:
        """Raise, as a property of an application may."""
        raise RuntimeError(WORD)

    def __repr__(self) -> str:
        return WORD


plain = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(max_size=20)),
    *(st.just("x" * 600), st.just("\ud800"), st.just(Decimal("1E+500")), st.just(b"bytes"), st.builds(Owner)),
    st.just(ABSENT),
)
data: st.SearchStrategy[Any] = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=40),
        st.dictionaries(st.sampled_from(["price", "name", "rows", "0", "owner"]), inner, max_size=4),
        st.tuples(inner, inner),
    ),
    max_leaves=20,
)
deps = st.fixed_dictionaries({"name": data, "n": plain, "vip": data, "items": data, "orders": data}).map(
    lambda found: {**found, "api_key": WORD}
)


@pytest.fixture(autouse=True, scope="module")
def no_more_rounds_than_units() -> Any:
    """The engine enters no more blocks than were counted before it began."""
    patch = pytest.MonkeyPatch()
    patch.setattr(engine, "MAX_BLOCKS", LIMITS.units + 1)
    yield
    patch.undo()


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(
    st.one_of(programs, sound),
    deps,
    st.sampled_from(["handlebars", "simple", "text"]),
    st.sampled_from(["marker", "empty", "error"]),
)
def test_random_programs(text: str, values: dict[str, Any], format: Format, missing: MissingMode) -> None:
    """What is written is refused by name or served; what is served is filled or fails by name, and shows no secret."""
    list(lint(text, format, EXPOSED))
    said: list[str] = []
    try:
        template = PromptContent(text, format).validate(EXPOSED)
    except InvalidPromptError as error:
        said.append(error.message)
    else:
        said += [filled(template, values, missing, lenient=lenient) for lenient in (False, True)]
    for words in said:
        assert WORD not in words
        assert "go round more" not in words
        words.encode()
        json.dumps(words).encode()


def filled(template: Template, values: dict[str, Any], missing: MissingMode, *, lenient: bool) -> str:
    """Return what comes out, or what the error says."""
    gaps: list[Gap] = []
    try:
        return template.render(
            lambda name: get(values, name), missing=missing, gaps=gaps, limits=LIMITS, lenient=lenient
        )
    except RenderError as error:
        return error.message


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.one_of(programs, sound), deps)
def test_an_agent_that_code_does_not_declare(text: str, values: dict[str, Any]) -> None:
    """Whatever the text names, a run reaches what its capability exposes and nothing else."""
    try:
        template = PromptContent(text, "handlebars").validate()
    except InvalidPromptError:
        return
    assert WORD not in filled(template.restricted(EXPOSED), values, "marker", lenient=True)
