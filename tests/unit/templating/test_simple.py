"""Texts that are simple: the tags of exposed names are filled, every other character stays."""

from __future__ import annotations

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Gap, GapKind
from automagik_prompts.templating.access import ABSENT
from automagik_prompts.templating.compiling import compile_template
from automagik_prompts.templating.content import PromptContent

EXPOSED = ["name", "customer.name", "order.*"]
VALUES = {"name": "Ada", "customer": {"name": "Grace", "key": "hunter2"}, "order": {"number": 7}}

# As people write them; none is a template, or not the one that was meant.
TWENTY = {
    "plain": ("Hello {{name}}.", "Hello Ada."),
    "blanks": ("Hello {{ name }}.", "Hello Ada."),
    "below": ("{{customer.name}}, order {{order.number}}", "Grace, order 7"),
    "whole": ("{{order}}", '{"number": 7}'),
    "a secret": ("key: ${{ secrets.X }} {{name}}", "key: ${{ secrets.X }} Ada"),
    "JSX": ("<p style={{color: 'red'}}>{{name}}</p>", "<p style={{color: 'red'}}>Ada</p>"),
    "LaTeX": (r"\begin{{bmatrix}}1\end{{bmatrix}}", r"\begin{{bmatrix}}1\end{{bmatrix}}"),
    "a path": (r"C:\users\{{name}}", r"C:\users\Ada"),
    "bold": (r"\textbf{{{name}}}", r"\textbf{Ada}"),
    "single": ("{name} and {{name}}", "{name} and Ada"),
    "unknown": ("{{nmae}} {{api_key}} {{customer.key}}", "{{nmae}} {{api_key}} {{customer.key}}"),
    "a helper": ("{{uppercase name}} {{#if name}}x{{/if}}", "{{uppercase name}} {{#if name}}x{{/if}}"),
    "code": ("{{code here}}", "{{code here}}"),
    "unclosed": ("{{name {{name}}", "{{name Ada"),
    "empty": ("{{}} {{ }}", "{{}} {{ }}"),
    "Jinja": ("{% if x %}{{name|upper}}{% endif %}", "{% if x %}{{name|upper}}{% endif %}"),
    "format": ("{0} {{{{name}}}}", "{0} {{Ada}}"),
    "Go": ("{{.Name}} {{- name -}}", "{{.Name}} {{- name -}}"),
    "a built-in": ("{{agent_name}}", "stan"),
    "line ends": ("a\r\n{{name}}\r\n", "a\r\nAda\r\n"),
}


@pytest.mark.parametrize("case", TWENTY)
def test_nothing_but_the_tags_of_exposed_names_is_filled(case: str) -> None:
    """Whatever else stands in the text, it is sent as it was written."""
    text, filled = TWENTY[case]
    template = PromptContent(text, "simple").validate(EXPOSED)
    values = {**VALUES, "agent_name": "stan"}
    assert template.render(lambda name: values.get(name, ABSENT)) == filled
    assert template.opened(EXPOSED) is template
    if "name}}" in text and case not in {"JSX", "Jinja"}:
        assert template.opened([]).render(lambda name: values.get(name, ABSENT)).count("Ada") == 0


def test_values_are_no_templates_and_may_be_missing() -> None:
    """A value with a tag in it is a value; a missing one is marked, and noted."""
    template = compile_template("{{name}} {{customer.name}}", "simple").opened(EXPOSED)
    gaps: list[Gap] = []
    assert template.render(lambda _name: "{{order}}", gaps=gaps) == "{{order}} [No data for customer.name]"
    assert gaps == [Gap("customer.name", GapKind.MISSING)]


def test_a_simple_constant_exposes_nothing_by_itself(registry: Registry) -> None:
    """Only what `variables=` and other texts expose is filled."""
    registry.declare("a", {"default": "{{name}} {{key}}"}, where="here", variables=["name"], format="simple")
    declared = registry.agents["a"]
    assert declared.exposed == {"name"}
    assert declared.prompts["default"].served.template.render(lambda name: name.upper()) == "NAME {{key}}"
    registry.expose("a", ["key"])
    served = registry.agents["a"].prompts["default"].served
    assert served.template.render(lambda name: name.upper()) == "NAME KEY"
