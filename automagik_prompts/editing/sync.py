"""From code to database: each text that the code declares and the database has not seen becomes a version.

Any number of processes may seed at once: the agent's lock lets one of them write, the others find the version there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import SyncResult
from automagik_prompts.domain.records import Action, AgentInfo, EventCreate
from automagik_prompts.editing.sync_plan import (
    AUTHOR,
    TextPlan,
    by_agent,
    find_same,
    has_news,
    new_agent_of,
    orphans_of,
    statuses_by_agent,
    writable_part,
)
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.repository import CodeVersion, StatusHead

_BATCH = 50
"""Agents in one transaction, at most, so that people who write do not wait long."""


async def seed(
    database: Database, agents: Mapping[str, DeclaredAgent], *, exact: bool = False
) -> tuple[SyncResult, ...]:
    """Write what the code declares and the database has not seen.

    Args:
        database: An open database with the schema of this release.
        agents: What the code declares.
        exact: For a release step that is run on purpose: also activate the text of a reverted release, set the primary
            status and the exposed variables exactly as the code has them, and report orphans.

    Returns:
        What was done, in the order of agents and statuses.

    Raises:
        SchemaError: The table `agents` is an application's and does not let a new agent be added; all others were
        seeded.
        DatabaseUnavailableError: The database cannot be written now.
    """
    if not agents:
        return ()
    known = {agent.name: agent for agent in await database.run(repository.get_agents, agents)}
    refused: SchemaError | None = None
    if new := [new_agent_of(agents[name]) for name in sorted(agents) if name not in known]:
        try:
            await database.transaction(repository.add_agents, new)
        except SchemaError as error:
            refused = error  # raised in the end: it must not keep the other agents from being seeded
        known = {agent.name: agent for agent in await database.run(repository.get_agents, agents)}
    ids = [agent.id for agent in known.values()]
    seen = by_agent(await database.run(repository.get_code_versions, ids))
    # Whatever is there of a status that never came from code may be another spelling of one that is new.
    unsure = [
        one.id for one in known.values() if agents[one.name].prompts.keys() - {v.status_key for v in seen[one.id]}
    ]
    heads = await database.run(repository.get_heads, ids if exact else unsure)
    stored = statuses_by_agent(heads)
    work: list[AgentInfo] = []
    done: list[SyncResult] = []
    for name, agent in known.items():
        versions = seen[agent.id]
        declared, clashes = writable_part(agents[name], stored[agent.id])
        if has_news(declared, agent, versions) or (
            exact and await database.run(_differs, agent, declared, versions, heads)
        ):
            work.append(agent)
            continue
        # Nothing is written: raising the revision would be a conflict for a person who is editing.
        done += clashes
        if exact:
            done += orphans_of(agent, agents[name], versions)
    # In the order of the ids, so that two processes that seed never wait for each other in a circle.
    work.sort(key=lambda agent: agent.id)
    for start in range(0, len(work), _BATCH):
        done += await database.transaction(_seed_agents, work[start : start + _BATCH], agents, exact)
    if refused is not None:
        raise refused
    return tuple(sorted(done, key=lambda item: (item.agent, item.status_key)))


async def _seed_agents(
    db: Client, agents: Sequence[AgentInfo], code: Mapping[str, DeclaredAgent], exact: bool
) -> list[SyncResult]:
    """Seed some agents in one transaction."""
    locked = [agent for known in agents if (agent := await repository.lock_agent(db, known.id))]
    # Read again under the lock: another process may have written the same meanwhile.
    ids = [agent.id for agent in locked]
    seen = by_agent(await repository.get_code_versions(db, ids))
    heads = await repository.get_heads(db, ids)
    stored = statuses_by_agent(heads)
    declared: dict[str, DeclaredAgent] = {}
    done: list[SyncResult] = []
    for agent in locked:
        declared[agent.name], clashes = writable_part(code[agent.name], stored[agent.id])
        done += clashes
    unseen = [
        (agent, prompt)
        for agent in locked
        for prompt in declared[agent.name].prompts.values()
        if find_same(prompt, seen[agent.id]) is None
    ]
    last = await repository.get_last_actions(db, {agent.id for agent, _ in unseen})
    withdrawn = await repository.get_withdrawn_texts(db, {agent.id for agent, _ in unseen})
    plans = [
        TextPlan(agent, prompt, heads.get(key), last.get(key), (*key, prompt.content_hash) in withdrawn)
        for agent, prompt in unseen
        for key in [(agent.id, prompt.status_key)]
    ]
    for plan in plans:
        if plan.activates and plan.head is not None and plan.head.active is not None:
            await repository.set_prompt_active(db, plan.agent.id, None, plan.prompt.status_key)
    written = await repository.create_prompts(db, [plan.version() for plan in plans])
    await repository.add_events(
        db, [event for plan, prompt in zip(plans, written, strict=True) for event in plan.events(prompt)]
    )
    for plan, prompt in zip(plans, written, strict=True):
        if plan.is_withdrawn:
            # As a version of its own, so that it stays withdrawn when the one that people withdrew is deleted.
            await repository.withdraw(db, plan.agent.id, prompt.id, prompt.version)
        done.append(SyncResult(plan.agent.name, prompt.status_key, prompt.version, plan.outcome))
    for agent in locked:
        await _write_facts(db, agent, declared[agent.name], exact)
        if exact:
            done += await _activate_reverted(db, agent, declared[agent.name], seen[agent.id], heads)
            done += orphans_of(agent, code[agent.name], seen[agent.id])
    return done


async def _write_facts(db: Client, agent: AgentInfo, declared: DeclaredAgent, exact: bool) -> None:
    """Write the primary status and the exposed variables, and point the agent to its active default prompt.

    A starting process only adds names, so that an old and a new release can run side by side.
    """
    variables = declared.exposed if exact else declared.exposed | set(agent.variables)
    await repository.set_agent_facts(
        db,
        agent.id,
        default_status_key=declared.primary if exact else agent.default_status_key,
        variables=sorted(variables),
    )


async def _activate_reverted(
    db: Client,
    agent: AgentInfo,
    declared: DeclaredAgent,
    seen: Sequence[CodeVersion],
    heads: Mapping[tuple[int, str], StatusHead],
) -> list[SyncResult]:
    """Activate the code's text where another version of the code is active: the release was reverted, or came back."""
    done: list[SyncResult] = []
    for match, active in await _to_activate(db, agent, declared, seen, heads):
        await repository.set_prompt_active(db, agent.id, match.id, match.status_key)
        event = EventCreate(
            agent_id=agent.id,
            status_key=match.status_key,
            action=Action.ACTIVATED,
            revision=agent.revision,
            prompt_id=match.id,
            version=match.version,
            from_version=active,
            author=AUTHOR,
            note="the text of the release that was synced" if active is not None else "it never had an active version",
        )
        await repository.add_events(db, [event])
        done.append(SyncResult(agent.name, match.status_key, match.version, "activated"))
    return done


async def _to_activate(
    db: Client,
    agent: AgentInfo,
    declared: DeclaredAgent,
    seen: Sequence[CodeVersion],
    heads: Mapping[tuple[int, str], StatusHead],
) -> list[tuple[CodeVersion, int | None]]:
    """Return the versions that a sync activates: of a reverted release, and where none was ever active.

    A table that was there before this library may have versions that nobody ever activated.
    """
    found: list[tuple[CodeVersion, int | None]] = [*await _reverted(db, agent, declared, seen, heads)]
    last: dict[tuple[int, str], Action] | None = None
    for prompt in declared.prompts.values():
        key = (agent.id, prompt.status_key)
        match, head = find_same(prompt, seen), heads.get(key)
        if match is None or head is None or head.active is not None:
            continue
        last = last if last is not None else await repository.get_last_actions(db, [agent.id])
        if key not in last:
            found.append((match, None))
    withdrawn = await repository.get_withdrawn(db, [agent.id]) if found else set()
    return [(match, active) for match, active in found if match.id not in withdrawn]


async def _reverted(
    db: Client,
    agent: AgentInfo,
    declared: DeclaredAgent,
    seen: Sequence[CodeVersion],
    heads: Mapping[tuple[int, str], StatusHead],
) -> list[tuple[CodeVersion, int]]:
    """Return the versions that equal the code's texts where another version of the code is active, with that one."""
    found: list[tuple[CodeVersion, int]] = []
    for prompt in declared.prompts.values():
        match, head = find_same(prompt, seen), heads.get((agent.id, prompt.status_key))
        if match is None or head is None or head.active is None or not head.active_from_code:
            continue
        if head.active == match.version:
            continue
        newest = max(version.version for version in seen if version.status_key == prompt.status_key)
        if match.version == newest and not await _activated_by_code(db, agent, prompt.status_key):
            continue  # a person went back to an older version of the code on purpose
        found.append((match, head.active))
    return found


async def _activated_by_code(db: Client, agent: AgentInfo, status_key: str) -> bool:
    """Return whether the present activation of a status was made by code."""
    actions = (Action.ACTIVATED, Action.ROLLED_BACK)
    last = await repository.get_events(db, agent.id, status_key, actions=actions, limit=1)
    return bool(last) and last[0].author == AUTHOR


async def _differs(
    db: Client,
    agent: AgentInfo,
    declared: DeclaredAgent,
    seen: Sequence[CodeVersion],
    heads: Mapping[tuple[int, str], StatusHead],
) -> bool:
    """Return whether something other than a new text would have to be written for the code to be met exactly."""
    if agent.default_status_key != declared.primary or agent.variables != tuple(sorted(declared.exposed)):
        return True
    return bool(await _to_activate(db, agent, declared, seen, heads))
