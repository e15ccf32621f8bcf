"""Tables: in a pipe one line for each row, on a terminal as wide as it is.

Where there is not enough room, cells are broken between words, and what is said about a row stands below it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automagik_prompts.cli.output.text import console, is_terminal, visible

if TYPE_CHECKING:
    from rich.text import Text

_GAP = "  "
_NARROWEST = 8
"""Columns are not made narrower than this, so that words stay readable."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        heading: Its heading.
        right: Whether it is aligned to the right.
        kept: Whether its cells are never broken.
    """

    heading: str
    right: bool = False
    kept: bool = False


def columns(*headings: str) -> tuple[Column, ...]:
    """Return columns by their headings: `>` before one aligns to the right, `=` keeps its cells in one piece."""
    return tuple(
        Column(heading.lstrip(">="), right=heading.startswith(">"), kept=heading.startswith((">", "=")))
        for heading in headings
    )


def print_table(
    shape: Sequence[Column],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] | None = None,
    *,
    stderr: bool = False,
) -> None:
    """Print a table.

    Args:
        shape: The columns.
        rows: The cells, without markup.
        notes: What is said about each row: below it on a terminal, in a last column in a pipe.
        stderr: Whether it is shown to a person before the result.
    """
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    said = [" ".join(note.split()) for note in notes] if notes is not None else None
    if is_terminal(stderr=stderr):
        screen = console(stderr=stderr)
        for line in terminal_lines(shape, cells, said, screen.width):
            screen.print(line, soft_wrap=True)
        return
    if said is not None:
        shape = [*shape, Column("note")]
        cells = [[*row, note] for row, note in zip(cells, said, strict=True)]
    headings = [column.heading for column in shape]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    for row in [headings, *cells]:
        aligned = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(row, widths, shape, strict=True)
        )
        (sys.stderr if stderr else sys.stdout).write(_GAP.join(aligned).rstrip() + "\n")


def terminal_lines(
    shape: Sequence[Column], rows: Sequence[Sequence[str]], notes: Sequence[str] | None, room: int
) -> Iterator[Text]:
    """Yield the lines of a table for a terminal.

    Args:
        shape: The columns.
        rows: The cells, without markup.
        notes: What is said about each row.
        room: The terminal's width.
    """
    from rich.cells import cell_len  # only where a person reads along
    from rich.text import Text

    shown = [[visible(cell) for cell in row] for row in rows]
    headings = [column.heading for column in shape]
    widths = [max(map(cell_len, column)) for column in zip(headings, *shown, strict=True)]
    widths = _fitted(widths, shape, room)
    for line in _row_lines(headings, widths, shape):
        yield Text(line, style="bold")
    for number, row in enumerate(shown):
        for line in _row_lines(row, widths, shape):
            yield Text(line)
        if notes is not None and notes[number]:
            for line in _broken(visible(notes[number]), max(room - 4, _NARROWEST)):
                yield Text(f"    {line}", style="dim")


def _fitted(widths: Sequence[int], shape: Sequence[Column], room: int) -> list[int]:
    """Make the widest columns narrower until the row fits, as far as that goes."""
    fitted = list(widths)
    over = sum(fitted) + len(_GAP) * (len(fitted) - 1) - room
    while over > 0:
        broad = [number for number, column in enumerate(shape) if not column.kept and fitted[number] > _NARROWEST]
        if not broad:
            break
        widest = max(broad, key=lambda number: fitted[number])
        fitted[widest] -= 1
        over -= 1
    return fitted


def _row_lines(row: Sequence[str], widths: Sequence[int], shape: Sequence[Column]) -> Iterator[str]:
    """Yield the lines of one row."""
    from rich.cells import cell_len  # as above

    pieces = [
        [cell] if column.kept else _broken(cell, width) for cell, width, column in zip(row, widths, shape, strict=True)
    ]
    for number in range(max(map(len, pieces))):
        line = []
        for piece, width, column in zip(pieces, widths, shape, strict=True):
            cell = piece[number] if number < len(piece) else ""
            blank = " " * (width - cell_len(cell))
            line.append(blank + cell if column.right else cell + blank)
        yield _GAP.join(line).rstrip()


def _broken(text: str, width: int) -> list[str]:
    """Break a text between words, and inside a word only where it is too long."""
    from rich.text import Text  # as above

    lines = Text(text).wrap(console(), width, overflow="fold")
    return [line.plain.rstrip() for line in lines] or [""]
