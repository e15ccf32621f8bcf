"""What only looks writes nothing: no file, no row, no schema, whatever there is to look at."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.cli.app import COMMANDS
from automagik_prompts.database_url import sqlite_path
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from tests.operator import Operator, fill
from tests.processes import Launcher

LOOKING = {
    "agents": "",
    "list": "",
    "show": "agent_01 APPROVED",
    "history": "agent_01",
    "events": "",
    "explain": "agent_01 APPROVED --module other",
    "diff": "agent_01 APPROVED 1 2",
    "preview": "agent_01 APPROVED --set name=Ana",
    "search": "politely",
    "requests": "",
    "check": "--ignore inactive --ignore unsynced --ignore drift --module other",
    "export": "prompts",
    "import": "files --dry-run",
    "migrate-legacy": "--dry-run",
    "doctor": "--module other",
    "watch": "--for 0 --module other",
    "fleet": "",
    "restore": "--as-of 1h --dry-run",
}
"""How each command looks that only looks, or that is told to."""

WRITING = {
    *("create", "activate", "rollback", "deactivate", "copy", "keep", "withdraw", "delete"),
    *("request", "approve", "decline", "comment", "sync", "upgrade", "downgrade"),
}

ELSEWHERE = {"token", "console", "serve", "health", "grants"}
"""What makes tokens, serves until it is ended, asks another process, or needs no database."""

CODE = "prompt('Brand new: {{name}}', agent='agent_01', status_key='NOT_REGISTERED')"
"""What a process that serves would write at its start."""


def _files(operator: Operator) -> dict[str, tuple[int, bytes]]:
    """Return all files of an operator but those that an export makes, with their times and bytes."""
    return {
        str(path.relative_to(operator.folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in operator.folder.rglob("*")
        if path.is_file() and not {"prompts", "__pycache__"} & set(path.relative_to(operator.folder).parts)
    }


async def _rows(url: str) -> dict[str, str]:
    """Return what tells whether anything was written in a database on a server: each row, with who wrote it last."""

    async def read(client: BaseDBAsyncClient) -> dict[str, str]:
        names = await client.execute_query_dict(
            "SELECT c.oid::regclass::text AS name, c.relkind::text AS kind, c.relfilenode FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' ORDER BY 1"
        )
        found = {"": str(names)}
        for name in (one["name"] for one in names if one["kind"] in "rS"):
            rows = await client.execute_query_dict(f"SELECT xmin::text AS writer, t.* FROM {name} t")
            found[name] = hashlib.sha256(str(sorted(map(str, rows))).encode()).hexdigest()
        return found

    if sqlite_path(url) is not None:
        return {}
    async with Database(url) as database:
        return await database.run(read)


@pytest.fixture
async def operator(tmp_path: Path, empty_url: str, launcher: Launcher) -> Operator:
    """An operator of a database with two agents, a request, and code that the database has not seen."""
    await fill(empty_url, agents=2, versions=2)
    async with Database(empty_url) as database:
        await DatabaseEdits(database, author="bea").request("agent_01", "APPROVED", 1)
    operator = Operator(tmp_path, empty_url, launcher)
    (tmp_path / "other.py").write_text(f"from automagik_prompts import prompt\n{CODE}\n")
    operator.do("export", "files")
    (tmp_path / "files" / "agent_01" / "APPROVED.md").write_bytes(
        (tmp_path / "files" / "agent_01" / "APPROVED.md").read_bytes().replace(b"politely", b"kindly")
    )
    return operator


def test_every_command_looks_or_writes() -> None:
    """A new command is put into one of the tables."""
    assert set(COMMANDS) == {*LOOKING, *WRITING, *ELSEWHERE}


@pytest.mark.parametrize("name", LOOKING)
async def test_what_only_looks_writes_nothing(operator: Operator, name: str) -> None:
    """Neither the database nor the working directory nor the folder of the disk snapshots is another one afterwards."""
    before = _files(operator), await _rows(operator.url)
    outcome = operator.run(name, *LOOKING[name].split())
    assert outcome.code == 0, outcome
    assert (_files(operator), await _rows(operator.url)) == before


@pytest.fixture
def nobody(tmp_path: Path, sqlite_url: str, launcher: Launcher) -> Operator:
    """An operator whose database does not exist yet."""
    (tmp_path / "other.py").write_text(f"from automagik_prompts import prompt\n{CODE}\n")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "one.md").write_text("---\nagent: agent_01\nstatus: APPROVED\n---\n\nx\n")
    return Operator(tmp_path, sqlite_url, launcher)


@pytest.mark.parametrize("name", LOOKING)
def test_looking_makes_no_database(nobody: Operator, name: str) -> None:
    """Where there is no file, each command says so in one sentence, with what to do, and makes none."""
    before = _files(nobody)
    outcome = nobody.run(name, *LOOKING[name].split())
    assert outcome.code == 1
    assert "There is no database file" in outcome.out + outcome.err
    assert "automagik-prompts upgrade" in (outcome.out + outcome.err).replace("\n", " ")
    assert outcome.err.count("\n") == (name != "doctor")
    assert _files(nobody) == before
    assert not (nobody.folder / "prompts").exists()


REPORTING = {"check": 3, "explain": 0, "migrate-legacy": 0, "watch": 0}
"""What answers without a schema, and with which exit code; the others say what is missing, and end."""


@pytest.mark.parametrize("name", LOOKING)
async def test_looking_makes_no_schema(
    empty_url: str, tmp_path: Path, nobody: Operator, name: str, launcher: Launcher
) -> None:
    """In an empty database nothing is made, and each command names the one that makes a schema."""
    if (path := sqlite_path(empty_url)) is not None:
        path.touch()
    operator = Operator(tmp_path, empty_url, launcher)
    before = _files(nobody), await _rows(empty_url)
    outcome = operator.run(name, *LOOKING[name].split())
    is_report = name == "doctor" and path is not None  # a file is brought up to date by whoever writes
    assert outcome.code == (0 if is_report else REPORTING.get(name, 1)), outcome
    assert "automagik-prompts upgrade" in (outcome.out + outcome.err).replace("\n", " "), outcome
    assert (_files(operator), await _rows(empty_url)) == before


@pytest.mark.parametrize("name", LOOKING)
async def test_looking_changes_no_old_schema(nobody: Operator, sqlite_url: str, name: str) -> None:
    """A database of an older release stays so, and its log stays of the kind that it was."""
    await fill(sqlite_url, agents=2, versions=2)
    async with Database(sqlite_url) as database:
        await migrate.downgrade(database, 5)
    connection = sqlite3.connect(nobody.folder / "prompts.db")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    before = _files(nobody)
    outcome = nobody.run(name, *LOOKING[name].split())
    assert outcome.code == (0 if name == "doctor" else REPORTING.get(name, 1)), outcome
    assert name == "watch" or "automagik-prompts upgrade" in (outcome.out + outcome.err).replace("\n", " "), outcome
    assert _files(nobody) == before
