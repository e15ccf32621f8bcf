"""How much work a text may be, and how large its values: counted, never timed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from automagik_prompts.domain.served import UNLIMITED, Limits
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating import engine
from automagik_prompts.templating.access import ABSENT
from automagik_prompts.templating.limits import ValueLimitError
from automagik_prompts.templating.template import compile_template

NESTED = "{{truncate " + "(json " * 40 + '"x"' + ")" * 40 + " 0}}"


def fill(text: str, values: Mapping[str, object], limits: Limits = Limits(), *, lenient: bool = False) -> str:  # noqa: B008  # frozen
    """Fill a text."""
    template = compile_template(text, "handlebars")
    return template.render(lambda name: values.get(name, ABSENT), limits=limits, lenient=lenient)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NESTED, "more than 8 deep"),
        ("{{#each a}}{{#each ../a}}{{#each ../../a}}{{/each}}{{/each}}{{/each}}", "units of work"),
        ("{{#each a}}" + "{{this}}" * 2000 + "{{/each}}", "units of work"),
        ("{{#each a}}" + "{{uppercase this}}" * 200 + "{{/each}}", "units of work"),
        ("{{#each a}}{{#if b}}{{#each ../c}}" + "{{x}}" * 10 + "{{/each}}{{/if}}{{/each}}", "units of work"),
    ],
)
def test_a_text_that_is_too_much_work_is_refused_when_it_is_written(text: str, words: str) -> None:
    """Whatever its values will be; code's own text is compiled all the same."""
    with pytest.raises(InvalidPromptError, match=words):
        compile_template(text, "handlebars")
    if words == "units of work":
        assert compile_template(text, "handlebars", bounded=False).estimate > 20_000


@pytest.mark.parametrize(
    "text",
    [
        "{{#each orders}}{{number}}: {{#each items}}{{name}} {{price}} {{quantity}}{{/each}}{{/each}}",
        "{{#each a}}" + "{{x}} " * 150 + "{{/each}}",
        '{{truncate (uppercase (trim (default name "x"))) 20}}',
        "{{name}} " * 100_000,
    ],
)
def test_what_people_write_is_no_problem(text: str) -> None:
    """Loops within a loop, many tags in one, and helpers within helpers."""
    compile_template(text, "handlebars")


def test_the_lists_of_a_run_are_counted_before_anything_is_filled() -> None:
    """A run that cannot be afforded names the list, and reads no more items than it must."""
    read = 0

    class Order:
        @property
        def items(self) -> list[str]:
            nonlocal read
            read += 1
            return ["x"] * 900

    text = "{{#each orders}}{{#each items}}{{this}}{{/each}}{{/each}}"
    with pytest.raises(ValueLimitError, match=r"orders\[\]\.items .*units of work"):
        fill(text, {"orders": [Order() for _ in range(1000)]})
    assert read < 30
    assert len(fill(text, {"orders": [Order() for _ in range(3)]})) == 2700
    with pytest.raises(ValueLimitError, match="orders has 1001 items, and 1000 are allowed"):
        fill("{{#each orders}}{{this}}{{/each}}", {"orders": [1] * 1001})
    assert fill("{{#if orders}}yes{{/if}}", {"orders": [1] * 5000}) == "yes"


def test_large_values() -> None:
    """A text, a list that is printed and data as JSON are bounded; the error names the variable, not the value."""
    limits = Limits(value_length=10, items=3)
    for text, value in (
        ("{{v}}", "x" * 11),
        ("{{v}} {{#if v}}{{/if}}", "x" * 11),
        ("{{v}}", [1] * 4),
        ("{{v}}", ["xxxxxx"] * 2),
    ):
        with pytest.raises(ValueLimitError, match="The value of v has") as refused:
            fill(text, {"v": value}, limits)
        assert "xx" not in refused.value.message
        assert fill(text, {"v": value}, UNLIMITED)
    opened = compile_template("{{v}}", "handlebars").opened(["v.*"])
    with pytest.raises(ValueLimitError, match="The value of v has"):
        opened.render(lambda _name: {"a": "x" * 20}, limits=limits)
    assert fill("{{v}}|{{w}}", {"v": "x" * 11, "w": "w"}, limits, lenient=True) == "[No data for v]|w"


def test_what_helpers_return_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers within helpers cannot make a text longer and longer."""
    monkeypatch.setattr(engine, "MAX_RESULT_LENGTH", 1000)
    with pytest.raises(RenderError, match="a helper's result has more than 1000 characters"):
        fill("{{json (json (json v))}}", {"v": '"' * 300})


def test_memory_and_recursion_are_failures_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs out while a text is filled is a rendering failure, and no end of a run."""
    for error in (MemoryError, RecursionError):

        def fail(*_arguments: object, kind: type[BaseException] = error) -> str:
            raise kind

        monkeypatch.setattr(engine, "render_program", fail)
        with pytest.raises(RenderError, match=error.__name__):
            fill("{{uppercase v}}", {"v": "x"})


def test_a_lone_surrogate() -> None:
    """What no JSON can hold is replaced, on the short way and on the long one."""
    assert fill("{{v}}", {"v": "a\ud800b"}) == fill("{{#if v}}{{v}}{{/if}}", {"v": "a\ud800b"}) == "a\ufffdb"
    assert fill("{{v}} {{w}}", {"v": "é", "w": ["\udfff"]}) == "é \ufffd"
