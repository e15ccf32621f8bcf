"""The PostgreSQL client that Tortoise is made to use: whatever it waits for has a bound, and a commit tells the truth.

A connection whose packets vanish on the way is never reported as lost. So each wait ends, and a connection that did not
answer in time is dropped without a goodbye.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import TransactionContext, TransactionContextPooled

from automagik_prompts.exceptions import DatabaseUnavailableError

CONNECT_TIMEOUT = 20.0
"""Seconds that a new connection may take, where the URL does not say otherwise: four round trips with a password."""

ACQUIRE_TIMEOUT = 30.0
"""Seconds that may pass until there is a connection to use, with waiting for one that others use."""

GOODBYE = 3.0
"""Seconds for leaving a connection in order: a rollback, giving it back, closing; then it is dropped."""

IDLE_LIFETIME = 20.0
"""Seconds after which a connection that is not used is closed; the one that is used is asked for a sign of life."""

_IN_THE_URL = frozenset({"host", "port", "user", "password", "database"})

_LOST = ("08", "57P")
"""How the codes begin by which a server says that it is gone; every other code is an answer to what was asked."""


class ServerClient(AsyncpgDBClient):
    """A pool of connections to a server, none of which is waited for without a bound."""

    async def create_pool(self, **parameters: Any) -> asyncpg.Pool:
        """Make the pool; where and who is what the driver reads in the URL itself, with TLS as libpq means it."""
        parameters = {name: value for name, value in parameters.items() if name not in _IN_THE_URL}
        defaults = {
            "max_queries": 50_000,
            "max_inactive_connection_lifetime": IDLE_LIFETIME,
            "timeout": CONNECT_TIMEOUT,
            "record_class": asyncpg.Record,
        }
        return await _Pool(**defaults | parameters)

    async def _close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(GOODBYE):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    def _in_transaction(self) -> TransactionContext:
        return TransactionContextPooled(_Transaction(self), self._pool_init_lock)


class _Pool(asyncpg.Pool):  # type: ignore[misc]  # it has no types
    """A pool that gives up on a connection which does not answer."""

    async def _acquire(self, timeout: float | None) -> Any:  # noqa: ASYNC109  # the driver's name
        return await super()._acquire(ACQUIRE_TIMEOUT if timeout is None else timeout)

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as above
        """Take a connection back; one that is still busy with what was given up is dropped after a while."""
        with suppress(TimeoutError):  # whoever used it has an error of their own
            await super().release(connection, timeout=GOODBYE if timeout is None else timeout)


class _Transaction(TransactionWrapper):
    """A transaction that gives its connection back in any case, and says when nobody knows what came of it."""

    async def begin(self) -> None:
        """Begin it."""
        try:
            await super().begin()
        except BaseException:
            # Tortoise gives back only what has begun.
            await self._parent._pool.release(self._connection)  # type: ignore[union-attr]  # noqa: SLF001  # it is open
            raise

    async def commit(self) -> None:
        """Commit it.

        Raises:
            DatabaseUnavailableError: The connection was lost meanwhile.
        """
        if self._connection.is_closed():
            await super().commit()  # it fails, and nothing was sent
            return
        try:
            await super().commit()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            code = getattr(error, "sqlstate", None)
            if code is not None and not code.startswith(_LOST):
                raise
            raise DatabaseUnavailableError(
                f"The connection to the database was lost while a write was being committed ({type(error).__name__}), "
                "so it is not known whether it was written. Look before you try again."
            ) from error

    async def rollback(self) -> None:
        """Roll it back; what does not answer is dropped, which the server takes for the same."""
        try:
            async with asyncio.timeout(GOODBYE):
                await super().rollback()
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            with suppress(asyncpg.InterfaceError):  # it has ended by itself
                self._connection.terminate()


client_class = ServerClient
