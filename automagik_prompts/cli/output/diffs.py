"""Differences between two texts: by word and in colour for people, as a unified diff for pipes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from automagik_prompts.cli.output.text import console, is_terminal, visible
from automagik_prompts.domain.text import text_lines, unified_diff

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_WORD = re.compile(r"\w+|[^\S\n]+|\n|[^\w\s]")
_CONTEXT = 3
"""Unchanged lines around a change."""

_LONG = 3000
"""Words of one changed block from which on it is shown line by line: comparing words takes their number squared."""

_ALIKE = 0.35
"""The share of equal words under which two blocks are shown as one taken away and one put in its place."""

_STYLES = {"-": "red strike", "+": "green"}


def print_diff(old: str, new: str, old_label: str, new_label: str, *, stderr: bool = False) -> None:
    """Print the difference between two texts; nothing if there is none.

    Args:
        old: The text before.
        new: The text after.
        old_label: What the text before is.
        new_label: What the text after is.
        stderr: Whether to print on stderr, as a preview.
    """
    stream = sys.stderr if stderr else sys.stdout
    if not is_terminal(stderr=stderr):
        stream.write(unified_diff(old, new, old_label, new_label))
        return
    if old == new:
        return
    from rich.text import Text  # only where a person reads along

    out = console(stderr=stderr)
    out.print(Text(f"--- {old_label}\n+++ {new_label}", style="bold"), soft_wrap=True)
    out.print(word_diff(old, new, marked=not has_colour(out)), end="", soft_wrap=True)


def has_colour(out: Console) -> bool:
    """Return whether colours reach the reader; without them, changes need marks."""
    return out.color_system is not None and not out.no_color and not out.is_dumb_terminal


def word_diff(old: str, new: str, *, marked: bool) -> Text:
    """Return the changed places of a text, words taken away and put in side by side.

    Args:
        old: The text before.
        new: The text after.
        marked: Whether to mark changes as `[-taken away-]` and `{+put in+}` instead of by colour.
    """
    from rich.text import Text  # as above

    before, after = text_lines(old), text_lines(new)
    shown = Text()
    for group in SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(_CONTEXT):
        shown.append(f"@@ line {group[0][3] + 1} @@\n", style="cyan")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                shown.append(visible("".join(before[i1:i2])))
                continue
            for sign, piece in _pieces("".join(before[i1:i2]), "".join(after[j1:j2])):
                _append(shown, sign, piece, marked=marked)
        if not shown.plain.endswith("\n"):
            shown.append("\n\\ No newline at end of text\n", style="dim")
    return shown


def _pieces(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Yield what was taken away (`-`), put in (`+`) or stayed (space), in the order of reading."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    words = SequenceMatcher(None, before, after, autojunk=False)
    if max(len(before), len(after)) > _LONG or words.ratio() < _ALIKE:
        yield "-", old if old.endswith("\n") or not old or not new else f"{old}\n"
        yield "+", new
        return
    for tag, i1, i2, j1, j2 in words.get_opcodes():
        if tag == "equal":
            yield " ", "".join(before[i1:i2])
        else:
            yield "-", "".join(before[i1:i2])
            yield "+", "".join(after[j1:j2])


def _append(shown: Text, sign: str, piece: str, *, marked: bool) -> None:
    if not piece or sign == " ":
        shown.append(visible(piece))
        return
    # A changed blank or line break is nothing to see, and just as real.
    blank = not piece.strip()
    text = visible(piece.replace("\n", "↵\n") if blank else piece)
    if marked:
        body = text.rstrip("\n")
        opening, closing = ("[-", "-]") if sign == "-" else ("{+", "+}")
        shown.append(f"{opening}{body}{closing}{text[len(body) :]}")
    else:
        shown.append(text, style=f"{_STYLES[sign]} reverse" if blank else _STYLES[sign])
