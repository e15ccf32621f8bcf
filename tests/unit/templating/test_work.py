"""How much work a text may be, and how large its values: counted, never timed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping

import pytest

from automagik_prompts.domain.served import UNLIMITED, Gap, Limits
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating import engine
from automagik_prompts.templating import template as template_module
from automagik_prompts.templating.access import ABSENT
from automagik_prompts.templating.compiling import compile_template
from automagik_prompts.templating.limits import ValueLimitError

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


BIG = "q" * 199_999


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("{{a}}" * 5000, {"a": BIG}, "value of a is too large here: it would have more than 4000000 characters"),
        ("{{#if a}}{{/if}}" + "{{a}}" * 5000, {"a": BIG}, "it would have more than 4000000 characters"),
        ("{{#each b}}{{../a}}{{/each}}", {"a": BIG, "b": ["x"] * 1000}, "it would have more than 4000000 characters"),
        (
            "{{#each b}}{{truncate (uppercase ../a) 1}}{{/each}}",
            {"a": BIG, "b": ["x"] * 1000},
            "value of a is too large here: filling it takes more than 20000 units",
        ),
        (
            "{{#each b}}{{truncate (json ../b) 1}}{{/each}}",
            {"b": ["x" * 100] * 1000},
            "filling it takes more than 20000 units",
        ),
        (
            "{{#each b}}{{#if (eq ../a ../c)}}{{/if}}{{/each}}",
            {"a": BIG, "c": BIG[:-1] + "r", "b": ["x"] * 1000},
            "filling it takes more than 20000 units",
        ),
        ("{{#each b}}{{../b}}{{/each}}", {"b": ["x"] * 1000}, "filling it takes more than 20000 units"),
        ("{{a}}", {"a": [["x"] * 1000] * 1000}, "value of a makes filling the text take more than 20000 units"),
        ("{{a}}", {"a": ["é" * 1000] * 1000}, "value of a has"),
    ],
)
def test_what_large_values_make_is_refused_before_it_is_made(text: str, values: dict[str, object], words: str) -> None:
    """Filling goes through a bounded number of characters, and never holds much more of them than it may return."""
    template = compile_template(text, "handlebars")
    tracemalloc.start()
    try:
        with pytest.raises(ValueLimitError, match=words) as refused:
            template.render(lambda name: values.get(name, ABSENT))
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert refused.value.name.rstrip("[]") in values


def test_data_of_many_parts_is_counted() -> None:
    """What code opened as a whole is counted part by part; how long its texts are is bounded besides."""
    opened = compile_template("{{json a}}", "handlebars").opened(["a.*"])
    with pytest.raises(ValueLimitError, match="value of a makes filling the text take more than 20000 units"):
        opened.render(lambda _name: [[{"x": 1}] * 30 for _ in range(900)])


def test_literal_text_in_a_loop_is_work() -> None:
    """A long text in a loop is refused when it is written, as many tags in it would be."""
    with pytest.raises(InvalidPromptError, match="text, tags and helpers out of loops"):
        compile_template("{{#each a}}" + "z" * 100_000 + "{{/each}}", "handlebars")
    with pytest.raises(InvalidPromptError, match="units of work"):
        compile_template('{{#each a}}{{uppercase "' + "z" * 100_000 + '"}}{{/each}}', "handlebars")
    compile_template("{{#each a}}" + "z" * 10_000 + "{{/each}}", "handlebars")
    compile_template("z" * 900_000 + "{{#if a}}{{/if}}", "handlebars")


def test_simple_texts_have_the_same_end() -> None:
    """In the format `simple` nothing is looped, but a value may stand in it many times."""
    template = compile_template("{{a}}" * 5000, "simple").opened(["a"])
    with pytest.raises(ValueLimitError, match="value of a is too large here"):
        template.render({"a": BIG}.__getitem__)
    assert len(template.render({"a": "x"}.__getitem__)) == 5000


@pytest.mark.parametrize("tail", ["", "{{#if a}}{{/if}}"])
def test_gaps_are_found_in_one_look(tail: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with a thousand missing variables is gone through once, and each is told."""
    looks = 0

    class Pattern:
        def findall(self, text: str) -> list[str]:
            nonlocal looks
            looks += 1
            return marked.findall(text)

    marked = template_module._MARKED
    monkeypatch.setattr(template_module, "_MARKED", Pattern())
    template = compile_template("{{a}}" + "".join(f"{{{{x{number}}}}}" for number in range(1000)) + tail, "handlebars")
    gaps: list[Gap] = []
    template.render(lambda name: "a" if name == "a" else ABSENT, gaps=gaps)
    assert {gap.name for gap in gaps} == {f"x{number}" for number in range(1000)}
    assert looks == 1
