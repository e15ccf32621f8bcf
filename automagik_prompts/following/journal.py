"""The last known good texts on disk: what a process serves that starts while the database is down.

One file for each database and user, readable by that user only: a line for each agent that was read, with its checksum,
and a further one each time that it changes. Whoever holds the file's lock writes it; others leave it to that process.
What a process that was killed has not written whole does not count. Now and then it is written anew, with one line for
each agent. A file that is damaged, of another kind or somebody else's is ignored with one warning; it is never needed,
only useful.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from automagik_prompts.database_url import identity_of
from automagik_prompts.domain.log import logger
from automagik_prompts.following.memory.packing import Packed, from_list, listed
from automagik_prompts.settings import Settings

if sys.platform != "win32":
    import fcntl

_KIND = "automagik_prompts journal 1"

_CHECK = 16
"""Characters of a line's checksum."""

_SLACK = 1_000_000
"""Bytes of lines that do not count any more, at least, before the file is written anew."""

_RETRY = 30.0
"""Seconds after which a process that does not write the file looks whether the one that does has ended."""

Line = tuple[str, Packed | None]
"""An agent's name and the agent; `None` for one that is gone."""


class Journal:
    """Reads and writes the file of one database.

    Args:
        settings: The plugin's settings.
        reading: Whether the file is only read.

    Attributes:
        path: The file; `None` where nothing is kept.
        is_due: Whether the file should be written anew.
        is_damaged: Whether a line was found in it that nobody has written so.
        fault: Why the file could not be read or written, without what is in it; `None` where it could.
    """

    def __init__(self, settings: Settings, *, reading: bool = False) -> None:
        identity = identity_of(settings.database_url)
        self.path: Path | None = None
        self.is_due = self.is_damaged = False
        self.fault: str | None = None
        self._reading = reading
        self._descriptor: int | None = None
        self._again_at = 0.0
        self._known_size = -1
        self._live = self._appended = 0
        # Elsewhere there is no such lock, and two processes would overwrite each other's lines.
        if settings.disk_snapshot and identity is not None and sys.platform != "win32":
            part = "".join(f"\n{name}" for name in sorted(settings.only))
            name = hashlib.sha256(f"{identity}\n{_user()}{part}".encode()).hexdigest()[:32]
            try:
                self.path = (settings.cache_dir or _cache_folder()) / f"{name}.journal"
            except RuntimeError as error:  # a container's user without a home
                self._warn("placed", error)

    def read(self) -> Iterator[Line]:
        """Yield what was saved, in the order in which it was; the last line of an agent counts."""
        if self.path is None:
            return
        try:
            with open(self.path, "rb", opener=_without_waiting) as file:  # Path.open takes no opener
                _check_own(os.fstat(file.fileno()))
                if _checked(file.readline()) != _KIND.encode():
                    raise ValueError("it is of another kind")
                end = file.tell()
                for line in file:
                    try:
                        yield _parsed(_checked(line))
                    except (ValueError, TypeError, RecursionError) as error:
                        # What a killed process has begun is no more than missing.
                        if line.endswith(b"\n"):
                            self.is_damaged = True
                            self._warn("read", error)
                        return
                    end += len(line)
                self._known_size = self._live = end
        except FileNotFoundError:
            self._known_size = 0
        except (OSError, ValueError) as error:
            self._warn("read", error)

    def append(self, lines: Iterable[Line]) -> None:
        """Write the agents that have changed; failing to is only worth a warning."""
        if not self._acquired() or self._descriptor is None:
            return
        data = b"".join(map(_written, lines))
        size = os.fstat(self._descriptor).st_size
        try:
            _write_all(self._descriptor, data)
        except OSError as error:
            self._warn("written", error)
            self._known_size = -1  # it lacks something now
            os.ftruncate(self._descriptor, size)
            self.close()
            return
        self._appended += len(data)
        self.is_due = self.is_due or self._appended > max(self._live, _SLACK)

    def rewrite(self, lines: Iterable[Line]) -> Iterator[None]:
        """Write the file anew, a little with each step; it takes the old one's place at the end."""
        self.is_due = False
        if not self._acquired() or self.path is None:
            return
        self.is_due = False
        temporary: str | None = None
        descriptor = -1
        try:
            # mkstemp creates the file with mode 0600.
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f"{self.path.stem}-", suffix=".tmp")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = _write_all(descriptor, _HEAD)
            for line in lines:
                size += _write_all(descriptor, _written(line))
                yield
            Path(temporary).replace(self.path)
            self.close()
            self._take(descriptor)
            descriptor, temporary = -1, None
            self._live, self._appended = size, 0
        except OSError as error:
            self._warn("written", error)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def close(self) -> None:
        """Let another process write the file."""
        descriptor, self._descriptor = self._descriptor, None
        _open.discard(self)
        if descriptor is not None:
            os.close(descriptor)

    def _acquired(self) -> bool:
        """Return whether this process writes the file, and try to become the one that does."""
        if self._descriptor is not None:
            return True
        now = time.monotonic()
        if self.path is None or self._reading or now < self._again_at:
            return False
        self._again_at = now + _RETRY
        descriptor = -1
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.path.exists():
                self._create(self.path)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
            found = os.fstat(descriptor)
            _check_own(found)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.path.stat().st_ino != found.st_ino:
                return False  # somebody has just written it anew
        except BlockingIOError:
            return False
        except (OSError, ValueError) as error:
            self._warn("written", error)
            return False
        else:
            self._take(descriptor)
            descriptor = -1
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        self._clear_up(self.path)
        # Somebody else has written to it, or left a line unfinished.
        self.is_due = found.st_size not in {len(_HEAD), self._known_size}
        return True

    def _create(self, path: Path) -> None:
        """Make the file with its first line, in one step: whoever reads meanwhile finds none, or one that is whole."""
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_HEAD)
            with suppress(FileExistsError, FileNotFoundError):  # another process was faster, or has cleared up
                path.hardlink_to(temporary)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _take(self, descriptor: int) -> None:
        self._descriptor = descriptor
        _open.add(self)

    def _clear_up(self, path: Path) -> None:
        """Remove the temporary files of processes that were killed while they wrote: nobody else may write now."""
        try:
            for left in path.parent.glob(f"{path.stem}-*.tmp"):
                left.unlink(missing_ok=True)
        except OSError as error:
            logger.debug("A temporary file beside %s could not be removed (%s).", path, error.strerror)

    def _warn(self, what: str, error: Exception) -> None:
        if self.fault is None:
            # The type and the system's own words: what json says about a file could repeat what is in it.
            words = error.strerror if isinstance(error, OSError) else type(error).__name__
            self.fault = f"The disk snapshot {self.path} could not be {what} ({words}); it is ignored."
            logger.warning("%s", self.fault)


_open: WeakSet[Journal] = WeakSet()


def close_open() -> None:
    """Have a forked child let go of its parent's files: it would hold their locks."""
    for journal in tuple(_open):
        journal.close()


def _written(line: Line) -> bytes:
    name, packed = line
    content = [name, *(listed(packed) if packed is not None else ())]
    return _line(json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode())


def _parsed(body: bytes) -> Line:
    name, *values = json.loads(body)
    if not values:
        return name, None
    packed = from_list(values)
    return packed[1], packed


def _line(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECK].encode() + b" " + body + b"\n"


def _checked(line: bytes) -> bytes:
    """Return what a line holds.

    Raises:
        ValueError: It is damaged.
    """
    check, _, body = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or hashlib.sha256(body).hexdigest()[:_CHECK].encode() != check:
        raise ValueError("it is damaged")
    return body


def _write_all(descriptor: int, data: bytes) -> int:
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])
    return written


_HEAD = _line(_KIND.encode())


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
