"""What is longer than a terminal is shown by the person's pager, as Git shows it."""

from __future__ import annotations

import functools
import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from automagik_prompts.cli.output.text import is_terminal, print_note

if TYPE_CHECKING:
    from automagik_prompts.cli.session import Session

P = ParamSpec("P")

LESS = "FRX"
"""What `less` is told where nobody says otherwise, as Git tells it: end where it fits, show colours, leave it there."""


class _Screen(io.StringIO):
    """Keeps what is printed, and lets it be printed as for a terminal."""

    def isatty(self) -> bool:
        return True


def paged(function: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
    """Let a command whose result is read by a person show it in their pager, where it is longer than the terminal."""

    @functools.wraps(function)
    def show(session: Session, /, *arguments: P.args, **options: P.kwargs) -> None:
        if session.json or not is_terminal() or (command := pager()) is None:
            function(session, *arguments, **options)
            return
        with _kept(command):
            function(session, *arguments, **options)

    return show


def pager() -> list[str] | None:
    """Return the pager: `PAGER`, else `less`, else `more`; `None` where there is none, or nobody could use it."""
    if os.environ.get("TERM", "dumb") == "dumb" or not (sys.stdin is not None and sys.stdin.isatty()):
        return None
    if (wanted := os.environ.get("PAGER")) is not None:
        return shlex.split(wanted) or None
    found = shutil.which("less") or shutil.which("more")
    return [found] if found is not None else None


@contextmanager
def _kept(command: list[str]) -> Iterator[None]:
    """Keep what is printed meanwhile, and show it then."""
    terminal, screen = sys.stdout, _Screen()
    sys.stdout = screen
    try:
        yield
    finally:
        sys.stdout = terminal
        _show(screen.getvalue(), command)


def _show(text: str, command: list[str]) -> None:
    room = shutil.get_terminal_size()
    lines = sum(1 + max(0, len(line) - 1) // room.columns for line in text.splitlines())
    if lines < room.lines or not _page(text, command):
        sys.stdout.write(text)
        sys.stdout.flush()


def _page(text: str, command: list[str]) -> bool:
    """Show a text in a pager and wait until it is left; return whether there is such a pager."""
    # Ctrl-C is the pager's while it shows something.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        subprocess.run(  # noqa: S603  # the person's own choice
            command,
            input=text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"),
            env={"LESS": LESS, "LV": "-c", **os.environ},
            check=False,
        )
    except OSError as error:
        print_note(f"The pager {shlex.join(command)!r} did not work: {error.strerror}. Set PAGER, or leave it empty.")
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True
