"""What is printed: tables and texts for people, JSON for programs, errors as one line.

Results go to stdout; questions, previews and progress go to stderr. What comes out of the database may hold anything,
so control characters are shown as such on a terminal: a prompt cannot move the cursor or hide what it says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.table import Table

_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters besides tab and line feed, and the marks that turn the direction of what follows."""


@cache
def console(*, stderr: bool = False) -> Console:
    """Return the terminal, or whatever stands in its place; Rich looks at `NO_COLOR` and `TERM` itself."""
    from rich.console import Console  # not for JSON, which needs none of it

    return Console(stderr=stderr, highlight=False)


def is_terminal(*, stderr: bool = False) -> bool:
    """Say whether a person reads along."""
    stream = sys.stderr if stderr else sys.stdout
    return stream is not None and stream.isatty()


def print_json(shape: BaseModel, *, one_line: bool = False) -> None:
    """Print a command's result for programs."""
    sys.stdout.write(shape.model_dump_json(indent=None if one_line else 2) + "\n")
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """Print a line as it is: neither wrapped nor marked up."""
    sys.stdout.write((visible(text) if is_terminal() else text) + "\n")


def print_text(text: str) -> None:
    """Print a prompt's text: byte for byte in a pipe, on a terminal with control characters shown."""
    if is_terminal():
        sys.stdout.write(visible(text) + ("" if text.endswith("\n") else "\n"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def print_note(text: str) -> None:
    """Tell a person something that is not the result."""
    sys.stderr.write(visible(text) + "\n")


def print_error(message: str) -> None:
    """Print an error on one line, on stderr."""
    sys.stderr.write(f"Error: {visible(' '.join(message.split()))}\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: on a terminal it fits, in a pipe each row is one line, whatever its length.

    Args:
        columns: The headings; one that begins with `>` is aligned to the right.
        rows: The cells, without markup.
    """
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    if is_terminal():
        console().print(make_table(columns, cells))
        return
    headings = [heading.lstrip(">") for heading in columns]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    for row in [headings, *cells]:
        aligned = (
            cell.rjust(width) if heading.startswith(">") else cell.ljust(width)
            for cell, width, heading in zip(row, widths, columns, strict=True)
        )
        sys.stdout.write("  ".join(aligned).rstrip() + "\n")


def make_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table for a terminal; long cells are folded."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        right = heading.startswith(">")
        table.add_column(heading.lstrip(">"), justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


def visible(text: str) -> str:
    """Show control characters instead of letting the terminal act on them."""
    return _CONTROL.sub(lambda found: _picture(found.group()), text)


def _picture(char: str) -> str:
    code = ord(char)
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"


def age(moment: datetime, now: datetime | None = None) -> str:
    """Say how long ago something was, in the largest unit that fits: `5s`, `12m`, `3h`, `40d`, `2y`."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    for unit, size in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def when(moment: datetime) -> str:
    """Write a moment for people, to the second, in their own time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a number of things: `1 file`, `2 files`."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
