"""Faults 26 and 27: a database that may only be read, and one whose schema is another release's."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source, State
from automagik_prompts.editing import commands
from automagik_prompts.editing.sync import seed
from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.following import writer as writing
from automagik_prompts.schema import migrate, migrations
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_follows, execute, lines, notification, told
from tests.processes import Launcher
from tests.servers import PostgresServer
from tests.waiting import until

CODE = "From code."
ACTIVE = "From a person."
NEWER = "99_20990101000000_of_the_future.py"


@pytest.fixture
def retry_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has writing tried again often, so that a test need not wait for it."""
    monkeypatch.setattr(writing, "WRITE_RETRY", 0.2)


@pytest.fixture
async def prepared_url(database_url: str) -> str:
    """A database with version 1 from code and version 2 by a person, which is active."""
    registry = Registry()
    registry.declare("a", {"default": CODE}, where="here")
    async with Database(database_url) as database:
        await seed(database, registry.agents)
        await commands.create(database, "a", "default", ACTIVE, activate=True)
    return database_url


@pytest.fixture
def reader_url(postgres: PostgresServer, postgres_url: str) -> Iterator[str]:
    """The PostgreSQL database as a user sees it who may only read; it is granted by the test."""
    role = f"reader_{uuid.uuid4().hex[:8]}"
    postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'only-reads'")
    parts = urlsplit(postgres_url)
    netloc = f"{role}:only-reads@{parts.netloc.rpartition('@')[2]}"
    yield urlunsplit(parts._replace(netloc=netloc))
    postgres.drop_database(postgres_url)
    postgres.execute(f"DROP ROLE {role}")


@pytest.fixture
async def writer(postgres_url: str) -> AsyncIterator[Database]:
    """The PostgreSQL database, prepared and open for writing by somebody else."""
    async with Database(postgres_url) as database:
        await migrate.upgrade(database)
        registry = Registry()
        registry.declare("a", {"default": CODE}, where="here")
        await seed(database, registry.agents)
        await commands.create(database, "a", "default", ACTIVE, activate=True)
        yield database


@pytest.mark.parametrize("folder_mode", [0o755, 0o555], ids=["folder writable", "folder read-only"])
async def test_fault_26_sqlite_file_that_may_only_be_read(tmp_path: Path, launcher: Launcher, folder_mode: int) -> None:
    """A file that may not be written is served and followed, seeding says so once, and it heals with the permission."""
    folder = tmp_path / "image"
    folder.mkdir()
    path = folder / "prompts.db"
    url = f"sqlite://{path}"
    registry = Registry()
    registry.declare("a", {"default": CODE}, where="here")
    async with Database(url) as database:
        await migrate.upgrade(database)
        await seed(database, registry.agents)
        await commands.create(database, "a", "default", ACTIVE, activate=True)
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(folder_mode)
    try:
        texts = {"a": {"default": "A newer text of the code."}}
        with launcher.fork("tests.faults:serve_without_powers", url, texts, {}) as child:
            child.ask("start")
            child.ask("until_state", "live")
            assert child.ask("run", "a") == ACTIVE
            health, explained = child.ask("health"), child.ask("explain", "a")
            assert (health.state, health.error) == (State.LIVE, None)
            assert "read-only" in health.unwritten
            assert (explained.version, explained.source) == (2, Source.DATABASE)
            assert any("read-only" in note for note in explained.notes)
            with pytest.raises(AssertionError, match=r"DatabaseUnavailableError.* is read-only"):
                child.ask("create_and_activate", "a", "default", "never")
            # Somebody who may write does: it is seen.
            async with Database(url) as database:
                await commands.rollback(database, "a", "default")
            child.ask("until_version", "a", "default", 1)
            # And this process may write again, too: what the code declares is written.
            folder.chmod(0o755)
            for file in sorted(folder.iterdir(), reverse=True):
                file.chmod(0o644)
            await until(lambda: child.ask("health").unwritten is None, "the code's text is written")
            assert child.ask("create_and_activate", "a", "default", "Written at last.") == 4
            assert child.ask("run", "a") == "Written at last."
            warnings = [line for level, line in child.ask("lines") if level in {"WARNING", "ERROR"}]
            assert len(warnings) == 1
            assert "could not be written, serving goes on" in warnings[0]
    finally:
        folder.chmod(0o755)


@pytest.mark.usefixtures("retry_soon")
async def test_fault_26_postgres_user_who_may_only_select(
    reader_url: str, writer: Database, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A user with SELECT alone serves and follows; writing says what is missing, and works once it is granted."""
    role = urlsplit(reader_url).username
    await execute(writer.url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    registry.declare("a", {"default": "A newer text of the code."}, where="here")
    caplog.set_level(logging.INFO)
    plugin = make_plugin(reader_url)
    await plugin.ready()
    assert await told(plugin, "a") == ACTIVE
    assert plugin.state is State.LIVE
    health = plugin.health()
    assert health.error is None
    assert health.unwritten is not None
    assert f"grants --role app --seed --to {role}. Or leave it to a release step" in health.unwritten
    assert plugin.explain("a").source is Source.DATABASE
    assert any("permission denied" in note for note in plugin.explain("a").notes)
    with pytest.raises(DatabaseUnavailableError, match="permission denied for table agents"):
        await plugin.activate("a", "default", 1)
    # It listens all the same.
    await until(lambda: plugin.health().listening, "notifications arrive")
    await commands.activate(writer, "a", "default", 1)
    await until(lambda: plugin.resolve("a").version == 1, "the activation by a writer is served")
    assert len(lines(caplog, logging.WARNING)) == 1
    await execute(
        writer.url,
        f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    )
    await until(lambda: plugin.health().unwritten is None, "the code's text is written")
    assert plugin.resolve("a").text == "A newer text of the code."
    assert "only-reads" not in caplog.text


@pytest.mark.usefixtures("retry_soon")
async def test_fault_26_postgres_in_read_only_mode(
    writer: Database, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that allows no writes serves and is followed; writing says so, and works when the mode ends."""
    name = urlsplit(writer.url).path.lstrip("/")
    await execute(writer.url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    registry.declare("a", {"default": "A newer text of the code."}, where="here")
    plugin = make_plugin(writer.url)
    await plugin.ready()
    assert await told(plugin, "a") == ACTIVE
    assert plugin.state is State.LIVE
    with pytest.raises(DatabaseUnavailableError, match=r"is read-only .* write where it can be written"):
        await plugin.create("a", "default", "never")
    assert "read-only" in (plugin.health().unwritten or "")
    assert any("read-only" in note for note in plugin.explain("a").notes)
    assert (plugin.explain("a").version, plugin.explain("a").source) == (2, Source.DATABASE)
    # `writer` was connected before the mode began.
    await commands.activate(writer, "a", "default", 1)
    await until(lambda: plugin.resolve("a").version == 1, "the activation by a writer is served")
    assert len(lines(caplog, logging.WARNING)) == 1
    await execute(
        urlunsplit(urlsplit(writer.url)._replace(path="/postgres")),
        f'ALTER DATABASE "{name}" RESET default_transaction_read_only',
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    await until(lambda: plugin.resolve("a").text == "A newer text of the code.", "the code's text is written")
    assert_follows(plugin, "a", 3)
    assert plugin.health().unwritten is None


async def test_fault_26_nothing_to_write_is_no_complaint(
    writer: Database, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the code declares what the database has already, a read-only database is not worth a word."""
    name = urlsplit(writer.url).path.lstrip("/")
    await execute(writer.url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(writer.url)
    await plugin.ready()
    assert plugin.resolve("a").text == ACTIVE
    assert_follows(plugin, "a", 2)
    assert plugin.health().unwritten is None
    assert not lines(caplog, logging.WARNING)


@pytest.mark.usefixtures("retry_soon")
async def test_fault_27_schema_newer_than_the_code(
    prepared_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that a newer release has upgraded is served; writes are refused by name until the package follows."""
    await execute(
        prepared_url,
        f"INSERT INTO aerich (version, app, content) VALUES ('{NEWER}', 'automagik_prompts', '{{}}')",
        "ALTER TABLE prompts ADD COLUMN of_the_future INTEGER NOT NULL DEFAULT 0",
    )
    registry.declare("a", {"default": "A newer text of the code."}, where="here")
    plugin = make_plugin(prepared_url)
    await plugin.ready()
    assert await told(plugin, "a") == ACTIVE
    assert plugin.state is State.LIVE
    assert NEWER in (plugin.health().unwritten or "")
    assert any(NEWER in note for note in plugin.explain("a").notes)
    for edit in (plugin.create("a", "default", "never"), plugin.activate("a", "default", 1), plugin.sync()):
        with pytest.raises(SchemaError, match="Upgrade the package automagik-prompts") as refused:
            await edit
        assert NEWER in refused.value.message
    assert [prompt.version for prompt in await plugin.history("a")] == [2, 1]
    assert len(lines(caplog, logging.WARNING)) == 1
    await execute(prepared_url, f"DELETE FROM aerich WHERE version = '{NEWER}'")
    await until(lambda: plugin.health().unwritten is None, "the code's text is written")
    assert (await plugin.activate("a", "default", 3)).active_version == 3
    assert await told(plugin, "a") == "A newer text of the code."


async def test_fault_27_schema_upgraded_while_running(
    prepared_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """A release that upgrades the database under a running process stops that process' writes at once."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(prepared_url)
    await plugin.ready()
    await execute(
        prepared_url, f"INSERT INTO aerich (version, app, content) VALUES ('{NEWER}', 'automagik_prompts', '{{}}')"
    )
    with pytest.raises(SchemaError, match=NEWER):
        await plugin.activate("a", "default", 1)
    assert await told(plugin, "a") == ACTIVE
    assert_follows(plugin, "a", 2)


async def test_fault_27_schema_that_cannot_be_read(
    prepared_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a newer release has moved what is read, the last good text stays until this process can read again."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(prepared_url)
    await plugin.ready()
    assert await told(plugin, "a") == ACTIVE
    await execute(
        prepared_url,
        f"INSERT INTO aerich (version, app, content) VALUES ('{NEWER}', 'automagik_prompts', '{{}}')",
        "UPDATE agents SET revision = revision + 1",
        "ALTER TABLE prompts RENAME COLUMN prompt_text TO body",
        *notification(prepared_url),
    )
    await until(lambda: NEWER in (plugin.health().error or ""), "the reason is told by name")
    assert await told(plugin, "a") == ACTIVE
    assert plugin.explain("a").source is Source.DATABASE
    await until(lambda: bool(lines(caplog, logging.WARNING)), "it is logged")
    assert len(warnings := lines(caplog, logging.WARNING)) == 1
    assert NEWER in warnings[0]
    await execute(prepared_url, "ALTER TABLE prompts RENAME COLUMN body TO prompt_text")
    await until(lambda: plugin.state is State.LIVE, "it heals without a restart")
    health, explained = plugin.health(), plugin.explain("a")
    assert (explained.version, explained.state, health.state, health.error) == (2, State.LIVE, State.LIVE, None)
    # Writing is another matter, as long as the database is a newer release's.
    assert NEWER in (health.unwritten or "")
    assert any(NEWER in note for note in explained.notes)


@pytest.mark.usefixtures("retry_soon")
async def test_fault_27_schema_older_than_the_code(
    prepared_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """Embedded, an older schema is brought up to date; on a server it is served and writing names the command."""
    async with Database(prepared_url) as database:
        taken_back = await migrate.downgrade(database, migrations.all_migrations()[-1].number)
        assert len(taken_back) == 1
    registry.declare("a", {"default": "A newer text of the code."}, where="here")
    plugin = make_plugin(prepared_url)
    await plugin.ready()
    assert await told(plugin, "a") == ACTIVE
    assert plugin.state is State.LIVE
    if prepared_url.startswith("sqlite"):
        assert plugin.health().unwritten is None
        assert (await plugin.activate("a", "default", 1)).active_version == 1
        assert_follows(plugin, "a", 1)
        return
    assert "Run: automagik-prompts upgrade" in (plugin.health().unwritten or "")
    with pytest.raises(SchemaError):
        await plugin.activate("a", "default", 1)
    assert len(lines(caplog, logging.WARNING)) == 1
    async with Database(prepared_url) as database:
        await migrate.upgrade(database)
    await until(lambda: plugin.health().unwritten is None, "the code's text is written")
    assert (await plugin.activate("a", "default", 1)).active_version == 1
    assert_follows(plugin, "a", 1)
