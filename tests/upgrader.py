"""What a forked process does to a database: upgrade, downgrade or import, and die at a given statement if it shall.

The functions here are called by `tests.launcher` with the process' connections first.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aerich import Command
from aerich.exceptions import DowngradeError
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper

from automagik_prompts.schema import migrate
from automagik_prompts.schema.legacy import importer
from automagik_prompts.settings import ENVIRONMENT_PREFIX
from automagik_prompts.storage import database as own_database
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.models import APP_LABEL

FOLDER = Path(__file__).resolve().parents[1] / "aerich_migrations"

_QUERIES = ("execute_query", "execute_many")
_METHODS = (*_QUERIES, "execute_script", "execute_insert", "begin", "commit")
_LOOKS = ("SELECT", "PRAGMA", "SET ")
"""How statements begin that change nothing."""


def run(connections: list[Connection], work: str, at: int, *urls: str) -> None:
    """Do something, and die of SIGKILL after the given one of the statements that change something.

    Args:
        connections: Told what was done, if the process lives to the end.
        work: One of `WORK`.
        at: The statement's number, counted from 1; 0 to live.
        urls: The database URL, and what else the work needs.
    """
    logging.disable(logging.CRITICAL)
    _after_each_change(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    connections[0].send((True, asyncio.run(WORK[work](*urls))))


def run_when_told(connections: list[Connection], work: str, *urls: str) -> None:
    """Do something once the test says so, as one of many processes."""
    logging.disable(logging.CRITICAL)
    connections[0].recv()
    connections[0].send((True, asyncio.run(WORK[work](*urls))))


def hold(connections: list[Connection], work: str, at: int, *urls: str) -> None:
    """Do something, say so after the given statement, and stay there until somebody kills this process."""
    logging.disable(logging.CRITICAL)

    def wait() -> None:
        connections[0].send((True, "held"))
        connections[0].recv()

    _after_each_change(at, wait)
    asyncio.run(WORK[work](*urls))


async def _upgrade(url: str) -> tuple[str, ...]:
    async with Database(url) as database:
        return await migrate.upgrade(database)


async def _downgrade(url: str) -> tuple[str, ...]:
    async with Database(url) as database:
        return await migrate.downgrade(database, 0)


async def _aerich_upgrade(url: str) -> tuple[str, ...]:
    async with _aerich(url) as command:
        await command.init()
        return tuple(await command.upgrade(run_in_transaction=True))


async def _aerich_downgrade(url: str) -> tuple[str, ...]:
    async with _aerich(url) as command:
        await command.init()
        try:
            return tuple(await command.downgrade(0, delete=False))
        except DowngradeError:
            return ()  # aerich's word for nothing to take back


async def _import(url: str, source: str) -> tuple[str, ...]:
    """Import from another database, in small steps."""
    importer._BATCH = 2  # several transactions, of few agents
    async with Database(url) as database:
        plans = await importer.import_texts(database, importer.TextSource(source))
        return tuple(str(plan) for plan in plans)


def _aerich(url: str) -> Command:
    os.environ[f"{ENVIRONMENT_PREFIX}DATABASE_URL"] = url
    return Command(own_database.TORTOISE_ORM, app=APP_LABEL, location=str(FOLDER))


WORK: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
    "upgrade": _upgrade,
    "downgrade": _downgrade,
    "aerich upgrade": _aerich_upgrade,
    "aerich downgrade": _aerich_downgrade,
    "import": _import,
}


def _after_each_change(at: int, what: Callable[[], None]) -> None:
    """Let something happen after one of the statements that change the database, or begin or end a transaction."""
    done = 0

    def watched(name: str, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(self: object, *arguments: Any) -> Any:
            nonlocal done
            result = await original(self, *arguments)
            # A script commits on SQLite before it begins, whatever it says.
            if name not in _QUERIES or not str(arguments[0]).lstrip().upper().startswith(_LOOKS):
                done += 1
                if done == at:
                    what()
            return result

        return call

    for client in (SqliteClient, SqliteTransactionWrapper, AsyncpgDBClient, TransactionWrapper):
        for name in _METHODS:
            if name in vars(client):
                setattr(client, name, watched(name, vars(client)[name]))
