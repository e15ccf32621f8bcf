"""The database that is followed, lent to who writes."""

from __future__ import annotations

import asyncio

from automagik_prompts.following.opening import OpenDatabase
from automagik_prompts.schema import migrate


async def test_a_new_file_that_is_lent_before_it_is_read(sqlite_url: str) -> None:
    """Whoever writes as early as that makes the schema; any number of them do."""

    async def must_exist() -> bool:
        return False

    opened = OpenDatabase(sqlite_url, must_exist, 10.0)
    await opened.open()

    async def write() -> None:
        async with opened.lent(writing=True) as database:
            await migrate.check_writable(database)

    await asyncio.gather(write(), write(), write())
    await opened.close()
