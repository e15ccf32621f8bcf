"""What of a PostgreSQL server's settings and rights may get in the way, each with what to do."""

from __future__ import annotations

from automagik_prompts.storage.dialects.base import DatabaseReader

_HINDRANCES = """\
SELECT current_user::text AS me, current_setting('server_encoding') AS encoding,
    current_setting('server_encoding') <> 'UTF8' AS is_narrow,
    current_setting('transaction_read_only') = 'on' AS is_read_only,
    COALESCE(row_security_active(to_regclass('agents')), false)
    OR COALESCE(row_security_active(to_regclass('prompts')), false) AS is_filtered,
    (SELECT setting || ' ms' FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS idle,
    EXISTS (SELECT 1 FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'
    AND setting::int BETWEEN 1 AND 4999) AS is_hasty"""

# Who could put tables of their own before those that are meant. Owners and superusers can do that in any case.
_SHADOWS = """\
WITH meant AS (SELECT c.relowner, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = to_regclass('agents')),
    others AS (SELECT r.oid, r.rolname FROM pg_roles r, meant WHERE r.rolcanlogin AND NOT r.rolsuper
        AND r.rolname <> current_user AND r.oid <> meant.relowner
        AND r.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database())),
    path AS (SELECT s.name, s.place FROM unnest(current_schemas(false)) WITH ORDINALITY AS s (name, place))
SELECT current_user::text AS me, nspname::text AS schema, (
    SELECT min(rolname)::text FROM others WHERE EXISTS (
        SELECT 1 FROM path WHERE place < (SELECT place FROM path WHERE name = nspname)
        AND has_schema_privilege(others.oid, name, 'CREATE'))
    OR (to_regnamespace(quote_ident(current_user)) IS NULL
        AND current_setting('search_path') LIKE '%$user%'
        AND has_database_privilege(others.oid, current_database(), 'CREATE'))) AS who
FROM meant"""

_HINDERED = {
    "is_filtered": "row-level security may hide rows of agents or prompts from {me}, and what is hidden is not served. "
    "Connect as their owner or as a user with BYPASSRLS, or let a policy show {me} all of their rows.",
    "is_read_only": "the transactions of {me} are read-only: prompts are served, and nothing can be written. Correct "
    "default_transaction_read_only, or connect to the primary.",
    "is_narrow": "its encoding is {encoding}, so texts with other characters are refused. Make a database with "
    "ENCODING 'UTF8'.",
    "is_hasty": "idle_in_transaction_session_timeout is {idle}: an edit over a slow network may be cut off. Set it to "
    "5 s or more for {me}.",
}

_SHADOWED = (
    "the URL names no schema, so {who} can put tables before those in {schema}, and {me} would take them for the real "
    "ones. Add ?schema={schema} to the URL."
)


async def hindrances(db: DatabaseReader) -> tuple[str, ...]:
    """Return what may get in the way of the user who is connected."""
    (found,) = await db.rows(_HINDRANCES)
    words = [words.format(**found) for name, words in _HINDERED.items() if found[name]]
    # There is no row before the tables are made.
    words += [_SHADOWED.format(**row) for row in await db.rows(_SHADOWS) if row["who"] is not None]
    return tuple(words)
