from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.router import router

from automagik_prompts.exceptions import ConfigurationError, DatabaseUnavailableError, PromptNotFoundError, SchemaError
from automagik_prompts.runtime.thread import _Loop
from automagik_prompts.storage import database as db_module
from automagik_prompts.storage.database import Database, tortoise_config
from automagik_prompts.storage.dialects.postgres import POOL_SIZE


async def execute(db: BaseDBAsyncClient, *statements: str) -> list[dict[str, object]]:
    """Run statements and return the rows of the last one."""
    rows: list[dict[str, object]] = []
    for statement in statements:
        _, found = await db.execute_query(statement)
        rows = [dict(row) for row in found]
    return rows


async def test_open_use_and_close(sqlite_url: str) -> None:
    """A database is opened, used and closed; before and after it says that it is not open."""
    database = Database(sqlite_url)
    with pytest.raises(DatabaseUnavailableError, match="is not open"):
        await database.run(execute, "SELECT 1")
    async with database:
        assert await database.run(execute, "SELECT 1 AS one") == [{"one": 1}]
        database.check_present()
    with pytest.raises(DatabaseUnavailableError):
        await database.run(execute, "SELECT 1")
    await database.close()


async def test_a_transaction_is_all_or_nothing(sqlite_url: str) -> None:
    """Whatever ends a transaction early, a foreign error or a cancellation included, nothing of it stays."""
    async with Database(sqlite_url) as database:
        await database.transaction(execute, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)")

        async def fail(db: BaseDBAsyncClient, error: BaseException) -> None:
            await execute(db, "INSERT INTO t VALUES (2)")
            raise error

        for error in (ZeroDivisionError(), PromptNotFoundError("no"), asyncio.CancelledError()):
            with pytest.raises(type(error)):
                await database.transaction(fail, error)
        assert await database.run(execute, "SELECT n FROM t") == [{"n": 1}]


async def test_what_the_driver_means(sqlite_url: str) -> None:
    """A missing table names the command to run; a violated constraint, a broken file and a folder are told as such."""
    async with Database(sqlite_url) as database:
        with pytest.raises(SchemaError, match=r"lacks a table or column \(no such table: agents\)\. Run: automagik-p"):
            await database.run(execute, "SELECT * FROM agents")
        await database.run(execute, "CREATE TABLE t (n INT UNIQUE)")
        with pytest.raises(SchemaError, match="no such column: x"):
            await database.run(execute, "SELECT x FROM t")
        with pytest.raises(DatabaseUnavailableError, match="UNIQUE constraint failed"):
            await database.run(execute, "INSERT INTO t VALUES (1), (1)")
        with pytest.raises(DatabaseUnavailableError, match="syntax error"):
            await database.run(execute, "SELEC 1")


async def test_files_that_are_no_database(tmp_path: Path) -> None:
    """A folder, a path that does not exist and a file of something else are told with the path."""
    (tmp_path / "text.db").write_text("this is no database" * 100)
    for path in (tmp_path, tmp_path / "missing" / "a.db", tmp_path / "text.db"):
        with pytest.raises(DatabaseUnavailableError) as refused:
            async with Database(f"sqlite://{path}") as database:
                await database.run(execute, "SELECT * FROM sqlite_master")
        assert str(path) in refused.value.message


async def test_a_file_that_was_served_from_is_not_made_anew(tmp_path: Path) -> None:
    """An empty database in place of the one that is gone would pass for the truth."""
    path = tmp_path / "a.db"
    with pytest.raises(DatabaseUnavailableError, match=r"a\.db is gone\. Put it back"):
        await Database(f"sqlite://{path}", create=False).open()
    assert not path.exists()
    async with Database(f"sqlite://{path}") as database:
        path.rename(tmp_path / "b.db")
        with pytest.raises(DatabaseUnavailableError, match="was removed or replaced"):
            database.check_present()
        path.write_bytes(b"")
        with pytest.raises(DatabaseUnavailableError):
            database.check_present()
        path.unlink()
        (tmp_path / "b.db").rename(path)
        database.check_present()


async def test_the_host_is_left_as_it_was(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Tortoise keeps for the whole process, the host's time zone and routers, does not change."""
    monkeypatch.setenv("TIMEZONE", "America/Sao_Paulo")
    monkeypatch.delenv("USE_TZ", raising=False)
    routers = router._routers
    async with Database(sqlite_url) as database:
        assert (os.environ["TIMEZONE"], os.environ.get("USE_TZ")) == ("America/Sao_Paulo", None)
        await database.run(execute, "SELECT 1")
    assert (os.environ["TIMEZONE"], os.environ.get("USE_TZ")) == ("America/Sao_Paulo", None)
    assert router._routers is routers


async def test_two_databases_at_once(tmp_path: Path) -> None:
    """Databases in one process do not mix, also in transactions that run at the same time."""
    async with Database(f"sqlite://{tmp_path / 'a.db'}") as one, Database(f"sqlite://{tmp_path / 'b.db'}") as two:
        await one.run(execute, "CREATE TABLE t (name TEXT)", "INSERT INTO t VALUES ('one')")
        await two.run(execute, "CREATE TABLE t (name TEXT)", "INSERT INTO t VALUES ('two')")

        async def read(db: BaseDBAsyncClient) -> list[dict[str, object]]:
            await execute(db, "UPDATE t SET name = name")
            await asyncio.sleep(0)
            return await execute(db, "SELECT name FROM t")

        found = await asyncio.gather(*(database.transaction(read) for database in (one, two) for _ in range(5)))
    assert [row[0]["name"] for row in found] == ["one"] * 5 + ["two"] * 5


async def test_statements_are_not_logged(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither Tortoise's nor the driver's debug log shows a value, whatever level the host has chosen."""
    with caplog.at_level(logging.DEBUG):
        async with Database(sqlite_url) as database:
            await database.run(execute, "CREATE TABLE t (name TEXT)", "INSERT INTO t VALUES ('a private prompt')")
    assert "private" not in caplog.text


async def test_a_server_that_is_not_there() -> None:
    """The message names the server and not the password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DatabaseUnavailableError) as refused:
        await Database(f"postgresql://ann:hunter2@127.0.0.1:{port}/db").open()
    assert f"postgresql://ann:***@127.0.0.1:{port}/db cannot be used now" in refused.value.message
    assert "hunter2" not in str(refused.value)


async def test_a_url_that_no_driver_takes() -> None:
    """A URL that only the driver finds wrong does not raise the driver's own exception, nor show the password."""
    with pytest.raises((ConfigurationError, DatabaseUnavailableError)) as refused:
        await Database("postgresql://ann:hunter2@127.0.0.1:99999999/db").open()
    assert "hunter2" not in str(refused.value)


def test_without_the_driver_the_package_is_named() -> None:
    """PostgreSQL's driver is an extra; without it the error says how to install it."""
    # The driver is installed here, so a process of its own pretends that it is not.
    code = """
import asyncio, sys
sys.modules["asyncpg"] = None
from automagik_prompts.storage.database import Database
from automagik_prompts.exceptions import ConfigurationError
try:
    asyncio.run(Database("postgresql://ann:hunter2@host/db").open())
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "postgresql://ann:***@host/db needs the package 'asyncpg'" in done.stdout
    assert "pip install 'automagik-prompts[postgres]'" in done.stdout


def test_the_configuration_for_tortoise() -> None:
    """An SQLite file waits for others' writes; a server gets few connections; both can be set in the URL."""
    sqlite = tortoise_config("sqlite:///tmp/a%20b.db?busy_timeout=7&journal_mode=DELETE")["connections"]
    (connection,) = sqlite.values()
    assert connection["credentials"]["file_path"] == "/tmp/a b.db"  # noqa: S108  # nothing is written
    assert (connection["credentials"]["busy_timeout"], connection["credentials"]["journal_mode"]) == ("7", "DELETE")
    (memory,) = tortoise_config("sqlite://:memory:")["connections"].values()
    assert memory["credentials"]["file_path"] == ":memory:"
    (plain,) = tortoise_config("postgresql://h/d")["connections"].values()
    assert (plain["credentials"]["minsize"], plain["credentials"]["maxsize"]) == (0, POOL_SIZE)
    (chosen,) = tortoise_config("postgresql://h/d?ssl=1&maxsize=9")["connections"].values()
    credentials = chosen["credentials"]
    assert (credentials["dsn"], credentials["maxsize"]) == ("postgresql://h/d?sslmode=require", 9)


def test_the_configuration_for_aerich(monkeypatch: pytest.MonkeyPatch) -> None:
    """`aerich` reads an attribute that is computed from the environment when it is asked for."""
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DATABASE_URL", "postgresql://h/d")
    config = db_module.TORTOISE_ORM
    assert config["apps"]["automagik_prompts"]["models"] == ["automagik_prompts.storage.models", "aerich.models"]
    assert next(iter(config["connections"].values()))["credentials"]["dsn"] == "postgresql://h/d"
    with pytest.raises(AttributeError, match="no attribute 'TORTOISE'"):
        db_module.TORTOISE  # noqa: B018  # that it raises is what is tested


def test_threads_that_connect_at_once_for_the_first_time(tmp_path: Path) -> None:
    """What Tortoise prepares for the whole process, when it is first used, is not prepared by two threads at once."""
    # In processes of their own, as it is the first time only; each thread is made to give way at each call.
    script = f"""
import asyncio, os, threading, time
from automagik_prompts.storage.database import Database

def connect(number, begin, failures):
    async def work():
        async with Database(f"sqlite://{tmp_path}/{{number}}.db"):
            pass
    begin.wait()
    try:
        asyncio.run(work())
    except BaseException as error:
        failures.append(error)

def child():
    threading.setprofile(lambda *arguments: time.sleep(0))
    begin, failures = threading.Barrier(3), []
    threads = [threading.Thread(target=connect, args=(number, begin, failures)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures

for _ in range(2):
    pid = os.fork()
    if pid == 0:
        failures = child()
        print(*map(repr, failures), sep="\\n", end="", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == ""


@pytest.mark.parametrize("steps", range(4))
def test_whoever_is_cancelled_twice_has_closed_it(tmp_path: Path, steps: int) -> None:
    """Where closing is cut short by the end of the event loop, no thread is left that would keep the process there."""

    async def use(database: Database) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await database.close()

    async def main() -> None:
        task = asyncio.create_task(use(await Database(f"sqlite://{tmp_path / 'prompts.db'}").open()))
        await asyncio.sleep(0)
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)  # and the runner cancels what is left

    before = set(threading.enumerate())
    with asyncio.Runner(
        loop_factory=_Loop
    ) as runner:  # the plugin's: the driver's thread may tell it something too late
        runner.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
