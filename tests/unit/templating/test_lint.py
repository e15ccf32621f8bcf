"""What somebody may have meant otherwise is told with its place, and never an error."""

from __future__ import annotations

import logging

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.templating.lint import lint

EXPOSED = ["name", "customer.name"]


@pytest.mark.parametrize(
    ("text", "format", "words"),
    [
        (
            "Hello\nyou, {name}.",
            "handlebars",
            "line 2, column 6: {name} is not filled. For the variable, write",
        ),
        ("{ customer.name }", "handlebars", "line 1, column 1: {customer.name} is not filled."),
        ("${{ name }}", "handlebars", "line 1, column 1: ${{ is read as"),
        (r"C:\{{name}}", "handlebars", "line 1, column 3: the backslash before {{ is dropped"),
        (r"\textbf{{{name}}}", "handlebars", "line 1, column 8: {{{ is read as a tag"),
        (
            "Hi {{custmer.name}}",
            "simple",
            "line 1, column 4: {{custmer.name}} is not filled. Did you mean customer",
        ),
        ("{name}", "simple", "line 1, column 1: {name} is not filled."),
    ],
)
def test_what_is_told(text: str, format: str, words: str) -> None:
    """One hint each, with line and column."""
    (hint,) = lint(text, format, EXPOSED)
    assert str(hint).startswith(words)


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("{{name}} {{customer.name}}", "handlebars"),
        ("{key} { } {0} {name", "handlebars"),
        ("{name} ${{x}} \\{{name}} {{{name}}}", "text"),
        ("{{unlike}} \\{{name}} {{{name}}} ${{name}}", "simple"),
    ],
)
def test_what_is_not(text: str, format: str) -> None:
    """Other braces are nobody's business, nor is anything in a verbatim text."""
    assert list(lint(text, format, EXPOSED)) == []


def test_names_and_lost_variables() -> None:
    """A name that is nearly another one, and a variable that the version before had."""
    near, lost = lint("{{custmer.name}}", "handlebars", EXPOSED, used=["custmer.name"], lost=["name"])
    assert str(near) == "The variable custmer.name is spelt almost like customer.name. Did you mean customer.name?"
    assert str(lost) == "The version before used the variable name, and this text does not."


def test_code_gets_one_line(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """Declaring never fails for it, and says it once for each text."""
    caplog.set_level(logging.WARNING)
    text = "{name} \\{{name}} hidden\u200bword"
    for _ in range(3):
        registry.declare("linted", {"default": text}, where="lint.py:3", variables=["name"])
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("linted/default, declared at lint.py:3: line 1, column 1: {name} is not filled.")
    assert "the backslash before {{ is dropped" in line
    assert "U+200B (zero width space) at line 1, column 24" in line
