from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.storage.database import Database
from tests.waiting import until, wait_until


@pytest.fixture
def slow_driver() -> Iterator[None]:
    """A driver whose thread takes its time, as on a busy machine: it logs before each step, and the handler sleeps."""

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002  # what is logged does not matter
            if threading.current_thread() is not threading.main_thread():
                time.sleep(0.05)

    logger, handler = logging.getLogger("aiosqlite"), Slow()
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ended a thread and would be printed."""
    found: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: found.append(str(args.exc_value)))
    return found


@pytest.mark.usefixtures("slow_driver")
def test_an_event_loop_that_ends_after_a_failed_connect(tmp_path: Path, complaints: list[str]) -> None:
    """The driver's thread has ended by then: otherwise it would end with a traceback, as that loop is closed."""
    before = set(threading.enumerate())

    async def connect() -> None:
        with pytest.raises(DatabaseUnavailableError):
            await Database(f"sqlite://{tmp_path / 'not mounted' / 'prompts.db'}").open()

    asyncio.run(connect())
    wait_until(lambda: set(threading.enumerate()) <= before, "the driver's thread ends")
    assert complaints == []


@pytest.mark.usefixtures("slow_driver")
def test_an_event_loop_that_ends_while_it_connects(tmp_path: Path, complaints: list[str]) -> None:
    """The same where it is told to end in the middle of connecting."""
    before = set(threading.enumerate())

    async def connect() -> None:
        opening = asyncio.create_task(Database(f"sqlite://{tmp_path / 'prompts.db'}").open())
        await until(lambda: set(threading.enumerate()) > before, "the driver's thread begins")
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    asyncio.run(connect())
    wait_until(lambda: set(threading.enumerate()) <= before, "the driver's thread ends")
    assert complaints == []


async def test_a_file_that_somebody_is_writing_to(tmp_path: Path) -> None:
    """Opening it waits until that is over: SQLite refuses at once to switch the log, however long it is to wait."""
    path = tmp_path / "prompts.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("CREATE TABLE somebodys (id INTEGER)")
        writer.execute("BEGIN IMMEDIATE")
        opening = asyncio.create_task(Database(f"sqlite://{path}").open())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(opening), 0.3)
        writer.execute("COMMIT")
        database = await asyncio.wait_for(opening, 20)
        await database.close()
