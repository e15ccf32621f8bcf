"""What keeps an SQLite file from being opened or read, with what to do: SQLite itself says little."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.settings import ENVIRONMENT_PREFIX

_BY = f"--database-url or {ENVIRONMENT_PREFIX}DATABASE_URL"
_NAME = f"Name the right one by {_BY}"


def file_error(path: Path, words: str) -> DatabaseUnavailableError | None:
    """Return what SQLite's words mean; `None` where they are not about the file."""
    lowered = words.lower()
    if "unable to open" in lowered:
        return unopenable(path, words)
    if "is not a database" in lowered:
        return DatabaseUnavailableError(f"The file {path} is no SQLite database. {_NAME}, or restore a backup.")
    if "malformed" in lowered:
        return DatabaseUnavailableError(f"The database file {path} is damaged ({words}). Restore a backup of it.")
    return None


def unopenable(path: Path, words: str = "unable to open database file") -> DatabaseUnavailableError:
    """Return what to do where a file is not there or cannot be opened.

    Args:
        path: The file.
        words: What SQLite says, for where nothing better is known.
    """
    if not os.access(path.parent, os.X_OK):
        return DatabaseUnavailableError(
            f"The database file {path} cannot be reached: its folder is not there, or may not be entered by this user. "
            f"Make the folder, or let it be entered; or name another file by {_BY}."
        )
    if not os.access(path, os.F_OK):
        return DatabaseUnavailableError(
            f"There is no database file {path}. {_NAME}, or make it with: automagik-prompts upgrade"
        )
    if stat.S_ISDIR(path.stat().st_mode):
        return DatabaseUnavailableError(f"{path} is a folder and no database file. {_NAME}.")
    if not os.access(path, os.R_OK):
        return DatabaseUnavailableError(
            f"The database file {path} may not be read by this user. Let it be read; or name another file by {_BY}."
        )
    if path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK):
        # Who ends in order leaves no such file behind; reading one takes a file of its own beside it.
        return DatabaseUnavailableError(
            f"The database file {path} cannot be read: changes that are not in it yet stand in {path.name}-wal, and "
            "reading those takes the right to write to its folder. Let this user write there, or look as one who may."
        )
    return DatabaseUnavailableError(f"The database file {path} cannot be opened ({words}). {_NAME}.")
