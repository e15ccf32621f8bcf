"""What a text comes to while it is written: its problems, its sample values, and what the model would be told."""

from __future__ import annotations

from automagik_prompts.console.pages.editing.looking import Look, look
from automagik_prompts.console.pages.editing.samples import samples_of

EXPOSED = ("company", "contact.name", "customer_name", "items[].name", "items[].price", "prices[].@key", "vip?")


def looked(text: str, format: str = "handlebars", **given: dict[str, str] | dict[str, bool]) -> Look:
    """Return what a text comes to, for an agent with the names above."""
    facts = {"values": {}, "ticks": {}, "before": (), **given}
    return look(text, format, agent="seller", status="NEW", exposed=EXPOSED, **facts)  # type: ignore[arg-type]  # as given


def told(found: Look) -> str:
    """Return what the model would be told, with the kind of each part that is not the text's own."""
    pieces = ("".join(piece.text for piece in part.pieces) for part in found.filled.parts)
    kinds = (part.kind for part in found.filled.parts)
    return "".join(text if kind == "plain" else f"<{kind} {text}>" for kind, text in zip(kinds, pieces, strict=True))


def test_values_of_lists_and_mappings() -> None:
    """Each line is an item; of a mapping a line is a key."""
    found = looked(
        "{{#each items}}{{name}}: {{price}}, {{/each}}{{#each prices}}{{@key}} {{/each}}",
        values={"items[].name": "Flour\nYeast", "items[].price": "89\n21", "prices[].@key": "a\nb"},
    )
    assert told(found).startswith("<value Flour>: <value 89>, <value Yeast>: <value 21>, ")
    assert found.samples.values["prices"] == {"a": {}, "b": {}}
    assert not found.problems


def test_a_condition_can_be_switched_off() -> None:
    """What is only asked for has a tick alone; what has a value too loses it while its tick is away."""
    text = "{{#if vip}}Kindly. {{/if}}{{#unless company}}Alone.{{else}}For {{company}}.{{/unless}}"
    assert told(looked(text)) == "Kindly. For <value Company>."
    off = looked(text, ticks={"vip": False, "company": False})
    assert told(off) == "Alone."
    assert [(one.name, one.lines, one.follows) for one in off.samples.conditions] == [
        ("vip", (1,), False),
        ("company", (1,), True),
    ]


def test_missing_and_unknown_are_told_apart() -> None:
    """A value that is not there is not a name that is not there; the text's own words stay its own."""
    found = looked("{{contact.name}} {{custmer_name}} {{contact.nme}} [No data for you]", values={"contact.name": ""})
    assert (
        told(found)
        == "<missing [No data for contact.name]> <wrong {{custmer_name}}> <wrong {{contact.nme}}> [No data for you]"
    )
    assert [(one.title.partition(" ")[0], one.fix.text if one.fix else None) for one in found.problems] == [
        ("custmer_name", "customer_name"),
        ("contact.nme", "contact.name"),
    ]
    assert (found.unknown, found.filled.missing) == (2, ("contact.name",))


def test_inside_of_a_loop_the_last_part_is_mended() -> None:
    """A tag in a loop names the last part alone."""
    [problem] = looked("{{#each items}}{{nme}}{{/each}}").problems
    assert problem.fix is not None
    assert (problem.start, problem.old, problem.fix.text) == (17, "nme", "name")


def test_while_a_text_cannot_be_read() -> None:
    """Its place is told, and the values that were given stay."""
    found = looked("One\n{{#if vip}} two", values={"company": "Mill"}, ticks={"vip": False})
    [problem] = found.problems
    assert (problem.level, problem.line) == ("error", 2)
    assert found.filled.fault is not None
    assert [(one.name, one.value) for one in found.samples.fields] == [("company", "Mill")]
    assert [(one.name, one.is_on) for one in found.samples.conditions] == [("vip", False)]


def test_formats_without_templates() -> None:
    """A verbatim text has no problems with braces; a simple one fills the exposed names alone."""
    assert told(looked("{{nobody}} {company}", "text")) == "{{nobody}} {company}"
    assert not looked("{{nobody}} {company}", "text").problems
    simple = looked("{{company}} {{custmer_name}}", "simple")
    assert told(simple) == "<value Company> {{custmer_name}}"
    assert "Did you mean customer_name?" in simple.problems[0].title


def test_samples_need_no_order() -> None:
    """What is a part of something else has the field, and the whole has none."""
    samples = samples_of("", {"contact?", "contact.name", "today", "tags[]", "tags?"}, {"tags[]": "a\nb"}, {})
    assert [one.name for one in samples.fields] == ["contact.name", "tags[]"]
    assert samples.values == {"contact": {"name": "Name"}, "tags": ["a", "b"]}


def test_a_list_is_no_value() -> None:
    """Whoever puts in a list as a value is told how it is gone through, and not what they wrote already."""
    (problem,) = looked("Buy {{items}}.").problems
    assert problem.title == "items is a list."
    assert problem.detail == "Write what is said of each item between {{#each items}} and {{/each}}."
    assert problem.fix is None


def test_advice_that_cannot_be_followed_here() -> None:
    """The page offers no formats, so no problem names one."""
    (problem,) = looked("Hi {{#if vip}}you.").problems
    assert "format" not in problem.title
