"""To how many runs versions were sent; nothing is written."""

from __future__ import annotations

from automagik_prompts.domain.running.usage import UsageByVersion
from automagik_prompts.exceptions import DatabaseUnavailableError, SchemaError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database


async def usage(database: Database, ids: list[int] | None = None) -> UsageByVersion | None:
    """Return to how many runs versions were sent, by their ids; `None` where that cannot be read by this user.

    Args:
        database: An open database.
        ids: Only these versions; by default all.
    """
    try:
        return await database.run(repository.get_usage, ids)
    except (SchemaError, DatabaseUnavailableError):
        return None  # it belongs to what else is shown, which says what is wrong if the database cannot be read
