"""What is wrong with a text while it is written, or worth a look: the library's own checks, each with its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from automagik_prompts.domain.invisible import suspicious
from automagik_prompts.domain.text import closest
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.templating.access import BUILTINS
from automagik_prompts.templating.compiling import VERBATIM
from automagik_prompts.templating.content import PromptContent
from automagik_prompts.templating.exposure import is_exposed
from automagik_prompts.templating.limits import BUDGET
from automagik_prompts.templating.lint import lint
from automagik_prompts.templating.template import Template

MOST = 50
"""Problems that are shown, at most."""

_PLACE = re.compile(r"line (\d+)(?:, column (\d+))?")
_SINGLE = re.compile(r"\{[ \t]*([^{}\s]+)[ \t]*\}")
_TAG = re.compile(r"\{\{.*?\}\}", re.DOTALL)

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Fix:
    """What corrects a problem with one press.

    Attributes:
        label: What the button says.
        text: What comes to stand in the problem's place.
    """

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that must be corrected, or is worth a look.

    Attributes:
        level: Whether no version can be written with it, it may be meant otherwise, or it is only to be known.
        title: What it is.
        detail: What to do.
        start: Where it begins in the text; `None` where it is about the whole.
        end: Where it ends.
        line: The line of its beginning, from 1.
        fix: What corrects it, where that is clear.
        units: Where it begins and ends as scripts count: in units of UTF-16.
        old: What stands there.
    """

    level: Level
    title: str
    detail: str = ""
    start: int | None = None
    end: int | None = None
    line: int | None = None
    fix: Fix | None = None
    units: tuple[int, int] | None = None
    old: str = field(default="", repr=False)


def compiled(text: str, format: str) -> Template | InvalidPromptError:
    """Return a text compiled, whatever names it uses, or why it cannot be."""
    try:
        return PromptContent(text, format).validate(None)
    except InvalidPromptError as error:
        return error


def problems_of(
    text: str, format: str, template: Template | InvalidPromptError, exposed: Collection[str], before: Collection[str]
) -> tuple[Problem, ...]:
    """Return what is wrong with a text, what must be corrected first.

    Args:
        text: The text.
        format: How it is read.
        template: The text compiled, or why it cannot be.
        exposed: The variables that it may use.
        before: The variables that the active version uses.
    """
    found = list(islice(_invisible(text), MOST))
    if isinstance(template, InvalidPromptError):
        found.insert(0, _unreadable(text, template))
    else:
        found += islice(_unknown(text, template, exposed), MOST)
        used = {name.removesuffix("?") for name in template.variables}
        lost = [] if format == "text" else sorted(set(before) - used)
        for hint in islice(lint(text, format, exposed, used=used & set(exposed), lost=lost), MOST):
            found.append(_hinted(text, hint.message, hint.line, hint.column))
        if template.estimate > BUDGET // 2:
            words = f"It is {template.estimate} of the {BUDGET} units of work that are allowed."
            found.append(Problem("note", "Filling this text takes long.", f"{words} Keep loops out of loops."))
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda one: (order[one.level], one.start is None, one.start or 0))[:MOST])


def _unreadable(text: str, error: InvalidPromptError) -> Problem:
    # Which format a text has is no matter of this page.
    message = error.message.replace(f" {VERBATIM}", "")
    place = _PLACE.search(message)
    if place is None:
        return Problem("error", message)
    start = _offset(text, int(place[1]), int(place[2] or 1))
    return _at(text, "error", message, "", start, min(len(text), start + 2))


def _unknown(text: str, template: Template, exposed: Collection[str]) -> Iterator[Problem]:
    known = {name.removesuffix("?") for name in exposed if not name.endswith(".*")} | BUILTINS
    for variable in sorted(template.variables):
        if is_exposed(variable, exposed):
            continue
        name = variable.removesuffix("?")
        title = f"{name} is not exposed by the code."
        near = next(iter(closest(name, known)), None)
        detail = f"Did you mean {near}?" if near else "Use one of the variables above, or expose it in code."
        if any(one.startswith(f"{name}[]") for one in exposed):
            title, near = f"{name} is a list.", None
            detail = f"Write what is said of each item between {{{{#each {name}}}}} and {{{{/each}}}}."
        # Inside of a loop or of `with` a tag names the last part alone.
        written = [one for one in (name, name.rpartition(".")[2]) if one]
        places = next((found for one in dict.fromkeys(written) if (found := list(_places(text, one)))), [])
        if not places:
            yield Problem("error", title, detail)
        for start, end in places:
            word = near if near is None or text[start:end] == name else _last(near, name)
            yield _at(text, "error", title, detail, start, end, Fix(f"Use {word}", word) if word else None)


def _last(near: str, name: str) -> str | None:
    """Return what a name's last part is in one that is spelt alike, where both are parts of the same."""
    above, _, last = near.rpartition(".")
    return last if above == name.rpartition(".")[0] else None


def _places(text: str, name: str) -> Iterator[tuple[int, int]]:
    """Yield where a name stands in a tag, as a whole."""
    wanted = re.compile(rf"(?<![\w.@/-]){re.escape(name)}(?![\w-]|\.\w)")
    for tag in _TAG.finditer(text):
        if tag.group().startswith(("{{!", "{{/")):
            continue
        for found in wanted.finditer(tag.group()):
            yield tag.start() + found.start(), tag.start() + found.end()


def _hinted(text: str, message: str, line: int | None, column: int | None) -> Problem:
    if line is None:
        return Problem("warning", message)
    start = _offset(text, line, column or 1)
    single = _SINGLE.match(text, start)
    if single is not None:
        words = f"{single.group()} stands in single braces", "It would be said as it is. A variable needs two."
        return _at(text, "warning", *words, start, single.end(), Fix("Make it two", f"{{{{{single[1]}}}}}"))
    return _at(text, "warning", f"{message[:1].upper()}{message[1:]}", "", start, min(len(text), start + 3))


def _invisible(text: str) -> Iterator[Problem]:
    for found in suspicious(text):
        start = _offset(text, found.line, found.column)
        name = str(found).partition(" at line")[0]
        words = "Usually pasted from a document; a version is not written with it."
        yield _at(text, "warning", f"An invisible character: {name}.", words, start, start + 1, Fix("Remove it", ""))


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return min(len(text), start + column - 1)


def _at(text: str, level: Level, title: str, detail: str, start: int, end: int, fix: Fix | None = None) -> Problem:
    first = len(text[:start].encode("utf-16-le")) // 2
    units = first, first + len(text[start:end].encode("utf-16-le")) // 2
    return Problem(level, title, detail, start, end, text.count("\n", 0, start) + 1, fix, units, text[start:end])
