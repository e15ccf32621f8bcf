"""Upgrades, downgrades and imports that are killed after each of their statements, and then simply run again."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from automagik_prompts.database_url import sqlite_path
from tests.conftest import ENGINES
from tests.hosts import TEXTS, Host, downgrade, fill_agents, make_agents, make_first_shape, meaning, upgrade, work_on
from tests.processes import Launcher
from tests.servers import PostgresServer

KILLED = -9

MAX_STATEMENTS = 400

Copies = Callable[[str], str]


@pytest.fixture(params=ENGINES)
def copies(request: pytest.FixtureRequest, tmp_path: Path) -> Copies:
    """Makes a copy of a database, of an empty one for the word `empty`, on each engine."""
    if request.param == "sqlite":

        def copy_file(url: str) -> str:
            target = tmp_path / f"{uuid.uuid4().hex}.db"
            source = sqlite_path(url) if url != "empty" else None
            if source is not None:
                shutil.copyfile(source, target)
            return f"sqlite://{target}"

        return copy_file
    server: PostgresServer = request.getfixturevalue("postgres")

    def copy_database(url: str) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        source = urlsplit(url).path.lstrip("/") if url != "empty" else "template1"
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        copy = urlunsplit(urlsplit(server.url)._replace(path=f"/{name}"))
        request.addfinalizer(lambda: server.drop_database(copy))
        return copy

    return copy_database


def killed_at(launcher: Launcher, work: str, at: int, *urls: str) -> bool:
    """Let a process do something and be killed after a statement; say whether it came that far."""
    child = launcher.fork("tests.upgrader:run", work, at, *urls)
    try:
        child.answer()
    except AssertionError:
        assert child.close() == KILLED, launcher.output()
        return True
    assert child.close() == 0
    return False


@pytest.mark.parametrize(
    ("copies", "work"),
    [
        ("sqlite", "upgrade"),
        ("postgres", "upgrade"),
        ("sqlite", "aerich upgrade"),
        pytest.param("postgres", "aerich upgrade", marks=pytest.mark.soak),
    ],
    indirect=["copies"],
)
def test_upgrade_killed_anywhere(copies: Copies, launcher: Launcher, work: str) -> None:
    """Wherever an upgrade of a host's tables dies, the next one ends in the same state as an undisturbed one."""
    host = Host(copies("empty"))
    make_first_shape(host)
    undisturbed = Host(copies(host.url))
    upgrade(undisturbed.url)
    at = kill_everywhere(copies, launcher, work, host, undisturbed)
    assert at > 40


@pytest.mark.parametrize(
    ("copies", "work"),
    [
        ("sqlite", "downgrade"),
        pytest.param("postgres", "downgrade", marks=pytest.mark.soak),
        pytest.param("sqlite", "aerich downgrade", marks=pytest.mark.soak),
        ("postgres", "aerich downgrade"),
    ],
    indirect=["copies"],
)
def test_downgrade_killed_anywhere(copies: Copies, launcher: Launcher, work: str) -> None:
    """Wherever a downgrade dies, the next one ends in the same state as an undisturbed one, and the way up is open."""
    host = Host(copies("empty"))
    make_first_shape(host)
    upgrade(host.url)
    work_on(host.url)
    undisturbed = Host(copies(host.url))
    downgrade(undisturbed.url)
    at = kill_everywhere(copies, launcher, work, host, undisturbed)
    assert at > 25
    upgrade(undisturbed.url)
    now, before = meaning(undisturbed), meaning(host)
    assert all(now[table] == before[table] for table in ("agents", "messages", "prompts", "prompt_events"))


def kill_everywhere(copies: Copies, launcher: Launcher, work: str, host: Host, undisturbed: Host) -> int:
    """Kill work after each of its statements, look what it has left, and finish it; return how many statements it has.

    Where it has left what was there before, it is killed one statement later; where it has finished something, what
    comes next is killed from its first statement on.
    """
    again = downgrade if work.endswith("downgrade") else upgrade
    disturbed = Host(copies(host.url))
    states = [state(disturbed)]
    done, at = 0, 1
    while killed_at(launcher, work, at, disturbed.url):
        done, at = done + 1, at + 1
        if state(disturbed) != states[-1]:
            states.append(state(disturbed))
            at = 1
            finished = Host(copies(disturbed.url))
            again(finished.url)
            assert state(finished) == state(undisturbed)
        assert done < MAX_STATEMENTS
    assert state(disturbed) == state(undisturbed)
    # This library's own command does all or nothing. Aerich's finishes one step after the other, and on SQLite records
    # each of them afterwards.
    steps = len(states) - 1
    assert steps == (1 if not work.startswith("aerich") else 17 if host.dialect == "sqlite" else 9)
    return done


def state(host: Host) -> tuple[Any, Any, list[str]]:
    """Return rows, tables, and what is recorded as applied."""
    shape = host.shape()
    known = host.has_table("aerich")
    applied = [version for (version,) in host.rows("SELECT version FROM aerich ORDER BY version")] if known else []
    return meaning(host), shape, applied


def test_import_killed_anywhere(copies: Copies, launcher: Launcher, tmp_path: Path) -> None:
    """Wherever an import dies, running it again brings in what is missing, and nothing twice."""
    source = Host(f"sqlite://{tmp_path / 'source.db'}")
    make_agents(source)
    fill_agents(source, TEXTS)
    target, undisturbed = Host(copies("empty")), Host(copies("empty"))
    upgrade(target.url)
    upgrade(undisturbed.url)
    assert not killed_at(launcher, "import", 0, undisturbed.url, source.url)
    killed = 0
    while killed_at(launcher, "import", killed + 1, target.url, source.url):
        killed += 1
        assert not target.rows("SELECT id FROM prompts WHERE is_active = false OR version > 1")
    assert killed > 8
    versions = (
        "SELECT a.name, a.revision, a.variables, p.version, p.prompt_text, p.format, p.note, p.is_default_from_code "
        "FROM agents a LEFT JOIN prompts p ON p.id = a.active_default_prompt_id ORDER BY a.name"
    )
    events = (
        "SELECT a.name, e.action, e.version, e.from_version, e.note FROM agents a "
        "JOIN prompt_events e ON e.agent_id = a.id ORDER BY a.name, e.id"
    )
    queries = [versions, events, "SELECT COUNT(*) FROM prompts"]
    assert target.all_rows(queries) == undisturbed.all_rows(queries)
