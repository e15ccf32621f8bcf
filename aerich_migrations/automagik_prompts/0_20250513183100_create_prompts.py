"""Create the tables of prompts: `prompts` and `prompt_events`, and `agents` where the host has none.

A host that has these tables keeps them: `agents` as it is, `prompts` of an earlier version brought into shape. Every
statement is conditional, so that an upgrade that was interrupted can be run again where DDL knows no transactions. Each
is run here and not returned: aerich runs a returned script outside the transaction on SQLite.
"""

from tortoise import BaseDBAsyncClient

from automagik_prompts.schema.legacy import adopt, archive, backup, locks
from automagik_prompts.schema.legacy.frozen import Connection, columns, is_unique, refers_to

RUN_IN_TRANSACTION = True

# The branches of one history; MariaDB gets its own entries in each table here.
TYPES = {
    "sqlite": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",
        "bool": "INT",
        "time": "TIMESTAMP",
        # SQLite adds a NOT NULL column only with a constant default.
        "now": "'1970-01-01 00:00:00+00:00'",
        # Only here: a later step sets them on a server, and SQLite cannot change them.
        "one": " DEFAULT 1",
        "no": " DEFAULT false",
    },
    "postgres": {
        "id": "SERIAL NOT NULL PRIMARY KEY",
        "bool": "BOOL",
        "time": "TIMESTAMPTZ",
        "now": "CURRENT_TIMESTAMP",
        "one": "",
        "no": "",
    },
}

AGENTS = """
CREATE TABLE IF NOT EXISTS "agents" (
    "id" {id},
    "name" VARCHAR(255) NOT NULL UNIQUE
)"""

PROMPTS = """
CREATE TABLE IF NOT EXISTS "prompts" (
    "id" {id},
    "status_key" VARCHAR(255) NOT NULL,
    "version" INT NOT NULL{one},
    "prompt_text" TEXT NOT NULL,
    "format" VARCHAR(16) NOT NULL,
    "is_active" {bool} NOT NULL{no},
    "is_default_from_code" {bool} NOT NULL{no},
    "name" VARCHAR(255),
    "content_hash" VARCHAR(64) NOT NULL,
    "author" VARCHAR(255),
    "note" TEXT,
    "created_at" {time} NOT NULL,
    "updated_at" {time} NOT NULL,
    "agent_id" INT NOT NULL REFERENCES "agents" ("id") ON DELETE CASCADE,
    CONSTRAINT "uid_prompts_agent_i_369692" UNIQUE ("agent_id", "status_key", "version")
)"""

# What a table `prompts` of the first shape may lack.
COLUMNS = {
    "format": "VARCHAR(16) NOT NULL DEFAULT 'handlebars'",
    "is_active": "{bool} NOT NULL DEFAULT false",
    "is_default_from_code": "{bool} NOT NULL DEFAULT false",
    "name": "VARCHAR(255)",
    "content_hash": "VARCHAR(64) NOT NULL DEFAULT ''",
    "author": "VARCHAR(255)",
    "note": "TEXT",
    "created_at": "{time} NOT NULL DEFAULT {now}",
    "updated_at": "{time} NOT NULL DEFAULT {now}",
}

EVENTS = """
CREATE TABLE IF NOT EXISTS "prompt_events" (
    "id" {id},
    "status_key" VARCHAR(255) NOT NULL,
    "action" VARCHAR(32) NOT NULL,
    "prompt_id" INT,
    "version" INT,
    "from_version" INT,
    "author" VARCHAR(255),
    "note" TEXT,
    "revision" INT NOT NULL,
    "created_at" {time} NOT NULL,
    "agent_id" INT NOT NULL REFERENCES "agents" ("id") ON DELETE CASCADE
)"""

VERSIONS_UNIQUE = """
CREATE UNIQUE INDEX IF NOT EXISTS "uid_prompts_versions" ON "prompts" ("agent_id", "status_key", "version")"""

INDEXES = (
    """
CREATE UNIQUE INDEX IF NOT EXISTS "uid_prompts_one_active" ON "prompts" ("agent_id", "status_key")
    WHERE is_active = true""",
    """
CREATE INDEX IF NOT EXISTS "idx_prompts_from_code" ON "prompts" ("agent_id", "status_key", "version")
    WHERE is_default_from_code = true""",
    'CREATE INDEX IF NOT EXISTS "idx_prompt_even_agent_i_cf32a6" ON "prompt_events" ("agent_id", "id")',
)

FOREIGN_KEY = "fk_prompts_agent_id"


async def upgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client, __file__)
    types = TYPES[db.dialect]
    await adopt.take_over_tables(db)
    await db.run(AGENTS.format(**types))
    await archive.restore_own_agents(db)
    await db.run(PROMPTS.format(**types))
    if await backup.host_columns(db, "prompts"):
        await _shape_host_prompts(db)
    await db.run(EVENTS.format(**types))
    await adopt.restore_versions(db)
    await adopt.adopt_versions(db)
    for index in INDEXES:
        await db.run(index)
    return "SELECT 1"


async def downgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client)
    # The note of what is the host's goes last. Where it is gone, and the events too, what is there now is the host's.
    if await columns(db, "prompt_events"):
        await archive.archive_versions(db)
        if await backup.host_columns(db, "prompts"):
            await _give_host_prompts_back(db)
        else:
            await db.run('DROP TABLE IF EXISTS "prompts"')
        await db.run('DROP TABLE "prompt_events"')
        if not await backup.host_columns(db, "agents"):
            await db.run('DROP TABLE IF EXISTS "agents"')
    await db.run(f'DROP TABLE IF EXISTS "{backup.LEGACY_COLUMNS}"')
    return "SELECT 1"


async def _shape_host_prompts(db: Connection) -> None:
    types = TYPES[db.dialect]
    await backup.add_columns(db, "prompts", {name: text.format(**types) for name, text in COLUMNS.items()})
    if not await is_unique(db, "prompts", ("agent_id", "status_key", "version")):
        await db.run(VERSIONS_UNIQUE)
    if db.dialect == "postgres":
        await _set_time_type(db, "with")
        if not await refers_to(db, "prompts", "agent_id", "agents"):
            await db.run(
                f'ALTER TABLE "prompts" ADD CONSTRAINT "{FOREIGN_KEY}" FOREIGN KEY ("agent_id")'
                ' REFERENCES "agents" ("id") ON DELETE CASCADE'
            )


async def _give_host_prompts_back(db: Connection) -> None:
    for name in ("uid_prompts_one_active", "idx_prompts_from_code", "uid_prompts_versions"):
        await db.run(f'DROP INDEX IF EXISTS "{name}"')
    if db.dialect == "postgres":
        await db.run(f'ALTER TABLE "prompts" DROP CONSTRAINT IF EXISTS "{FOREIGN_KEY}"')
        await _set_time_type(db, "without")
    await backup.give_host_prompts_back(db)
    await backup.drop_columns(db, "prompts", COLUMNS)


async def _set_time_type(db: Connection, zone: str) -> None:
    """Let times that the host kept without a time zone have one, which is UTC, or take it away again."""
    for name, column in (await backup.host_columns(db, "prompts")).items():
        if name in {"created_at", "updated_at"} and column.type.endswith("without time zone"):
            kind = column.type.replace("without", zone)
            await db.run(f'ALTER TABLE "prompts" ALTER COLUMN "{name}" TYPE {kind} USING "{name}" AT TIME ZONE \'UTC\'')


MODELS_STATE = (
    "eJztm21v2joUgP9KlC+3k7oKKOumSfcDdPS2dy1MLXvRpsoyiQGLxM4cpy3q+O/XdhLyHk"
    "jV5lKULxSOz7HN4+Nz7JPyqEOPUxvO8AI4jNoOd496M0T4Nb3XP2qPOoE2Em/K1A5Fq+Pk"
    "Ksk2DieW34U0UCI4cTmDBhfSKbRcJEQmcg2GHY4pkbo9oin1jxrU5BQONcxdzWHYhmypuR"
    "xyzz3UIDGV/J5hjjSDeoQjdiRHMKkhhsBk9hydeQT/9hDgdIb4HDHR5a9bIcbERA/IDT86"
    "CzDFyDIT2LApO1BywJeOkl0QfqYU5TwnwKCWZ5NI2VnyOSVrbUy4lIr5IwY5kt1z5klkxL"
    "OsgG1I0Z9ppOJPMWZjoin0LAleWvsTiGQ6AMPRGNwMxgDomUUJLWJoA5FBiVxQLJdXfvuZ"
    "nMLbTrv7vvvh+KT7Qaioaa4l71f+0BEY31DhGY71lWqHHPoainEEVf3NYD2dQ5bPNdRPkR"
    "VTTpMNOe4uWhs+AAuRGZ9Lnu/elYD81rs+Pe9dHwitN3JIKracvxOHQVPHb1utpP9OFzHY"
    "UjCBxuIeMhMkWqJlQHfhfk4uRD+wO/t8jSyovmEWfjaeDO6ieFJ1TUJBtChRXKlhVVahx4"
    "XSwCuEPMIVC4nPwuuL+rtnwKTf0Q4t8sRsk92x0xJIRLQ3g7HlSCW+Vp7i4i65VYrzZSDa"
    "GZsz3YggzcLihU5FCvIT1V+uJoZDxHxLibXU5tjllC2zia2i7eY89stP0sDPROL1tslsdW"
    "Y2/ywCFmhZJb8lrZ4ny/3PAeKF8lw8HotdGYTabTlHFnvI+LizBeLjTiFh2bTKSXigUqBI"
    "2GyOFzmUg3CwM5CfJWJEUO8Qc3PdthBpzKIBmgU6FR4HqlNNmzVos2jFWWlOWaUIu7Z4Uo"
    "TdNZ4vn8QI5TlX4TF6KHDbUH8f8JbQHA9+jGXPtuv+tuIQD656PxRfexm0XI6G/4TqMein"
    "l6N+ijVDd7hilIibPClCPOnM0Hol8cFgSH5zAHkW6Vdu5CNNGqWgioM14thGR+GbV3gsK3"
    "Pri6vBzbh39SXh259644Fs6ST8OpQenKTiyboT7fvF+FyTH7Wfo+FA4aQunzE1YqQ3/qmH"
    "t2hA6D2AZpxJKA5FyQwQu01uuWXiJvVtmR3Pqpn6XApxlu8ZZQjPyGe0VJgvxJQgMfJif3"
    "ll/5XBLiosCTGD9+syRsLLBAsTWYj7Z5PezWnv00BfFVdAa6pRRfW98iJVog5YoUpVoT4V"
    "nHNlmYmKj1wcL/KLUUWKOZWnZKkpWcIIz9W3qfLUox5hLDKXJujBEUFMdrEmHvLzsBkyAW"
    "KKQN7p79S2CPeDrjoQVOQH7fv54HqgYTdQ1P5W7qSrKLd5MvHvUj4vbD6s56XuFgY1t5lW"
    "sIMim/UMm8pdU7nbz0tP/TWQJ0Fu77QrZ+p0MlhXuUqmzPbCeeu+Uk4ps/NuP8URI7KoD7"
    "g+h8S00AQyV68larRPtgga7fTFJooZsikJep3Acx6/UmohSArSX9wuRXwiDF8K+VpSr5P3"
    "R6PLhJP3L9Je/PWqPxDwFXuhhP1jczaq5J1NqsPP7aJZhwrrUOs/y+xYhbCGs4gYkcuj/x"
    "y68yqY03Z7kT6TvE+6W+A+6RbSlk3NA4XmgcLenv6a+ve+1789x6y+wkmjZoV3eoWbJxzN"
    "E47mCcfTnnD0EMPGXN/wMxNf6XDbH5lE6psebRQjb37wsVvF9cKCb/HBv7jiuw9Xq5f5h1"
    "ixvyoQDtT3kG671dqm/thqFRcgZVtuoSBL+N+b0bC0RpB3CsQG1/5oFnZf43mhBK6EUX7P"
    "Sl+pUmc62UG/2i+anj/brf4Dj8pkyg=="
)
