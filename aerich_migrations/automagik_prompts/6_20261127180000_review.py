"""Let people review changes: protected statuses, requests for approval, drafts, and what a drift was decided on.

A downgrade puts aside what the older schema has no place for, by the names of agents, and the next upgrade takes it
back. What waits for approval then has lapsed: what it was asked upon may be another state.
"""

from tortoise import BaseDBAsyncClient

from automagik_prompts.schema.legacy import backup, locks
from automagik_prompts.schema.legacy.frozen import Connection, columns

RUN_IN_TRANSACTION = True

TYPES = {
    "sqlite": {"id": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL", "time": "TIMESTAMP", "json": "JSON", "bool": "INT"},
    "postgres": {"id": "SERIAL NOT NULL PRIMARY KEY", "time": "TIMESTAMPTZ", "json": "JSONB", "bool": "BOOL"},
}

EVENT = {"actor_id": "VARCHAR(255)", "request_id": "INT", "approval": "VARCHAR(16)"}

AGENT = '"agent_id" INT NOT NULL REFERENCES "agents" ("id") ON DELETE CASCADE'

REQUEST = (
    *("status_key", "operation", "prompt_id", "version", "content_hash", "from_prompt_id", "from_version"),
    *("from_event", "state", "author", "actor_id", "note", "created_at", "decided_at", "decided_by"),
)

REQUESTS = f"""
CREATE TABLE IF NOT EXISTS "prompt_requests" (
    "id" {{id}},
    "status_key" VARCHAR(255) NOT NULL,
    "operation" VARCHAR(16) NOT NULL,
    "prompt_id" INT,
    "version" INT,
    "content_hash" VARCHAR(64),
    "from_prompt_id" INT,
    "from_version" INT,
    "from_event" INT NOT NULL,
    "state" VARCHAR(16) NOT NULL,
    "author" VARCHAR(255),
    "actor_id" VARCHAR(255),
    "note" TEXT,
    "created_at" {{time}} NOT NULL,
    "decided_at" {{time}},
    "decided_by" VARCHAR(255),
    {AGENT}
)"""

DRAFT = (
    *("status_key", "actor_id", "prompt_text", "format", "note", "base_version", "counter", "is_discarded"),
    "updated_at",
)

DRAFTS = f"""
CREATE TABLE IF NOT EXISTS "prompt_drafts" (
    "id" {{id}},
    "status_key" VARCHAR(255) NOT NULL,
    "actor_id" VARCHAR(255) NOT NULL,
    "prompt_text" TEXT NOT NULL,
    "format" VARCHAR(16) NOT NULL,
    "note" TEXT,
    "base_version" INT,
    "counter" INT NOT NULL,
    "is_discarded" {{bool}} NOT NULL,
    "updated_at" {{time}} NOT NULL,
    {AGENT},
    CONSTRAINT "uid_prompt_draf_agent_i_fac546" UNIQUE ("agent_id", "status_key", "actor_id")
)"""

BASES = """
CREATE TABLE IF NOT EXISTS "prompt_bases" (
    "code_version" INT NOT NULL,
    "prompt_id" INT NOT NULL PRIMARY KEY REFERENCES "prompts" ("id") ON DELETE CASCADE
)"""

INDEX = 'CREATE INDEX IF NOT EXISTS "{}" ON "{}" ({})'

INDEXES = (
    ("idx_prompt_even_agent_i_9e2b70", "prompt_events", '"agent_id", "status_key", "revision"'),
    ("idx_prompt_requ_agent_i_ea051e", "prompt_requests", '"agent_id", "status_key", "state"'),
    ("idx_prompt_requ_state_468c24", "prompt_requests", '"state", "id"'),
)

KEPT = "automagik_prompts_archive_review_{}"


async def upgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client, __file__)
    types = TYPES[db.dialect]
    await backup.add_columns(db, "agents", {"protected_statuses": types["json"]})
    await backup.add_columns(db, "prompt_events", EVENT)
    for table in (REQUESTS, DRAFTS, BASES):
        await db.run(table.format(**types))
    for index in INDEXES:
        await db.run(INDEX.format(*index))
    if db.dialect == "postgres":
        # It holds numbers only, and belongs to what a user who may read prompts sees of them.
        await db.run('GRANT SELECT ON "prompt_bases" TO PUBLIC')
    await take_back(db)
    return "SELECT 1"


async def downgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client)
    await put_aside(db)
    for table in ("prompt_requests", "prompt_drafts", "prompt_bases"):
        await db.run(f'DROP TABLE IF EXISTS "{table}"')
    await db.run('DROP INDEX IF EXISTS "idx_prompt_even_agent_i_9e2b70"')
    await backup.drop_columns(db, "prompt_events", reversed(EVENT))
    await backup.drop_columns(db, "agents", ["protected_statuses"])
    return "SELECT 1"


def listed(names: tuple[str, ...], table: str = "") -> str:
    return ", ".join(f'{table}"{name}"' for name in names)


async def put_aside(db: Connection) -> None:
    if "protected_statuses" not in await columns(db, "agents") or not await columns(db, "prompt_drafts"):
        return
    agent = 'JOIN "agents" a ON a."id" = t."agent_id"'
    kept = {
        "protected": 'SELECT a."name" AS "agent_name", a."protected_statuses" FROM "agents" a '
        'WHERE a."protected_statuses" IS NOT NULL',
        "requests": f'SELECT a."name" AS "agent_name", t."id", {listed(REQUEST, "t.")} '
        f'FROM "prompt_requests" t {agent}',
        "drafts": f'SELECT a."name" AS "agent_name", {listed(DRAFT, "t.")} FROM "prompt_drafts" t {agent}',
        "bases": 'SELECT a."name" AS "agent_name", t."status_key", t."version", b."code_version" '
        f'FROM "prompt_bases" b JOIN "prompts" t ON t."id" = b."prompt_id" {agent}',
        "events": 'SELECT a."name" AS "agent_name", t."status_key", t."action", t."revision", t."version", '
        f't."created_at", {listed(tuple(EVENT), "t.")} FROM "prompt_events" t {agent} '
        f"WHERE {' OR '.join(f't.{name} IS NOT NULL' for name in EVENT)}",
    }
    for name, rows in kept.items():
        table = KEPT.format(name)
        await db.run(f'DROP TABLE IF EXISTS "{table}"')
        if await db.rows(f"{rows} LIMIT 1"):
            await db.run(f'CREATE TABLE "{table}" AS {rows}')


async def take_back(db: Connection) -> None:
    agent = 'JOIN "agents" a ON a."name" = k."agent_name"'
    requests, drafts = KEPT.format("requests"), KEPT.format("drafts")
    back = {
        "protected": 'UPDATE "agents" SET "protected_statuses" = (SELECT k."protected_statuses" '
        f'FROM "{KEPT.format("protected")}" k WHERE k."agent_name" = "agents"."name")',
        "requests": f'INSERT INTO "prompt_requests" ("id", {listed(REQUEST)}, "agent_id") '
        f'SELECT k."id", {listed(REQUEST, "k.")}, a."id" FROM "{requests}" k {agent}',
        "drafts": f'INSERT INTO "prompt_drafts" ({listed(DRAFT)}, "agent_id") '
        f'SELECT {listed(DRAFT, "k.")}, a."id" FROM "{drafts}" k {agent}',
        "bases": 'INSERT INTO "prompt_bases" ("prompt_id", "code_version") SELECT p."id", k."code_version" '
        f'FROM "{KEPT.format("bases")}" k {agent} JOIN "prompts" p ON p."agent_id" = a."id" '
        'AND p."status_key" = k."status_key" AND p."version" = k."version"',
        "events": 'UPDATE "prompt_events" SET '
        + ", ".join(f'"{name}" = {event_fact(name)}' for name in EVENT)
        + f" WHERE EXISTS {event_fact('agent_name')}",
    }
    for name, statement in back.items():
        if await columns(db, KEPT.format(name)):
            await db.run(statement)
            await db.run(f'DROP TABLE "{KEPT.format(name)}"')
    await db.run("""UPDATE "prompt_requests" SET "state" = 'lapsed' WHERE "state" IN ('open', 'approved')""")
    if db.dialect == "postgres":
        await db.run(
            "SELECT setval(pg_get_serial_sequence('prompt_requests', 'id'), "
            'COALESCE((SELECT MAX("id") FROM "prompt_requests"), 0) + 1, false)'
        )


def event_fact(name: str) -> str:
    """Return the query of what was put aside of an event; an event's number may be another one now."""
    same = " AND ".join(f'k."{fact}" = "prompt_events"."{fact}"' for fact in ("status_key", "action", "revision"))
    return (
        f'(SELECT k."{name}" FROM "{KEPT.format("events")}" k JOIN "agents" a ON a."name" = k."agent_name" '
        f'WHERE a."id" = "prompt_events"."agent_id" AND {same} '
        'AND COALESCE(k."version", 0) = COALESCE("prompt_events"."version", 0) '
        'AND k."created_at" = "prompt_events"."created_at" LIMIT 1)'
    )


MODELS_STATE = (
    "eJztXW1vGjkQ/isWX9qTaHShaVpVdydBSq+5JqFK6LVqVa3MrgEri03XBoJ6+e9ne99fWD"
    "DldesvSbA9XvN4djzzjO38qMEJpyM4wPfW2KOjMWcnzQEi/JbOaq/BjxqBIyT+KGtWF7Xj"
    "cWEjWcdhz/W7kAKqCPYY96DNRWkfugyJIgcx28NjjimRbZsEqOavAQRyCHWAOQNjD4+gNw"
    "eMQz5hdQCJo8pnHuYI2HRCOPJO5BMcaotHYDLYRGcTgr9PkMXpAPEh8kSXX7+JYkwc9IBY"
    "+HF8b/Uxcp0UbNiRHahyi8/HquyS8LeqoRxnz7KpOxmRuPF4zoeURK0x4bJUjB95kCPZPf"
    "cmEjIycd0A2xBFf6RxE3+ICRkH9eHElcBLaX8AcVnNsm46Xeuu3bWsWm5SQokEtEGRTYmc"
    "UCynV377gRzCs8bp2cuzV8/Pz16JJmqYUcnLR//RMTC+oILnplt7VPWQQ7+FwjgGVf3OwX"
    "oxhF4xrmH7DLJiyFlkQxwPF9oRfLBcRAZ8KPF88aIEyH+btxfvmrdPRavf5COpeOX8N/Em"
    "qGr4dRLtGN1gzJb/Xlj3aK6DdbH0ZpAPC2LoY+sR4Rz+ebwTIAwjnqJw6IEptbQsSVkXy+"
    "1LwVwEOq41FQdvYWLIp9DD8puyPMb/3HVuikFOCWVQdbDNwX/AxWwVdNfT9D/6E2JL5EBv"
    "gl2OCTuRz/trW6pfgqgESfY8Yuy7m1Twp9fNz1ndv7jqtBRklPGBp3pRHbQyk+KhKWZyjK"
    "vrfVJkLT1fayZ+PxIttz0kv7kFeR7Sj9wuhjQtlFVzUcXxCJ2Ef2wL4i3akhIIu5fX7btu"
    "8/pDSrffNLttWdNQpfNM6dPzjL5HnYBPl913QH4EXzo37ewrELXrfqnJMUln2iJ0ZkEniU"
    "lYHBalZngydvRnOC1kZvigZ1gs5RzZcrp8D0tvySqW/qm168A8g10sUjLa698nQhNZ0IP2"
    "/Qx6jpWqSbjVHuzzgslqBXJv398iF/LixSsffb+R3QXR93G+jnFpoEUpPUfTkCzYCFztaU"
    "xWVBGuBN+yEbw+qN8VBsxDYqxsg4jd+h1WDDJp2WiDLrJ1+apRY5QtgQQO1FeSzw7XvTR4"
    "LcjQcsYxbFVfkXAMwt4eDNa55bRjdyiZPwc9YWCKPBlJAD6EHEAwFh8pSZbDe8SAgIoCaC"
    "u28DXoIYYdJERQ2KwOZkPKEPDoDBBh0zxgDyEZIJZnKXf87J8gNddhJH6egjgwIm7LHKfU"
    "BCuYSA2Ys2K7C4IPHGsNny1v87Kqn5+QDkFdKn6oWbkUo4fELuKcN7zS7vUVWLRoiGIPzi"
    "K7kX71BRYOchH3aeTm3UXzTbv2uJVFJXKRy1eVpCets6zEDv0K6SzA0QP37TmjI9Sjzhxg"
    "BhjHrqsyTgLogsTVymIF1vyrn3ALcE/z8WKw1JM130wia49Gfr0Uy75SK8ed1opUXgPppI"
    "zBeTWcA+soDVce6q4oLfUPQ7FKoF3GO7Y/d8u5qIh2vOrc/B02zxJUaej71BsVMb+LFTyW"
    "qATgafU+PV9Bu0+zZG6s3LIqDTChvGDjwWKlDtuvBe7xEKtbUWYZta8RAGXFTLa7IA/o72"
    "3SCisjid1FlKdHAidmloOZLUIXVOBdtCh1ESQLHOWMaAbcnpDdFrpRyW5tRavTuUrZitZl"
    "1hh8vG61hWFWhkM0wn6smMfdJDurnuxMBrCr7nxKiBjyaxH5lYE4j+9b6iE8IO/RXJ/RSm"
    "4MPjKwV6W0klq2AqO1hF7cCvsVZTzL2a9kYlSH/Yrzs8vZrw5BwMXiB+0DGOzFfsKAeBwi"
    "zjNK3DkYYiZC7XmeAtOUXZ7VSNNikgKrgzKqLNpS9s1wY4Yb23tQu7Udx0VRVikzVhxgVQ"
    "Hj540VIH7eWIiwrCokxXacMa14GKtPDhheoBTQvtC4NSiXrJiBNg+t8KmGtIBxKbGwkUQV"
    "2MMdLGKGnN0dOWuOZpijGYbL0uOy9pF/PjAztYNVINjXq+dqp4WM/1Lgv4xFODKFrpb2Jm"
    "Sqp72bzy4bttuw3YbtXo/tjnfRltPdqd22Gny3BtMdbtKnfUDFR7mjqZjWXtRQcy9nGHln"
    "t3L+qMUwLhKXIuhhLNwc2UWEeJRhxU6IiSWGaPnXCih4gvehpjoQqMgP4NO79m0bYBY0BH"
    "8qdaopK7d8MMnvUj4u7DxE41Lsg9z2vsKwwvsQIplohIbbN9z+3l2KrTjEu2dJK73Zx2xv"
    "Ndtby69lGULiuKgHPVbbidXYfCASLeB5rJftZovlzFY2ja1sRb6JPviFXZh50JiHnd4sd9"
    "D0xlZ8EfFELl3/IWRDHZizcpVYPtN4n5+tAPf52UK0ZZVJOZqUY2W9P5Mhq3qGzOznr/oM"
    "mwyHyXD82hmO9PnGghAvEAvvE9G6gipxP9JR+hLF10+tlxBKXMdVnhFK39ulcwQieYXYKl"
    "eA+LcvhQcZ/AxJ6qYngpCjjjaotHnRdSDrdKF7JCJNs8tPyD8j4f9Z9w9NmISJSZhUM6ij"
    "YwmI5nmIlFAFkd48yWyORJgjEYcP6F4Zy0PDdsuEpUpbrGMW8oJGlc3pnl1Dq05E6wIbCZ"
    "kjEVlQo3BDx93d4P952reObnu3sUkPVfLKwV8PZpOFM1m4w52FY8vROMjGju4Mp4U2MMNH"
    "9Jod6wT3NP+vY1KqCqZzFw6AyXeafOchJNLqB32i6/F/78pcag=="
)
