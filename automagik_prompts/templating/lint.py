"""What somebody may have meant otherwise: told with line and column, and never an error."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from automagik_prompts.domain.text import closest
from automagik_prompts.templating.access import BUILTINS
from automagik_prompts.templating.exposure import is_exposed
from automagik_prompts.templating.simple import tags_of

_NAME = r"[^\W\d_][\w-]*(?:\.[\w-]+)*"
_SINGLE = re.compile(rf"(?<![{{$\\])\{{[ \t]*({_NAME})[ \t]*\}}(?!\}})")


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that may be meant otherwise.

    Attributes:
        message: What it is, and what to write.
        line: Its line, from 1; `None` where it is about the whole text.
        column: Its column, from 1.
    """

    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}, column {self.column}: {self.message}"


def lint(
    text: str, format: str, exposed: Collection[str], *, used: Collection[str] = (), lost: Collection[str] = ()
) -> Iterator[Hint]:
    """Yield what may be meant otherwise.

    Args:
        text: The text.
        format: How it is read; a verbatim text means what it says.
        exposed: The variables that it may use.
        used: The variables that it uses.
        lost: The variables that the version before used and this one does not.
    """
    if format == "text":
        return
    names = {name.removesuffix("?") for name in exposed if not name.endswith(".*")} | BUILTINS
    for found in _SINGLE.finditer(text):
        if is_exposed(found[1], exposed):
            yield _at(text, found.start(), f"{{{found[1]}}} is not filled. For the variable, write {{{{{found[1]}}}}}.")
    if format == "handlebars":
        yield from _handlebars(text)
    else:
        for name, index in tags_of(text):
            if not is_exposed(name, exposed) and (near := closest(name, names)):
                yield _at(text, index, f"{{{{{name}}}}} is not filled. Did you mean {near[0]}?")
    own = {name.removesuffix("?") for name in used}
    for name in sorted(own - names):
        if near := [one for one in closest(name, names - own) if one != name]:
            yield Hint(f"The variable {name} is spelt almost like {near[0]}. Did you mean {near[0]}?")
    for name in sorted(lost):
        yield Hint(f"The version before used the variable {name}, and this text does not.")


def _handlebars(text: str) -> Iterator[Hint]:
    """Yield what the template language reads otherwise than it looks."""
    for found in re.finditer(r"\$\{\{", text):
        yield _at(text, found.start(), "${{ is read as a $ and a tag. To keep such braces, use the format 'simple'.")
    for found in re.finditer(r"\\\{\{", text):
        words = "the backslash before {{ is dropped, and the tag is not filled. Use the format 'simple' to keep both."
        yield _at(text, found.start(), words)
    for found in re.finditer(r"(?<!\{)\{\{\{(?!\{)", text):
        yield _at(text, found.start(), "{{{ is read as a tag. For a brace around a variable, use the format 'simple'.")


def _at(text: str, index: int, message: str) -> Hint:
    return Hint(message, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))
