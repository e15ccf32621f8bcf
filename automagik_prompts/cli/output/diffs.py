"""Differences between two texts: as people read them on a terminal, as a unified diff in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from automagik_prompts.cli.output.text import console, is_terminal, visible
from automagik_prompts.domain.differences import Line, Span, compare, folded
from automagik_prompts.domain.text import unified_diff

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES = {"-": "red", "+": "green", "↑": "cyan"}


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
    for line in diff_lines(old, new, marked=not has_colour(out)):
        out.print(line, soft_wrap=True)


def has_colour(out: Console) -> bool:
    """Return whether colours reach the reader; without them, changes need marks."""
    return out.color_system is not None and not out.no_color and not out.is_dumb_terminal


def diff_lines(old: str, new: str, *, marked: bool) -> Iterator[Text]:
    """Yield the lines of a difference: a sign, the text, and what has changed in it.

    Args:
        old: The text before.
        new: The text after.
        marked: Whether to mark changes inside a line as `[-taken away-]` and `{+put in+}` instead of by colour.
    """
    from rich.text import Text  # as above

    for group in folded(compare(old, new)):
        yield Text(f"@@ {_where(group)} @@", style="cyan")
        waiting: list[Line] = []
        for line in group:
            # Lines that were changed one after the other: first what was there, then what is.
            if line.kind == "changed":
                waiting.append(line)
                continue
            yield from _changed(waiting, marked=marked)
            waiting = []
            yield from _one(line)
        yield from _changed(waiting, marked=marked)


def _where(group: tuple[Line, ...]) -> str:
    new = next((line.new_number for line in group if line.new_number is not None and line.kind != "moved_away"), None)
    old = next((line.old_number for line in group if line.old_number is not None and line.kind != "moved_here"), None)
    return f"line {new}" if new is not None else f"line {old} before"


def _changed(lines: Iterable[Line], *, marked: bool) -> Iterator[Text]:
    lines = list(lines)
    for line in lines:
        yield _row("-", line.old, marked=marked)
    for line in lines:
        yield _row("+", line.new, marked=marked)


def _one(line: Line) -> Iterator[Text]:
    if line.kind == "same":
        yield _row(" ", line.new, marked=False)
    elif line.kind == "removed":
        yield _row("-", tuple(Span(span.text) for span in line.old), marked=False)
    elif line.kind == "added":
        yield _row("+", tuple(Span(span.text) for span in line.new), marked=False)
    elif line.kind == "moved_away":
        yield _row("↑", line.old, marked=False, note=f"moved to line {line.new_number}")
    else:
        yield _row("↑", line.new, marked=False, note=f"moved here from line {line.old_number}")


def _row(sign: str, spans: tuple[Span, ...], *, marked: bool, note: str = "") -> Text:
    from rich.text import Text  # as above

    style = _STYLES.get(sign, "")
    row = Text(f"{sign} ", style=style)
    for span in spans:
        # A changed blank or line break is nothing to see, and just as real.
        blank = span.is_changed and not span.text.strip()
        body, feed = span.text.removesuffix("\n"), span.text.endswith("\n")
        shown = visible(f"{body}↵" if blank and feed else body)
        if span.is_changed and marked:
            opening, closing = ("[-", "-]") if sign == "-" else ("{+", "+}")
            row.append(f"{opening}{shown}{closing}", style=style)
        else:
            row.append(shown, style=f"{style} reverse" if span.is_changed else style)
    if spans and not spans[-1].text.endswith("\n"):
        row.append("  (no line feed at the end)", style="dim")
    if note:
        row.append(f"  ({note})", style="dim")
    return row
