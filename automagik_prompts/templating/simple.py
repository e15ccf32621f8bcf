"""Texts of the format `simple`: nothing but the tags of exposed names is filled, and every other character stays."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

# A tag: a name, and what is below it.
_TAG = re.compile(r"\{\{[ \t]*([^\W\d_][\w-]*(?:\.[\w-]+)*)[ \t]*\}\}")


def tags_of(text: str) -> Iterator[tuple[str, int]]:
    """Yield the name in each tag, and where the tag begins."""
    return ((found[1], found.start()) for found in _TAG.finditer(text))


def split(text: str, names: Collection[str]) -> tuple[str, ...]:
    """Return literal text and names in turn; the tags of other names are literal text."""
    pieces, last = list[str](), 0
    for found in _TAG.finditer(text):
        if found[1] in names:
            pieces += [text[last : found.start()], found[1]]
            last = found.end()
    return (*pieces, text[last:])


def part_of(values: Mapping[str, object], name: str) -> object:
    """Return what is found under a name with points in it."""
    first, *rest = name.split(".")
    value = values[first]
    for part in rest:
        value = value[part] if isinstance(value, Mapping) else value
    return value
