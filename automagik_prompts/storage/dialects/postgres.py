"""PostgreSQL: a server, its driver's parameters, and its catalogue."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from functools import lru_cache, partial
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.database_url import redacted_url
from automagik_prompts.domain.running.fleet import Beat
from automagik_prompts.domain.summaries import Position
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.server_url import ServerUrl, missing_files, read_server_url
from automagik_prompts.storage.dialects.base import TRIGGERS, DatabaseReader, Noted, Writer
from automagik_prompts.storage.dialects.beats import UNABLE, UNCOUNTED, carried
from automagik_prompts.storage.dialects.hindrances import hindrances
from automagik_prompts.storage.dialects.postgres_catalogue import PostgresCatalogue

POOL_SIZE = 3
"""Connections of one process to a server, at most: the follower's, a write, and one to spare."""

ALIVE_TIMEOUT = 5.0
"""Seconds within which a connection must give a sign of life."""

LISTENER = "automagik-prompts listener"
"""The name of a connection that only listens."""

_MARK = re.compile(r"\?")

# What the server says of itself: after a restore or a failover it is another one, or the tables are. One that has been
# promoted is another one as well: what it said of transactions while it was a standby was not all.
_SERVER = """\
concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), pg_is_in_recovery(), 'agents'::regclass::oid,
    'prompts'::regclass::oid, (SELECT oid FROM pg_database WHERE datname = current_database()))"""

_LOOK = """\
SELECT pg_current_snapshot()::text AS position, pg_is_in_recovery() AS replica, {changed}::text AS changed,
    row_security_active('agents'::regclass) OR row_security_active('prompts'::regclass) AS filtered,
    {server} AS server, {unable} AS unable, {uncounted} AS uncounted, {seen} AS seen,
    (SELECT COALESCE(json_agg(row_to_json(s)), '[]') FROM ({also}) s)::text AS also"""

# Whether all is noted: an application that rebuilds a table loses the triggers, and a restore may switch them off.
_NOTES = f"""\
(SELECT COUNT(*) >= {TRIGGERS} FROM pg_trigger WHERE tgrelid IN ('agents'::regclass, 'prompts'::regclass)
    AND tgname LIKE 'prompt_changes_%' AND tgenabled IN ('O', 'A'))"""

# Transactions that had not ended at the last look, and later ones. A standby does not tell which ones go on, and a row
# that was restored from another server may have a number that no transaction here has had yet.
_CHANGED = f"""\
(CASE WHEN {_NOTES} THEN (SELECT COALESCE(json_agg(json_build_array(agent_id, change)), '[]') FROM prompt_changes
    WHERE change >= ?::bigint AND change < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    AND (pg_is_in_recovery() OR NOT pg_visible_in_snapshot(change::text::xid8, ?::text::pg_snapshot))) END)"""

_NEVER = 2**63 - 1


def _marks(since: Position | None) -> tuple[int, str]:
    """Return where the log is read from: the oldest transaction of the last look, and that look's whole snapshot."""
    if since is None or not since.server:
        return _NEVER, "1:1:"
    return int(since.number.partition(":")[0]), since.number


@lru_cache(maxsize=256)
def _numbered(statement: str) -> str:
    numbers = iter(range(1, statement.count("?") + 1))
    return _MARK.sub(lambda _: f"${next(numbers)}", statement)


class PostgresEngine(PostgresCatalogue):
    """PostgreSQL."""

    is_embedded = False
    # Agent by agent: with statistics that are out of date the server would go through all versions for each page.
    active = (
        "LEFT JOIN LATERAL (SELECT * FROM prompts v WHERE v.agent_id = a.id AND v.is_active = true OFFSET 0) p ON true"
    )
    withdrawn = (
        "(SELECT json_agg(json_build_array(w.prompt_id, w.version, v.status_key, v.content_hash))::text "
        "FROM prompt_withdrawals w LEFT JOIN prompts v ON v.id = w.prompt_id AND v.version = w.version "
        "WHERE w.agent_id = a.id)"
    )
    fails_softly = False
    json = "?::text::jsonb"
    # Where there is something new it takes a number of its own: a snapshot does not tell of transactions that have
    # begun after the last one that has ended. A standby gives none.
    event_horizon = (
        "COALESCE(MAX(id), 0) AS newest, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest, "
        "CASE WHEN COALESCE(MAX(id), 0) <= ? THEN 0 "
        "WHEN pg_is_in_recovery() THEN pg_snapshot_xmax(pg_current_snapshot())::text::bigint "
        "ELSE pg_current_xact_id()::text::bigint + 1 END AS next"
    )
    log = _SERVER
    unread = (
        "(NOT pg_visible_in_snapshot(c.change::text::xid8, p.position::pg_snapshot) "
        "AND c.change < pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"
    )

    async def listeners(self, db: DatabaseReader) -> int:
        """Return how many connections listen: the name of one is shown to everybody."""
        (found,) = await db.rows(
            "SELECT COUNT(*) AS listeners FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = ?",
            LISTENER,
        )
        return int(found["listeners"])

    def moment(self, seconds: float = 0.0) -> str:
        """Return the server's time."""
        return f"now() + make_interval(secs => {float(seconds)})" if seconds else "now()"

    def returning(self, statement: str, columns: str, then: str | None = None) -> str | None:
        """Return a statement that writes as one that gives the rows that it wrote; Tortoise reads those of queries."""
        more = f", more AS ({then} AND EXISTS (SELECT 1 FROM written))" if then is not None else ""
        return f"WITH written AS ({statement} RETURNING {columns}){more} SELECT * FROM written"

    def written_time(self, time: datetime) -> datetime | str:
        """Return the time: the column holds times."""
        return time

    def written_day(self, day: date) -> date | str:
        """Return the day: the column holds days."""
        return day

    @asynccontextmanager
    async def impatient(self, db: Writer, milliseconds: int) -> AsyncIterator[None]:
        """Wait no longer than that for others' locks; it ends with the transaction."""
        await db.run(f"SELECT set_config('lock_timeout', '{int(milliseconds)}', true)")
        yield

    def configuration(self, url: str) -> dict[str, Any]:
        """Return Tortoise's configuration of one connection."""
        known = _checked(url)
        # Without a floor: restoring it the driver would log a traceback of its own in each outage.
        credentials = {"minsize": 0, "maxsize": POOL_SIZE, **known.options, "server_settings": known.settings}
        if "maxsize" in known.options:
            credentials["minsize"] = known.options.get("minsize", 1)
        credentials |= {"dsn": known.dsn, "reset": _skip_session_reset}
        return {"engine": "automagik_prompts.storage.postgres", "credentials": credentials}

    async def keeps_statements(self, client: BaseDBAsyncClient) -> bool:
        """Make sure that the server answers; return whether what is prepared on a connection stays there."""
        async with client.acquire_connection() as connection:
            return await is_direct(connection)

    async def check_alive(self, client: BaseDBAsyncClient) -> None:
        """Make sure that the connection answers: its packets may vanish without a word."""
        async with client.acquire_connection() as connection:
            await ask_for_life(connection, ALIVE_TIMEOUT)

    async def hindrances(self, db: DatabaseReader) -> tuple[str, ...]:
        """Return what of the server's settings for this user may get in the way, each with what to do."""
        return await hindrances(db)

    async def tls_version(self, client: BaseDBAsyncClient) -> str | None:
        """Return the version of TLS that a connection is encrypted with; the server behind a pooler would not know."""
        async with client.acquire_connection() as connection:
            encrypted = connection._transport.get_extra_info("ssl_object")  # noqa: SLF001  # nothing public tells
            return str(encrypted.version()) if encrypted is not None else None

    def marked(self, statement: str) -> str:
        """Return a statement with numbered marks in place of `?`."""
        return _numbered(statement)

    def folded(self, name: str) -> str:
        """Return the name: PostgreSQL compares what was quoted as it is."""
        return name

    async def lock_rows(self, client: BaseDBAsyncClient, ids: str) -> None:
        """Lock rows of `agents` in the order of their ids, so that nobody waits in a circle."""
        await client.execute_query(f"SELECT id FROM agents WHERE id IN ({ids}) ORDER BY id FOR UPDATE")

    def newest(self, limit: int) -> str:
        """Return what gives the newest versions `p` of the status of each version `x` in a statement."""
        return (
            "JOIN LATERAL (SELECT * FROM prompts v WHERE v.agent_id = x.agent_id AND v.status_key = x.status_key "
            f"ORDER BY v.version DESC LIMIT {int(limit)}) p ON true"
        )

    def digest(self, column: str) -> str:
        """Return the SHA-256 of a text: a tenth of the text's length, at most, crosses the network."""
        return f"encode(sha256(convert_to({column}, 'UTF8')), 'hex')"

    async def data_version(self, db: DatabaseReader) -> int | None:  # noqa: ARG002  # the protocol's argument
        """Return nothing: whatever tells of a write costs as much as the look itself."""
        return None

    async def changes(self, db: DatabaseReader, since: Position | None, also: str, beat: Beat | None = None) -> Noted:
        """Return which agents were written to since a position, and the rows of another statement: one statement."""
        first, seen, values = carried(beat, self) if beat is not None else ("", "NULL::bool", [])
        look = partial((first + _LOOK).format, server=_SERVER, unable=UNABLE, uncounted=UNCOUNTED, seen=seen, also=also)
        try:
            (row,) = await db.rows(look(changed=_CHANGED), *values, *_marks(since))
        except OperationalError as error:
            if "prompt_changes" not in str(error):
                raise
            (row,) = await db.rows(look(changed="NULL::json"), *values)
        position = Position(row["server"] if row["changed"] is not None else "", row["position"])
        pairs = tuple((agent, change) for agent, change in json.loads(row["changed"] or "[]"))
        is_another = row["changed"] is None or (since is not None and since.server != position.server)
        return Noted(
            position,
            None if is_another else pairs,
            row["replica"],
            json.loads(row["also"]),
            row["filtered"],
            row["seen"],
            row["unable"],
            bool(row["uncounted"]),
        )


async def is_direct(connection: Any) -> bool:
    """Return whether one connection of the driver's is one process of the server's, and no pooler stands between.

    The process that a pooler names when it lets somebody in is none of the server's. A statement without values is
    sent without being prepared, which no pooler can get wrong, and its number of rows comes back with it.
    """
    answer = await connection.execute(f"SELECT WHERE pg_backend_pid() = {connection.get_server_pid()}")
    return str(answer) == "SELECT 1"


async def ask_for_life(connection: Any, seconds: float) -> None:
    """Have a connection of the driver's answer, without a statement that the server would run, count or log.

    Raises:
        TimeoutError: It did not answer in time.
    """
    await connection.fetch("", timeout=seconds)


def connect_parameters(url: str, **settings: str) -> dict[str, Any]:
    """Return what `asyncpg.connect` needs for a connection outside the pool, with these settings of its session."""
    known = _checked(url)
    pool_only = {"minsize", "maxsize", "max_queries", "max_inactive_connection_lifetime", "schema"}
    options = {name: value for name, value in known.options.items() if name not in pool_only}
    return {**options, "dsn": known.dsn, "server_settings": {**known.settings, **settings}}


def _checked(url: str) -> ServerUrl:
    """Take a URL apart, and make sure that the files that it names are there.

    Raises:
        ConfigurationError: One is missing, or the URL cannot be meant.
    """
    try:
        known = read_server_url(url)
    except ValueError as error:
        raise ConfigurationError(f"The database URL {redacted_url(url)} cannot work: {error}.") from None
    if missing := list(missing_files(known)):
        raise ConfigurationError(
            f"The database URL {redacted_url(url)} names a file that is not there: {', '.join(missing)}. Correct the "
            "URL, or put the file there."
        )
    return known


async def _skip_session_reset(_connection: object) -> None:
    """Give a connection back to the pool without the four statements by which the driver would clean its session.

    Nothing here changes a session: what is set and locked is for one transaction.
    """
