"""Texts whose tags only name variables are filled without the engine; nobody may see the difference."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automagik_prompts.domain.served import MissingMode
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating import compiling as templates
from automagik_prompts.templating import engine
from automagik_prompts.templating.access import ABSENT
from automagik_prompts.templating.compiling import compile_template
from automagik_prompts.templating.template import Template


class Level(StrEnum):
    """A status as an enum member."""

    GOLD = "gold"


class Contact:
    """An object without a text of its own."""


_PIECES = [
    *["{{name}}", "{{ other }}", "{{\tname\t}}", "{{first-name}}", "{{größe}}", "{{n2}}", "{{agent_name}}"],
    *["{{{name}}}", "{{&name}}", "{{~name}}", "{{name~}}", "\\{{name}}", "\\\\{{name}}", "{{a.b}}", "{{this}}"],
    *["{{else}}", "{{true}}", "{{null}}", "{{undefined}}", "{{lookup}}", "{{2}}", "{{_x}}", "{{as}}", "{{each}}"],
    *["{{! note }}", "{{#if name}}yes{{/if}}", "{{lowercase name}}", "{{", "}}", "{", "}", "\\", " ", "\n", "\r\n"],
    *[
        "{{name }",
        "{name}",
        "{{ name\n}}",
        "a",
        "}}}",
        "{{{{raw}}}}",
        "{{{{/raw}}}}",
        "ÄÖ",
        "\N{MAN}\u200d",
        "{{@root}}",
    ],
]
_VALUES: dict[str, object] = {
    "name": "Ada",
    "first-name": "{{other}} \\{{name}}",
    "größe": Decimal("1.10"),
    "n2": 3.0,
    "agent_name": Level.GOLD,
    "raw": True,
    "a": {"b": "c"},
}


def _outcome(template: Template, missing: MissingMode) -> str:
    try:
        return template.render(lambda name: _VALUES.get(name, ABSENT), missing=missing)
    except RenderError as error:
        return f"error: {error}"


@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join), st.sampled_from(["marker", "empty", "error"]))
def test_a_split_text_is_filled_as_the_engine_fills_it(text: str, missing: MissingMode) -> None:
    """Whatever a text looks like, taking it apart finds the same variables and gives the same text as the engine."""
    split = templates._split(text)
    if split is None or "{{" not in text:
        return
    parsed = templates._compile(text)
    assert split.variables == parsed.variables
    assert _outcome(split, missing) == _outcome(parsed, missing)


@pytest.mark.parametrize("text", [f"Dear {piece}!" for piece in _PIECES[:7]])
def test_a_text_that_only_names_variables_does_not_need_the_engine(text: str) -> None:
    """The usual tags are taken apart, so that the test above tests something."""
    assert templates._split(text) is not None


@pytest.mark.parametrize("text", [f"Dear {piece}!" for piece in _PIECES[7:16]])
def test_anything_else_goes_to_the_engine(text: str) -> None:
    """Escapes, third braces, whitespace control, paths and the engine's own words are the engine's."""
    assert templates._split(text) is None


def test_an_object_without_a_text_of_its_own_is_missing() -> None:
    """An object's repr reaches no model, on the short way neither."""
    template = compile_template("Dear {{name}}!", "handlebars")
    assert template.render(lambda _name: Contact()) == "Dear [name is no text]!"


def test_a_variable_is_read_once_however_often_it_is_named() -> None:
    """A host's property may be slow, or another one each time."""
    asked: list[str] = []

    def lookup(name: str) -> str:
        asked.append(name)
        return name.upper()

    template = compile_template("{{name}} {{name}} {{other}}", "handlebars")
    assert template.render(lookup) == "NAME NAME OTHER"
    assert asked == ["name", "other"]


def test_what_comes_out_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that would make the text too long is refused as the engine refuses it."""
    monkeypatch.setattr(engine, "MAX_OUTPUT_LENGTH", 10)
    text = "{{name}}, {{name}}"
    refused = [
        _outcome(template, "marker") for template in (compile_template(text, "handlebars"), templates._compile(text))
    ]
    assert refused == ["Ada, Ada", "Ada, Ada"]
    text = "{{name}}, {{name}}, {{name}}"
    refused = [
        _outcome(template, "marker") for template in (compile_template(text, "handlebars"), templates._compile(text))
    ]
    assert refused[0] == refused[1]
    assert refused[0].startswith("error: ")


def test_a_number_that_python_refuses_to_print_is_an_error_of_ours() -> None:
    """An integer of more than 4300 digits cannot be printed; the code's text is served instead."""
    with pytest.raises(RenderError):
        compile_template("{{name}}", "handlebars").render(lambda _name: 10**5000)


def test_a_text_with_a_name_that_is_reserved_is_refused_as_before() -> None:
    """`{{each}}` is a helper's name and no variable."""
    with pytest.raises(InvalidPromptError, match="helper"):
        compile_template("{{each}}", "handlebars")
