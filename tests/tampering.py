"""Changing by plain SQL what the database keeps as it was written, as its owner can: faults to be met all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from automagik_prompts.database_url import dialect_of
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database

_UNKEPT = {
    "sqlite": tuple(
        f"DROP TRIGGER IF EXISTS {name}"
        for name in ("prompts_kept_update", "prompt_events_kept_update", "prompt_events_kept_delete")
    ),
    "postgres": (
        "ALTER TABLE prompts DISABLE TRIGGER prompts_kept_update",
        *(
            f"ALTER TABLE prompt_events DISABLE TRIGGER prompt_events_kept_{event}"
            for event in ("update", "delete", "truncate")
        ),
    ),
}


def tamper(path: Path, *statements: str) -> None:
    """Change a file by plain SQL, whatever is kept in it; what keeps it is there again afterwards."""
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'prompt%_kept_%'"
        ).fetchall()
        for statement in (*(f"DROP TRIGGER {name}" for name, _ in kept), *statements, *(made for _, made in kept)):
            connection.execute(statement)
        connection.commit()


def unkept(url: str) -> tuple[str, ...]:
    """Return the statements after which texts and events can be changed in this database."""
    return _UNKEPT[dialect_of(url)]


async def unkeep(database: Database) -> None:
    """Let texts and events be changed in an open database."""
    for statement in unkept(database.url):
        await database.run(lambda client, say: Connection(client).run(say), statement)
