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
    "eJztXWtv27gS/SuEv2wv4C3yatKb+wCcNt3mbpsUqXu72G4h0BJtEZFJr0jHMbr970tSb1"
    "mWRcdSZJVf2oTiUMwZasg5Qw6/9eCc0ymc4Dtr5tPpjLPngwki/JYueufgW4/AKRI/lFXr"
    "i6ezWWEl+YzDkRc0IQVUERwx7kObi9Ix9BgSRQ5ito9nHFMi6w4IUNXPAQSyC32AOQMzH0"
    "+hvwSMQz5nfQCJo8oXPuYI2HROOPKfyzc41BavwGSyi8bmBP85RxanE8Rd5Ismv3wVxZg4"
    "6AGx6NfZnTXGyHMysGFHNqDKLb6cqbIrwt+oirKfI8um3nxKksqzJXcpiWtjwmWp6D/yIU"
    "eyee7PJWRk7nkhthGKQU+TKkEXUzIOGsO5J4GX0kEHkrKeZV3fDK2Pl0PL6q0oJZJIQRsW"
    "2ZRIhWKpXvnXT2QXfj46PDk7eXl8evJSVFHdjEvOvgevToAJBBU818Ped/UcchjUUBgnoK"
    "r/V2B95UK/GNeofg5Z0eU8shGO7YV2Ch8sD5EJdyWeL16UAPn/we2rt4PbZ6LWP+Qrqfjk"
    "gi/xOnx0FDyTaCfohn22gu/CukNLHayLpXeDfFSQQJ9Yjxjn6Mf9VYAwjPgeRV0PTamlZU"
    "nKmthsXwp0EY5xLVW03sIkkN9DH8u/lK1i/L+PN9fFIGeEcqg62ObgL+BhVgXd7Ub6v8dz"
    "YkvkwGiOPY4Jey7f99+6hn4JohIk2fKUsT+99AB/9n7wW37sv3p3c6Ego4xPfNWKauAipx"
    "Qf3WMm+1h93KdFthrnW2niYE9Gue0j+ZdbkK9C+onbxZBmhfLDXDzieIqeRz/UBXGNtqQE"
    "wuHV+8uPw8H7D5mx/XowvJRPjlTpMlf67DQ33uNGwOer4VsgfwW/31xf5j+BuN7w957sk1"
    "xMW4QuLOikMYmKo6KMhuczR1/DWSGj4VZrWEzlHNlSXcEKS2/KKpZ+1NzVspVBE5OU9PbG"
    "dynXRBaMoH23gL5jZZ6kltU+HPMCZV2Ecm9+vUUe5MWT16r3/Vo2F3rf+/k5JqXhKMqMc3"
    "QfkQU7gevyPiErughXim/ZCV4f1P8dBsxHoq9sh4jdBg12DDJp2egRXWfrVh9Nj6b5Ekjg"
    "RP1J8t3RvJcF7wIytJlxjGr1KxKOods7guE8t5l2HLqS+XPQTwzcI196EoC7kAMIZuJXSt"
    "Ll8A4xIKCiANqKLTwHI8Swg4QIiqr1wcKlDAGfLgARNs0HtgvJBLFVlrLhdz+C1NyGkXg8"
    "BdEyIq5mjlOOBCtUpAbMebHmnOCWY62xZlu1efmhv6qQG4KGVPyjtHIleg+JXcQ573imfd"
    "JPYN2kIYp9uIjtRvbTF1g4yEM8oJEHH18NXl/2vtcyqcRL5PJZJb2S1plWkgV9hXAW4OiB"
    "B/ac0SkaUWcJMAOMY89TEScBdEHgqrJYgTX/EgTcQtyzfLzoLPXlk68mkPWERn67EMtThV"
    "b2O6wVD3kNpNMyBudqOIfWURquVaiHorR0fRiJdQLtMt7x8rdhORcV047vbq5/iarnCaos"
    "9GPqT4uY3/UDPJHoBODZ4X14WmF0H+bJ3GRwy0dZgAnlBRsP1g/qqP5W4O4PsVrLYJZe+x"
    "YOUF7MRLsL4oDB3iYttzKWaM6jPNwTODGzHMxs4bqggtXFBaUegmTNQjknmgN3JGTrQjcu"
    "adZWXNzcvMvYiourvDH49P7iUhhmZThEJRz4iqu4m2Bn14OdaQe26s6nlIghv9aRXzmIV/"
    "F9Q32EJ+RXtNRntNIbg/cM7KqUVnqUVWC0NtCLtbBfccSznP1KB0Z12K8kPruZ/bohCHhY"
    "/EPHAIZ7sX9iQLwOEednSrwlcDETrvZylQLTlN0c1cjSYpIC64MyqizeUvbVcGOGG3typ7"
    "a2HcdFXlYpM1bsYHUB4+OjChAfH61FWD4qJMUajph23I3VJwcML1AK6FiMuC0ol7yYgXYV"
    "WrGmcmkB41JiYWOJLrCHDUxihpxtjpw1RzPM0QzDZelxWU8Rf26ZmWpgFgj39eottbNCZv"
    "1SsH6ZCXfkHnpaozcl073Ru/vosmhrzorCciWnrROR7iFcD9VhQgompGBCCluFFK4cNJ0J"
    "r4nYy82BhVzlvl54ASfSksytGGj4HJyXCDK4LCADkLAF8pHTB3doxgEmKsMLXRChAvEsYD"
    "HP5TkJdT7CRzOxomaiElhg7qrDFEz8hUJ6CSZIPAlOZEyEHldDFY2/vXjTb2rNKGnw/A7f"
    "L2m3wcQ0Go1pmD2ozUzymkEjEy3SQncs3o/8mY+LZvmSvaZZsQ6ifXpSAezTk7VYy0dZqI"
    "NwpoYlTgSMF7vqxboIOsjXypiQEjFpErbP5SNPLumQ81H9Lni1TZPzhkvuIpf8qAOstbiD"
    "H3xqI8Y2u4Kpin09N3AWSFY9vj8AoUDgKY2p59EFO5ceFYNLBhgFcETnHFBiI+GqTTGZcx"
    "Sm/mRgQolw3Fwk/TTgCgeOUNmIL506F3uo6IBm/S/ccfbR9Qu0XfoYLUqSuavdPOvdOpcy"
    "rZVwVL+DS+B6jhTq7ZsyTO3aBbCPPASZVvLclEgXFmMNDFeVg0NYc1cH5oxQ94CuxzXWGs"
    "ixQAfN7u6DkQz590WxyPUuWyLRCYCb9tqEj4CLd2GXHJpPyRjQtzoxrxbsOoRQSsQQQtsT"
    "QsJvEjhMdbOXxjLN59vuEPhiKvS1GaKskGGIWscQZadvRDTVm0gY3bZat84c6ak2ETCabZ"
    "1mW8nrhhkJN9K6SeZCDVZX49RwlPCUjoGkSmV2qOIjwusqaubFi04x5TfNfOslMK4TlyLo"
    "YSaGg2wiRjzOVoGdCBNLdNEKrmhR8IRfY081IFCRv4DPby9vLwFmYUXwH7Vi7ClLsLkz6b"
    "+lvF/YeYj7pU5ySSaiQreiu2VimbiHZk+ROSf95IxILcxe8ydOtwJ5XxInmVSBJlVg+RVX"
    "LiSOh0Yw2ICzjzxqPIGvYr0pM1giZ9KCaaQFK1qb6INf2ITRg4YeGr2ls2VsaiNRRsLl0l"
    "8/0JiV68T0WXew0aRvMOkbOrT6MztEu8gkmtyoP5KGzUFmc5D5KT6e9hxkzuaKL3DxQrHo"
    "biat6/xSd83t5Vqi+Cq/7QJCqasNyyNC2TsQdTb6p69jrLLPP7jJLkoKG0RIMrfmEYQclS"
    "ZWpSAp2rm/TRO66WWzNHuwA/GrzDcbb0aM7mAyARMTMOmeU0dnEhDN3LIZoQ4ivXuS2aSX"
    "Nell2w/okzKWbcO2ZsJShS22MQurgmYom0zJTUOrbpfQBTYWMull86Caw1K1rr9MeKib17"
    "f+eDCbKJyJwrVXC/sWo3GQjR1dDWeFdqDhPfrM9lXBIy0uMSvVBdNpEjfvja9l4p37Gu/c"
    "PoA3pHeIbA7fxdX6esE7LuUqh+5U7TDLlWhg4sOpyoEsc2AJUQZU5mQnyIG8cLHtAh9PXM"
    "7+pTIiB+KYM+SNZQ4tlVpZ2GcX+YUJuup+3Y7Tc5nw3iPDe41uO26bzWpgHtZl73e7z7hF"
    "eeVq2GVs0oM3yCXpGoqslFm1V7uOiXpIK8dLLGASvDwiwYtak2rhnkgY4B8BvOH0uk75RM"
    "rSo3yyUmbyqDR5oIcZFprT+5iyQoY+bfO35KN74V5rWsuskFFwmxXsQcblDYWaKs6LGSW3"
    "Tcnty1r1iYkqmznOuFpfj+OcS7lqFOeQApcugOj0EvhzwgLiUd0SIHP8M7HQFkVxxioifn"
    "Hg8lxdDscph15wP4C8C2AhzyFIotJx5DOZ22qV46z5fX+QP8jQRXGbkiiVVxpAIFFWr1A3"
    "1c2nTB6miK9sCG+r85G65iB4h0zP5Tny9Wx9eq7M7kNRVY3ZoFUrOi6ROXGRehhK6B2puM"
    "CTH4V2/efR0fHx2dHB8enLFydnZy9eHsT86+qjMiL24uoXycVmjM5mcrZkR2qZEh6/H7Vt"
    "HlGT6kiFq2GB0/JaoLYmTg2LvJXM7LuH0JegKKfT1aMVKdtS1d3LSnWQl93VpSopX2BOCg"
    "irMqsQSRiDoGUQ2rd0GyAf2+6GhVtYqeqyDSbVNy3Y1uvIxHbbFdtde+JivSVef9qiC2a4"
    "nvCY+L40EA6rdxDdw4ODKicFDg7WHxWQzwpPwenEZlIiJjijGZx50tnu+9+H3ko5"
)
