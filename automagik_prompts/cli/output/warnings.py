"""What a migration has to say beside its result: its log lines, as notes for whoever runs the command."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from automagik_prompts.cli.output.text import print_note


class _Notes(logging.Handler):
    """Prints each warning as a note, on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        print_note(record.getMessage())


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Show this library's warnings, which a command otherwise keeps to itself."""
    logger, notes = logging.getLogger("automagik_prompts"), _Notes(logging.WARNING)
    logger.addHandler(notes)
    try:
        yield
    finally:
        logger.removeHandler(notes)
