"""The queries of `prompt_usage`: to how many runs each version was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.running.fleet import Beat
from automagik_prompts.domain.running.usage import RECENT_DAYS, Usage
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.repository.mapping import chunks, numbers

TOLD_DAYS = 7
"""Days, today included, of which a process still says how many runs there were."""

BY_PROCESS_DAYS = 9
"""Days of which the counts are kept by process; longer than a process may still say something of."""

BY_DAY_DAYS = 90
"""Days of which the counts are kept by day; what is older is one number for each version."""

LONG_AGO = date(1970, 1, 1)
"""The day of what is older."""

_ADD = (
    "INSERT INTO prompt_usage (prompt_id, day, process_id, runs) VALUES (?, ?, '', ?) "
    "ON CONFLICT (prompt_id, day, process_id) DO UPDATE SET runs = prompt_usage.runs + EXCLUDED.runs"
)
_SET = (
    "INSERT INTO prompt_usage (prompt_id, day, process_id, runs) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (prompt_id, day, process_id) DO UPDATE SET runs = EXCLUDED.runs"
)


async def add_runs(connection: Connection, beat: Beat) -> None:
    """Write what a process has sent, as totals: to say it again changes nothing."""
    await connection.run_many(
        _SET, [(one.prompt_id, _written(connection, one.day), beat.id, one.runs) for one in beat.runs]
    )


async def sum_up(db: BaseDBAsyncClient, process_id: str | None = None) -> None:
    """Sum up what a process has sent that ends, or all that is of processes that are gone, or old.

    What is summed up is taken from where it was in the same transaction, so that nothing counts twice.
    """
    connection, today = Connection(db), datetime.now(UTC).date()
    if process_id is not None:
        await _move(connection, "process_id = ?", None, process_id)
        return
    gone = "process_id NOT IN (SELECT id FROM prompt_processes)"
    await _move(
        connection, f"process_id <> '' AND ({gone} OR day < ?)", None, _days(connection, BY_PROCESS_DAYS, today)
    )
    old, long_ago = _days(connection, BY_DAY_DAYS, today), _written(connection, LONG_AGO)
    await _move(connection, "process_id = '' AND day < ? AND day > ?", LONG_AGO, old, long_ago)
    await connection.run("DELETE FROM prompt_usage WHERE process_id = '' AND prompt_id NOT IN (SELECT id FROM prompts)")


async def get_usage(db: BaseDBAsyncClient, ids: Iterable[int] | None = None) -> dict[int, Usage]:
    """Return to how many runs versions were sent, by their ids; those that never were are left out.

    Args:
        db: The connection.
        ids: Only these versions.
    """
    connection, found = Connection(db), dict[int, Usage]()
    since = _days(connection, RECENT_DAYS, datetime.now(UTC).date())
    for chunk in [None] if ids is None else chunks(sorted(set(ids))):
        those = f"WHERE prompt_id IN ({numbers(chunk)}) " if chunk is not None else ""
        rows = await connection.rows(
            "SELECT prompt_id, SUM(runs) AS runs, SUM(CASE WHEN day >= ? THEN runs ELSE 0 END) AS recent, "
            f"MAX(day) AS last_day FROM prompt_usage {those}GROUP BY prompt_id HAVING SUM(runs) > 0",
            since,
        )
        for row in rows:
            found[row["prompt_id"]] = Usage(int(row["runs"]), int(row["recent"]), _read(row["last_day"]))
    return found


async def _move(connection: Connection, those: str, day: date | None, *values: object) -> None:
    """Sum rows up into those without a process, of their own day or of another one."""
    taken = await connection.written(
        f"DELETE FROM prompt_usage WHERE {those}", *values, columns=("prompt_id", "day", "runs")
    )
    if taken is None:  # an SQLite that does not tell what it has deleted; nobody else writes meanwhile
        taken = await connection.rows(f"SELECT prompt_id, day, runs FROM prompt_usage WHERE {those}", *values)
        await connection.run(f"DELETE FROM prompt_usage WHERE {those}", *values)
    sums: Counter[tuple[int, Any]] = Counter()
    for row in taken:
        sums[row["prompt_id"], row["day"] if day is None else _written(connection, day)] += row["runs"]
    # In one order, so that two processes that end at once do not wait for each other.
    await connection.run_many(_ADD, [(*key, runs) for key, runs in sorted(sums.items())])


def _days(connection: Connection, days: int, today: date) -> date | str:
    """Return the first one of so many days, today included."""
    return _written(connection, today - timedelta(days=days - 1))


def _written(connection: Connection, day: date) -> date | str:
    return engine_of(connection).written_day(day)


def _read(day: date | str) -> date | None:
    read = date.fromisoformat(day) if isinstance(day, str) else day
    return read if read != LONG_AGO else None
