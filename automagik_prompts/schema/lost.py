"""What a database has lost: tables and columns that are not there although the step that makes them is recorded."""

from __future__ import annotations

from collections.abc import Sequence

from tortoise import Model

from automagik_prompts.exceptions import SchemaError
from automagik_prompts.schema.legacy.tables import TEXT_COLUMN
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.introspection import columns, keepers
from automagik_prompts.storage.models import (
    AgentRow,
    BaseRow,
    DraftRow,
    EventRow,
    IdempotencyRow,
    ProcessRow,
    PromptRow,
    RequestRow,
    TokenRow,
    UsageRow,
)

_ARCHIVE = "automagik_prompts_archive_prompts"
_MODELS: tuple[type[Model], ...] = (
    *(AgentRow, PromptRow, EventRow, RequestRow, DraftRow, BaseRow),
    *(ProcessRow, UsageRow, TokenRow, IdempotencyRow),
)


async def lost_parts(db: DatabaseReader) -> tuple[str, ...]:
    """Return which tables, and which columns of the others, are not there.

    Nothing counts as lost where a downgrade was cut short: the next upgrade applies such steps again.
    """
    agents = await columns(db, "agents")
    if TEXT_COLUMN in agents or (agents and "default_status_key" not in agents) or await columns(db, _ARCHIVE):
        return ()
    if "protected_statuses" not in agents and not await columns(db, "prompt_requests"):
        return ()
    if "db_user" not in await columns(db, "prompt_events") and not await keepers(db):
        return ()
    if not await columns(db, "prompt_processes") and not await columns(db, "prompt_tokens"):
        return ()
    lost: list[str] = []
    for model in _MODELS:
        table = str(model._meta.db_table)  # noqa: SLF001  # Tortoise has no public way
        there = await columns(db, table)
        wanted = model._meta.fields_db_projection.values()  # noqa: SLF001  # as above
        lost += [f"{table}.{name}" for name in sorted(wanted) if name not in there] if there else [table]
    return tuple(lost)


def lost_error(lost: Sequence[str]) -> SchemaError:
    """Return what to do where something is lost."""
    what, them = ("is", "it") if len(lost) == 1 else ("are", "them")
    return SchemaError(
        f"{', '.join(lost)} {what} not there, although the migration that makes {them} is recorded as applied: "
        f"somebody has dropped or renamed {them}. Put {them} back, or restore a backup. Nothing is made anew here, as "
        "it would be taken for the new state; to begin anew, use an empty database."
    )
