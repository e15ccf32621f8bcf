"""What is printed: tables and texts for people, JSON for programs, errors as one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console


@cache
def console(*, stderr: bool = False) -> Console:
    """Return the terminal, or whatever stands in its place; Rich looks at `NO_COLOR` and `TERM` itself."""
    from rich.console import Console  # not for JSON, which needs none of it

    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def print_json(shape: BaseModel) -> None:
    """Print a command's result for programs."""
    sys.stdout.write(shape.model_dump_json(indent=2) + "\n")


def print_line(text: str = "") -> None:
    """Print a line as it is: not wrapped, no markup."""
    sys.stdout.write(text + "\n")


def print_error(message: str) -> None:
    """Print an error on one line, on stderr."""
    sys.stderr.write(f"Error: {' '.join(message.split())}\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the terminal; in a pipe each row is one line, whatever its length.

    Args:
        columns: The headings; one that begins with `>` is aligned to the right.
        rows: The cells, without markup.
    """
    from rich.table import Table
    from rich.text import Text

    out = console()
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in columns:
        right = heading.startswith(">")
        table.add_column(heading.lstrip(">"), justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if out.is_terminal:
        out.print(table)
    else:
        out.print(table, width=max(out.measure(table).maximum, 1), crop=False, soft_wrap=True)


def age(moment: datetime, now: datetime | None = None) -> str:
    """Say how long ago something was, in the largest unit that fits: `5s`, `12m`, `3h`, `40d`, `2y`."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    for unit, size in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
