"""Note which versions are withdrawn, so that conversations which began with them leave them.

A table of its own, with numbers only: it outlives the version, as a deleted one is withdrawn as well.
"""

from tortoise import BaseDBAsyncClient

from automagik_prompts.schema.legacy import locks

RUN_IN_TRANSACTION = True

TYPES = {"sqlite": "INTEGER", "postgres": "BIGINT"}

TABLE = """
CREATE TABLE IF NOT EXISTS "prompt_withdrawals" (
    "prompt_id" {id} NOT NULL PRIMARY KEY,
    "agent_id" {id} NOT NULL,
    "version" INT NOT NULL
)"""

INDEX = 'CREATE INDEX IF NOT EXISTS "idx_prompt_withdrawals_agent" ON "prompt_withdrawals" ("agent_id")'

# An application's own table may give the number of a deleted row to a new one.
REUSED = """
CREATE TRIGGER IF NOT EXISTS prompt_withdrawals_reused AFTER INSERT ON "prompts" FOR EACH ROW
WHEN EXISTS (SELECT 1 FROM prompt_withdrawals WHERE prompt_id = NEW.id) BEGIN
    DELETE FROM prompt_withdrawals WHERE prompt_id = NEW.id;
END"""


# What was withdrawn before a downgrade, as the events tell; a version that was active once and is deleted is so, too.
KNOWN = """
INSERT INTO prompt_withdrawals (prompt_id, agent_id, version)
SELECT DISTINCT e.prompt_id, e.agent_id, e.version FROM prompt_events e
WHERE e.prompt_id IS NOT NULL AND e.version IS NOT NULL AND e.action IN ('withdrawn', 'deleted')
AND NOT EXISTS (SELECT 1 FROM prompt_events l WHERE l.agent_id = e.agent_id AND l.prompt_id = e.prompt_id
    AND l.id > e.id AND l.action = 'reinstated')
AND (e.action = 'withdrawn' OR EXISTS (SELECT 1 FROM prompt_events a WHERE a.agent_id = e.agent_id
    AND a.prompt_id = e.prompt_id AND a.action IN ('activated', 'rolled_back')))
AND NOT EXISTS (SELECT 1 FROM prompt_withdrawals w WHERE w.prompt_id = e.prompt_id)"""


async def upgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client, __file__)
    await db.run(TABLE.format(id=TYPES[db.dialect]))
    await db.run(INDEX)
    if db.dialect == "postgres":
        # It holds numbers only, and a user who may read prompts must be able to follow.
        await db.run('GRANT SELECT ON "prompt_withdrawals" TO PUBLIC')
    else:
        await db.run(REUSED)
    await db.run(KNOWN)
    return "SELECT 1"


async def downgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    db = await locks.begin(client)
    if db.dialect == "sqlite":
        await db.run("DROP TRIGGER IF EXISTS prompt_withdrawals_reused")
    await db.run('DROP TABLE IF EXISTS "prompt_withdrawals"')
    return "SELECT 1"


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
