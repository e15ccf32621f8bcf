"""The one history of the schema, applied by this library and by aerich: both lead to the same, and know each other."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.utils import generate_schema_for_client

from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.schema import migrate, migrations
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database, tortoise_config
from automagik_prompts.storage.introspection import foreign_keys, indexes, table_columns
from automagik_prompts.storage.models import APP_LABEL
from tests.conftest import ENGINES
from tests.hosts import TEXTS, Host, downgrade, make_agents, make_first_shape, meaning, upgrade, work_on
from tests.servers import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
STEPS = (
    "0_20250513183100_create_prompts.py",
    "1_20250513183200_change_agents.py",
    "2_20250513183300_drop_system_prompt.py",
    "3_20261126090000_column_defaults.py",
    "4_20261126190000_change_log.py",
    "5_20261127090000_withdrawals.py",
    "6_20261127180000_review.py",
    "7_20261127210000_rights.py",
    "8_20261127210000_running.py",
)


@pytest.fixture(params=ENGINES)
def two_urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two empty databases, on each engine."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path / 'one.db'}", f"sqlite://{tmp_path / 'two.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    urls = server.create_database(), server.create_database()
    yield urls
    for url in urls:
        server.drop_database(url)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of what the `aerich` command finds in the repository."""
    folder = tmp_path / "repository"
    folder.mkdir()
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "aerich_migrations", folder / "aerich_migrations")
    return folder


def run_aerich(repository: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the `aerich` command in the repository."""
    return subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / "aerich"), *arguments],
        cwd=repository,
        env={**os.environ, "AUTOMAGIK_PROMPTS_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def aerich(repository: Path, url: str, *arguments: str) -> str:
    """Run the `aerich` command, which must succeed, and return what it printed."""
    done = run_aerich(repository, url, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def recorded(host: Host) -> list[tuple[Any, ...]]:
    """Return what aerich's table says, its JSON as values."""
    rows = host.rows("SELECT version, app, content FROM aerich ORDER BY id")
    return [(version, app, json.loads(content)) for version, app, content in rows]


def on(url: str, work: Callable[[Database], Any]) -> Any:
    """Do something with an open database."""

    async def opened() -> Any:
        async with Database(url) as database:
            return await work(database)

    return asyncio.run(opened())


def test_aerich_and_own_upgrade_are_equal(two_urls: tuple[str, str], repository: Path) -> None:
    """Both ways lead to the same schema and the same rows in aerich's table, and each recognises the other's."""
    theirs, ours = map(Host, two_urls)
    assert [line for line in aerich(repository, theirs.url, "history").split() if line] == list(STEPS)
    printed = aerich(repository, theirs.url, "upgrade")
    assert [line for line in printed.splitlines() if line] == [f"Success upgrading to {step}" for step in STEPS]
    assert upgrade(ours.url) == STEPS
    assert theirs.shape() == ours.shape()
    assert recorded(theirs) == recorded(ours)
    assert upgrade(theirs.url) == ()
    assert "No upgrade items" in aerich(repository, ours.url, "upgrade")
    assert "No available heads" in aerich(repository, ours.url, "heads")


def test_aerich_and_own_downgrade_are_equal(two_urls: tuple[str, str], repository: Path) -> None:
    """Both take back what the other has applied, all of it or the last step, and both come up again."""
    theirs, ours = map(Host, two_urls)
    for host in (theirs, ours):
        upgrade(host.url)
    printed = aerich(repository, theirs.url, "downgrade", "-v", "0", "--yes")
    assert [line for line in printed.splitlines() if line] == [
        f"Success downgrading to {step}" for step in reversed(STEPS)
    ]
    assert downgrade(ours.url) == STEPS[::-1]
    assert theirs.shape() == ours.shape()
    assert theirs.tables() == []
    assert recorded(theirs) == recorded(ours) == []
    assert upgrade(theirs.url) == STEPS
    assert aerich(repository, theirs.url, "heads").strip().endswith("No available heads.")
    assert STEPS[-1] in aerich(repository, theirs.url, "downgrade", "--yes")
    assert downgrade(theirs.url, len(STEPS) - 1) == ()
    assert upgrade(theirs.url) == STEPS[-1:]


def test_aerich_adopts_a_hosts_tables(two_urls: tuple[str, str], repository: Path) -> None:
    """The `aerich` command adopts a host's tables as `upgrade` does, guards the drop, and gives them back."""
    theirs, ours = map(Host, two_urls)
    for host in (theirs, ours):
        make_first_shape(host)
        host.run(
            "UPDATE agents SET created_at = '2025-05-13 18:31:00'",
            "UPDATE prompts SET created_at = '2025-05-13 18:31:00', updated_at = '2025-05-13 18:31:00'",
        )
    before = theirs.shape(), theirs.content()
    adopted = run_aerich(repository, theirs.url, "upgrade")
    assert adopted.returncode == 0
    assert "kept verbatim (format text): broken" in adopted.stderr
    upgrade(ours.url)
    assert (theirs.shape(), meaning(theirs)) == (ours.shape(), meaning(ours))

    assert STEPS[2] in aerich(repository, theirs.url, "downgrade", "-v", "2", "--yes")
    theirs.run("UPDATE agents SET system_prompt = 'written since' WHERE name IN ('plain', 'null')")
    guarded = theirs.shape(), theirs.content(), recorded(theirs)
    refused = run_aerich(repository, theirs.url, "upgrade")
    assert refused.returncode != 0
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "no equal version of the text of plain, null. Nothing was changed" in told
    assert (theirs.shape(), theirs.content(), recorded(theirs)) == guarded
    theirs.run(
        "UPDATE agents SET system_prompt = NULL WHERE name = 'null'",
        f"UPDATE agents SET system_prompt = '{TEXTS['plain']}' WHERE name = 'plain'",
    )

    aerich(repository, theirs.url, "downgrade", "-v", "0", "--yes")
    after = theirs.content()
    for rows in (*before[1].values(), *after.values()):
        for row in rows:
            row.pop("updated_at", None)
    assert {table: rows for table, rows in after.items() if "archive" not in table} == before[1]
    assert len(after["automagik_prompts_archive_prompts"]) == 16


def test_down_and_up_step_by_step(empty_url: str) -> None:
    """Each step can be taken back on its own and applied again, and leaves the schema as it was at that place."""
    host = Host(empty_url)
    upgrade(host.url)
    shapes = [host.shape()]
    for number in reversed(range(len(STEPS))):
        assert downgrade(host.url, number) == (STEPS[number],)
        shapes.append(host.shape())
    assert host.tables() == []
    assert upgrade(host.url) == STEPS
    for number, shape in zip(reversed(range(len(STEPS))), shapes[1:], strict=True):
        downgrade(host.url, number)
        assert host.shape() == shape
    upgrade(host.url)
    assert host.shape() == shapes[0]


def run_file(host: Host, name: str, direction: str) -> None:
    """Run one direction of one file, without recording it."""

    async def run(client: BaseDBAsyncClient) -> None:
        spec = spec_from_file_location("step", ROOT / "aerich_migrations" / APP_LABEL / name)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        assert await getattr(module, direction)(client) == "SELECT 1"
        assert await getattr(module, direction)(None) == "SELECT 1"

    on(host.url, lambda database: database.transaction(run))


@pytest.mark.parametrize("taken_back", [1, 2, 3, 4, 6, 7, 8])
def test_a_downgrade_that_was_not_recorded(empty_url: str, taken_back: int) -> None:
    """Where aerich died between taking a step back and recording that, the next upgrade applies it again."""
    host = Host(empty_url)
    make_first_shape(host)
    upgrade(host.url)
    work_on(host.url)
    before = host.shape(), host.content()
    for name in list(reversed(STEPS))[:taken_back]:
        run_file(host, name, "downgrade")
    # The step of the defaults leaves no mark on SQLite, and is applied again by itself where it does.
    assert {*STEPS[len(STEPS) - taken_back : 3], *STEPS[4:][-taken_back:]} <= set(upgrade(host.url))
    assert host.shape() == before[0]
    ours = ("agents", "messages", "prompts", "prompt_events")
    now = host.content()
    assert [now[table] for table in ours] == [before[1][table] for table in ours]
    assert host.one("SELECT COUNT(*) FROM aerich") == len(STEPS)


@pytest.mark.parametrize("make", [None, make_first_shape], ids=["ours", "host"])
def test_a_step_can_be_run_twice(empty_url: str, make: Callable[[Host], None] | None) -> None:
    """A step does nothing where it was done already, and never to what is the host's.

    On SQLite aerich records a step in a transaction after the step's own; an engine whose DDL knows no transactions may
    be interrupted anywhere.
    """
    host = Host(empty_url)
    if make is not None:
        make(host)

    def twice(name: str, direction: str) -> None:
        run_file(host, name, direction)
        once = host.shape(), host.content()
        run_file(host, name, direction)
        assert (host.shape(), host.content()) == once

    before = host.content()
    for name in STEPS:
        twice(name, "upgrade")
    if make is not None:
        work_on(host.url)
        host.run("DELETE FROM agents WHERE name = 'newcomer'")
    for name in reversed(STEPS):
        twice(name, "downgrade")
    after = {table: rows for table, rows in host.content().items() if "archive" not in table}
    for rows in (*before.values(), *after.values()):
        for row in rows:
            row.pop("updated_at", None)
    assert after == before


def test_models_equal_migrations(repository: Path, tmp_path: Path) -> None:
    """Aerich finds nothing to add to the history, on either engine's dialect: the models are what it leads to."""
    script = (
        "import asyncio\n"
        "from aerich import Command\n"
        "from automagik_prompts.db import TORTOISE_ORM\n"
        "async def main():\n"
        "    command = Command(TORTOISE_ORM, app='automagik_prompts', location='./aerich_migrations')\n"
        "    await command.init(offline=True)\n"
        "    print(repr(await command.migrate('drift', no_input=True, offline=True)))\n"
        "    await command.aclose()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=repository,
        env={**os.environ, "AUTOMAGIK_PROMPTS_DATABASE_URL": f"sqlite://{tmp_path / 'never.db'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "''\n"), done.stdout + done.stderr
    assert sorted(path.name for path in (repository / "aerich_migrations" / APP_LABEL).glob("*.py")) == list(STEPS)


OURS = (
    *("agents", "prompts", "prompt_events"),
    *("prompt_processes", "prompt_usage", "prompt_tokens", "prompt_idempotency_keys"),
)

# What a migrated database has and Tortoise's own schema generator does not make, by table and column.
_DEFAULTS = {
    # SQLite and a table with rows take a NOT NULL column only with a default; it does no harm afterwards.
    ("agents", name)
    for name in ("default_status_key", "variables", "revision", "created_at", "updated_at")
} | {
    # What a row that is written by plain SQL is, unless it says otherwise.
    ("prompts", name)
    for name in ("version", "is_active", "is_default_from_code")
}
_FOREIGN_KEYS = {
    # Two relations in a circle defeat the generator, so that the model has a number there.
    ("agents", "active_default_prompt_id", "prompts", "SET NULL"),
}


def test_catalogue_equals_models(two_urls: tuple[str, str]) -> None:
    """A migrated database has the columns, indexes and foreign keys of the models, but for what is listed here."""
    migrated, generated = map(Host, two_urls)
    upgrade(migrated.url)
    asyncio.run(_generate(generated.url))
    assert on(migrated.url, lambda d: d.run(_described)) == on(generated.url, lambda d: d.run(_described))
    assert on(migrated.url, lambda d: d.run(_defaults)) - on(generated.url, lambda d: d.run(_defaults)) == _DEFAULTS
    keys = on(migrated.url, lambda d: d.run(_foreign_keys)), on(generated.url, lambda d: d.run(_foreign_keys))
    assert keys[0] - keys[1] == _FOREIGN_KEYS
    assert keys[1] <= keys[0]


async def _generate(url: str) -> None:
    context = TortoiseContext()
    with context:
        await context.init(config=tortoise_config(url, "generated"))
        await generate_schema_for_client(context.connections.get("generated"), safe=False)
        await context.close_connections()


async def _described(client: BaseDBAsyncClient) -> dict[str, Any]:
    db = Connection(client)
    described: dict[str, Any] = {}
    for table in OURS:
        columns = await table_columns(db, table)
        described[table] = {column.name: (column.type.upper(), column.not_null, column.position) for column in columns}
        # The names of indexes of constraints are the engine's own.
        found = [(index.columns, index.unique, index.partial) for index in await indexes(db, table)]
        described[f"indexes of {table}"] = sorted(found)
    return described


async def _defaults(client: BaseDBAsyncClient) -> set[tuple[str, str]]:
    db = Connection(client)
    return {
        (table, column.name)
        for table in OURS
        for column in await table_columns(db, table)
        if column.default is not None
    }


async def _foreign_keys(client: BaseDBAsyncClient) -> set[tuple[str, ...]]:
    db = Connection(client)
    return {(table, *key.columns, key.table, key.on_delete) for table in OURS for key in await foreign_keys(db, table)}


def test_the_database_refuses_a_second_active_version(empty_url: str) -> None:
    """Whatever program writes it, a second active version of a status is refused, and so is the same number twice."""
    host = Host(empty_url)
    upgrade(host.url)
    host.run("INSERT INTO agents (name) VALUES ('stan')")
    add = (
        "INSERT INTO prompts (agent_id, status_key, version, prompt_text, format, is_active, is_default_from_code, "
        "content_hash, created_at, updated_at) VALUES (1, 'default', {}, 'text', 'text', {}, {{false}}, '', "
        "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    )
    host.run(add.format(1, "{true}"), add.format(2, "{false}"))
    refused = (sqlite3.IntegrityError, asyncpg.UniqueViolationError)
    with pytest.raises(refused):
        host.run(add.format(3, "{true}"))
    with pytest.raises(refused):
        host.run(add.format(2, "{false}"))
    with pytest.raises(refused):
        host.run("UPDATE prompts SET is_active = {true}")


def test_missing_steps_are_told_with_the_command(empty_url: str) -> None:
    """What lacks steps says how many, from which on, and which command applies them."""
    host = Host(empty_url)
    with pytest.raises(
        SchemaError, match=rf"lacks {len(STEPS)} of {len(STEPS)} migrations, from 0_.*Run: automagik-prompts upgrade"
    ):
        on(host.url, migrate.check_schema)
    upgrade(host.url)
    on(host.url, migrate.check_writable)
    downgrade(host.url, 1)
    assert [step.version for step in on(host.url, migrate.pending)] == list(STEPS[1:])
    with pytest.raises(SchemaError, match="lacks 8 of 9 migrations, from 1_"):
        on(host.url, migrate.check_schema)


def test_a_newer_schema_is_read_and_not_written(empty_url: str) -> None:
    """A schema with a step that this release does not know is read; writing, upgrading and going back are refused."""
    host = Host(empty_url)
    upgrade(host.url)
    host.run(
        "INSERT INTO aerich (version, app, content) VALUES ('3_20990101000000_later.py', 'automagik_prompts', '{}')"
    )
    on(host.url, migrate.check_schema)
    assert on(host.url, migrate.newer) == ("3_20990101000000_later.py",)
    before = host.content()
    for refused in (migrate.check_writable, migrate.upgrade, lambda database: migrate.downgrade(database, 0)):
        with pytest.raises(
            SchemaError, match=r"newer than this release.*3_20990101000000_later\.py.*Upgrade the package"
        ):
            on(host.url, refused)
    assert host.content() == before


def test_another_applications_history_is_left_alone(empty_url: str) -> None:
    """A host that keeps its own history in aerich's table finds it as it was, up and down."""
    host = Host(empty_url)
    upgrade(host.url)
    host.run("INSERT INTO aerich (version, app, content) VALUES ('0_init.py', 'models', '{}')")
    downgrade(host.url)
    assert host.rows("SELECT version, app FROM aerich") == [("0_init.py", "models")]
    upgrade(host.url)
    assert host.one("SELECT COUNT(*) FROM aerich WHERE app = 'models'") == 1


def test_an_embedded_schema_comes_up_by_itself_and_a_servers_does_not(empty_url: str) -> None:
    """`prepare` applies what is missing to a file of ours; on a server it names the command."""
    host = Host(empty_url)
    if host.dialect == "sqlite":
        on(host.url, migrate.prepare)
        assert on(host.url, migrate.pending) == ()
    else:
        with pytest.raises(SchemaError, match="Run: automagik-prompts upgrade"):
            on(host.url, migrate.prepare)
        assert host.tables() == []


def test_a_hosts_tables_are_not_touched_by_themselves(sqlite_url: str) -> None:
    """An application that merely starts does not change a file that belongs to another one; a person decides when."""
    host = Host(sqlite_url)
    make_agents(host)
    before = host.shape(), host.content()
    with pytest.raises(SchemaError, match=r"migrate-legacy --dry-run.*automagik-prompts upgrade"):
        on(host.url, migrate.prepare)
    assert (host.shape(), host.content()) == before
    upgrade(host.url)
    downgrade(host.url, 2)
    with pytest.raises(SchemaError, match="migrate-legacy --dry-run"):
        on(host.url, migrate.prepare)


def test_a_step_that_somebody_else_has_just_applied_is_refused(empty_url: str) -> None:
    """Of two `aerich upgrade` at once, the one that comes second at a step says so, and applies nothing twice."""
    host = Host(empty_url)
    upgrade(host.url)

    async def again(client: BaseDBAsyncClient) -> None:
        await migrations.all_migrations()[1].load().upgrade(client)

    with pytest.raises(SchemaError, match=r"Another upgrade has just applied 1_.*Run the upgrade again"):
        on(host.url, lambda database: database.transaction(again))


def test_a_lock_that_nobody_frees_is_told(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade that waits too long for another one says so, and what to look at."""
    monkeypatch.setattr("automagik_prompts.schema.legacy.locks.LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr("automagik_prompts.schema.migrate.LOCK_TIMEOUT", 0.2)

    async def both() -> None:
        async with Database(empty_url) as first, Database(empty_url) as second:

            async def while_locked(client: BaseDBAsyncClient) -> None:
                del client
                await migrate.upgrade(second)

            async with migrate._locked(first):

                async def holding(client: BaseDBAsyncClient) -> None:
                    if first.dialect == "postgres":
                        await Connection(client).run(f"SELECT pg_advisory_xact_lock({0x6175746F})")
                    await while_locked(client)

                await first.transaction(holding)

    with pytest.raises(DatabaseUnavailableError, match="Another upgrade has held"):
        asyncio.run(both())
