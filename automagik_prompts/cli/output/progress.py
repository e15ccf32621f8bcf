"""Progress of long work, where somebody watches; nothing in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from automagik_prompts.cli.output.text import console, is_terminal


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show how far a piece of work is, on stderr.

    Args:
        what: What is done, such as `importing`.
        total: How many steps it has.

    Yields:
        A function to be called after each step.
    """
    out = console(stderr=True)
    if not is_terminal(stderr=True) or out.is_dumb_terminal or total < 2:
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # only where it is shown

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
