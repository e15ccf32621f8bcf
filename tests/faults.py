"""What the tests of faults share: agents that say what they were told, statements round the library, log lines."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest
from pydantic_ai import Agent

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.database_url import sqlite_path
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import Explanation, Health, ServedPrompt, Source, State
from automagik_prompts.following import writer
from automagik_prompts.following.journal import Journal
from automagik_prompts.following.memory.packing import pack
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.settings import load_settings
from automagik_prompts.storage import repository
from automagik_prompts.storage.repository import CHANNEL, AgentState
from tests import clock, member
from tests.listening import Listener
from tests.servers import credentials
from tests.waiting import wait_until

LIBRARY = "automagik_prompts"


async def told(plugin: PromptPlugin, agent: str, status_key: str | None = None, deps: object = None) -> str:
    """Run an agent and return the one system prompt that its model was told."""
    listener = Listener()
    capability: ActivePrompt[Any] = ActivePrompt(agent, status_key, plugin=plugin)
    await Agent(listener.model, name=agent, capabilities=[capability]).run("hello", deps=deps)
    assert len(listener.heard) == 1
    assert len(listener.last.system) == 1
    return listener.last.system[0]


def assert_follows(plugin: PromptPlugin, agent: str, version: int, status_key: str | None = None) -> None:
    """Make sure that all that tells says: this version, from the database, which is followed, and nothing is wrong."""
    assert plugin.state is State.LIVE
    assert_followed(plugin.explain(agent, status_key), plugin.health(), version)


def assert_followed(explained: Explanation, health: Health, version: int) -> None:
    """Make sure that both say: this version, from the database, which is followed, and nothing is wrong."""
    assert (explained.version, explained.source, explained.state) == (version, Source.DATABASE, State.LIVE)
    assert (explained.error, explained.notes) == (None, ())
    assert (health.ready, health.state, health.error) == (True, State.LIVE, None)
    # Apart from what is told of prompts that the test gives no agent, and of values that it leaves out.
    meant = ("no agent of this process", "had no value")
    assert [problem for problem in health.problems if not any(words in problem for words in meant)] == []
    for age in (explained.snapshot_age, health.snapshot_age):
        assert age is not None
        assert age >= 0


async def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements by the bare driver, each on its own, and return the rows of the last one."""
    path = sqlite_path(url)
    if path is not None:
        return await asyncio.to_thread(_execute_sqlite, str(path), statements)
    connection = await asyncpg.connect(**credentials(url))
    try:
        rows: list[Any] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


def _execute_sqlite(path: str, statements: Sequence[str]) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path, isolation_level=None, timeout=20)
    try:
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        return rows
    finally:
        connection.close()


@contextmanager
def locked(url: str) -> Iterator[Callable[[], None]]:
    """Lock an SQLite file so that nobody else can even read it, and give what ends that early."""
    path = sqlite_path(url)
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        yield holder.close


def notification(url: str) -> tuple[str, ...]:
    """Return the statement by which a writer tells the listening processes, where the engine has one."""
    return () if url.startswith("sqlite") else (f"SELECT pg_notify('{CHANNEL}', '')",)


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what the library has logged at a level and above."""
    return [
        record.getMessage() for record in caplog.records if record.name.startswith(LIBRARY) and record.levelno >= level
    ]


def assert_silent(caplog: pytest.LogCaptureFixture, *secrets: str) -> None:
    """Make sure that nothing that anybody logged contains a secret."""
    for record in caplog.records:
        text = f"{record.getMessage()} {record.exc_text or ''} {record.exc_info or ''}"
        for secret in secrets:
            assert secret not in text, f"{record.name} has logged what it must not"


def serve_without_powers(
    connections: list[Connection],
    url: str,
    texts: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Be a member of a fleet whose user must obey the modes of files, even where the tests run as root."""
    if os.geteuid() == 0:
        # Not by another user id: that user could not read the interpreter's own files.
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        nothing = (ctypes.c_uint32 * 6)()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.capset(header, nothing) == 0, os.strerror(ctypes.get_errno())
    # So that a test need not wait for it.
    writer.WRITE_RETRY = 0.2
    member.serve(connections, url, texts, settings)


def serve_without_room(
    connections: list[Connection],
    url: str,
    texts: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Be a member of a fleet that can write only small files, as on a disk that is nearly full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    member.serve(connections, url, texts, settings)


def save_often(connections: list[Connection], url: str, folder: str, times: int, number: int) -> None:
    """Write the last known good texts to disk many times, and all of the file anew now and then; then say so."""
    settings = load_settings(database_url=url, cache_dir=Path(folder))
    active = [ActiveVersion("a", 1, f"S{key}", 1, str(number) * 20_000, "text") for key in range(5)]
    packed = pack(AgentState(AgentInfo(1, "a", revision=number), tuple(active)))
    for time_ in range(times):
        journal = Journal(settings)
        for _ in range(5):
            journal.append([("a", packed)])
        if time_ % 5 == 0:
            assert list(journal.rewrite([("a", packed)])) in ([], [None])
        journal.close()
    connections[0].send((True, "saved"))
    connections[0].poll(60)


class ClockedMember(member.Member):
    """A member of a fleet whose wall clock can be stepped."""

    def __init__(self, *arguments: Any) -> None:
        clock.install()
        super().__init__(*arguments)
        self._looks = 0
        get_data_version = repository.get_data_version

        def counted(*arguments: Any) -> Any:
            self._looks += 1
            return get_data_version(*arguments)

        setattr(repository, "get_data_version", counted)  # noqa: B010  # counts, and does what it did

    def step(self, seconds: float) -> str:
        """Step the wall clock and return the date that it has now."""
        return clock.step(seconds)

    def looks(self, seconds: float) -> int:
        """Return how often the database is looked at in so many seconds."""
        before = self._looks
        time.sleep(seconds)
        return self._looks - before

    def written(self, agent: str) -> list[tuple[int, float]]:
        """Return the numbers of an agent's versions, newest first, with the time at which each was written."""
        found = asyncio.run(self.plugin.history(agent))
        return [(prompt.version, prompt.created_at.timestamp()) for prompt in found]


def serve_clocked(
    connections: list[Connection],
    url: str,
    texts: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Be a member of a fleet whose wall clock can be stepped."""
    member._obey(ClockedMember(connections, url, texts, settings or {}), connections[0])


class LongLivedMember(member.Member):
    """A member of a fleet that runs many times and tells how much memory it takes."""

    def runs(self, through_agent: int, others: int) -> None:
        """Run an agent so many times, and look up and fill its prompt so many more times."""
        for _ in range(through_agent):
            self.run("a")
        for number in range(others):
            self.plugin.render("a", values={"name": number})

    def resident(self) -> int:
        """Return how many bytes of memory this process has."""
        gc.collect()
        path = Path("/proc/self/statm")
        if path.exists():
            return int(path.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
        # Elsewhere the most that it has ever had: if that stays, so does what it has.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def texts_in_memory(self) -> int:
        """Return how many prompts there are in memory, of whatever version."""
        return sum(isinstance(thing, ServedPrompt) for thing in gc.get_objects())


def serve_long(
    connections: list[Connection],
    url: str,
    texts: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Be a member of a fleet that runs many times."""
    member._obey(LongLivedMember(connections, url, texts, settings or {}), connections[0])


class ManyMembers:
    """Several plugins in one process, each with its own thread and connections.

    Args:
        url: The database URL.
        count: How many.
    """

    def __init__(self, url: str, count: int) -> None:
        # Without a look in between, a plugin that says that it listens has read once more since it does.
        self._plugins = [
            PromptPlugin(url, registry=Registry(), disk_snapshot=False, poll_interval=60).start() for _ in range(count)
        ]

    def until_all_listen(self) -> None:
        """Return when notifications are known to arrive at each of them."""
        wait_until(lambda: all(plugin.health().listening for plugin in self._plugins), "all listen", 60)

    def until_all_serve(self, version: int) -> None:
        """Return when each of them serves a version."""
        wait_until(lambda: {plugin.resolve("a").version for plugin in self._plugins} == {version}, "all serve it", 60)

    def assert_all_follow(self, version: int) -> None:
        """Make sure that each of them says that it serves a version from the database."""
        for plugin in self._plugins:
            assert_follows(plugin, "a", version)
            assert plugin.health().listening


def serve_many(connections: list[Connection], url: str, count: int) -> None:
    """Be a process with several plugins."""
    member._obey(ManyMembers(url, count), connections[0])  # type: ignore[arg-type]  # it calls methods by their names
