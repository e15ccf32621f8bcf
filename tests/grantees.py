"""Users of a PostgreSQL database who have exactly the rights that the installed command prints."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # it has no types

from tests.operator import Operator
from tests.servers import PostgresServer, credentials

T = TypeVar("T")

ROLES = {
    "viewer": ("--role", "viewer"),
    "editor": ("--role", "editor"),
    "publisher": ("--role", "publisher"),
    "editor and publisher": ("--role", "editor", "--role", "publisher"),
    "app": ("--role", "app"),
    "app --seed": ("--role", "app", "--seed"),
}
"""What the command is asked for."""


def log_in(url: str, user: str) -> str:
    """Return the URL of a database for one of its users."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:secret@{parts.netloc.rpartition('@')[2]}"))


@contextmanager
def granted(server: PostgresServer, url: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """Give the users of a database that was upgraded, by what they are for; each got the printed SQL and no more."""
    operator, mark = Operator(folder, url), uuid.uuid4().hex[:8]
    names = {role: f'{role.replace(" ", "_")} of "{mark}"' for role in ROLES}
    try:
        for role, options in ROLES.items():
            name = names[role].replace('"', '""')
            printed = operator.do("grants", *options, "--to", names[role])
            run_sql(url, f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'secret'", printed)
        yield names
    finally:
        server.drop_database(url)
        for name in names.values():
            quoted = name.replace('"', '""')
            server.execute(f'DROP ROLE IF EXISTS "{quoted}"')


def run_sql(url: str, *statements: str) -> None:
    """Run SQL as a script, with a connection of its own."""

    async def run(connection: asyncpg.Connection) -> None:
        for statement in statements:
            await connection.execute(statement)

    asyncio.run(connected(url, run))


async def connected(url: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """Do something with a connection of the driver's own."""
    known = credentials(url)
    connection = await asyncpg.connect(**{**known, "user": unquote(known["user"])})
    try:
        return await work(connection)
    finally:
        await connection.close()


async def refusals(url: str, statements: Sequence[str]) -> dict[str, str]:
    """Return what each statement is refused with, as one user; empty where it is done. Nothing stays written."""

    async def run(connection: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for statement in statements:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(statement)
                found[statement] = ""
            except asyncpg.PostgresError as error:
                found[statement] = f"{error.sqlstate}: {error}"
            await transaction.rollback()
        return found

    return await connected(url, run)
