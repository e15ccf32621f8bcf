"""Many processes that upgrade at once, and a lock that outlives no process."""

from __future__ import annotations

import signal

import pytest

from automagik_prompts.schema.migrations import all_migrations
from tests.hosts import Host, make_first_shape, upgrade
from tests.processes import Launcher

PROCESSES = 50


def test_fifty_processes_upgrade_an_empty_database(empty_url: str, launcher: Launcher) -> None:
    """One of fifty processes applies every step, and fifty succeed."""
    children = [launcher.fork("tests.upgrader:run_when_told", "upgrade", empty_url) for _ in range(PROCESSES)]
    for child in children:
        child.tell("go")
    applied = [child.answer() for child in children]
    assert [child.close() for child in children] == [0] * PROCESSES
    every = tuple(migration.version for migration in all_migrations())
    assert sorted(applied) == [()] * (PROCESSES - 1) + [every]
    assert [version for (version,) in Host(empty_url).rows("SELECT version FROM aerich ORDER BY id")] == list(every)


def test_many_processes_adopt_a_hosts_tables(empty_url: str, launcher: Launcher) -> None:
    """Where the tables are a host's, each text still becomes one version."""
    host = Host(empty_url)
    make_first_shape(host)
    children = [launcher.fork("tests.upgrader:run_when_told", "upgrade", empty_url) for _ in range(12)]
    for child in children:
        child.tell("go")
    assert sum(bool(child.answer()) for child in children) == 1
    assert [child.close() for child in children] == [0] * len(children)
    assert host.one("SELECT COUNT(*) FROM prompts") == 16
    assert host.one("SELECT COUNT(*) FROM prompts WHERE name = 'Migrated Default Prompt'") == 7


def test_a_killed_process_leaves_no_lock(empty_url: str, launcher: Launcher) -> None:
    """While one process is in the middle of an upgrade another waits; when the first is killed the other goes on."""
    # SQLite's own wait for a lock ends soon; an upgrade waits for another one for as long as that may take.
    url = f"{empty_url}?busy_timeout=100" if empty_url.startswith("sqlite") else empty_url
    holder = launcher.fork("tests.upgrader:hold", "upgrade", 6, url)
    assert holder.answer() == "held"
    waiting = launcher.fork("tests.upgrader:run", "upgrade", 0, url)
    with pytest.raises(AssertionError, match="did not answer"):
        waiting.answer(0.5)
    holder.send_signal(signal.SIGKILL)
    assert waiting.answer() == tuple(migration.version for migration in all_migrations())
    assert (holder.close(), waiting.close()) == (-signal.SIGKILL, 0)
    assert upgrade(empty_url) == ()
