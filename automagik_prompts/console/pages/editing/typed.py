"""What stands in the form in which a text is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from automagik_prompts.console.forms import Form
from automagik_prompts.console.pages.deciding.situation import Situation, version_of
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.validation import Format, check_format
from automagik_prompts.exceptions import PromptNotFoundError


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form.

    Attributes:
        text: The text.
        format: How it is read.
        revision: The revision that it rests on.
        note: What changed, and why.
        base: The version that it was begun from.
        counter: The counter of the draft that was seen last.
        seen: The version that was active then.
        based_on: The code's version that it was merged with, to end a drift.
        beside: A version to look at beside it.
        allow_invisible: Whether characters that nobody sees are to be kept.
        values: The sample values, by variable.
        ticks: Which conditions were shown, and whether they were ticked.
    """

    text: str = field(repr=False)
    format: Format
    revision: int
    note: str = field(default="", repr=False)
    base: int | None = None
    counter: int | None = None
    seen: int | None = None
    based_on: int | None = None
    beside: int | None = None
    allow_invisible: bool = False
    values: dict[str, str] = field(default_factory=dict, repr=False)
    ticks: dict[str, bool] = field(default_factory=dict)


def sent(form: Form, revision: int) -> Typed:
    """Return what a form has sent.

    Raises:
        InvalidPromptError: It names a format that there is not.
        ProblemError: A field holds something else than a number.
    """
    shown = {name for known, name in form.fields if known == "shown"}
    return Typed(
        form.text("text"),
        check_format(form.text("format", "handlebars")),
        revision,
        form.text("note").strip(),
        form.number("base"),
        form.number("counter"),
        form.number("seen"),
        form.number("based_on"),
        form.number("beside"),
        allow_invisible="allow_invisible" in form,
        values=form.under("value:"),
        ticks={name: f"on:{name}" in form for name in shown},
    )


async def find_or_none(who: Visitor, at: Situation, version: int | None) -> Prompt | None:
    """Return a version by its number; `None` where none is meant, or it is not there any more."""
    try:
        return await version_of(who.service, at, version) if version is not None else None
    except PromptNotFoundError:
        return None  # deleted meanwhile
