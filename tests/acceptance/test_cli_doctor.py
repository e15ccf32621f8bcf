"""`doctor` ends with a report whatever is the matter, and says of the schema what `upgrade` then does."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from tests.hosts import TEXTS, Host, fill_agents, make_agents, make_first_shape
from tests.operator import Operator
from tests.patient import Patient, agrees
from tests.processes import Launcher
from tests.tampering import tamper


def sql(path: Path, *statements: str) -> None:
    """Run statements on a file."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
async def patient(tmp_path: Path, launcher: Launcher) -> AsyncIterator[Patient]:
    """A healthy file with one agent."""
    (tmp_path / "data").mkdir()
    url = f"sqlite://{tmp_path / 'data' / 'prompts.db'}"
    async with Database(url) as database:
        await migrate.upgrade(database)
        await DatabaseEdits(database).create("ann", "NEW", "Hello", activate=True, new_agent=True, new_status=True)
    yield Patient(Operator(tmp_path, url, launcher), url)
    for path in (tmp_path / "data", tmp_path / "cache", *(tmp_path / "data").glob("*")):
        if path.exists():
            path.chmod(0o755)


async def downgraded(patient: Patient, number: int) -> None:
    """Take the schema back."""
    async with Database(patient.url) as database:
        await migrate.downgrade(database, number)


def a_host(patient: Patient) -> Host:
    """Put an application's tables in the place of the library's."""
    patient.path.unlink()
    host = Host(patient.url)
    make_agents(host)
    fill_agents(host, TEXTS)
    return host


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        yield


async def healthy(patient: Patient) -> None:
    """Nothing is the matter."""


async def missing(patient: Patient) -> None:
    """The file is gone."""
    patient.path.unlink()


async def missing_folder(patient: Patient) -> None:
    """Its folder was never made."""
    patient.url = f"sqlite://{patient.path.parent / 'nowhere' / 'prompts.db'}"


async def empty(patient: Patient) -> None:
    """The file has no byte."""
    patient.path.write_bytes(b"")


async def no_database(patient: Patient) -> None:
    """It is another kind of file."""
    patient.path.write_bytes(b"This is a letter to my aunt. " * 100)


async def cut_short(patient: Patient) -> None:
    """Its end is missing."""
    patient.path.write_bytes(patient.path.read_bytes()[:5000])


async def scrambled(patient: Patient) -> None:
    """All pages but the first are damaged."""
    content = bytearray(patient.path.read_bytes())
    content[4096:] = bytes(byte ^ 0x5A for byte in content[4096:])
    patient.path.write_bytes(content)


async def a_folder(patient: Patient) -> None:
    """A folder stands in its place."""
    patient.path.unlink()
    patient.path.mkdir()


async def two_names(patient: Patient) -> None:
    """It has a second name."""
    (patient.path.parent / "other.db").hardlink_to(patient.path)


async def unreadable(patient: Patient) -> None:
    """This user may not read it."""
    patient.path.chmod(0)
    patient.powerless = True


async def unreadable_folder(patient: Patient) -> None:
    """This user may not enter its folder."""
    patient.path.parent.chmod(0)
    patient.powerless = True


async def read_only(patient: Patient) -> None:
    """This user may only read it."""
    patient.path.chmod(0o444)
    patient.path.parent.chmod(0o555)
    patient.powerless = True


async def read_only_and_old(patient: Patient) -> None:
    """The same, with an older schema."""
    await downgraded(patient, 5)
    await read_only(patient)


async def older(patient: Patient) -> None:
    """Its schema is two steps behind."""
    await downgraded(patient, 5)


async def much_older(patient: Patient) -> None:
    """Its schema has but the first step."""
    await downgraded(patient, 1)


async def taken_back(patient: Patient) -> None:
    """All steps were taken back."""
    await downgraded(patient, 0)


async def newer(patient: Patient) -> None:
    """A newer release has been at it."""
    sql(
        patient.path,
        "INSERT INTO aerich (version, app, content) VALUES ('99_x.py', 'automagik_prompts', '{}')",
    )


async def cut_off_log(patient: Patient) -> None:
    """Its triggers are gone."""
    with closing(sqlite3.connect(patient.path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    sql(patient.path, *(f"DROP TRIGGER {name}" for name in names))


async def without_requests(patient: Patient) -> None:
    """A table is gone."""
    sql(patient.path, "DROP TABLE prompt_requests")


async def without_withdrawals(patient: Patient) -> None:
    """A table is gone that can be made anew."""
    sql(patient.path, "DROP TABLE prompt_withdrawals")


async def without_prompts(patient: Patient) -> None:
    """The texts are gone."""
    sql(patient.path, "DROP TABLE prompts")


async def without_a_column(patient: Patient) -> None:
    """A column has another name."""
    sql(patient.path, "ALTER TABLE prompts RENAME COLUMN note TO remark")


async def half_recorded(patient: Patient) -> None:
    """A step was done and is not recorded."""
    sql(patient.path, "DELETE FROM aerich WHERE version LIKE '6%'")


async def foreign(patient: Patient) -> None:
    """A table of that name is about something else."""
    patient.path.unlink()
    sql(patient.path, "CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT UNIQUE, phone TEXT)")


async def foreign_aerich(patient: Patient) -> None:
    """Somebody else's table has the name of aerich's."""
    sql(patient.path, "DROP TABLE aerich", "CREATE TABLE aerich (id INTEGER PRIMARY KEY, what TEXT)")


async def legacy(patient: Patient) -> None:
    """An application has texts in its own table."""
    a_host(patient)


async def first_shape(patient: Patient) -> None:
    """It is the shape that this library grew from."""
    patient.path.unlink()
    make_first_shape(Host(patient.url))


async def legacy_in_use(patient: Patient) -> None:
    """A view uses the column with the texts."""
    a_host(patient).run("CREATE VIEW texts AS SELECT name, system_prompt FROM agents")


async def legacy_half_way(patient: Patient) -> None:
    """A text was changed after a downgrade half way."""
    host = a_host(patient)
    async with Database(patient.url) as database:
        await migrate.upgrade(database)
    await downgraded(patient, 2)
    host.run("UPDATE agents SET system_prompt = 'Changed since.' WHERE id = 1")


async def hostile_rows(patient: Patient) -> None:
    """Plain SQL has written what no text is."""
    tamper(
        patient.path,
        "UPDATE prompts SET prompt_text = X'FF00FE', status_key = X'FF', version = 'x', format = ''",
        "UPDATE agents SET variables = '{', revision = 'many', default_status_key = ''",
        "INSERT INTO agents (name, default_status_key, variables, revision, created_at, updated_at) "
        "VALUES (X'FF', '\u202e', 'null', 9e999, 'now', 'then')",
    )


FILES = [
    *(healthy, missing, missing_folder, empty, no_database, cut_short, scrambled, a_folder, two_names, unreadable),
    *(unreadable_folder, read_only, read_only_and_old, older, much_older, taken_back, newer, cut_off_log),
    *(without_requests, without_withdrawals, without_prompts, without_a_column, half_recorded, foreign, foreign_aerich),
    *(legacy, first_shape, legacy_in_use, legacy_half_way, hostile_rows),
]


@pytest.mark.parametrize("happen", FILES, ids=lambda one: one.__name__)
async def test_doctor_and_upgrade_agree_on_a_file(patient: Patient, happen: Callable[[Patient], Any]) -> None:
    """Whatever a file is, `doctor` reports it, and `upgrade` does what it said, or refuses in the same words."""
    await happen(patient)
    agrees(patient)
    plain = patient.run("doctor")
    assert "Traceback" not in plain.out + plain.err
    assert "checks:" in plain.out


def test_doctor_and_upgrade_agree_on_a_locked_file(patient: Patient) -> None:
    """While another program holds the file both say so, and afterwards both find it up to date."""
    with locked(patient.path):
        assert "is locked by another program" in agrees(patient)[-2]["message"]
    agrees(patient)


def test_an_agent_of_which_nothing_is_active(patient: Patient) -> None:
    """It is told where no code stands in for it; `check` names what to do, and with that all is well."""
    patient.operator.do("deactivate", "ann", "NEW")
    said = patient.run("doctor").out
    assert "no version is active, and no code stands in: ann. See: automagik-prompts check" in " ".join(said.split())
    patient.operator.do("activate", "ann", "NEW", "1")
    assert "no version is active" not in patient.run("doctor").out


def test_changes_beside_a_file_that_may_only_be_read(patient: Patient) -> None:
    """What keeps it from being read is the folder, and that is said."""
    with closing(sqlite3.connect(patient.path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("UPDATE agents SET updated_at = '2026-01-01 00:00:00+00:00'")
        connection.commit()
        kept = {name: Path(f"{patient.path}{name}").read_bytes() for name in ("", "-wal")}
    for name, content in kept.items():
        Path(f"{patient.path}{name}").write_bytes(content)
    assert kept["-wal"]
    patient.path.parent.chmod(0o555)
    patient.powerless = True
    looked = patient.run("list")
    assert (looked.code, "stand in prompts.db-wal, and reading those takes the right" in looked.err) == (1, True)
