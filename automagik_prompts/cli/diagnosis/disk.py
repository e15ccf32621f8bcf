"""The last known good texts on disk: whether they are there, can be read, and would be kept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from automagik_prompts.cli.output.reports import Diagnosed
from automagik_prompts.following.journal import Journal
from automagik_prompts.settings import ENVIRONMENT_PREFIX, Settings

_NAME = f"name a folder by {ENVIRONMENT_PREFIX}CACHE_DIR"


def disk_snapshot(settings: Settings) -> Iterator[Diagnosed]:
    """Look at the file line by line, as a process would read it that starts while the database is down."""
    journal = Journal(settings, reading=True)
    path = journal.path
    if path is None:
        words = "off: a process that starts while the database is down serves the code's texts"
        if journal.fault is not None:
            words = f"there is no folder for it, so {words.removeprefix('off: ')}; {_NAME}"
        yield _told("warning", words)
        return
    if (blocked := _blocked(path.parent)) is not None:
        yield _told("warning", f"{blocked}, so nothing is kept for an outage. Make it writable, or {_NAME}.")
    if not os.access(path, os.F_OK):
        yield _told("warning", f"{path} is not there yet")
        return
    for _ in journal.read():
        pass  # it says what is wrong with a line
    if journal.fault is not None:
        yield _told("warning", f"{journal.fault} Remove it: the next process that follows the database makes it anew.")
        return
    age = max(0.0, time.time() - path.stat().st_mtime)
    yield _told("ok", f"{path}, saved {age:.0f} s ago")


def _blocked(folder: Path) -> str | None:
    """Return why nothing can be written in a folder, which may have to be made."""
    there = next(one for one in (folder, *folder.parents) if os.access(one, os.F_OK))
    if not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"the folder {there} cannot be written"


def _told(outcome: str, message: str) -> Diagnosed:
    return Diagnosed.model_validate({"name": "disk snapshot", "outcome": outcome, "message": message})
