"""Give `agents` its primary status, its active default prompt, its exposed variables and its write counter.

An agent that still has a text in `system_prompt` gets it as version 1 of the status `default`, active, byte for byte.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

from tortoise import BaseDBAsyncClient

from automagik_prompts.migrations import columns

RUN_IN_TRANSACTION = True

# SQLite adds a NOT NULL column only with a constant default; the default is dropped nowhere, it does no harm.
COLUMNS = {
    "sqlite": {
        "default_status_key": "VARCHAR(255) NOT NULL DEFAULT 'default'",
        "active_default_prompt_id": 'INT REFERENCES "prompts" ("id") ON DELETE SET NULL',
        "variables": "JSON NOT NULL DEFAULT '[]'",
        "revision": "INT NOT NULL DEFAULT 0",
        "created_at": "TIMESTAMP NOT NULL DEFAULT '1970-01-01 00:00:00+00:00'",
        "updated_at": "TIMESTAMP NOT NULL DEFAULT '1970-01-01 00:00:00+00:00'",
    },
    "postgres": {
        "default_status_key": "VARCHAR(255) NOT NULL DEFAULT 'default'",
        "active_default_prompt_id": 'INT REFERENCES "prompts" ("id") ON DELETE SET NULL',
        "variables": "JSONB NOT NULL DEFAULT '[]'::JSONB",
        "revision": "INT NOT NULL DEFAULT 0",
        "created_at": "TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP",
        "updated_at": "TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP",
    },
}


async def upgrade(db: BaseDBAsyncClient) -> str:
    if db is None:
        return "SELECT 1"
    present = await columns(db, "agents")
    for name, definition in COLUMNS[db.capabilities.dialect].items():
        if name not in present:
            await db.execute_query(f'ALTER TABLE "agents" ADD COLUMN "{name}" {definition}')
    if "system_prompt" in present:
        await _adopt(db)
    return "SELECT 1"


async def downgrade(db: BaseDBAsyncClient) -> str:
    if db is None:
        return "SELECT 1"
    present = await columns(db, "agents")
    for name in reversed(COLUMNS[db.capabilities.dialect]):
        if name in present:
            await db.execute_query(f'ALTER TABLE "agents" DROP COLUMN "{name}"')
    return "SELECT 1"


async def _adopt(db: BaseDBAsyncClient) -> None:
    _, rows = await db.execute_query('SELECT "id", "system_prompt" FROM "agents" ORDER BY "id"')
    texts = {int(row["id"]): row["system_prompt"] for row in map(dict, rows)}
    _, rows = await db.execute_query('SELECT DISTINCT "agent_id" FROM "prompts" WHERE "status_key" = \'default\'')
    done = {int(row["agent_id"]) for row in map(dict, rows)}
    now = datetime.now(UTC)
    for agent_id, text in texts.items():
        if not text or not text.strip() or agent_id in done:
            continue
        await _execute(
            db,
            'INSERT INTO "prompts" ("agent_id", "status_key", "version", "prompt_text", "format", "is_active",'
            ' "is_default_from_code", "name", "content_hash", "created_at", "updated_at")'
            " VALUES (?, 'default', 1, ?, ?, true, true, 'Migrated Default Prompt', ?, ?, ?)",
            agent_id,
            text,
            # A template written for another engine is not ours to interpret.
            "text" if "{{" in text else "handlebars",
            hashlib.sha256(text.encode()).hexdigest(),
            now,
            now,
        )
        _, found = await db.execute_query(
            f'SELECT "id" FROM "prompts" WHERE "agent_id" = {agent_id} AND "status_key" = \'default\''
        )
        prompt_id = int(dict(found[0])["id"])
        await db.execute_query(
            f'UPDATE "agents" SET "active_default_prompt_id" = {prompt_id}, "revision" = "revision" + 1'
            f' WHERE "id" = {agent_id}'
        )
        await _execute(
            db,
            'INSERT INTO "prompt_events" ("agent_id", "status_key", "action", "prompt_id", "version", "note",'
            " \"revision\", \"created_at\") VALUES (?, 'default', 'created', ?, 1, 'from agents.system_prompt', 1, ?)",
            agent_id,
            prompt_id,
            now,
        )


async def _execute(db: BaseDBAsyncClient, statement: str, *values: Any) -> None:
    if db.capabilities.dialect == "postgres":
        for number in range(1, len(values) + 1):
            statement = statement.replace("?", f"${number}", 1)
    await db.execute_query(statement, list(values))


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
