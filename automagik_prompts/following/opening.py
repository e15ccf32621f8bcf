"""The database while it is followed: opened, lent to others on the same thread, and let go of before a fork."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from automagik_prompts.domain.log import logger
from automagik_prompts.exceptions import PromptsError, SchemaError
from automagik_prompts.following.gate import Gate
from automagik_prompts.following.memory.snapshot import Look
from automagik_prompts.following.writer import prepare_schema
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database

CLOSE_TIMEOUT = 5.0
"""Seconds for closing connections in order; then they are dropped."""


class OpenDatabase:
    """Opens one database, and lends it.

    Args:
        url: The database URL.
        must_exist: Returns whether a missing file is not to be made anew.
        seconds: Seconds that one statement may take.
        look: What a plugin that only looks is given to look at; `None` for one that serves.

    Attributes:
        gate: Entered by whoever uses the database; shut before a fork.
        followed: The database that is followed, while it is open.
    """

    def __init__(
        self, url: str, must_exist: Callable[[], Awaitable[bool]], seconds: float, look: Look | None = None
    ) -> None:
        self.gate = Gate()
        self._url = url
        self._must_exist = must_exist
        self._seconds = seconds
        self._is_looking = look is not None
        self._borrowers = Gate()
        self.followed: Database | None = None

    async def open(self) -> Database:
        """Open the database that is followed from now on.

        Raises:
            PromptsError: It cannot be opened.
            TimeoutError: It did not answer in time.
        """
        database = await self._unopened()
        async with asyncio.timeout(self._seconds * 2):  # with a password it takes five round trips
            await database.open()
        self.followed = database
        return database

    @asynccontextmanager
    async def lent(self, *, writing: bool) -> AsyncIterator[Database]:
        """Give an open database: the one that is followed, or one for this purpose only while there is none.

        Args:
            writing: Whether it is to be written; then its schema must be the one that this release knows.

        Raises:
            PromptsError: The database cannot be opened.
            SchemaError: It is to be written and its schema is older or newer than this release.
        """
        async with self.gate.entered():
            if (followed := self.followed) is not None:
                async with self._borrowers.entered():
                    if writing:
                        await self._make_writable(followed)
                    yield followed
                return
            async with await self._unopened() as database:
                try:
                    await prepare_schema(database)
                except PromptsError:
                    if writing:
                        raise
                    # What is there may be readable; if it is not, reading says so.
                yield database

    async def _make_writable(self, followed: Database) -> None:
        try:
            await migrate.check_writable(followed, thorough=False)
        except SchemaError:
            if not followed.is_embedded:
                raise
            await prepare_schema(followed)  # whoever follows a new file has opened it, and not come to that yet

    @asynccontextmanager
    async def at_the_end(self) -> AsyncIterator[Database]:
        """Give the database that was followed for a last word; afterwards it is closed, or about to be.

        What was under way has been cancelled, which can leave a connection within a transaction. A server's pool makes
        it anew; an SQLite file has one connection, which is opened anew here.

        Raises:
            PromptsError: It cannot be opened.
        """
        followed = self.followed
        if followed is None or not followed.is_embedded:
            async with self.lent(writing=False) as database:
                yield database
            return
        await self.close()
        async with Database(self._url, create=False, command_timeout=self._seconds) as database:
            yield database

    async def close(self) -> None:
        """Close the database that was followed, when nobody uses it any more, or after a while."""
        database, self.followed = self.followed, None
        if database is None:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._borrowers.until_empty()
        except TimeoutError:
            logger.debug("What is under way with the database takes too long; it is closed all the same.")
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await database.close()
        except (PromptsError, OSError, TimeoutError) as error:
            logger.debug("Closing the connection failed (%s); it is dropped.", type(error).__name__)

    async def _unopened(self) -> Database:
        create = not await self._must_exist()
        return Database(self._url, create=create, command_timeout=self._seconds, looking=self._is_looking)
