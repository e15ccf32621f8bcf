"""The database: its Tortoise context and its connections.

The application may use Tortoise too. So nothing here calls `Tortoise.init`: a context of our own is active only inside
our own tasks, under an app label and a connection alias that nobody else has, and what Tortoise keeps for the whole
process (time zone variables, router) is never touched.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import logging
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from weakref import WeakKeyDictionary

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.transactions import in_transaction

from automagik_prompts.database_url import Dialect, dialect_of, redacted_url, sqlite_path
from automagik_prompts.exceptions import (
    DatabaseUnavailableError,
)
from automagik_prompts.settings import DEFAULT_DATABASE_URL, ENVIRONMENT_PREFIX
from automagik_prompts.storage.connection import Client, Connection, engine_named
from automagik_prompts.storage.driver_errors import translated
from automagik_prompts.storage.models import APP_LABEL
from automagik_prompts.storage.sqlite import FileClient, make_private

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_COMMAND = 3600.0
"""Seconds that one statement on a server may take at most: an upgrade may have to change a large table."""

_models_lock = threading.Lock()
"""Held while Tortoise prepares the models, which are the whole process': two threads would find them half prepared."""


_contexts: WeakKeyDictionary[Client, contextvars.Context] = WeakKeyDictionary()
"""The context in which each connection works that was given away."""


async def run_in_context(
    function: Callable[Concatenate[Client, P], Awaitable[T]], db: Client, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a query in the context of its connection, where that was given away by `Database.connection`."""
    if (context := _contexts.get(db)) is None:
        return await function(db, *args, **kwargs)

    async def body() -> T:
        return await function(db, *args, **kwargs)

    return await asyncio.get_running_loop().create_task(body(), context=context)


def renew_lock() -> None:
    """Have a lock that nobody holds in a forked child, where its holder does not exist."""
    global _models_lock
    _models_lock = threading.Lock()


Around = Callable[[Client, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Does something more in a transaction, before or after what is to be done in it."""


class _Silent(logging.Logger):
    """Stands in for Tortoise's query log on our connections, which would print prompt texts at level DEBUG."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802, ARG002  # the name and argument are logging's
        return False


class _Context(TortoiseContext):
    """A context that leaves alone what Tortoise keeps for the whole process: not even for a moment is it ours.

    The application's threads go on while this library connects, so putting things back afterwards would be too late.
    """

    def _init_timezone(self, use_tz: bool, timezone: str) -> None:
        self._use_tz = use_tz
        self._timezone = timezone

    def _init_routers(self, routers: list[str | type] | None = None) -> None:
        del routers
        self._routers: list[type] = []


class Database:
    """One database, opened on one event loop.

    Args:
        url: The database URL.
        create: Whether a missing SQLite file may be created. A process that has served from the file before must not:
            it would take an empty file for the new state.
        command_timeout: Seconds that one statement may take on a server, where the URL does not say otherwise.
        looking: Whether nothing is to be written: an SQLite file refuses to then, and stays as it is.
    """

    def __init__(
        self, url: str, *, create: bool = True, command_timeout: float = LONGEST_COMMAND, looking: bool = False
    ) -> None:
        self.url = url
        self.dialect: Dialect = dialect_of(url)
        self.is_embedded = engine_named(self.dialect).is_embedded
        self.path: Path | None = sqlite_path(url)
        self._create = create and not looking
        self._looking = looking
        self._command_timeout = command_timeout
        self._alias = f"{APP_LABEL}_{self.dialect}"
        self._client: BaseDBAsyncClient | None = None
        self._context: contextvars.Context | None = None
        self._inode: tuple[int, int] | None = None
        self._around: Around | None = None

    async def open(self) -> Self:
        """Connect.

        Raises:
            ConfigurationError: The URL cannot work, or its driver is not installed.
            DatabaseUnavailableError: The database cannot be reached.
        """
        if self.path is not None and not os.access(self.path, os.F_OK) and not self._create:
            raise DatabaseUnavailableError(
                f"The database file {self.path} is gone. Put it back; what is served does not change until then. To "
                "begin anew with an empty one on purpose, run: automagik-prompts upgrade"
            )
        self._check_names()
        if self.path is not None and self._create:
            make_private(self.path)
        engine = engine_named(self.dialect)
        with translated(self.url):
            await self._prepare()
            try:
                if not await self.run(engine.keeps_statements):
                    # Behind a pooler the next statement may be another connection's: nothing must be prepared ahead.
                    await self.close()
                    await self._prepare(statement_cache_size=0)
                    await self.run(engine.check_alive)
            except BaseException:
                # After a failed first connect an SQLite client hangs for ever; nothing of it may be used again.
                await self.close()
                raise
        self._inode = self._present_inode()
        return self

    async def _prepare(self, **options: object) -> None:
        """Make Tortoise ready, with these options of the driver's; connections are made when they are used."""
        config, tortoise = tortoise_config(self.url, self._alias), _Context()
        credentials = config["connections"][self._alias]["credentials"]
        if not self.is_embedded:
            credentials |= {"command_timeout": self._command_timeout, **credentials, **options}
        elif self._looking:
            credentials |= {"query_only": 1}
        with tortoise:
            with _models_lock:  # it awaits nothing
                await tortoise.init(config=config, use_tz=True, timezone="UTC")
            self._client = tortoise.connections.get(self._alias)
            self._client.log = _Silent(__name__)
            # Tortoise keeps the active context and its connections in context variables.
            self._context = contextvars.copy_context()

    async def close(self) -> None:
        """Close all connections; a second call does nothing."""
        client, self._client = self._client, None
        if client is not None:
            # Not by Tortoise's context, for which it would take a task: one that is cancelled before it begins closes
            # nothing, and the thread of an SQLite connection then keeps the process from ending.
            await client.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def run(
        self, function: Callable[Concatenate[BaseDBAsyncClient, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function with a connection, in a task that has this database's Tortoise context.

        Raises:
            DatabaseUnavailableError: The database cannot be reached or refuses now.
            SchemaError: A table or column is missing.
        """
        return await self._in_task(lambda client: function(client, *args, **kwargs))

    async def transaction(
        self, function: Callable[Concatenate[BaseDBAsyncClient, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function with a connection inside one transaction; an exception rolls it back.

        Raises:
            DatabaseUnavailableError: The database cannot be reached or refuses now.
            SchemaError: A table or column is missing.
        """

        async def within(_client: BaseDBAsyncClient) -> T:
            async with in_transaction(self._alias) as connection:
                if self._around is None:
                    return await function(connection, *args, **kwargs)
                done: T = await self._around(connection, lambda: function(connection, *args, **kwargs))
                return done

        return await self._in_task(within)

    def around(self, around: Around) -> Database:
        """Return the same open database, in each of whose transactions something more is done.

        Args:
            around: Called with the transaction's connection and what is to be done in it; returns what that returned.
        """
        other = copy.copy(self)
        other._around = around  # noqa: SLF001  # the same class
        return other

    def _check_names(self) -> None:
        """Make sure that the SQLite file has one name: SQLite keeps its log beside the name by which it was opened.

        Raises:
            DatabaseUnavailableError: It has several. Two processes that open it by two names overwrite each other.
        """
        is_there = self.path is not None and os.access(self.path, os.F_OK) and self.path.is_file()
        if is_there and self.path is not None and (names := self.path.stat().st_nlink) > 1:
            raise DatabaseUnavailableError(
                f"The database file {self.path} has {names} names (hard links). SQLite would keep a log for each of "
                "them, and what one process writes would be lost to another. Remove the other names, or copy the file."
            )

    def check_present(self) -> None:
        """Make sure that the SQLite file is still the one that was opened; a server needs no such check.

        Raises:
            DatabaseUnavailableError: The file was removed or replaced. The open connection would go on reading the old
                one without a word.
        """
        if self._inode is not None and self._present_inode() != self._inode:
            raise DatabaseUnavailableError(
                f"The database file {self.path} was removed or replaced. Put it back; what is served does not change "
                "until then."
            )

    async def check_alive(self) -> None:
        """Make sure that the server still answers; a file needs no such check.

        Raises:
            DatabaseUnavailableError: It does not. A connection may be lost without a word.
        """
        await self.run(engine_named(self.dialect).check_alive)

    async def hindrances(self) -> tuple[str, ...]:
        """Return what of the database's settings may get in the way, each with what to do."""
        return await self.run(lambda client: engine_named(self.dialect).hindrances(Connection(client)))

    async def tls_version(self) -> str | None:
        """Return the version of TLS that the connection to a server is encrypted with, or `None`."""
        return await self.run(engine_named(self.dialect).tls_version)

    def is_outdated(self) -> bool:
        """Return whether it should be opened again: a file that could only be read may be written or changed since."""
        return isinstance(self._client, FileClient) and self._client.is_outdated()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Client]:
        """Give a connection inside one transaction; an exception rolls it back.

        The caller's context variables stay as they are: an application's own Tortoise goes on being its own.

        Raises:
            DatabaseUnavailableError: The database cannot be reached or refuses now.
        """
        client, context = self._client, self._context
        if client is None or context is None:
            raise DatabaseUnavailableError(f"The database {redacted_url(self.url)} is not open.")
        own = context.copy()
        async with AsyncExitStack() as stack:
            stack.enter_context(translated(self.url))
            transaction = client._in_transaction()  # noqa: SLF001  # the public way needs the caller's context
            loop = asyncio.get_running_loop()
            connection = await loop.create_task(transaction.__aenter__(), context=own)

            async def leave(*exc_info: Any) -> None:
                await loop.create_task(transaction.__aexit__(*exc_info), context=own)

            stack.push_async_exit(leave)
            _contexts[connection] = own
            yield connection

    async def _in_task(self, function: Callable[[BaseDBAsyncClient], Awaitable[T]]) -> T:
        client, context = self._client, self._context
        if client is None or context is None:
            raise DatabaseUnavailableError(f"The database {redacted_url(self.url)} is not open.")

        async def body() -> T:
            return await function(client)

        with translated(self.url):
            # Each task has its own copy: Tortoise keeps a transaction's connection in a context variable.
            return await asyncio.get_running_loop().create_task(body(), context=context.copy())

    def _present_inode(self) -> tuple[int, int] | None:
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0)
        return found.st_dev, found.st_ino


def tortoise_config(url: str, alias: str = APP_LABEL) -> dict[str, Any]:
    """Return the Tortoise configuration for a database URL.

    Args:
        url: The database URL.
        alias: The connection's alias.
    """
    return {
        "connections": {alias: engine_named(dialect_of(url)).configuration(url)},
        "apps": {APP_LABEL: {"models": ["automagik_prompts.storage.models"], "default_connection": alias}},
        "use_tz": True,
        "timezone": "UTC",
    }


def __getattr__(name: str) -> Any:
    """Offer `TORTOISE_ORM` to the `aerich` command, computed from the environment when it is asked for."""
    if name != "TORTOISE_ORM":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    config = tortoise_config(os.environ.get(f"{ENVIRONMENT_PREFIX}DATABASE_URL", DEFAULT_DATABASE_URL))
    config["apps"][APP_LABEL]["models"].append("aerich.models")
    return config
