"""Differences between two texts, for people and for pipes."""

from __future__ import annotations

import difflib


def unified_diff(old: str, new: str, old_label: str, new_label: str) -> str:
    """Return the difference between two texts as a unified diff that tells a missing last line break."""
    lines = difflib.unified_diff(text_lines(old), text_lines(new), old_label, new_label)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of text\n" for line in lines)


def text_lines(text: str) -> list[str]:
    """Return the lines of a text with their line feeds; other characters that break lines in Unicode stay inside."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
