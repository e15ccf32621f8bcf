from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from automagik_prompts.domain.served import MissingMode
from automagik_prompts.exceptions import InvalidPromptError, RenderError, UnexposedVariableError
from automagik_prompts.templating import engine
from automagik_prompts.templating.access import ABSENT
from automagik_prompts.templating.compiling import compile_template
from automagik_prompts.templating.exposure import check_exposed, check_variable_name


def variables(text: str) -> list[str]:
    """Return the variables that a template uses, sorted."""
    return sorted(compile_template(text, "handlebars").variables)


def fill(text: str, values: Mapping[str, object], missing: MissingMode = "marker") -> str:
    """Return a template filled with values."""
    return compile_template(text, "handlebars").render(lambda name: values.get(name, ABSENT), missing=missing)


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("nothing to fill", []),
        ("{{name}} {{ name }} {{~name~}} {{{name}}} {{&name}}", ["name"]),
        ("{{contact.name}} {{contact/name}} {{contact.[name]}} {{this.contact.name}}", ["contact.name"]),
        ("{{@root.contact.name}}", ["contact.name"]),
        ("{{items.0.name}} {{items.[1].name}}", ["items.0.name", "items.1.name"]),
        ("{{first-name}} {{größe}} {{n2}}", ["first-name", "größe", "n2"]),
        ("{{#if vip}}yes{{/if}}{{#unless paid}}no{{/unless}}", ["paid?", "vip?"]),
        ("{{#if vip}}{{vip}}{{/if}}", ["vip"]),
        ("{{#if vip}}{{level}}{{else}}{{#if ../vip}}{{other}}{{/if}}{{/if}}", ["level", "other", "vip?"]),
        ("{{#if a}}1{{else if b}}{{c}}{{else}}{{d}}{{/if}}", ["a?", "b?", "c", "d"]),
        ("{{#with contact}}{{name}} {{../name}} {{@root.name}}{{/with}}", ["contact.name", "contact?", "name"]),
        ("{{#with contact as |c|}}{{c.name}} {{this.age}}{{/with}}", ["contact.age", "contact.name", "contact?"]),
        (
            "{{#with contact}}{{address.city}}{{else}}{{fallback}}{{/with}}",
            ["contact.address.city", "contact?", "fallback"],
        ),
        ("{{#each items}}{{name}} {{this.price}}{{/each}}", ["items?", "items[].name", "items[].price"]),
        ("{{#each items}}{{this}} {{.}}{{/each}}", ["items?", "items[]"]),
        ("{{#each items}}{{@index}} {{@first}} {{@last}}{{/each}}", ["items?"]),
        ("{{#each items}}{{@key}}{{/each}}", ["items?", "items[].@key"]),
        ("{{#each a}}{{#each b}}{{@key}}{{@../key}}{{/each}}{{/each}}", ["a?", "a[].@key", "a[].b?", "a[].b[].@key"]),
        ("{{#each items as |item|}}{{item.name}} {{item}}{{/each}}", ["items?", "items[]", "items[].name"]),
        ("{{#each items as |item key|}}{{key}}{{/each}}", ["items?", "items[].@key"]),
        ("{{#each a}}{{#each this}}{{this}}{{/each}}{{/each}}", ["a?", "a[]?", "a[][]"]),
        (
            "{{#each a as |x|}}{{#each x.b as |y|}}{{y.c}} {{x.d}}{{/each}}{{/each}}",
            ["a?", "a[].b?", "a[].b[].c", "a[].d"],
        ),
        ("{{#each a}}{{#if ok}}{{../../top}} {{../name}}{{/if}}{{/each}}", ["a?", "a[].name", "a[].ok?", "top"]),
        ("{{uppercase name}} {{join items ', '}} {{truncate (lowercase text) 3}}", ["items", "name", "text"]),
        ("{{#if (eq status 'gold')}}1{{/if}}{{truncate name length=limit}}", ["limit", "name", "status"]),
        ("{{#if (and a (not b) (or c d))}}1{{/if}}", ["a?", "b?", "c?", "d?"]),
        ("{{or nick name}} {{default nick 'friend'}}", ["name", "nick"]),
        ("{{(uppercase name)}}", ["name"]),
        ("{{! name }}{{!-- {{name}} --}}x", []),
        (r"\{{name}} and {{{{raw}}}}{{name}}{{{{/raw}}}}", []),
        ("{{'name'}} {{1}} {{true}} {{null}}", []),
    ],
)
def test_the_variables_that_a_template_uses(text: str, used: list[str]) -> None:
    """Each way to name a value is found, with its path from the root, and whether it is printed or only tested."""
    assert variables(text) == used


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Hello {{name", "line 1, column 13"),
        ("One\nTwo {{#if x}}\nthree", "Unclosed block at line 3, column 6"),
        ("a\n\n  {{/if}}", "Unexpected closing block at line 3, column 3"),
        ("{{#if a}}{{/each}}", "if doesn't match each"),
        ("{{}}", "line 1, column 3"),
        ("{{> partial}}", "Partials are not supported at line 1, column 1"),
        ("{{#if a}}" * 3000 + "{{/if}}" * 3000, "nested too deeply"),
        ("{{this}}", "outside a block"),
        ("{{.}} {{@root}}", "outside a block"),
        ("{{#if vip}}{{this}}{{/if}}", "outside a block"),
        ("{{#each this}}{{@key}}{{/each}}", "outside a block"),
        ("{{#with @root}}{{name}}{{/with}}", "outside a block"),
        ("{{json this}}", "outside a block"),
        ("{{../name}}", "leads out of the template"),
        ("{{#if a}}{{../../name}}{{/if}}", "leads out of the template"),
        ("{{lookup contact 'name'}}", "calls {{lookup ...}}"),
        ("{{(lookup contact 'name')}}", "calls {{lookup ...}}"),
        ("{{#if (lookup contact 'name')}}1{{/if}}", "calls {{lookup ...}}"),
        ("{{#each (lookup contact 'items')}}1{{/each}}", "whose argument is not a variable"),
        ("{{log name}}", "calls {{log ...}}"),
        ("{{shout name}}", "calls {{shout ...}}, which is not one of the helpers and, default"),
        ("{{json}}", "it is a helper's name"),
        ("{{[json]}}", "it is a helper's name"),
        ("{{#contact}}{{name}}{{/contact}}", "write {{#if contact}} or {{#each contact}}"),
        ("{{^contact}}none{{/contact}}", "write {{#if contact}} or {{#each contact}}"),
        ("{{#if}}1{{/if}}", "does not have exactly one argument"),
        ("{{#if a b}}1{{/if}}", "does not have exactly one argument"),
        ("{{#each a limit=1}}1{{/each}}", "does not have exactly one argument"),
        ("{{#each a}}{{#each @index}}1{{/each}}{{/each}}", "over no variable"),
        ("{{name.__class__}}", "uses the name '__class__'"),
        ("{{this.__class__}}", "uses the name '__class__'"),
        ("{{contact.[__dict__].secret}}", "uses the name '__dict__'"),
        ("{{_private}}", "uses the name '_private'"),
        ("{{[api key]}}", "uses the name 'api key'"),
        ("{{! only a comment }}\n{{!-- and another --}}", "nothing but comments and blanks"),
    ],
)
def test_what_could_not_be_served_is_refused(text: str, reason: str) -> None:
    """A template that does not parse is refused with its place, one that could not be bounded with its reason."""
    with pytest.raises(InvalidPromptError) as refused:
        compile_template(text, "handlebars", agent="stan", status_key="APPROVED")
    assert reason in refused.value.message
    assert refused.value.message.startswith("The prompt for stan/APPROVED ")
    assert "the format 'text'" in refused.value.message
    assert (refused.value.agent, refused.value.status_key) == ("stan", "APPROVED")


def test_a_text_is_served_verbatim_whatever_braces_it_has() -> None:
    """With `format="text"` nothing is parsed, and without a tag nothing can be changed."""
    odd = "{{#if}} }} {{{ \\{{x}} {{__class__}}\r\n"
    assert compile_template(odd, "text").render(lambda name: name) == odd
    assert compile_template(odd, "text").variables == frozenset()
    plain = 'a } {b} { {c} }\r\n```json\n{"a": {"b": 1}}\n```\ttrailing \n\n'
    assert compile_template(plain, "handlebars").render(lambda name: name) == plain


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{"a": {"b": {{n}}}}', '{"a": {"b": 7}}'),
        ("```\r\n{{n}}\r\n```\r\n", "```\r\n7\r\n```\r\n"),
        ("}} {{n}} }", "}} 7 }"),
        (r"\{{n}} \\{{n}}", r"{{n}} " + "\\7"),
        ("\ufeffé e\u0301 \u200f👩\u200d🚀 {{n}}\u00a0\n", "\ufeffé e\u0301 \u200f👩\u200d🚀 7\u00a0\n"),
        ("a {{! gone }} b", "a  b"),
        ("{{{{raw}}}}{{n}}{{{{/raw}}}}", "{{n}}"),
        ("a  {{~n~}}  b", "a7b"),
        ("\n{{#if n}}\nyes\n{{/if}}\n", "\n\nyes\n\n"),
    ],
)
def test_what_is_literal_stays_byte_for_byte(text: str, result: str) -> None:
    """Braces, line ends, marks and blanks around tags come out as they were written."""
    assert fill(text, {"n": 7}) == result


def test_values_are_printed_literally() -> None:
    """A user's value that looks like a template is never parsed, and never escaped."""
    evil = "{{secret}} {{#each x}} <b> & \"'` \\{{ {{{"
    values: dict[str, object] = {"name": evil, "secret": "S", "items": [evil]}
    assert fill("{{name}}|{{{name}}}|{{#each items}}{{this}}{{/each}}", values) == "|".join([evil] * 3)


@pytest.mark.parametrize(
    ("text", "marker", "empty"),
    [
        ("{{name}}", "[No data for name]", ""),
        ("{{contact.name}}", "[No data for contact.name]", ""),
        ("{{#if contact}}x{{/if}}{{contact.name}}", "[No data for contact.name]", ""),
        ("{{#each rows}}{{name}};{{/each}}", "[No data for rows[].name];Ann;", ";Ann;"),
        ("{{uppercase nobody}}", "[NO DATA FOR NOBODY]", ""),
        ("{{json nobody}}", '"[No data for nobody]"', '""'),
        ("{{default nobody 'friend'}}", "friend", "friend"),
        ("{{#if nobody}}1{{else}}0{{/if}}", "0", "0"),
        ("{{#if nobody}}{{nobody}}{{else}}0{{/if}}", "0", "0"),
        ("{{#unless contact}}0{{/unless}}{{#with contact}}{{name}}{{else}}1{{/with}}", "01", "01"),
        ("{{#each nobody}}{{name}}{{else}}none{{/each}}", "none", "none"),
        ("{{#if (eq nobody '')}}1{{/if}}", "1", "1"),
    ],
)
def test_a_missing_value(text: str, marker: str, empty: str) -> None:
    """What is missing shows as a marker or as nothing, and counts as nothing in every condition."""
    values: dict[str, object] = {"contact": None, "rows": [{"name": None}, {"name": "Ann"}]}
    assert fill(text, values) == marker
    assert fill(text, values, "empty") == empty


@pytest.mark.parametrize(
    "text",
    [
        "{{name}}",
        "{{contact.name}}",
        "{{#if contact}}{{contact.name}}{{/if}}{{contact.name}}",
        "{{uppercase name}}",
        "{{json name}}",
        "{{json rows}}{{#each rows}}{{name}}{{/each}}",
        "{{join rows}}",
        "{{or name name}}",
    ],
)
def test_a_missing_value_can_be_an_error(text: str) -> None:
    """In mode `error` whatever would print a missing value raises, and names the variable."""
    with pytest.raises(RenderError, match=r"no data for (name|contact\.name|rows\[\]\.name|rows)\."):
        fill(text, {"rows": None if "join" in text else [{"name": None}]}, "error")


@pytest.mark.parametrize("text", ["{{#if name}}{{name}}{{/if}}", "{{default name 'x'}}", "{{#each a}}{{b}}{{/each}}"])
def test_in_mode_error_a_missing_value_may_be_tested(text: str) -> None:
    """A text that asks first whether the value is there is served."""
    assert fill(text, {}, "error") in {"", "x"}


def test_what_comes_out_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops within loops multiply; a text that grows beyond all measure is an error and no outage."""
    monkeypatch.setattr(engine, "MAX_OUTPUT_LENGTH", 8_100)
    rows = {"rows": list(range(90))}
    assert len(fill("{{#each rows}}{{#each ../rows}}.{{/each}}{{/each}}", rows)) == 8_100
    with pytest.raises(RenderError, match="it would have more than 8100 characters"):
        fill("{{#each rows}}{{#each ../rows}}..{{/each}}{{/each}}", rows)


def test_loops_that_print_nothing_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text cannot occupy the process with loops that show nothing."""
    rows = {"rows": list(range(90))}
    assert fill("{{#each rows}}{{#each ../rows}}{{/each}}{{/each}}", rows) == ""
    with pytest.raises(RenderError, match="The value of rows makes filling the text take more than 20000 units"):
        fill("{{#each rows}}{{#each ../rows}}{{#if ../../rows}}{{/if}}{{/each}}{{/each}}", rows)
    monkeypatch.setattr(engine, "MAX_BLOCKS", 8_100)
    with pytest.raises(RenderError, match="go round more than 8100 times"):
        fill("{{#each rows}}{{#each ../rows}}{{/each}}{{/each}}", rows)


def test_a_helper_that_fails_is_an_error_that_does_not_repeat_the_value() -> None:
    """A helper given a value of the wrong kind cannot end a run with a foreign exception."""
    with pytest.raises(RenderError, match=r"a helper failed \(ValueError\)") as failed:
        fill("{{truncate name limit}}", {"name": "x", "limit": "hunter2"})
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(
    ("exposed", "text"),
    [
        (["name"], "{{name}}{{#if name}}1{{/if}}"),
        ([], "{{agent_name}} {{status_key}} {{run_id}} {{today}}"),
        (["contact.name"], "{{#if contact}}{{#with contact}}{{name}}{{/with}}{{/if}}"),
        (["contact.*"], "{{contact.name}} {{contact.address.city}} {{#each contact.orders}}{{id}}{{@key}}{{/each}}"),
        (["contact.*"], "{{#each contact}}{{this}}{{@key}}{{/each}}"),
        (["items[].price"], "{{#each items}}{{price}}{{#if price}}1{{/if}}{{/each}}{{#if items}}1{{/if}}"),
        (["items[].price", "items[].@key"], "{{#each items as |item key|}}{{key}}: {{item.price}}{{/each}}"),
        (["vip?"], "{{#if vip}}1{{/if}}{{#if (not vip)}}1{{/if}}"),
    ],
)
def test_exposed_names_cover_what_belongs_to_them(exposed: list[str], text: str) -> None:
    """What the code exposes may be used in each way that tells no more than it."""
    check_exposed(compile_template(text, "handlebars"), exposed)


@pytest.mark.parametrize(
    ("exposed", "text", "refused"),
    [
        ([], "{{name}}", ("name",)),
        (["name"], "{{name.secret}} {{names}} {{nam}}", ("nam", "name.secret", "names")),
        (["contact.name"], "{{contact}}", ("contact",)),
        (["contact.name"], "{{contact.secret}}", ("contact.secret",)),
        (["contact.name"], "{{#if contact.secret}}1{{/if}}", ("contact.secret?",)),
        (["contact.name"], "{{#each contact}}{{this}}{{/each}}", ("contact[]",)),
        (["contact.name"], "{{#each contact}}{{@key}}{{/each}}", ("contact[].@key",)),
        (["contact"], "{{#each contact}}{{this}}{{/each}}", ("contact[]",)),
        (["contact"], "{{contact.name}}", ("contact.name",)),
        (["contact.*"], "{{contact}} {{contacts.x}}", ("contacts.x",)),
        (["items[].price"], "{{#each items}}{{@key}}{{this}}{{/each}}", ("items[]", "items[].@key")),
        (["items[].price"], "{{#each items as |i k|}}{{k}}{{/each}}", ("items[].@key",)),
        (["items[].price"], "{{items.0.secret}} {{items.0.price}}", ("items.0.price", "items.0.secret")),
        (["vip?"], "{{vip}} {{or vip ''}} {{eq vip 'x'}}", ("vip",)),
        (["vip?"], "{{#if (eq vip 'gold')}}1{{/if}}", ("vip",)),
        ([], "{{today.year}} {{agent_name.x}}", ("agent_name.x", "today.year")),
    ],
)
def test_other_names_are_refused(exposed: list[str], text: str, refused: tuple[str, ...]) -> None:
    """A text that uses another name is refused, and the error lists what may be used."""
    with pytest.raises(UnexposedVariableError) as error:
        check_exposed(compile_template(text, "handlebars"), exposed, agent="stan", status_key="A")
    assert error.value.names == refused
    message = error.value.message
    assert message.startswith("The prompt for stan/A uses ")
    assert "agent_name" in message
    assert all(name in message for name in exposed)


@pytest.mark.parametrize(
    "name", ["name", "contact.name", "items[].price", "a[][]", "contact.*", "vip?", "größe", "first-name", "m[].@key"]
)
def test_names_that_code_can_expose(name: str) -> None:
    """The notation for exposed names is the one in which a template's variables are told."""
    assert check_variable_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "_x", "a._b", "__class__", "a b", "{{a}}", "*", "a.*.b", "a..b", "a.", "?", "m.@key", "@root", 5, None]
)
def test_names_that_code_cannot_expose(name: object) -> None:
    """A name that no template could use is a mistake in the code, and told as one."""
    with pytest.raises(InvalidPromptError, match="cannot be exposed as a variable"):
        check_variable_name(name)


def test_compiling_the_same_text_again_costs_nothing() -> None:
    """A text that needs the parser is parsed once, whoever asks."""
    text = "Hi {{#if name}}{{name}}{{/if}}"
    assert compile_template(text, "handlebars") is compile_template(text, "handlebars")


def test_no_text_and_no_value_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Compiling, filling and failing leave nothing of the text or the values in the log."""
    with caplog.at_level(logging.DEBUG):
        fill("private {{name}}", {"name": "hunter2"})
        with pytest.raises(RenderError):
            fill("private {{truncate name name}}", {"name": "hunter2"})
    assert "private" not in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("text", ["{{truncate name ²}}", "{{-²}}", f"{{{{truncate name {'9' * 5000}}}}}"])
def test_what_the_engine_stumbles_over_is_refused_by_name(text: str) -> None:
    """A text on which the engine raises something else than its own errors is an invalid prompt like any other."""
    with pytest.raises(InvalidPromptError, match="is not a valid template"):
        compile_template(text, "handlebars")
