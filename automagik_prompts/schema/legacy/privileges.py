"""What a server lets the user do and see, and in which schema: looked at before a migration changes anything there.

SQLite knows neither users nor schemas.
"""

from __future__ import annotations

from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.dialects.postgres_catalogue import TABLE_ID
from automagik_prompts.storage.introspection import kind_of

_TABLES = ("agents", "prompts", "prompt_events")


async def missing_rights(db: DatabaseReader) -> list[str]:
    """Return why no table can be created, each reason with what to do."""
    if db.dialect == "sqlite":
        return []
    (found,) = await db.rows(
        "SELECT current_user::text AS me, current_schema()::text AS schema, current_setting('search_path') AS path, "
        "has_schema_privilege(current_schema(), 'CREATE') AS allowed"
    )
    if found["schema"] is None:
        path = f"no schema of the search path ({found['path']}) exists"
        return [f"{path}: create one, or ALTER ROLE {found['me']} SET search_path"]
    if not found["allowed"]:
        me, schema = found["me"], found["schema"]
        grant = f"GRANT CREATE ON SCHEMA {schema} TO {me}"
        return [f"{me} may not create tables in the schema {schema}: {grant}, or upgrade as its owner"]
    return []


async def hidden_tables(db: DatabaseReader) -> list[str]:
    """Return the tables that are found now and would be hidden by those that an upgrade creates before them."""
    if db.dialect == "sqlite":
        return []
    found: list[str] = []
    for table in _TABLES:
        if await kind_of(db, table) is not None:
            continue
        rows = await db.rows(
            "SELECT current_schema()::text AS here, relnamespace::regnamespace::text AS there FROM pg_class "
            "WHERE oid = to_regclass(quote_ident(?::text))",
            table,
        )
        found += [
            f"there is a table {table} in the schema {row['there']}, and the upgrade would create another one in the "
            f"schema {row['here']}, which comes first in the search path and hides it: set search_path to the schema "
            "that is meant"
            for row in rows
        ]
    return found


async def kept_away(db: DatabaseReader, table: str) -> list[str]:
    """Return why some rows of a table would not be seen or reached by the keys of others, or it may not be altered."""
    if db.dialect == "sqlite":
        return []
    (found,) = await db.rows(
        "SELECT current_user::text AS me, COALESCE(row_security_active(oid), false) AS secured, "
        "EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = pg_class.oid) AS inherited "
        f"FROM pg_class WHERE oid = {TABLE_ID}",
        table,
    )
    reasons: list[str] = []
    if found["secured"]:
        reasons.append(
            f"row-level security hides rows of {table} from {found['me']}: upgrade as a user with BYPASSRLS, or ALTER "
            f"TABLE {table} NO FORCE ROW LEVEL SECURITY and upgrade as its owner"
        )
    if found["inherited"]:
        reasons.append(
            f"{table} has partitions or tables that inherit from it, which foreign keys do not reach: import the texts "
            "with --from instead"
        )
    return reasons + await not_owned(db, table)


async def not_owned(db: DatabaseReader, table: str) -> list[str]:
    """Return why a table may not be altered; nothing where it may, or where there is none."""
    if db.dialect == "sqlite":
        return []
    return [
        f"the table {table} belongs to {row['owner']}, and {row['me']} may not alter it: upgrade as {row['owner']}"
        for row in await db.rows(
            "SELECT current_user::text AS me, pg_get_userbyid(relowner)::text AS owner FROM pg_class "
            f"WHERE oid = {TABLE_ID} AND NOT pg_has_role(relowner, 'USAGE')",
            table,
        )
    ]
