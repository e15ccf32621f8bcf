"""Changing by plain SQL what the database keeps as it was written, as its owner can: faults to be met all the same."""

from __future__ import annotations

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


def unkept(url: str) -> tuple[str, ...]:
    """Return the statements after which texts and events can be changed in this database."""
    return _UNKEPT[dialect_of(url)]


async def unkeep(database: Database) -> None:
    """Let texts and events be changed in an open database."""
    for statement in unkept(database.url):
        await database.run(lambda client, say: Connection(client).run(say), statement)
