"""Characters that nobody sees: which are suspicious in a text, and how all of them are shown to people.

Tag characters can spell an instruction that no editor shows, and direction marks can make a text read otherwise than it
is sent. What languages and emoji need stays: joiners between letters or emoji, selectors behind what takes one, flags.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,8}\U000e007f")
"""The flag of a region: a black flag, tags that spell the region, and the tag that ends it."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SHOWN_ONLY = frozenset("\u00ad\u061c\u200e\u200f\u180b\u180c\u180d\u180f")
"""Soft hyphens, direction marks of one letter, and Mongolian selectors: people type them, and they hide nothing."""

_JOINERS = frozenset("\u200c\u200d")
_EMOJI_SELECTORS = frozenset("\ufe0e\ufe0f")


@dataclass(frozen=True, slots=True)
class Invisible:
    """A suspicious character in a text.

    Attributes:
        char: The character.
        line: Its line, from 1.
        column: Its column, from 1.
    """

    char: str
    line: int
    column: int

    def __str__(self) -> str:
        name = unicodedata.name(self.char, "a character without a name").lower()
        return f"U+{ord(self.char):04X} ({name}) at line {self.line}, column {self.column}"


def suspicious(text: str) -> Iterator[Invisible]:
    """Yield the invisible characters of a text that nothing in it explains."""
    if text.isascii():
        return
    flags = _flags(text)
    for found in _INVISIBLE.finditer(text):
        index, char = found.start(), found.group()
        if index in flags or char in _SHOWN_ONLY or _is_explained(text, index, char):
            continue
        yield Invisible(char, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


def invisible_names(text: str) -> Iterator[Invisible]:
    """Yield what a name may not hold: also marks that a text may, as two names would look the same."""
    yield from suspicious(text)
    for index, char in enumerate(text):
        if char in "\u00ad\u061c\u200e\u200f":
            yield Invisible(char, 1, index + 1)


def shown(text: str) -> str:
    """Return a text in which invisible characters are written as `<U+200B>`; those that make up an emoji stay."""
    if text.isascii():
        return text
    flags = _flags(text)

    def show(found: re.Match[str]) -> str:
        index, char = found.start(), found.group()
        is_joint = char == "\u200d" and _is_emoji(text[index - 1 : index]) and _is_emoji(text[index + 1 : index + 2])
        is_plain = index in flags or is_joint or (_is_selector(char) and _is_explained(text, index, char))
        return char if is_plain else f"<U+{ord(char):04X}>"

    return _INVISIBLE.sub(show, text)


def described(found: list[Invisible]) -> str:
    """Return suspicious characters as part of a sentence: the first, and how many more there are."""
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0]}{more}"


def _flags(text: str) -> set[int]:
    """Return the places of the characters that make up flags of regions."""
    return {index for flag in _FLAG.finditer(text) for index in range(*flag.span())}


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def _is_emoji(char: str) -> bool:
    """Return whether a character is a part of an emoji: a symbol, a skin tone, a selector."""
    return bool(char) and (unicodedata.category(char) in {"So", "Sk"} or char in _EMOJI_SELECTORS)


def _is_explained(text: str, index: int, char: str) -> bool:
    """Return whether what stands around an invisible character says what it is there for."""
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    if char == "\ufeff":
        return index == 0
    if char in _JOINERS:
        return _joins(before) and _joins(after)
    if not before:
        return False
    kind = unicodedata.category(before)
    if char in _EMOJI_SELECTORS:
        return kind in {"So", "Sm", "Po", "Pd", "Nd"} or before == "\u2139" or _is_ideograph(before)
    if "\ufe00" <= char <= "\ufe0d":
        return kind in {"Lo", "Sm", "So", "Nd", "Po"}
    if "\U000e0100" <= char <= "\U000e01ef":
        return _is_ideograph(before)
    return False


def _joins(char: str) -> bool:
    """Return whether a joiner beside a character has a meaning: letters, their marks, emoji and their selectors."""
    return bool(char) and (unicodedata.category(char) in {"Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Mn", "Sk", "So", "Sm"})


def _is_ideograph(char: str) -> bool:
    return unicodedata.category(char) == "Lo" and "IDEOGRAPH" in unicodedata.name(char, "")
