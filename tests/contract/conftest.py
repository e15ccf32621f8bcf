"""One database on each engine for all tests here; each test has agents of its own in it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import ENGINES
from tests.servers import PostgresServer


@pytest.fixture(scope="session", params=ENGINES)
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the schema of this release, on each engine."""
    if request.param == "sqlite":
        url = f"sqlite://{tmp_path_factory.mktemp('contract') / 'prompts.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create_database()

    async def prepare() -> None:
        async with Database(url) as database:
            await upgrade(database)

    asyncio.run(prepare())
    return url


@pytest.fixture
async def database(shared_url: str) -> AsyncIterator[Database]:
    """The shared database, open."""
    async with Database(shared_url) as database:
        yield database


@pytest.fixture
def agent() -> str:
    """A name that no other test uses."""
    return f"agent-{uuid.uuid4().hex[:12]}"
