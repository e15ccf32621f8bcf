"""Whether a PostgreSQL server is short of connections, and telling the others who keep some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it has no types

NOTICE = "crowded"
"""What is sent to those who listen when connections are short, so that they look too, and give theirs back."""

_TOO_MANY_CONNECTIONS = "53300"

# One statement proves that notifications arrive, looks, and tells: an idle process asks it once a minute. The columns
# are those that every user may see; `pg_stat_activity` hides from most what others' connections are for.
_LOOK = """\
WITH crowd AS MATERIALIZED (SELECT GREATEST(
    (SELECT SUM(numbackends) FROM pg_stat_database)
    / (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::float8,
    (SELECT s.numbackends / d.datconnlimit::float8 FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid
    WHERE d.datname = current_database() AND d.datconnlimit > 0),
    (SELECT COUNT(*) / r.rolconnlimit::float8 FROM pg_roles r JOIN pg_stat_activity a ON a.usesysid = r.oid
    WHERE r.rolname = current_user AND r.rolconnlimit > 0 GROUP BY r.rolconnlimit)
) AS share)
SELECT share, pg_notify($1, $2), CASE WHEN share > $3::float8 THEN pg_notify($1, $4) END FROM crowd
"""


async def prove_and_look(connection: asyncpg.Connection[Any], channel: str, proof: str, limit: float) -> bool:
    """Send a proof that notifications arrive, and say whether the server, the database or the user is crowded.

    Args:
        connection: Where to ask.
        channel: Where to send the proof, and the notice if connections are short.
        proof: What to send.
        limit: The share of the connections in use from which on they are short.
    """
    import asyncpg  # an optional dependency, needed for servers only

    try:
        share = await connection.fetchval(_LOOK, channel, proof, limit, NOTICE)
    except asyncpg.PostgresError:
        # Something that only resembles PostgreSQL does not know how many there are.
        await connection.execute("SELECT pg_notify($1, $2)", channel, proof)
        return False
    return float(share) > limit


def is_refused_for_crowd(error: BaseException | None) -> bool:
    """Say whether the server refused a connection because it has too many."""
    while error is not None:
        if getattr(error, "sqlstate", None) == _TOO_MANY_CONNECTIONS:
            return True
        error = error.__cause__
    return False
