"""What is printed: tables and texts for people, JSON for programs, errors as one line.

Results go to stdout; questions, previews and progress go to stderr. What comes out of the database may hold anything,
so control characters are shown as such on a terminal: a prompt cannot move the cursor or hide what it says.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from automagik_prompts.domain.invisible import described, shown, suspicious

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters besides tab and line feed."""


_C1 = re.compile("[\x7f-\x9f]")
"""What JSON leaves as it is, and a terminal may act on."""


@cache
def console(*, stderr: bool = False) -> Console:
    """Return the terminal, or whatever stands in its place; Rich looks at `NO_COLOR` and `TERM` itself."""
    from rich.console import Console  # not for JSON, which needs none of it

    return Console(stderr=stderr, highlight=False)


def is_terminal(*, stderr: bool = False) -> bool:
    """Return whether a person reads along."""
    stream = sys.stderr if stderr else sys.stdout
    return stream is not None and stream.isatty()


def print_json(shape: BaseModel, *, one_line: bool = False) -> None:
    """Print a command's result for programs."""
    text = shape.model_dump_json(indent=None if one_line else 2)
    sys.stdout.write((_escaped(text) if is_terminal() else text) + "\n")
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """Print a line as it is: neither wrapped nor marked up."""
    sys.stdout.write((visible(text) if is_terminal() else text) + "\n")


def print_item(mark: str, text: str, style: str) -> None:
    """Print a line with a coloured mark before it; on a terminal it is broken between words, and indented."""
    if not is_terminal():
        print_line(f"{mark}  {text}".rstrip())
        return
    from rich.table import Table  # only where a person reads along
    from rich.text import Text

    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(Text(mark, style=style), Text(visible(text)))
    console().print(line)


def print_text(text: str) -> None:
    """Print a prompt's text: byte for byte in a pipe, on a terminal with control characters shown."""
    if is_terminal():
        sys.stdout.write(visible(text) + ("" if text.endswith("\n") else "\n"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def print_note(text: str) -> None:
    """Print for a person something that is not the result; on a terminal the lines are broken between words."""
    if not is_terminal(stderr=True):
        sys.stderr.write(visible(text) + "\n")
        return
    from rich.text import Text  # as above

    console(stderr=True).print(Text(visible(text)))


def print_error(message: str) -> None:
    """Print an error on one line, on stderr."""
    sys.stderr.write(f"Error: {visible(' '.join(message.split()))}\n")


def visible(text: str) -> str:
    """Show control characters and what nobody sees, instead of letting the terminal act on them."""
    return shown(_CONTROL.sub(lambda found: _picture(found.group()), text))


def print_invisible(text: str) -> None:
    """Say on stderr which suspicious characters a text holds that nobody sees."""
    if found := list(suspicious(text)):
        print_note(f"The text contains invisible characters: {described(found)}.")


def _escaped(text: str) -> str:
    """Return JSON with every character escaped that a person would not see."""
    hidden = _C1.sub(lambda found: json.dumps(found.group())[1:-1], text)
    return (
        hidden
        if hidden.isascii()
        else "".join(json.dumps(char)[1:-1] if shown(char) != char else char for char in hidden)
    )


def _picture(char: str) -> str:
    code = ord(char)
    return chr(0x2400 + code) if code < 0x20 else f"<U+{code:04X}>"


def one_line(text: str | None) -> str:
    """Return a note or a comment on one line, so that what follows it cannot pass for something else."""
    return " ".join((text or "").split())


def age(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago something was, in the largest unit that fits: `5s`, `12m`, `3h`, `40d`, `2y`."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    for unit, size in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def when(moment: datetime) -> str:
    """Write a moment for people, to the minute, in their own time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a number of things: `1 file`, `2 files`."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
