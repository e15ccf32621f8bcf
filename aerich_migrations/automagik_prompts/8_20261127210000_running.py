"""Know which processes follow, how many runs each version was sent to, and which programs may come over the network.

A downgrade puts aside tokens, so that a program is not shut out by it nor one let in again that was shut out, and how
often each version was sent, by the names of agents; the next upgrade takes both back. Processes say anew that they are
there, and answers to writes are kept for a day or so anyway.
"""

from tortoise import BaseDBAsyncClient

from automagik_prompts.schema.legacy import locks
from automagik_prompts.schema.legacy.frozen import Connection, columns

RUN_IN_TRANSACTION = True

TYPES = {
    "sqlite": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",
        "large": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",
        "time": "TIMESTAMP",
        "json": "JSON",
    },
    "postgres": {
        "id": "SERIAL NOT NULL PRIMARY KEY",
        "large": "BIGSERIAL NOT NULL PRIMARY KEY",
        "time": "TIMESTAMPTZ",
        "json": "JSONB",
    },
}

PROCESSES = """
CREATE TABLE IF NOT EXISTS "prompt_processes" (
    "id" VARCHAR(32) NOT NULL PRIMARY KEY,
    "host" VARCHAR(255) NOT NULL,
    "pid" INT NOT NULL,
    "release" VARCHAR(255),
    "code_hash" VARCHAR(64),
    "state" VARCHAR(16) NOT NULL,
    "server" TEXT NOT NULL,
    "position" TEXT NOT NULL,
    "follows" {json},
    "problems" {json} NOT NULL,
    "started_at" {time} NOT NULL,
    "seen_at" {time} NOT NULL,
    "due_at" {time} NOT NULL
)"""

USAGE = """
CREATE TABLE IF NOT EXISTS "prompt_usage" (
    "id" {large},
    "prompt_id" BIGINT NOT NULL,
    "day" DATE NOT NULL,
    "process_id" VARCHAR(32) NOT NULL,
    "runs" BIGINT NOT NULL,
    CONSTRAINT "uid_prompt_usag_prompt__b1366b" UNIQUE ("prompt_id", "day", "process_id")
)"""

TOKEN = (
    *("name", "hash", "actor_id", "actor_name", "roles", "agents"),
    *("created_at", "created_by", "expires_at", "revoked_at", "last_used_at"),
)

TOKENS = """
CREATE TABLE IF NOT EXISTS "prompt_tokens" (
    "id" {id},
    "name" VARCHAR(255) NOT NULL,
    "hash" VARCHAR(64) NOT NULL UNIQUE,
    "actor_id" VARCHAR(255) NOT NULL,
    "actor_name" VARCHAR(255),
    "roles" {json} NOT NULL,
    "agents" {json} NOT NULL,
    "created_at" {time} NOT NULL,
    "created_by" VARCHAR(255),
    "expires_at" {time},
    "revoked_at" {time},
    "last_used_at" {time}
)"""

KEYS = """
CREATE TABLE IF NOT EXISTS "prompt_idempotency_keys" (
    "id" {id},
    "actor_id" VARCHAR(255) NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    "fingerprint" VARCHAR(64) NOT NULL,
    "status" INT,
    "headers" {json},
    "body" TEXT,
    "created_at" {time} NOT NULL,
    CONSTRAINT "uid_prompt_idem_actor_i_bd1dc9" UNIQUE ("actor_id", "key")
)"""

INDEX = 'CREATE INDEX IF NOT EXISTS "{}" ON "{}" ({})'

INDEXES = (
    ("idx_prompt_usag_process_933a13", "prompt_usage", '"process_id", "day"'),
    ("idx_prompt_idem_created_fa20de", "prompt_idempotency_keys", '"created_at"'),
)

KEPT = "automagik_prompts_archive_{}"


async def upgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client, __file__)
    for table in (PROCESSES, USAGE, TOKENS, KEYS):
        await db.run(table.format(**TYPES[db.dialect]))
    for index in INDEXES:
        await db.run(INDEX.format(*index))
    if db.dialect == "postgres":
        # It holds numbers only, and belongs to what a user who may read prompts sees of them.
        await db.run('GRANT SELECT ON "prompt_usage" TO PUBLIC')
    await take_back(db)
    return "SELECT 1"


async def downgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client)
    await put_aside(db)
    for table in ("prompt_processes", "prompt_usage", "prompt_tokens", "prompt_idempotency_keys"):
        await db.run(f'DROP TABLE IF EXISTS "{table}"')
    return "SELECT 1"


def listed(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


async def put_aside(db: Connection) -> None:
    if not await columns(db, "prompt_tokens") or not await columns(db, "prompt_usage"):
        return
    kept = {
        "tokens": f'SELECT "id", {listed(TOKEN)} FROM "prompt_tokens"',
        "usage": 'SELECT a."name" AS "agent_name", p."status_key", p."version", u."day", SUM(u."runs") AS "runs" '
        'FROM "prompt_usage" u JOIN "prompts" p ON p."id" = u."prompt_id" JOIN "agents" a ON a."id" = p."agent_id" '
        'GROUP BY a."name", p."status_key", p."version", u."day"',
    }
    for name, rows in kept.items():
        table = KEPT.format(name)
        await db.run(f'DROP TABLE IF EXISTS "{table}"')
        if await db.rows(f"{rows} LIMIT 1"):
            await db.run(f'CREATE TABLE "{table}" AS {rows}')


async def take_back(db: Connection) -> None:
    back = {
        "tokens": f'INSERT INTO "prompt_tokens" ("id", {listed(TOKEN)}) SELECT "id", {listed(TOKEN)} '
        f'FROM "{KEPT.format("tokens")}"',
        # The sums of processes that are gone have no process.
        "usage": 'INSERT INTO "prompt_usage" ("prompt_id", "day", "process_id", "runs") '
        f"""SELECT p."id", k."day", '', k."runs" FROM "{KEPT.format("usage")}" k """
        'JOIN "agents" a ON a."name" = k."agent_name" JOIN "prompts" p ON p."agent_id" = a."id" '
        'AND p."status_key" = k."status_key" AND p."version" = k."version"',
    }
    for name, statement in back.items():
        if await columns(db, KEPT.format(name)):
            await db.run(statement)
            await db.run(f'DROP TABLE "{KEPT.format(name)}"')
    if db.dialect == "postgres":
        await db.run(
            "SELECT setval(pg_get_serial_sequence('prompt_tokens', 'id'), "
            'COALESCE((SELECT MAX("id") FROM "prompt_tokens"), 0) + 1, false)'
        )


MODELS_STATE = (
    "eJztXWtv27gS/SuEv2wv4C3aJE16cx9A3Lrb3G2TInVvF9stBFqiLSIy6RXpOEa3/31J6v"
    "2wLDq2Iqv80iYUh2LOUEPOGXL4rQcXnM7gFN9ac5/O5pw9vZgiwm/osncOvvUInCHxQ1W1"
    "vng6n5dWks84HHtBE1JAFcEx4z60uSidQI8hUeQgZvt4zjElsu4FAar6OYBAdqEPMGdg7u"
    "MZ9FeAccgXrA8gcVT50sccAZsuCEf+U/kGh9riFZhMd9HYguA/F8jidIq4i3zR5JevohgT"
    "B90jFv06v7UmGHlOBjbsyAZUucVXc1V2SfgbVVH2c2zZ1FvMSFJ5vuIuJXFtTLgsFf1HPu"
    "RINs/9hYSMLDwvxDZCMehpUiXoYkrGQRO48CTwUjroQFLWs6yr65H1cTiyrF5BKZFECtqw"
    "yKZEKhRL9cq/fiq78PPR85Ozk5fHpycvRRXVzbjk7Hvw6gSYQFDBczXqfVfPIYdBDYVxAq"
    "r6vwDrKxf65bhG9XPIii7nkY1wbC+0M3hveYhMuSvxfPGiAsj/X9y8entx80TU+od8JRWf"
    "XPAlXoWPjoJnEu0E3bDPVvBdWLdopYN1ufRukI8KEugT6xHjHP14uAoQhhHfoajroSm1tC"
    "xJVROb7UuJLsIxrqWK1luYBPI76GP5l7Iixv/7eH1VDnJGKIeqg20O/gIeZnXQ3W6k/3uy"
    "ILZEDowX2OOYsKfyff/d19CvQFSCJFueMfanlx7gT95f/JYf+6/eXQ8UZJTxqa9aUQ0Mck"
    "rx0R1mso/1x31aZKtxvpUmnh3IKLd9JP9yC/IipJ+4XQ5pVig/zMUjjmfoafTDviDeoy2p"
    "gHB0+X74cXTx/kNmbL++GA3lkyNVusqVPjnNjfe4EfD5cvQWyF/B79dXw/wnENcb/d6TfZ"
    "KLaYvQpQWdNCZRcVSU0fBi7uhrOCtkNNxqDYupnCNbqitYYelNWeXSD5q7WrYyaGKSkt7e"
    "5DblmsiCMbRvl9B3rMyT1LLahxNeoqxBKPfm1xvkQV4+eRW979eyudD7PszPMSkNR1FmnK"
    "O7iCzYCVzDu4Ss6CJcKb5lJ3h9UP93GDAfib6yHSJ2EzTYMcikZaNHdJ2tKz6aHc3yJZDA"
    "qfqT5LujeS8L3gAytJlxjGr1axKOods7huE8t5l2HLmS+XPQTwzcIV96EoC7kAMI5uJXSt"
    "Ll8BYxIKCiANqKLTwHY8Swg4QIiqr1wdKlDAGfLgERNs0HtgvJFLEiS9nwux9Aam7DSDyc"
    "gmgZEbdnjlOOBCtUpAbMebHmnOCWY62xZivavPzQLyrkmqARFf8orVyK3kNil3HOO55pH/"
    "UTWDdpiGIfLmO7kf30BRYO8hAPaOSLj68uXg973/cyqcRL5OpZJb2S1plWkgV9jXAW4Oie"
    "B/ac0RkaU2cFMAOMY89TEScBdEngqrZYiTX/EgTcQtyzfLzoLPXlk68mkPWIRn67EMtjhV"
    "YOO6wVD3kNpNMyBud6OIfWURquItQjUVq5PozEOoF2Fe84/G1UzUXFtOO766tfoup5gioL"
    "/YT6szLmd/0ATyQ6AXh2eD8/rTG6n+fJ3GRwy0dZgAnlJRsP1g/qqP5W4B4OsbqXwSy99i"
    "0coLyYiXaXxAGDvU1abmUs0ZxH+fxA4MTMcjCzheuCSlYXA0o9BMmahXJONAfuWMjuC924"
    "pFlbMbi+fpexFYPLvDH49H4wFIZZGQ5RCQe+YhF3E+zserAz7cDW3fmUEjHk1zryKwdxEd"
    "831Ed4Sn5FK31GK70x+MDArktppUdZDUZrA724F/YrjnhWs1/pwKgO+5XEZzezX9cEAQ+L"
    "f+gEwHAv9k8MiNch4vxMibcCLmbC1V4VKTBN2c1RjSwtJimwPqiiyuItZV8NN2a4sUd3av"
    "e247jMy6pkxsodrC5gfHxUA+Ljo7UIy0elpFjDEdOOu7H65IDhBSoBnYgRtwXlkhcz0Bah"
    "FWsql5YwLhUWNpboAnvYwCRmyNnmyFlzNMMczTBclh6X9Rjx55aZqQZmgXBfr95SOytk1i"
    "8l65e5cEfuoKc1elMy3Ru9u48uG7bbsN2G7d6O7b500GwuFvTEXm3mvHOV+3rMN06kJc9Y"
    "kwP/HGzlD5KLLCEDkLAl8pHTB7dozgEmKvkIXRKhAvEsINjO5RZ+tXXfR3Ox2GOiElhi7q"
    "p9/kz8hUJ6BaZIPAkOC0yFHosseuNvL9+PmlrOSIY2v/n0S3pFa+j2Rul2sz2ymfWpZjzD"
    "BDK00J2I9yN/7uOyWb5iG2RWrINon57UAPv0ZC3W8lEW6iDSpmGJEwHjYBUdLBdBB/lah/"
    "lTIuYE//ZpZuShGh3eOKrfBZe2ad7Y0JxdpDkfdLZyL+7gB5/aiLHNrmCqYl/PDZwHknVP"
    "ll+AUCDwlCbU8+iSnUuPisEVA4wCOKYLDiixkXDVZpgsOAqzUjIwpUQ4bi6SfhpwhQNHqG"
    "zEl06diz1UdnZw/y/ccWLM9Qu0XfoYLcrfuKuNJuvdOpcyrZVwVL+DS+D9nHbT29JjmNq1"
    "C2AfeQgyrbyuKZEuLMYaGK4qPYSw5q4OzBmh7gG9H9dYayDHAh00u7uPkzHk35WdXlvvsi"
    "USnQC4aa9N+Ai4fINwxXnulIwBfavD3GrBrkMIpUQMIbQ9IST8JoHDTDexZizTfCroDoEv"
    "pkJfmyHKChmGqHUMUXb6RkRTvYmE0W2rdesskJ5qEwGj2dZptpW8bpgsbyOtmyTV02B1NQ"
    "60Rrk46QRIqlQmLio/vbquombKtuiATX7TzLdeAuM6cSmC7udiOMgmYsTjRArYiTCxRBet"
    "4PYQBU/4NfZUAwIV+Qv4/HZ4MwSYhRXBf9SKsacswebOpP+W6n5h5z7ulzpkJJmIGt2Krj"
    "2JZeIemj1F5gjvozMie2H2mj8MuRXIh5LTx2SxM1nsqm9fciFxPDSGwQacQ+RR4wm8iPWm"
    "pFWJnMlYpZGxqmxtog9+aRNGDxp6aPQCyZaxqY1EGQmXS3/9QGNWrhPT576DjSazgMks0K"
    "HVn9kh2kUm0aTt/JE0bA4ym4PMj/HxtOcgczaNeYmLF4pF1wZp3TSXugbtINcS5bfMbRcQ"
    "St26Vx0Ryl7Pp7PRP31TYJ19/sEla1G+0iBCkrnQjSDkqAymKjtG2c79bZrQzXyapdmDHY"
    "hfZSrUeDNidD2QCZiYgEn3nDo6l4Bopj3NCHUQ6d2TzCbzqcl82n5AH5WxbBu2eyYsVdhi"
    "G7NQFDRD2STxbRpadfGBLrCxkMl8mgfVHJbab1JBEx7q5M2iPx7MJgpnonDt1cKhxWgcZG"
    "NHV8NZoR1o+IA+s0NV8FiLS8xKdcF0NrEAMPFOE+9sQyCtf3iJm0f0FpHN4bu4Wl8veMel"
    "XO3QnaodZrkSDUx9OFM5kGUOLCHKgMqc7AQ5kJcutl3g46nL2b9URuRAHHOGvInMoaVSKw"
    "v77CK/NEHXvl+34/RcJrz3wPBeo9uO22azGpiHddn73e4zblFeuT3sMjbpwRvkknQNRVbK"
    "rNrr3RREPaSV4yUWMAleHpDgRa1JtXBPJAzwDwDecHpdp3wiZelRPlkpM3nUmjzQ/RwLze"
    "l9TFkhQ5+2+Vvy0Z1wrzWtZVbIKLjNCvYg49aC6ao4L2aU3DYlty9r1ScmqmzmOONqfT2O"
    "cyHl6lGcIwpcugSi0yvgLwgLiEd1S4DM8c/EQlsUxRmriPjFgatzdTkcpxx6wf0A8i6ApT"
    "yHIIlKx5HPZG6rIse55/f9Qf4gIxfFbUqiVF5pAIFEWb1C3VS3mDF5mCK+siG8rc5H6pqD"
    "4B0yPZfnyNez9em5MrsPRVU1ZoNWrei4RObERephKKF3pGKApz8K7frPo6Pj47OjZ8enL1"
    "+cnJ29ePks5l+Lj6qI2MHlL5KLzRidzeRsxY7UKiU8fD9q2zyiJtWRClfDEqfltUBtTZwa"
    "lnkrmdn3AKGvQFFOp8WjFSnbUtfdy0p1kJfd1aUqKV9gQUoIqyqrEEkYg6BlEB516fb9b5"
    "wSowY="
)
