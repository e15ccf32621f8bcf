"""What PostgreSQL says of its tables."""

from __future__ import annotations

from automagik_prompts.storage.dialects.base import Column, DatabaseReader, ForeignKey, Index

TABLE_ID = "to_regclass(quote_ident(current_schema()) || '.' || quote_ident(?::text))"
"""The table of a name where CREATE TABLE looks, and no further: in another schema it is another's."""


class PostgresCatalogue:
    """Reads the catalogue of PostgreSQL."""

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
