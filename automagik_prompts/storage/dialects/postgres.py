"""PostgreSQL: a server, its driver's parameters, and its catalogue."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.database_url import redacted_url
from automagik_prompts.domain.summaries import Position
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.server_url import ServerUrl, missing_files, read_server_url
from automagik_prompts.storage.dialects.base import TRIGGERS, Column, DatabaseReader, ForeignKey, Index, Noted
from automagik_prompts.storage.dialects.hindrances import hindrances

POOL_SIZE = 3
"""Connections of one process to a server, at most: the follower's, a write, and one to spare."""

ALIVE_TIMEOUT = 5.0
"""Seconds within which a connection must give a sign of life."""

_MARK = re.compile(r"\?")

TABLE_ID = "to_regclass(quote_ident(current_schema()) || '.' || quote_ident(?::text))"
"""The table of a name where CREATE TABLE looks, and no further: in another schema it is another's."""


# What the server says of itself: after a restore or a failover it is another one, or the tables are. One that has been
# promoted is another one as well: what it said of transactions while it was a standby was not all.
_LOOK = """\
SELECT pg_current_snapshot()::text AS position, pg_is_in_recovery() AS replica, {changed}::text AS changed,
    row_security_active('agents'::regclass) OR row_security_active('prompts'::regclass) AS filtered,
    concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), pg_is_in_recovery(), 'agents'::regclass::oid,
    'prompts'::regclass::oid, (SELECT oid FROM pg_database WHERE datname = current_database())) AS server,
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


class PostgresEngine:
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

    def returning(self, statement: str, columns: str, then: str | None = None) -> str | None:
        """Return a statement that writes as one that gives the rows that it wrote; Tortoise reads those of queries."""
        more = f", more AS ({then} AND EXISTS (SELECT 1 FROM written))" if then is not None else ""
        return f"WITH written AS ({statement} RETURNING {columns}){more} SELECT * FROM written"

    def written_time(self, time: datetime) -> datetime | str:
        """Return the time: the column holds times."""
        return time

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

    async def changes(self, db: DatabaseReader, since: Position | None, also: str) -> Noted:
        """Return which agents were written to since a position, and the rows of another statement: one statement."""
        try:
            (row,) = await db.rows(_LOOK.format(changed=_CHANGED, also=also), *_marks(since))
        except OperationalError as error:
            if "prompt_changes" not in str(error):
                raise
            (row,) = await db.rows(_LOOK.format(changed="NULL::json", also=also))
        position = Position(row["server"] if row["changed"] is not None else "", row["position"])
        pairs = tuple((agent, change) for agent, change in json.loads(row["changed"] or "[]"))
        is_another = row["changed"] is None or (since is not None and since.server != position.server)
        return Noted(position, None if is_another else pairs, row["replica"], json.loads(row["also"]), row["filtered"])

    async def kind_of(self, db: DatabaseReader, table: str) -> str | None:
        """Return what a name stands for: `table`, `view` or something else; `None` if there is nothing of that name."""
        found = await db.rows(
            "SELECT CASE WHEN relkind IN ('r', 'p') THEN 'table' WHEN relkind IN ('v', 'm') THEN 'view' "
            f"ELSE relkind::text END AS kind FROM pg_class WHERE oid = {TABLE_ID}",
            table,
        )
        return str(found[0]["kind"]) if found else None

    async def columns(self, db: DatabaseReader, table: str) -> tuple[Column, ...]:
        """Return a table's columns in their order; none if there is no such table."""
        found = await db.rows(
            "SELECT a.attname::text AS name, a.attnotnull AS not_null, format_type(a.atttypid, a.atttypmod) || "
            "COALESCE((SELECT ' COLLATE ' || c.oid::regcollation FROM pg_collation c "
            "JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE c.oid = a.attcollation AND a.attcollation <> t.typcollation), '') AS type, "
            "pg_get_expr(d.adbin, d.adrelid) AS preset, a.attidentity::text AS identity, "
            "COALESCE(array_position(k.conkey, a.attnum), 0) AS position FROM pg_attribute a "
            "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
            "LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p' "
            f"WHERE a.attrelid = {TABLE_ID} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            table,
        )
        return tuple(
            Column(
                name=row["name"],
                type=row["type"],
                not_null=row["not_null"],
                default=row["preset"],
                filled=row["preset"] is not None or bool(row["identity"]),
                position=row["position"],
            )
            for row in found
        )

    async def indexes(self, db: DatabaseReader, table: str) -> list[Index]:
        """Return a table's indexes, those of its constraints too."""
        rows = await db.rows(
            "SELECT c.relname::text AS name, i.indisunique AND i.indimmediate AS is_unique, "
            "i.indpred IS NOT NULL AS is_partial, ARRAY(SELECT COALESCE(a.attname::text, '') "
            "FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place) "
            "LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0 "
            "WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS names "
            f"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = {TABLE_ID} ORDER BY c.relname",
            table,
        )
        return [Index(row["name"], tuple(row["names"]), row["is_unique"], row["is_partial"]) for row in rows]

    async def foreign_keys(self, db: DatabaseReader, table: str) -> list[ForeignKey]:
        """Return a table's foreign keys."""
        rows = await db.rows(
            "SELECT (SELECT relname::text FROM pg_class WHERE oid = k.confrelid) AS target, "
            "CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' "
            "WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS on_delete, ARRAY(SELECT a.attname::text "
            "FROM unnest(k.conkey) WITH ORDINALITY AS c (number, place) "
            "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.number ORDER BY c.place) AS names "
            f"FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = {TABLE_ID}",
            table,
        )
        return [ForeignKey(tuple(row["names"]), row["target"], row["on_delete"]) for row in rows]

    async def dependents(self, db: DatabaseReader, table: str, column: str) -> tuple[str, ...]:
        """Return what would break, or go without a word, if a column were dropped: views, triggers, indexes, checks."""
        found = await db.rows(
            "SELECT DISTINCT CASE WHEN d.classid = 'pg_rewrite'::regclass THEN (SELECT 'the view ' || c.relname "
            "FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class WHERE w.oid = d.objid) "
            "ELSE 'the ' || pg_describe_object(d.classid, d.objid, d.objsubid) END AS what "
            "FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid "
            f"WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {TABLE_ID} AND a.attname = ? "
            "AND NOT (d.classid = 'pg_attrdef'::regclass AND d.deptype = 'a') "
            # Since PostgreSQL 18 NOT NULL is a constraint, too.
            "AND NOT EXISTS (SELECT 1 FROM pg_constraint n WHERE d.classid = 'pg_constraint'::regclass "
            "AND n.oid = d.objid AND n.contype = 'n') "
            # The body of a function is only text for PostgreSQL: it would fail when the trigger fires.
            "UNION SELECT 'the trigger ' || t.tgname || ', whose function ' || p.proname || ' mentions it' "
            "FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            f"WHERE t.tgrelid = {TABLE_ID} AND NOT t.tgisinternal "
            "AND p.prosrc ~ ('\\m' || ?::text || '\\M') ORDER BY 1",
            table,
            column,
            table,
            column,
        )
        return tuple(str(row["what"]) for row in found)


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
