"""What a snapshot is built from, in one statement, and how a change of it is noticed."""

from __future__ import annotations

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.summaries import ActiveSet, ChangeToken
from automagik_prompts.storage.repository.mapping import read_label, read_names, read_number, read_text


async def get_active_set(db: BaseDBAsyncClient) -> ActiveSet:
    """Return all agents with their active versions: one statement, however many versions there are."""
    # `is_active = true` stands literally in the statement: a bound value would keep SQLite off the partial index.
    _, rows = await db.execute_query(
        "SELECT a.id, a.name, a.default_status_key, a.active_default_prompt_id, a.variables, a.revision, "
        "p.id AS prompt_id, p.status_key, p.version, p.prompt_text, p.format, p.content_hash "
        "FROM agents a LEFT JOIN prompts p ON p.agent_id = a.id AND p.is_active = true"
    )
    agents: dict[int, AgentInfo] = {}
    active: list[ActiveVersion] = []
    for row in map(dict, rows):
        agent = agents.get(row["id"])
        if agent is None:
            agent = agents[row["id"]] = AgentInfo(
                id=row["id"],
                name=read_label(row["name"]),
                default_status_key=read_label(row["default_status_key"]),
                active_default_prompt_id=row["active_default_prompt_id"],
                variables=read_names(row["variables"]),
                revision=read_number(row["revision"]),
            )
        if row["prompt_id"] is not None:
            version = ActiveVersion(
                agent=agent.name,
                prompt_id=row["prompt_id"],
                status_key=read_label(row["status_key"]),
                version=read_number(row["version"]),
                prompt_text=read_text(row["prompt_text"]),
                format=read_label(row["format"]),
                content_hash=read_label(row["content_hash"]),
            )
            active.append(version)
    token = ChangeToken(
        agents=len(agents),
        revisions=sum(agent.revision for agent in agents.values()),
        active=len(active),
        active_ids=sum(version.prompt_id for version in active),
        active_versions=sum(version.version for version in active),
    )
    return ActiveSet(tuple(agents.values()), tuple(active), token)


async def get_change_token(db: BaseDBAsyncClient) -> ChangeToken:
    """Return the fingerprint of what is active: one statement over small indexes."""
    _, rows = await db.execute_query(
        "SELECT a.n AS agents, a.r AS revisions, p.n AS active, p.i AS active_ids, p.v AS active_versions FROM "
        "(SELECT COUNT(*) AS n, COALESCE(SUM(revision), 0) AS r FROM agents) a, "
        "(SELECT COUNT(*) AS n, COALESCE(SUM(id), 0) AS i, COALESCE(SUM(version), 0) AS v FROM prompts "
        "WHERE is_active = true) p"
    )
    row = dict(rows[0])
    return ChangeToken(**{name: int(row[name]) for name in ChangeToken.__slots__})
