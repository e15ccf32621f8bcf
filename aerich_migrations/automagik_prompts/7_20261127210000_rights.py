"""Keep texts and events as they were written, whoever writes, and note as whom the database knew the writer.

A version never changes but for being active or not, and an event stays for as long as its agent exists. On PostgreSQL
the owner of the tables can lift that for one transaction, with `SET LOCAL automagik_prompts.maintenance = 'on'`; on
SQLite whoever can write to the file can drop the triggers, and the next `automagik-prompts upgrade` makes them anew.
"""

from tortoise import BaseDBAsyncClient

from automagik_prompts.schema.legacy import backup, locks
from automagik_prompts.schema.legacy.frozen import Connection, columns

RUN_IN_TRANSACTION = True

KEPT = ("prompt_text", "format")
"""What of a version never changes, whoever writes; the rest is kept from everybody but the owner by the rights."""

VERSION = "a version stays as it was written: write a new one instead"
EVENT = "an event stays as it was written, for as long as its agent exists"

# SQLite: which agents are gone, whose events may go as well. A trigger that named `agents` itself would keep an
# application from rebuilding that table, as SQLite checks all triggers when it renames one. A rebuilt table has none.
GONE = 'CREATE TABLE IF NOT EXISTS "prompt_agents_gone" ("agent_id" INTEGER NOT NULL PRIMARY KEY)'
STAYS = (
    "EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = 'prompt_agents_kept_delete') "
    "AND NOT EXISTS (SELECT 1 FROM prompt_agents_gone WHERE agent_id = OLD.agent_id)"
)

# Name, when, condition and what is done.
SQLITE = (
    (
        "prompts_kept_update",
        f"BEFORE UPDATE OF {', '.join(KEPT)} ON prompts",
        " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in KEPT),
        f"SELECT RAISE(ABORT, '{VERSION}')",
    ),
    ("prompt_events_kept_update", "BEFORE UPDATE ON prompt_events", "true", f"SELECT RAISE(ABORT, '{EVENT}')"),
    ("prompt_events_kept_delete", "BEFORE DELETE ON prompt_events", STAYS, f"SELECT RAISE(ABORT, '{EVENT}')"),
    (
        "prompt_agents_kept_delete",
        "BEFORE DELETE ON agents",
        "NOT EXISTS (SELECT 1 FROM prompt_agents_gone WHERE agent_id = OLD.id)",
        "INSERT INTO prompt_agents_gone (agent_id) VALUES (OLD.id)",
    ),
    # An application's own table may give the number of a deleted row to a new one.
    (
        "prompt_agents_kept_insert",
        "AFTER INSERT ON agents",
        "EXISTS (SELECT 1 FROM prompt_agents_gone WHERE agent_id = NEW.id)",
        "DELETE FROM prompt_agents_gone WHERE agent_id = NEW.id",
    ),
)

LIFTED = """(current_setting('automagik_prompts.maintenance', true) = 'on'
        AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE'))"""
HINT = "The owner of the tables can lift that for one transaction: SET LOCAL automagik_prompts.maintenance = ''on''"

MAY_ACTIVATE = "has_column_privilege('prompts'::regclass, 'is_active', 'UPDATE')"
MAY_DECLARE = "has_column_privilege('agents'::regclass, 'variables', 'UPDATE')"
DECISIONS = (
    *("activated", "deactivated", "rolled_back", "deleted", "withdrawn", "reinstated", "kept"),
    *("approved", "declined"),
)
"""What the events of editors cannot say."""

# They run with the writer's rights, as they ask what these are.
FUNCTIONS = {
    "prompts_kept": f"""
    IF {LIFTED} THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', HINT = '{HINT}',
            MESSAGE = format('{VERSION} (prompts.id %s)', OLD.id);
    END IF;
    IF NEW.is_active AND NOT {MAY_ACTIVATE} THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'permission denied to write a version that is active: that takes UPDATE of prompts.is_active';
    END IF;
    IF NEW.is_default_from_code AND NOT {MAY_DECLARE} THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'permission denied to write a version as the code''s: that takes UPDATE of agents.variables';
    END IF;
    RETURN NEW;""",
    "prompt_events_kept": f"""
    IF {LIFTED} THEN
        IF TG_OP = 'INSERT' THEN
            NEW.db_user := COALESCE(NEW.db_user, session_user);
        END IF;
        RETURN CASE WHEN TG_OP IN ('INSERT', 'UPDATE') THEN NEW WHEN TG_OP = 'DELETE' THEN OLD END;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.action IN ({", ".join(f"'{action}'" for action in DECISIONS)}) AND NOT {MAY_ACTIVATE} THEN
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format(
                'permission denied to write an event %L: that takes UPDATE of prompts.is_active', NEW.action);
        END IF;
        -- Who has logged in, whatever role was taken since.
        NEW.db_user := session_user;
        RETURN NEW;
    END IF;
    -- The rows of a deleted agent go after the agent, by the foreign key's own trigger.
    IF TG_OP = 'DELETE' AND pg_trigger_depth() > 1 AND NOT EXISTS (SELECT 1 FROM agents WHERE id = OLD.agent_id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', HINT = '{HINT}', MESSAGE = '{EVENT}';""",
}

CREATE = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $body$
BEGIN{body}
END
$body$"""

# Table, event and condition.
POSTGRES = (
    ("prompts", "INSERT", " WHEN (NEW.is_active OR NEW.is_default_from_code)"),
    # As text: an application's column may have a type that cannot be compared.
    (
        "prompts",
        f"UPDATE OF {', '.join(KEPT)}",
        f" WHEN ({' OR '.join(f'OLD.{name}::text IS DISTINCT FROM NEW.{name}::text' for name in KEPT)})",
    ),
    ("prompt_events", "INSERT", ""),
    ("prompt_events", "UPDATE", ""),
    ("prompt_events", "DELETE", ""),
    ("prompt_events", "TRUNCATE", ""),
)

ASIDE = "automagik_prompts_archive_db_users"


async def upgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client, __file__)
    await forget(db)
    await backup.add_columns(db, "prompt_events", {"db_user": "VARCHAR(255)"})
    if db.dialect == "postgres":
        await take_back(db)
        await keep_on_server(db)
    else:
        await db.run(GONE)
        for name, when, condition, done in SQLITE:
            await db.run(f"CREATE TRIGGER {name} {when} FOR EACH ROW WHEN {condition} BEGIN {done}; END")
    return "SELECT 1"


async def downgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client)
    await forget(db)
    if db.dialect == "postgres":
        for name in FUNCTIONS:
            await db.run(f"DROP FUNCTION IF EXISTS {name}()")
        await put_aside(db)
    await db.run('DROP TABLE IF EXISTS "prompt_agents_gone"')
    await backup.drop_columns(db, "prompt_events", ["db_user"])
    return "SELECT 1"


def name_of(table: str, event: str) -> str:
    return f"{table}_kept_{event.split()[0].lower()}"


async def forget(db: Connection) -> None:
    if db.dialect == "postgres":
        for table, event, _ in POSTGRES:
            await db.run(f'DROP TRIGGER IF EXISTS {name_of(table, event)} ON "{table}"')
        return
    for name, *_ in SQLITE:
        await db.run(f"DROP TRIGGER IF EXISTS {name}")


async def keep_on_server(db: Connection) -> None:
    schema = (await db.rows("SELECT quote_ident(current_schema()) AS name"))[0]["name"]
    for name, body in FUNCTIONS.items():
        await db.run(CREATE.format(name=name, schema=schema, body=body))
        await db.run(f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC")
    for table, event, condition in POSTGRES:
        each = "STATEMENT" if event == "TRUNCATE" else "ROW"
        await db.run(
            f'CREATE TRIGGER {name_of(table, event)} BEFORE {event} ON "{table}" FOR EACH {each}{condition} '
            f"EXECUTE FUNCTION {table}_kept()"
        )


async def put_aside(db: Connection) -> None:
    """Keep as whom the database knew the writers, by the names of agents; the older schema has no place for it."""
    if "db_user" not in await columns(db, "prompt_events"):
        return
    await db.run(f'DROP TABLE IF EXISTS "{ASIDE}"')
    rows = (
        'SELECT a."name" AS "agent_name", e."status_key", e."action", e."revision", e."version", e."created_at", '
        'e."db_user" FROM "prompt_events" e JOIN "agents" a ON a."id" = e."agent_id" WHERE e."db_user" IS NOT NULL'
    )
    if await db.rows(f"{rows} LIMIT 1"):
        await db.run(f'CREATE TABLE "{ASIDE}" AS {rows}')


async def take_back(db: Connection) -> None:
    """Take that back; an event's number may be another one now."""
    if not await columns(db, ASIDE):
        return
    same = " AND ".join(f'e."{fact}" = k."{fact}"' for fact in ("status_key", "action", "revision", "created_at"))
    await db.run(
        f'UPDATE "prompt_events" e SET "db_user" = k."db_user" FROM "{ASIDE}" k JOIN "agents" a '
        f'ON a."name" = k."agent_name" WHERE e."agent_id" = a."id" AND {same} '
        'AND COALESCE(e."version", 0) = COALESCE(k."version", 0)'
    )
    await db.run(f'DROP TABLE "{ASIDE}"')


MODELS_STATE = (
    "eJztXWtvGykU/SvIX9qV3GiTpmlV7a5kp+422ySuEndbtapGeAbbKGNwB+zE6ua/LzDvh8eD6+"
    "eUL0kMXAYf7lzgHCA/GnDK6RgO8Z018eh4wtlRa4gIv6H3jdfgR4PAMRJ/lBVritzJpLCQzOOw"
    "7/pVSAOVBPuMe9DmInUAXYZEkoOY7eEJx5TIsi0CVPHXAALZhCbAnIGJh8fQmwPGIZ+yJoDEUe"
    "n3HuYI2HRKOPKO5BMcaotHYDJcR2VTgr9PkcXpEPER8kSVX7+JZEwc9IBY+HFyZw0wcp0UbNiR"
    "Fah0i88nKu2C8LeqoGxn37KpOx2TuPBkzkeURKUx4TJVtB95kCNZPfemEjIydd0A2xBFv6VxEb"
    "+JCRsHDeDUlcBLa78BcVrDsq67Peu207OsRq5TQosEtEGSTYnsUCy7V377oWzCs5Pj05enr56f"
    "nb4SRVQzo5SXj/6jY2B8QwXPda/xqPIhh34JhXEMqvqdg/V8BL1iXMPyGWRFk7PIhjjuL7Rj+G"
    "C5iAz5SOL54kUJkP+2bs7ftW6eilK/yUdS8cr5b+J1kHXi50m0Y3SDNlv+e2HdobkO1sXW60E+"
    "TIihj6NHhHP45+F2gAiMeIbCpgeh1NKKJGVVLI8vBX0R+LhWV+x9hIkhn0EPy2/K8hj/c9u9Lg"
    "Y5ZZRB1cE2B/8BF7Mq6K7m6X8MpsSWyIH+FLscE3Ykn/fXply/BFEJkqx5zNh3N+ngT69an7O+"
    "f37ZbSvIKONDT9WiKmhnOsVDM8xkG6v7fdJkJT9fqSd+PxAvtz0kv7kFeR7Sj9wuhjRtlHVzkc"
    "XxGB2Ff2wK4g3GkhIIexdXndte6+pDyrfftHodmXOiUueZ1KdnGX+PKgGfLnrvgPwIvnSvO9lX"
    "ICrX+9KQbZKTaYvQews6SUzC5DAp1cPTiaPfw2kj08N73cNiKOfIlt3lz7D0hqxi658au/ZsZr"
    "CNQUqu9gZ3iaWJTOhD++4eeo6VyklMqz044AWd1Q7s3r6/QS7kxYNXfvX9RlYXrL4P83WMUwMv"
    "Svk5moVkwVrg6sxisqKOcCX4lrXg9UH9rjFgHhJtZWtE7MavsGaQychGT+iiWJfPGp+MsymQwK"
    "H6SvLZ4biXBq8NGVrOOIalmhUJx2DZ24fBOLecduyNJPPnoCcMzJAnVxKAjyAHEEzER0qS6fAO"
    "MSCgogDaii18DfqIYQcJExQWa4L7EWUIePQeEBHTPGCPIBkilmcpt/zsnyA1V2Ekfp6C2DMibs"
    "Mcp/QEK+hIDZizZttbBO851hpztnzMy7p+vkO6BPWo+KF65UK0HhK7iHNe80i701dg0aAhkj14"
    "H8WN9KsvsHCQi7hPI7duz1tvOo3HjQwq0RS5fFRJzqR1hpV4Ql9BzgIcPXA/njM6Rn3qzAFmgH"
    "HsukpxEkAXCFeVzQqi+VdfcAtwT/PxorHUkznfjJC1wyC/msSyK2nlsGWtyOU1kE7aGJyr4RxE"
    "Rxm48lD3RGrp/DA0qwXaZbxj53OvnIuKaMfL7vXfYfEsQZWGfkC9cRHzu9jBY4taAJ527+OzCt"
    "59nCVzY+eWWWmACeUFGw8WO3VYfiVwD4dY3Ygzy1X7CgugrJlRuwt0QH9vk9ayMrLY3ory+EDg"
    "xMxyMLPF0gUVzC7alLoIkgUT5YxpBty+sN0UulHKdmNFu9u9TMWK9kU2GHy8andEYFaBQxTC/l"
    "oxj7sRO+sudiYXsFV3PiVMDPm1iPzKQJzH9y31EB6S92iuz2glNwYfGNhVKa2kl1VgtJbQixth"
    "vyLFs5z9SgqjOuxXrM8uZ7+6BAEXix90AGCwF/sJA+JxiDjPKHHnYISZWGrP8xSYpu1yVSNNi0"
    "kKrAnKqLJoS9k3w40Zbmzni9qN7TguWmWVMmPFC6w6YPz8pALEz08WIiyzCkmxLSumNV/G6pMD"
    "hhcoBXQgPG4FyiVrZqDNQyvmVCNawLiURNjIog7s4RYGMUPObo+cNUczzNEMw2XpcVm70J/3LE"
    "xtYRQI9vXqTbXTRmb+UjB/mYjlyAy6Wt6bsKmf965fXRZ1TVmRLFdy2jo2qR/Cm6E6jKRgJAUj"
    "KawkKcRblcs1hdSWZg1RQUNOCE9C0AGg4qPcNlasHSwqqLlhNqQ3svtlfzRiGBeZSxP0MBFzSV"
    "lFhHgkY2MnxMQSTbT8uxsUPMH70FAVCFTkB/DpXeemAzALCoI/lTs1VJRb3pjkdylvF3YeonYp"
    "ikeeLajQrPDSicgmaqERUIyAUs9Zxfap6FrvqDJ7iM0e4vK7b0aQOC7qQ481thI11r/aiwbwPN"
    "bLtgzGdma/oMZ+waK5iT74hVWYftDoh61e3/frMRziiVxO/UeQjXRgztrVYvhM4312WgHus9OF"
    "aMsso+saXbe2sz8jQ9ZdhjSHJurew0bhMArHr61wpA+RFizxArPw0hate74Sl1Ad5Fyi+I6v1Q"
    "ShxJ1n5YpQ+nI0nXMmyXvaqtyz4l9xFZ4W8RWS1HVaBCFHnR9RexOK7lxZpQrdcydpml1+Qv5B"
    "FP/Ppn8yxQgmRjCp56KOTiQgmodOUkY1RHr9JLM5d2LOnew/oDtlLPcN2w0Tlkq2WCUs5A2NK5"
    "sjVNuGVh071wU2MjLnTrKgRssNnenuGv+Z1q59dMPzLyMP1fNex18PZqPCGRVuf3vh0DQaB9nY"
    "0e3htNEaeviAXrND7eC+5j/PTFrVIXSaE10Hs9Yyeueh6p2VBLzH/wGtSs2V"
)
