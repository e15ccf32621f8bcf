"""Pages of what is looked up: how long they may be, and where the next one begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from automagik_prompts.domain.edits import Page
from automagik_prompts.domain.validation import MAX_VERSION
from automagik_prompts.exceptions import InvalidPromptError

T = TypeVar("T")

MAX_PAGE = 1000
"""Items in one page, at most."""

_SEPARATOR = "\t"
"""Stands between the parts of a cursor; no name holds it."""


def checked_limit(limit: int) -> int:
    """Return how many items a page has, or refuse it."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidPromptError(f"A page has from 1 to {MAX_PAGE} items, not {limit}.")
    return limit


def cursor_of(*parts: str) -> str:
    """Return where a page ends, to be given back for the next one."""
    return _SEPARATOR.join(parts)


def cursor_parts(cursor: str, count: int) -> tuple[str, ...]:
    """Return the parts of a cursor, or refuse what is none."""
    found = tuple(cursor.split(_SEPARATOR))
    if len(found) != count:
        raise InvalidPromptError("This is no `next` of a page. Give back what the page before had, as it is.")
    return found


def cursor_number(cursor: str) -> int:
    """Return the number that a cursor, or a part of one, is."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 11 and int(cursor) <= MAX_VERSION):
        raise InvalidPromptError("This is no `next` of a page. Give back what the page before had, as it is.")
    return int(cursor)


def page_of(found: Sequence[T], limit: int, cursor: Callable[[T], str]) -> Page[T]:
    """Return the first items, with where to go on if there are more."""
    items = tuple(found[:limit])
    return Page(items, cursor(items[-1]) if len(found) > limit else None)
