"""Hashing, comparing and finding texts and names."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from shlex import quote


def unified_diff(old: str, new: str, old_label: str, new_label: str) -> str:
    """Return the difference between two texts as a unified diff that tells a missing last line break."""
    lines = difflib.unified_diff(text_lines(old), text_lines(new), old_label, new_label)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of text\n" for line in lines)


def text_lines(text: str) -> list[str]:
    """Return the lines of a text with their line feeds; other characters that break lines in Unicode stay inside."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def content_hash(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, hexadecimal: what `sha256sum` prints for a file that holds it."""
    return hashlib.sha256(text.encode()).hexdigest()


def word(name: str) -> str:
    """Return a name as it stands in a command: a shell takes it for one word, and the command for no option.

    Args:
        name: The name; after one that begins with a dash no option can follow.
    """
    return f"-- {quote(name)}" if name.startswith("-") else quote(name)


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """Return which names exist, as a sentence: those that are spelt most like one, or else the first ten.

    Args:
        name: What was asked for.
        known: The names that exist.
        what: What they name, in the plural.
    """
    names = sorted(known)
    if not names:
        return f"There are no {what} yet."
    if close := closest(name, names):
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Known {what}: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}."


def closest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are spelt most like one, at most three; upper and lower case count as the same."""
    folded: dict[str, list[str]] = {}
    for candidate in sorted(known):
        folded.setdefault(candidate.casefold(), []).append(candidate)
    found = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    return [candidate for match in found for candidate in folded[match]][:3]
