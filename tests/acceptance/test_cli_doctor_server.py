"""`doctor` on a server that is not as it should be, with settings that cannot work, and with broken code and files."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.schema import migrate
from automagik_prompts.settings import Settings
from automagik_prompts.storage.database import Database
from tests.faults import execute
from tests.hosts import TEXTS, Host, fill_agents, make_agents
from tests.operator import Operator
from tests.patient import Patient, agrees, of
from tests.processes import Launcher
from tests.servers import PostgresServer

ROLE = f"app_{uuid.uuid4().hex[:12]}"
"""A user of the server that owns nothing."""


@pytest.fixture(scope="module")
def role(postgres: PostgresServer) -> str:
    """A user of the server that owns nothing."""
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN")
    return ROLE


@pytest.fixture
async def served(tmp_path: Path, postgres_url: str, role: str, launcher: Launcher) -> AsyncIterator[Patient]:
    """A healthy database on a server."""
    async with Database(postgres_url) as database:
        await migrate.upgrade(database)
        await DatabaseEdits(database).create("ann", "NEW", "Hello", activate=True, new_agent=True, new_status=True)
    yield Patient(Operator(tmp_path, postgres_url, launcher), postgres_url)
    await execute(postgres_url, f"DROP OWNED BY {role}")


def by(patient: Patient, user: str = ROLE, **parts: str) -> None:
    """Let another user come, or by another way."""
    found = urlsplit(patient.url)
    host = found.netloc.rpartition("@")[2]
    patient.url = urlunsplit(found._replace(netloc=f"{user}@{host}", **parts))


async def as_owner(patient: Patient, *statements: str) -> None:
    """Run statements as the owner."""
    await execute(patient.operator.url, "SET automagik_prompts.maintenance = 'on'", *statements)


async def healthy(_patient: Patient) -> None:
    """Nothing is the matter."""


async def no_such_host(patient: Patient) -> None:
    """The name leads nowhere."""
    patient.url = "postgresql://ann@nowhere.invalid/prompts"


async def nobody_there(patient: Patient) -> None:
    """Nothing listens at the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        patient.url = f"postgresql://ann@127.0.0.1:{free.getsockname()[1]}/prompts"


async def no_such_database(patient: Patient) -> None:
    """The server has no database of that name."""
    patient.url = urlunsplit(urlsplit(patient.url)._replace(path="/nowhere"))


async def no_such_user(patient: Patient) -> None:
    """The server knows nobody of that name."""
    by(patient, "nobody_at_all")


async def no_schema(patient: Patient) -> None:
    """Nobody has upgraded it yet."""
    await as_owner(patient, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


async def no_schema_and_no_rights(patient: Patient) -> None:
    """The same, and this user may not."""
    await no_schema(patient)
    by(patient)


async def no_such_path(patient: Patient) -> None:
    """The search path leads nowhere."""
    await as_owner(patient, "DROP SCHEMA public CASCADE")


async def older(patient: Patient) -> None:
    """Its schema is two steps behind."""
    async with Database(patient.url) as database:
        await migrate.downgrade(database, 5)


async def older_and_anothers(patient: Patient) -> None:
    """The same, and this user may not change it."""
    await older(patient)
    await as_owner(
        patient,
        f"GRANT USAGE, CREATE ON SCHEMA public TO {ROLE}",
        f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {ROLE}",
    )
    by(patient)


async def read_only_user(patient: Patient) -> None:
    """The user's transactions write nothing, and nothing is to be written."""
    await as_owner(
        patient,
        f"GRANT USAGE ON SCHEMA public TO {ROLE}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}",
        f"ALTER ROLE {ROLE} SET default_transaction_read_only = on",
    )
    by(patient)


async def read_only_and_old(patient: Patient) -> None:
    """The user's transactions write nothing, and something is to be written."""
    await older(patient)
    await read_only_user(patient)


async def newer(patient: Patient) -> None:
    """A newer release has been at it."""
    await as_owner(patient, "INSERT INTO aerich (version, app, content) VALUES ('99_x.py', 'automagik_prompts', '{}')")


async def without_a_table(patient: Patient) -> None:
    """The texts are gone."""
    await as_owner(patient, "DROP TABLE prompts CASCADE")


async def cut_off_log(patient: Patient) -> None:
    """What notes changes is gone."""
    await as_owner(patient, "DROP TABLE prompt_changes CASCADE", "DROP FUNCTION IF EXISTS prompt_changes_note CASCADE")


async def no_rights(patient: Patient) -> None:
    """This user may not even look."""
    by(patient)


async def no_right_to_one(patient: Patient) -> None:
    """This user may not look at the texts."""
    await as_owner(
        patient,
        f"GRANT USAGE ON SCHEMA public TO {ROLE}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}",
        f"REVOKE SELECT ON prompts FROM {ROLE}",
    )
    by(patient)


async def no_right_to_history(patient: Patient) -> None:
    """This user may not look at what was applied."""
    await as_owner(
        patient,
        f"GRANT USAGE ON SCHEMA public TO {ROLE}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}",
        f"REVOKE SELECT ON aerich FROM {ROLE}",
    )
    by(patient)


async def legacy(patient: Patient) -> None:
    """An application has texts in its own table."""
    await no_schema(patient)
    host = Host(patient.url)
    await asyncio.to_thread(make_agents, host)
    await asyncio.to_thread(fill_agents, host, TEXTS)


async def foreign(patient: Patient) -> None:
    """A table of that name is about something else."""
    await no_schema(patient)
    await as_owner(patient, "CREATE TABLE agents (id SERIAL PRIMARY KEY, name TEXT UNIQUE, phone TEXT)")


async def hostile_rows(patient: Patient) -> None:
    """Plain SQL has written what cannot be served."""
    await as_owner(
        patient,
        "UPDATE prompts SET prompt_text = '{{#if', format = 'jinja', status_key = E'\\x1b[2J'",
        "UPDATE agents SET default_status_key = ''",
    )


SERVERS = [
    *(healthy, no_such_host, nobody_there, no_such_database, no_such_user, no_schema, no_schema_and_no_rights),
    *(no_such_path, older, older_and_anothers, read_only_user, read_only_and_old, newer, without_a_table, cut_off_log),
    *(no_rights, no_right_to_one, no_right_to_history, legacy, foreign, hostile_rows),
]


@pytest.mark.parametrize("happen", SERVERS, ids=lambda one: one.__name__)
async def test_doctor_and_upgrade_agree_on_a_server(served: Patient, happen: Callable[[Patient], Any]) -> None:
    """Whatever a server is like, `doctor` reports it, and `upgrade` does what it said, or refuses in the same words."""
    await happen(served)
    checks = agrees(served)
    if happen is no_right_to_one:
        assert "automagik-prompts grants" in of(checks, "serving")["message"]


def test_without_the_driver(tmp_path: Path) -> None:
    """Where the driver is not installed, the report names the command that installs it."""
    operator = Operator(tmp_path, "postgresql://ann@127.0.0.1/prompts")
    (tmp_path / "shadow" / "asyncpg").mkdir()
    missing = "raise ModuleNotFoundError(\"No module named 'asyncpg'\", name='asyncpg')\n"
    (tmp_path / "shadow" / "asyncpg" / "__init__.py").write_text(missing)
    checks = agrees(Patient(operator, operator.url))
    assert "pip install 'automagik-prompts[postgres]'" in of(checks, "connection")["message"]


WRONG = {
    "database_url": ["oracle://x", "nothing", "postgresql://", "postgresql://u:p/w@h/d", "sqlite://x?mode=", "://"],
    "database_password": ["secret"],
    "database_password_file": ["nowhere.txt", "."],
    "listen_url": ["sqlite://x", "postgresql://h/d", "::"],
    "startup_timeout": ["soon", "-1", "nan", "61"],
    "poll_interval": ["0", "inf", "x"],
    "missing": ["explode"],
    "max_value_length": ["0", "many"],
    "max_items": ["0", "1.5"],
    "disk_snapshot": ["perhaps"],
    "cache_dir": ["/dev/null", "/proc/nowhere", "\u00e9\u202e"],
    "modules": ["no.such.module", ".", "a..b", "x/y"],
    "only": ["ann", ",,,"],
    "author": ["\x1b[2J", "x" * 5000],
    "history_key": [",", "short"],
    "provenance": ["maybe", "opaque"],
    "pin_timeout": ["11", "x"],
    "baggage": ["x"],
    "release": ["\n"],
    "heartbeat": ["-1", "x"],
    "seed": ["x"],
    "policy": ["nonsense", "no.such:policy", "os:nothing", "os:name", "os:sep.x"],
}


def test_every_setting_is_tried() -> None:
    """A new setting is put into the table."""
    assert set(WRONG) == set(Settings.model_fields)


@pytest.fixture
async def patient(tmp_path: Path, sqlite_url: str, launcher: Launcher) -> Patient:
    """A healthy file with one agent."""
    async with Database(sqlite_url) as database:
        await migrate.upgrade(database)
        await DatabaseEdits(database).create("ann", "NEW", "Hello", activate=True, new_agent=True, new_status=True)
    return Patient(Operator(tmp_path, sqlite_url, launcher), sqlite_url)


REFUSED = {"database_url", "database_password", "database_password_file", "listen_url", "policy"}


@pytest.mark.parametrize("name", WRONG)
def test_a_setting_that_cannot_work(patient: Patient, name: str) -> None:
    """The report names the setting, and nothing crashes; with what is harmless all is well."""
    for value in WRONG[name]:
        patient.environment = {f"AUTOMAGIK_PROMPTS_{name.upper()}": value}
        checks = patient.examine()
        failed = [check for check in checks if check["outcome"] == "failed"]
        if name in REFUSED:
            assert failed, value
        for check in failed:
            assert name in check["message"].lower() or value in check["message"] or check["name"] == "connection", check


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('no weather')", "RuntimeError: no weather"),
        ("raise SystemExit(7)", "SystemExit: 7"),
        ("import sys; sys.exit('usage: script')", "SystemExit: usage: script"),
        ("def (", "SyntaxError"),
        ("import no_such_thing", "No module named 'no_such_thing'"),
        ("from automagik_prompts import prompt; prompt('{{#if', agent='a', status_key='B')", "other.py"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported(patient: Patient, code: str, words: str) -> None:
    """The report says which one and why, and goes on."""
    (patient.operator.folder / "other.py").write_text(f"{code}\n")
    patient.arguments = ["--module", "other"]
    checks = patient.examine()
    (failed,) = [check for check in checks if check["outcome"] == "failed"]
    assert failed["name"] == "modules"
    assert words in failed["message"]
    assert of(checks, "serving")["outcome"] == "ok"


def test_a_folder_of_snapshots_that_cannot_be_written(patient: Patient) -> None:
    """The report says that nothing is kept, and how to name another folder; with that one all is well."""
    folder = patient.operator.folder / "cache"
    folder.mkdir(mode=0o555)
    patient.environment = {"AUTOMAGIK_PROMPTS_CACHE_DIR": str(folder)}
    patient.powerless = True
    told = [check["message"] for check in patient.examine() if check["name"] == "disk snapshot"]
    assert "cannot be written" in told[0]
    folder.chmod(0o755)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x00" * 5000, None])
def test_a_snapshot_that_cannot_be_read(patient: Patient, content: bytes | None) -> None:
    """The report says so and what to do, and does not call it saved; once it is removed, all is well again."""
    (told,) = [check["message"] for check in patient.examine() if check["name"] == "disk snapshot"]
    path = Path(told.partition(" is not there yet")[0])
    path.parent.mkdir(parents=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    check = of(patient.examine(), "disk snapshot")
    assert check["outcome"] == "warning"
    assert "Remove it" in check["message"]
    path.rmdir() if content is None else path.unlink()
    assert "not there yet" in of(patient.examine(), "disk snapshot")["message"]
