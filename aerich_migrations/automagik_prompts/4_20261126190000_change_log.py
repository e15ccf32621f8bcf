"""Note which agents were written to, whoever writes: triggers keep one row for each agent in `prompt_changes`.

A process that follows reads the agents whose row has changed since it looked last, and nothing else. On PostgreSQL the
number is that of the transaction, so that what is committed out of order is found, and the triggers notify those who
listen. Elsewhere it counts up.
"""

from tortoise import BaseDBAsyncClient

from automagik_prompts.schema.legacy import locks
from automagik_prompts.schema.legacy.frozen import Connection, columns

RUN_IN_TRANSACTION = True

# An application may have numbered its agents with large numbers.
TYPES = {"sqlite": "INTEGER", "postgres": "BIGINT"}

TABLE = """
CREATE TABLE IF NOT EXISTS "prompt_changes" (
    "agent_id" {id} NOT NULL PRIMARY KEY,
    "change" BIGINT NOT NULL
)"""

INDEX = 'CREATE INDEX IF NOT EXISTS "idx_prompt_changes_change" ON "prompt_changes" ("change")'

AGENT = ("name", "default_status_key", "active_default_prompt_id", "variables", "revision")
PROMPT = ("id", "agent_id", "status_key", "version", "prompt_text", "format", "is_active", "content_hash")
"""The columns that what is served depends on; an application may have columns of its own in both tables."""

COLUMNS = {"agents": AGENT, "prompts": PROMPT}

# SQLite: above what can be counted on from there is a number that was put there by hand; it does not count.
NEXT = "(SELECT COALESCE(MAX(change), 0) + 1 FROM prompt_changes WHERE change < 4611686018427387904)"

# An UPDATE and an INSERT, as the statement that fires the trigger says what happens on a conflict within it.
NOTE = f"""
    UPDATE prompt_changes SET change = {NEXT} WHERE agent_id = {{id}};
    INSERT INTO prompt_changes (agent_id, change)
        SELECT {{id}}, {NEXT} WHERE NOT EXISTS (SELECT 1 FROM prompt_changes WHERE agent_id = {{id}});"""

# What INSERT OR REPLACE takes away goes without firing a trigger for DELETE.
REPLACED = "SELECT agent_id FROM prompts WHERE is_active AND id = NEW.id"
SAME_NUMBER = (
    "SELECT 1 FROM prompts WHERE is_active AND agent_id = NEW.agent_id AND status_key = NEW.status_key "
    "AND version = NEW.version"
)

# Table, event, condition, and whose agents.
SQLITE = (
    ("agents", "INSERT", "", ("NEW.id",)),
    ("agents", "UPDATE", f" WHEN {' OR '.join(f'OLD.{name} IS NOT NEW.{name}' for name in AGENT)}", ("NEW.id",)),
    ("agents", "DELETE", "", ("OLD.id",)),
    ("prompts", "INSERT", " WHEN NEW.is_active", ("NEW.agent_id",)),
    ("prompts", "UPDATE", " WHEN OLD.is_active OR NEW.is_active", ("OLD.agent_id", "NEW.agent_id")),
    ("prompts", "DELETE", " WHEN OLD.is_active", ("OLD.agent_id",)),
    ("prompts", "REPLACE", f" WHEN EXISTS ({REPLACED})", (f"({REPLACED})",)),
    ("prompts", "RENUMBER", f" WHEN EXISTS ({SAME_NUMBER})", ("NEW.agent_id",)),
)
BEFORE_INSERT = ("REPLACE", "RENUMBER")

# A user with the least rights fires it; it runs with its owner's, and sees nobody else's tables.
FUNCTION = """
CREATE OR REPLACE FUNCTION prompt_changes_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $body$
DECLARE
    present bigint := pg_current_xact_id()::text::bigint;
    ids bigint[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE prompt_changes SET change = present WHERE change <> present;
    ELSE
        IF TG_TABLE_NAME = 'agents' THEN
            ids := ARRAY[CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END];
        ELSIF TG_OP = 'INSERT' THEN
            ids := ARRAY[NEW.agent_id];
        ELSIF TG_OP = 'DELETE' THEN
            ids := ARRAY[OLD.agent_id];
        ELSE
            ids := ARRAY(SELECT DISTINCT unnest(ARRAY[OLD.agent_id, NEW.agent_id]));
        END IF;
        INSERT INTO prompt_changes AS c (agent_id, change) SELECT unnest(ids), present
            ON CONFLICT (agent_id) DO UPDATE SET change = EXCLUDED.change WHERE c.change <> EXCLUDED.change;
    END IF;
    IF FOUND THEN
        PERFORM pg_notify('automagik_prompts', '');
    END IF;
    RETURN NULL;
END
$body$"""

# Whoever listens learns that from now on nobody will be notified by a trigger, or that everybody will.
NOTIFY = "SELECT pg_notify('automagik_prompts', '')"

POSTGRES = (
    ("agents", "INSERT", ""),
    # As text: an application's column may have a type that cannot be compared.
    (
        "agents",
        "UPDATE",
        f" WHEN ({' OR '.join(f'OLD.{name}::text IS DISTINCT FROM NEW.{name}::text' for name in AGENT)})",
    ),
    ("agents", "DELETE", ""),
    ("prompts", "INSERT", " WHEN (NEW.is_active)"),
    ("prompts", "UPDATE", " WHEN (OLD.is_active OR NEW.is_active)"),
    ("prompts", "DELETE", " WHEN (OLD.is_active)"),
    ("agents", "TRUNCATE", ""),
    ("prompts", "TRUNCATE", ""),
)


async def upgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client, __file__)
    await db.run(TABLE.format(id=TYPES[db.dialect]))
    await db.run(INDEX)
    await (_note_on_server if db.dialect == "postgres" else _note_in_file)(db)
    return "SELECT 1"


async def downgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client)
    if db.dialect == "postgres" and await columns(db, "prompt_changes"):
        # In the order in which a process that looks for changes takes them.
        await db.run("LOCK TABLE prompt_changes, agents, prompts IN ACCESS EXCLUSIVE MODE")
    await _forget(db)
    if db.dialect == "postgres":
        await db.run("DROP FUNCTION IF EXISTS prompt_changes_note()")
        await db.run(NOTIFY)
    await db.run('DROP TABLE IF EXISTS "prompt_changes"')
    return "SELECT 1"


def _name(table: str, event: str) -> str:
    return f"prompt_changes_{table}_{event.lower()}"


async def _forget(db: Connection) -> None:
    for table, event, *_ in POSTGRES if db.dialect == "postgres" else SQLITE:
        on = f' ON "{table}"' if db.dialect == "postgres" else ""
        await db.run(f"DROP TRIGGER IF EXISTS {_name(table, event)}{on}")


async def _note_in_file(db: Connection) -> None:
    await _forget(db)
    for table, event, condition, ids in SQLITE:
        of = f" OF {', '.join(COLUMNS[table])}" if event == "UPDATE" else ""
        when = "BEFORE INSERT" if event in BEFORE_INSERT else f"AFTER {event}{of}"
        notes = "".join(NOTE.format(id=which) for which in ids)
        await db.run(
            f'CREATE TRIGGER {_name(table, event)} {when} ON "{table}" FOR EACH ROW{condition} BEGIN{notes}\nEND'
        )
    await db.run(
        f"INSERT INTO prompt_changes (agent_id, change) SELECT id, {NEXT} FROM agents WHERE id NOT IN "
        "(SELECT agent_id FROM prompt_changes)"
    )


async def _note_on_server(db: Connection) -> None:
    schema = (await db.rows("SELECT quote_ident(current_schema()) AS name"))[0]["name"]
    await db.run(FUNCTION.format(schema=schema))
    await db.run("REVOKE ALL ON FUNCTION prompt_changes_note() FROM PUBLIC")
    # It holds numbers only, and a user who may read prompts must be able to follow.
    await db.run('GRANT SELECT ON "prompt_changes" TO PUBLIC')
    await _forget(db)
    for table, event, condition in POSTGRES:
        of = f" OF {', '.join(COLUMNS[table])}" if event == "UPDATE" else ""
        each = "STATEMENT" if event == "TRUNCATE" else "ROW"
        await db.run(
            f'CREATE TRIGGER {_name(table, event)} AFTER {event}{of} ON "{table}" FOR EACH {each}{condition} '
            "EXECUTE FUNCTION prompt_changes_note()"
        )
    await db.run(
        "INSERT INTO prompt_changes (agent_id, change) SELECT id, pg_current_xact_id()::text::bigint FROM agents "
        "ON CONFLICT (agent_id) DO NOTHING"
    )
    await db.run(NOTIFY)


MODELS_STATE = (
    "eJztW21v2zYQ/iuCviwD0iBx0rQotgF26ixZE7tI3LVoEQi0RNtEJFKlqMRG5v8+knp/tW"
    "XEqi3oS2If76jzw+Pp7qH0ogKXEQtM0aNmU2LZzDnqTiFmd+RZ/aC8qBhYkH8oUzvko7ad"
    "qyTGGBib3hTCQIrA2GEU6IxLJ8B0IBcZ0NEpshkiWOh2sSLVPyhAES4cKog5ik2RBehCcR"
    "hgrnOoAGxI+TNFDCo6cTGD9EhcwSA6vwTC09eYzMXopws1RqaQzSDlU/544GKEDTiHTvDV"
    "ftQmCJpGAjZkiAmkXGMLW8quMbuUisLPsaYT07VwpGwv2IzgUBthJqTcf0gBg2J6Rl0BGX"
    "ZN08c2QNHzNFLxXIzZGHACXFMAL6w9ByKZqmmD4Ui77480Tc0sSmARg9YX6QSLBUViecWv"
    "nwoX3nROzt6dvT89P3vPVaSboeTd0rt0BIxnKOEZjNSlHAcMeBoS4whU+T8D68UM0HxcA/"
    "0UstzlNLIBjrsLrQXmmgnxlM0Enm/flgD5b/fu4qp7d8C1fheXJHzLeTtx4A91vDGBdoSu"
    "77Pm7QvtES6qYJ1v/TrIB4II+ih7hDgHH/d3AXhiRE8wcN1PpVqlTFI2xer8krMWfoxXWo"
    "qdzzAR5E+AIvFLnSzG/9wPB/kgJ4xSqBpIZ8p/iomcddDdLNL/mLhYF8gpYxeZDGHnSFzv"
    "r22FfgmiAiQxs+U4P814gB/cdr+lY//iZtiTkBGHTamcRU7QSy0KhU/IET6uH/dxk43ifK"
    "OVON6TKNcpFL9cAywL6Rem50OaNEqHOR9iyIJHwYdtQbzFXFIC4ej6tn8/6t5+TsT2x+6o"
    "L0Y6UrpISQ/OU/EeTqJ8vR5dKeKr8n046Ke3QKg3+q4Kn0QxrWHyrAEjjkkgDkSJFXZto/"
    "oKJ43aFd65FRbdxeQxVgoLwRjoj8+AGlpiJAoF+BR0W8kw6Pl2l5/uoAlYfrLMdnv9p6jb"
    "28/lj6R+PZPYObGG9VXw+iz/NwwwEXekQ4oiMTtkday0BGDeixv+tYNdUBBr5QREPCTXIi"
    "D8MjjaGat5iCGGvIjjf8hEAT6N8Juj8MtBbLwh2FwoM15zEbrI0g4VbVezDD88CsWv4/nf"
    "h5Z3qJN32Kwj/lWd8H6zEEBnuaV/Mc6RRQMxPu2sAfFppxBhMbTMueFVoxVaHmEVjwBpxY"
    "41ZtECmgV0wiNOq45q2qyFNgstr5VmhFbKsKHFRhl21/Dc/k0ME5ZzUDGC84KwDfSbAG9Z"
    "093/NipnC8Oe+2Y4+DtQT1OILVvYsoU7Fdb7wCUl7gCxbnLdg6WYSX1bZsfvqhl+LgVxFt"
    "9LQiGa4k9wIWG+5i4BrOfl/vLnLvYM7CJiiYspeA5pjESUcSwMaELm1Sbd+4vux766LGZA"
    "a+KoIn6vnKRK8IAVWKoK/JRf5wqaifCvjJcX+WRUkWIO85SkmpIURlBXP6ToqRc1grHIXJ"
    "jAuc2TmJgiRDw8v0BGgInGXdS8c2wJj78fVDkBR0V8Ub5e9e/6CnJ8ReVPGU6qzHKrnYn/"
    "lnK/kDEP/ZK9hU6MddwKDuBDm9DDlrlrmbtmNj31cyAbgXyy06Gc4elEsq7SSqbMGhG8db"
    "eUE0KtvO6nOGNEFjU+8TYD2DDhGFBHrSVrnJyvkTRO0o1NlDPEUBLo8Aaec/xKiAkBLrj9"
    "xe1SiI+54bYgDyX1BnlvOLxJBHnvOh3FX257fQ6+xJ4rIa9szmaVvNqkOvi5U7TrUGEdan"
    "2UeccYwhpqEX5FJkr/GXBmVWBO2zXi9pnE+/xsDbjPzwrRFkPtgUJ7oNDY6q/lv5vOf7dP"
    "yzZ9hdsTjvaEoz3h2OyEowsp0mfqipeAPaXDdV8BjtRXHW0UQ96+jrtb5Hoh4Vtc+Bczvk"
    "1orbbzQCzfXxUQ9tUbiO7J8fE6/OPxcTEBKcZyiYIswsWvf8ZM6n/589fUf6/2mmeFN5pe"
    "/263/B9Xs3Xr"
)
