"""The last known good snapshot in a file: what a process serves that starts while the database is down.

One file for each database and user, readable by that user only, replaced in one step. A file that is damaged, of
another kind or somebody else's is ignored with one warning; it is never needed, only useful.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from automagik_prompts.domain.log import logger
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.settings import Settings, identity_of
from automagik_prompts.storage.repository import ActiveSet, ChangeToken

_KIND = "automagik_prompts snapshot 1"

_IN_USE = 60.0
"""Seconds for which a temporary file may belong to a process that is writing it."""


class DiskSnapshot:
    """Reads and writes the file of one database.

    Args:
        settings: The plugin's settings.
    """

    def __init__(self, settings: Settings) -> None:
        identity = identity_of(settings.database_url)
        self.path: Path | None = None
        self._warned = False
        if settings.disk_snapshot and identity is not None:
            name = hashlib.sha256(f"{identity}\n{_user()}".encode()).hexdigest()[:32]
            try:
                self.path = (settings.cache_dir or _cache_folder()) / f"{name}.json"
            except RuntimeError as error:  # a container's user without a home
                self._warn("placed", error)

    def load(self) -> ActiveSet | None:
        """Return what was saved last, or `None` if there is nothing that could be used."""
        if self.path is None:
            return None
        self._clear_up(self.path)
        try:
            with open(self.path, "rb", opener=_without_waiting) as file:  # Path.open takes no opener
                _check_own(os.fstat(file.fileno()))
                envelope: Any = json.loads(file.read())
            return _unpacked(envelope)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self._warn("read", error)
            return None

    def save(self, content: ActiveSet) -> bool:
        """Replace the file, and return whether there is nothing left to do; failing to is only worth a warning."""
        if self.path is None:
            return True
        temporary: str | None = None
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # mkstemp creates the file with mode 0600.
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f"{self.path.stem}-", suffix=".tmp")
            with os.fdopen(descriptor, "wb") as file:
                file.write(_packed(content))
            Path(temporary).replace(self.path)
            temporary = None
            return True
        except OSError as error:
            self._warn("written", error)
            return False
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def _clear_up(self, path: Path) -> None:
        """Remove the temporary files of processes that were killed while they wrote; a young one may be in use."""
        try:
            for left in path.parent.glob(f"{path.stem}-*.tmp"):
                if time.time() - left.lstat().st_mtime > _IN_USE:
                    left.unlink(missing_ok=True)
        except OSError as error:
            logger.debug("A temporary file beside %s could not be removed (%s).", path, error.strerror)

    def _warn(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            # The type and the system's own words: what json says about a file could repeat what is in it.
            words = error.strerror if isinstance(error, OSError) else type(error).__name__
            logger.warning("The disk snapshot %s could not be %s (%s); it is ignored.", self.path, what, words)


def _packed(content: ActiveSet) -> bytes:
    body = {
        "agents": _rows(AgentInfo, content.agents),
        "active": _rows(ActiveVersion, content.active),
        "token": asdict(content.token),
    }
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    return json.dumps({"kind": _KIND, "sha256": hashlib.sha256(text.encode()).hexdigest(), "body": text}).encode()


def _rows(kind: type[AgentInfo | ActiveVersion], items: Iterable[object]) -> list[dict[str, Any]]:
    """Return flat values as dictionaries; `asdict`, which copies all that they hold, would take ten times as long."""
    names = [field.name for field in fields(kind)]
    return [{name: getattr(item, name) for name in names} for item in items]


def _unpacked(envelope: Any) -> ActiveSet:
    """Return the content of a file.

    Raises:
        ValueError, KeyError, TypeError: It is damaged or of another kind.
    """
    if envelope["kind"] != _KIND:
        raise ValueError("it is of another kind")
    text = str(envelope["body"])
    if hashlib.sha256(text.encode()).hexdigest() != envelope["sha256"]:
        raise ValueError("it is damaged")
    body: Any = json.loads(text)
    agents = [AgentInfo(**{**agent, "variables": tuple(agent["variables"])}) for agent in body["agents"]]
    active = [ActiveVersion(**version) for version in body["active"]]
    return ActiveSet(tuple(agents), tuple(active), ChangeToken(**body["token"]))


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that stands there in its place would otherwise be waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_own(found: os.stat_result) -> None:
    """Refuse a file that somebody else could have written.

    Raises:
        ValueError: It is no plain file, belongs to another user, or others may write it.
    """
    if not stat.S_ISREG(found.st_mode) or found.st_uid not in {_user(), 0}:
        raise ValueError("it belongs to another user or is no file")
    if hasattr(os, "getuid") and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError("others may write it")


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _cache_folder() -> Path:
    """Return the folder where this platform's programs keep what they can do without."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "automagik_prompts"
