"""A line as a page shows it: plain text, variables, and what nobody would see otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from automagik_prompts.domain.differences import Span
from automagik_prompts.domain.invisible import shown
from automagik_prompts.domain.validation import Format

_TAG = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters besides tab and line feed, and what breaks lines in Unicode alone."""

_CODE_POINT = re.compile(r"<U\+[0-9A-F]{4,6}>")

Kind = Literal["plain", "variable", "hidden"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some characters that are shown alike.

    Attributes:
        text: The characters; of hidden ones their code point, such as `U+200B`.
        kind: Whether they are plain, a tag of the template, or characters that nobody would see.
    """

    text: str
    kind: Kind = "plain"


@dataclass(frozen=True, slots=True)
class Run:
    """Pieces that stand together in both texts, or in one of them alone.

    Attributes:
        pieces: What is shown.
        is_changed: Whether the other text has something else in their place.
    """

    pieces: tuple[Piece, ...]
    is_changed: bool = False


def pieces_of(text: str, format: Format = "handlebars") -> tuple[Piece, ...]:
    """Return a text as it is shown.

    Args:
        text: The text.
        format: How it is read: a verbatim text has no variables.
    """
    if format == "text":
        return tuple(_with_hidden(text, "plain"))
    found: list[Piece] = []
    end = 0
    for tag in _TAG.finditer(text):
        found += _with_hidden(text[end : tag.start()], "plain")
        found += _with_hidden(tag.group(), "variable")
        end = tag.end()
    return (*found, *_with_hidden(text[end:], "plain"))


def runs_of(spans: Iterable[Span], format: Format = "handlebars", *, whole: bool = False) -> tuple[Run, ...]:
    """Return the parts of a line as they are shown, without its line feed.

    Args:
        spans: The parts, in their order.
        format: How the text is read.
        whole: Whether the line came or went as a whole, so that no part of it stands out.
    """
    found: list[Run] = []
    for span in spans:
        pieces = pieces_of(span.text.removesuffix("\n"), format)
        if pieces:
            found.append(Run(pieces, span.is_changed and not whole))
    return tuple(found)


def _with_hidden(text: str, kind: Kind) -> Iterator[Piece]:
    """Yield a text with the code points of characters that nobody would see."""
    visible = _CONTROL.sub(lambda found: f"<U+{ord(found.group()):04X}>", shown(text))
    if visible == text:
        if text:
            yield Piece(text, kind)
        return
    end = 0
    for found in _CODE_POINT.finditer(visible):
        if found.start() > end:
            yield Piece(visible[end : found.start()], kind)
        yield Piece(found.group()[1:-1], "hidden")
        end = found.end()
    if end < len(visible):
        yield Piece(visible[end:], kind)
