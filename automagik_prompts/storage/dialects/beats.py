"""What a process says of itself, as statements: its row, and how many runs each version was sent to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automagik_prompts.domain.running.fleet import Beat
    from automagik_prompts.storage.dialects.base import Engine

_NEW = (
    "INSERT INTO prompt_processes (host, pid, release, started_at, state, server, position, code_hash, follows, "
    "problems, seen_at, due_at, id) VALUES (?, ?, ?, {began}, ?, ?, ?, ?, {json}, {json}, {now}, {due}, ?) "
    "ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state, server = EXCLUDED.server, position = EXCLUDED.position, "
    "problems = EXCLUDED.problems, seen_at = EXCLUDED.seen_at, due_at = EXCLUDED.due_at"
)
"""Said for the first time; said again, where it is not known whether that was written."""

_AGAIN = (
    "UPDATE prompt_processes SET state = ?, server = ?, position = ?, code_hash = ?, follows = {json}, "
    "problems = {json}, seen_at = {now}, due_at = {due} WHERE id = ?"
)
"""Later the row must be there: where somebody has taken it for dead, what it has sent is summed up already."""

_RUNS = """\
WITH seen AS ({row} RETURNING id), used AS (
    INSERT INTO prompt_usage (prompt_id, day, process_id, runs) SELECT u.prompt_id, u.day, s.id, u.runs
    FROM json_to_recordset(?::text::json) AS u(prompt_id bigint, day date, runs bigint), seen s
    ON CONFLICT (prompt_id, day, process_id) DO UPDATE SET runs = EXCLUDED.runs)
"""

# Asked before anything is tried: what a server refuses stands in its log.
UNABLE = """\
CASE WHEN to_regclass('prompt_processes') IS NULL THEN 'missing' WHEN pg_is_in_recovery() THEN 'standby'
    WHEN current_setting('transaction_read_only') = 'on' THEN 'read-only'
    WHEN NOT (has_table_privilege(to_regclass('prompt_processes'), 'INSERT')
    AND has_table_privilege(to_regclass('prompt_processes'), 'UPDATE')
    AND has_table_privilege(to_regclass('prompt_processes'), 'SELECT')) THEN 'denied' END"""

UNCOUNTED = """\
NOT (has_table_privilege(to_regclass('prompt_usage'), 'INSERT')
    AND has_table_privilege(to_regclass('prompt_usage'), 'UPDATE')
    AND has_sequence_privilege(to_regclass('prompt_usage_id_seq'), 'USAGE'))"""


def row_statement(beat: Beat, engine: Engine) -> tuple[str, list[Any]]:
    """Return the statement that writes a process' row, with its values."""
    statement = _NEW if beat.is_first else _AGAIN
    server, number = ("", "") if beat.position is None else (beat.position.server, beat.position.number)
    values: list[Any] = [beat.state, server, number, beat.code_hash]
    values.append(json.dumps(beat.follows) if beat.follows is not None else None)
    values += [json.dumps([list(one) for one in beat.problems]), beat.id]
    if beat.is_first:
        values = [beat.host, beat.pid, beat.release, *values]
    written = statement.format(
        json=engine.json, began=engine.moment(-beat.age), now=engine.moment(), due=engine.moment(beat.seconds)
    )
    return written, values


def carried(beat: Beat, engine: Engine) -> tuple[str, str, list[Any]]:
    """Return how a server's look begins that writes a process' row as well, what says whether it did, and the values.

    Each is one row of few columns without an index, so that the UPDATE touches nothing but its page.
    """
    row, values = row_statement(beat, engine)
    if not beat.runs:
        return f"WITH seen AS ({row} RETURNING id)\n", "EXISTS (SELECT 1 FROM seen)", values
    runs = [{"prompt_id": one.prompt_id, "day": one.day.isoformat(), "runs": one.runs} for one in beat.runs]
    return _RUNS.format(row=row), "EXISTS (SELECT 1 FROM seen)", [*values, json.dumps(runs)]
