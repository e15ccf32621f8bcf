"""The two engines, each with its processes, and what can go wrong with each."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.soak.runner import Report
from tests.processes import Child
from tests.proxy import Proxy
from tests.servers import OwnServer

Fault = Callable[[random.Random], AbstractContextManager[None]]
"""Something that is broken while the context is open."""


@dataclass(slots=True)
class Window:
    """A time in which something was broken, for one process or for all.

    Attributes:
        began: When it began.
        ended: When it ended.
        pid: The process that it was about; `None` for all.
    """

    began: float
    ended: float = float("inf")
    pid: int | None = None


@dataclass(slots=True)
class Side:
    """One engine with its processes.

    Attributes:
        engine: The engine.
        url: The URL that those use who write, past the proxy.
        member_url: The URL that the processes use.
        promise: What is promised from commit to served, in words.
        faults: What can be broken, by name.
        outage: The name of the fault during which a process is also started anew.
        children: The processes.
        started: When each process began.
        asking: Held by whoever asks a process something, or replaces one.
        reports: What processes did that were killed since.
        windows: When what was broken.
        began: When the writing of each text began.
        committed: When each text of the first status was committed, where that is known.
        done: How often what was done.
    """

    engine: str
    url: str
    member_url: str
    promise: str
    faults: dict[str, Fault]
    outage: str
    children: list[Child] = field(default_factory=list)
    started: dict[int, float] = field(default_factory=dict)
    asking: threading.Lock = field(default_factory=threading.Lock)
    reports: list[tuple[int, Report]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    began: dict[int, float] = field(default_factory=dict)
    committed: dict[int, float] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)


class Server:
    """A PostgreSQL server behind a proxy, which are both broken on purpose.

    Args:
        folder: Where it keeps its data.
    """

    def __init__(self, folder: Path) -> None:
        self._server = OwnServer(folder)
        self._proxy = Proxy(self._server.url)

    def side(self) -> Side:
        """Return the side that follows it."""
        url = self._server.create_database()
        return Side(
            "PostgreSQL",
            url,
            self._proxy.url(url),
            "1 s at p99, with notifications",
            {
                "the server refuses": self._refusing,
                "the server hangs": self._hanging,
                "the server is slow": self._slow,
                "connections are cut": self._cut,
                "packets are swallowed": self._swallowed,
                "the link is narrow": self._narrow,
                "backends are killed": self._backends_killed,
                "the server is restarted": self._restarted,
                "the server crashes": self._crashed,
            },
            "the server refuses",
        )

    def close(self) -> None:
        """End both."""
        self._proxy.close()
        self._server.stop()

    @contextmanager
    def _refusing(self, _chance: random.Random) -> Iterator[None]:
        self._proxy.refuse()
        try:
            yield
        finally:
            self._proxy.open()

    @contextmanager
    def _hanging(self, _chance: random.Random) -> Iterator[None]:
        self._proxy.hang()
        try:
            yield
        finally:
            self._proxy.open()

    @contextmanager
    def _slow(self, chance: random.Random) -> Iterator[None]:
        self._proxy.slow(chance.uniform(0.01, 0.2))
        try:
            yield
        finally:
            self._proxy.open()

    @contextmanager
    def _cut(self, _chance: random.Random) -> Iterator[None]:
        self._proxy.cut()
        yield

    @contextmanager
    def _swallowed(self, _chance: random.Random) -> Iterator[None]:
        self._proxy.swallow()
        yield

    @contextmanager
    def _narrow(self, chance: random.Random) -> Iterator[None]:
        self._proxy.narrow(chance.uniform(20_000, 200_000))
        try:
            yield
        finally:
            self._proxy.narrow(float("inf"))

    @contextmanager
    def _backends_killed(self, _chance: random.Random) -> Iterator[None]:
        self._server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' "
            "AND pid <> pg_backend_pid()"
        )
        yield

    @contextmanager
    def _restarted(self, _chance: random.Random) -> Iterator[None]:
        self._server.halt()
        try:
            yield
        finally:
            self._server.resume()

    @contextmanager
    def _crashed(self, _chance: random.Random) -> Iterator[None]:
        self._server.kill()
        try:
            yield
        finally:
            self._server.resume()


class File:
    """An SQLite file, which is taken away and locked.

    Args:
        folder: Where it is, with nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def side(self) -> Side:
        """Return the side that follows it."""
        url = f"sqlite://{self._path}"
        faults: dict[str, Fault] = {
            "the file is away": self._away,
            "the file is locked": self._locked,
            "the file is rewritten": self._rewritten,
        }
        return Side("SQLite", url, url, "one poll interval, 0.25 s, and the reading", faults, "the file is away")

    @property
    def _path(self) -> Path:
        return self._folder / "prompts.db"

    @contextmanager
    def _away(self, _chance: random.Random) -> Iterator[None]:
        elsewhere = self._folder.with_name(f"{self._folder.name}-away")
        self._folder.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(self._folder)

    @contextmanager
    def _locked(self, _chance: random.Random) -> Iterator[None]:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()

    @contextmanager
    def _rewritten(self, _chance: random.Random) -> Iterator[None]:
        """Write the file anew in its place, with what it holds."""
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=20)
        try:
            connection.execute("VACUUM")
            yield
        finally:
            connection.close()
