"""From code to database: each text that the code declares and the database has not seen becomes a version.

Any number of processes may seed at once: the agent's lock lets one of them write, the others find the version there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import Intent, SyncResult
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Action, AgentInfo, EventCreate, Prompt
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.validation import MAX_NOTE_LENGTH
from automagik_prompts.editing.review import switching
from automagik_prompts.editing.sync_activation import to_activate
from automagik_prompts.editing.sync_plan import (
    AUTHOR,
    TextPlan,
    by_agent,
    facts_changed,
    find_same,
    has_news,
    new_agent_of,
    orphans_of,
    protected_of,
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
    if exact:
        done += await _undecided(database, {known[name].id: agents[name] for name in known})
    return tuple(sorted(done, key=lambda item: (item.agent, item.status_key)))


async def foresee(database: Database, declared: DeclaredAgent) -> tuple[SyncResult, ...]:
    """Return what `seed` would do with the texts of one agent; nothing is written.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    if not (known := await database.run(repository.get_agents, [declared.name])):
        return tuple(SyncResult(declared.name, key, None, "created") for key in declared.prompts)
    (agent,) = known
    seen = by_agent(await database.run(repository.get_code_versions, [agent.id]))
    heads = await database.run(repository.get_heads, [agent.id])
    part, _ = writable_part(declared, statuses_by_agent(heads)[agent.id])
    plans = await database.run(_plans, known, {agent.name: part}, seen, heads, exact=False)
    return tuple(SyncResult(agent.name, plan.prompt.status_key, None, plan.outcome) for plan in plans)


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
    plans = await _plans(db, locked, declared, seen, heads, exact=exact)
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
        request = await _request(db, plan.agent, prompt) if plan.asks else None
        done.append(
            SyncResult(
                plan.agent.name,
                prompt.status_key,
                prompt.version,
                plan.outcome,
                request=request,
                replaced=plan.replaced,
            )
        )
    for agent in locked:
        await _write_facts(db, agent, declared[agent.name], exact)
        if exact:
            done += await _activate_reverted(db, agent, declared[agent.name], seen[agent.id], heads)
            done += orphans_of(agent, code[agent.name], seen[agent.id])
    return done


async def _plans(
    db: Client,
    agents: Sequence[AgentInfo],
    declared: Mapping[str, DeclaredAgent],
    seen: Mapping[int, Sequence[CodeVersion]],
    heads: Mapping[tuple[int, str], StatusHead],
    *,
    exact: bool,
) -> list[TextPlan]:
    """Return what becomes of each text that was never seen."""
    unseen = [
        (agent, prompt)
        for agent in agents
        for prompt in declared[agent.name].prompts.values()
        if find_same(prompt, seen.get(agent.id, ())) is None
    ]
    last = await repository.get_last_actions(db, {agent.id for agent, _ in unseen})
    withdrawn = await repository.get_withdrawn_texts(db, {agent.id for agent, _ in unseen})
    return [
        TextPlan(
            # With the protection that is about to be written.
            replace(agent, protected=protected_of(declared[agent.name], agent, exact=exact)),
            prompt,
            heads.get(key),
            last.get(key),
            (*key, prompt.content_hash) in withdrawn,
            declared[agent.name].on_drift,
        )
        for agent, prompt in unseen
        for key in [(agent.id, prompt.status_key)]
    ]


async def _request(db: Client, agent: AgentInfo, prompt: Prompt) -> ApprovalRequest | None:
    """Ask for a text of the code to be activated, unless that waits already; return what is new."""
    intent = Intent(AUTHOR, "the code's new text")
    if await switching.find_waiting(db, agent, prompt.status_key, Operation.ACTIVATE, prompt) is not None:
        return None
    # A text that the code has no more is not to be approved any more.
    await repository.lapse_requests(db, agent.id, code_of=prompt.status_key)
    active = await repository.get_active_prompt(db, agent.id, prompt.status_key)
    return await switching.ask(db, agent, prompt.status_key, Operation.ACTIVATE, prompt, active, intent)


async def _undecided(database: Database, agents: Mapping[int, DeclaredAgent]) -> list[SyncResult]:
    """Return the statuses that have drifted, of agents whose code wants that decided."""
    strict = {number: agent for number, agent in agents.items() if agent.on_drift == "fail"}
    states = await database.run(repository.get_drift_states, strict) if strict else {}
    return [
        SyncResult(strict[number].name, status_key, state.active, "undecided")
        for (number, status_key), state in states.items()
        if state.drift and strict[number].keys.find(status_key) is not None
    ]


async def _write_facts(db: Client, agent: AgentInfo, declared: DeclaredAgent, exact: bool) -> None:
    """Write the primary status and the exposed variables, and point the agent to its active default prompt.

    A starting process only adds names, so that an old and a new release can run side by side.
    """
    variables = sorted(declared.exposed if exact else declared.exposed | set(agent.variables))
    primary = declared.primary if exact else agent.default_status_key
    protected = protected_of(declared, agent, exact=exact)
    if not (words := facts_changed(agent, primary, variables, protected)):
        # The pointer to the active version may have moved all the same.
        await repository.point_to_active(db, [agent.id])
        return
    await repository.set_agent_facts(db, agent.id, default_status_key=primary, variables=variables, protected=protected)
    event = EventCreate(
        agent.id, "", Action.FACTS, agent.revision, author=AUTHOR, note=words[:MAX_NOTE_LENGTH], actor_id=AUTHOR
    )
    await repository.add_events(db, [event])


async def _activate_reverted(
    db: Client,
    agent: AgentInfo,
    declared: DeclaredAgent,
    seen: Sequence[CodeVersion],
    heads: Mapping[tuple[int, str], StatusHead],
) -> list[SyncResult]:
    """Activate the code's text where another version of the code is active: the release was reverted, or came back."""
    done: list[SyncResult] = []
    guarded = replace(agent, protected=protected_of(declared, agent, exact=True))
    for match, active in await to_activate(db, agent, declared, seen, heads):
        protection = guarded.protection(match.status_key)
        if protection is not None and protection.approve_code:
            prompt = await repository.get_version(db, agent.id, match.status_key, match.version)
            request = await _request(db, guarded, prompt) if prompt is not None else None
            if request is not None:
                done.append(SyncResult(agent.name, match.status_key, match.version, "requested", request=request))
            continue
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
            actor_id=AUTHOR,
            approval="code" if protection is not None else None,
        )
        await repository.add_events(db, [event])
        head = heads.get((agent.id, match.status_key))
        replaced = active if head is not None and not head.active_from_code else None
        done.append(SyncResult(agent.name, match.status_key, match.version, "activated", replaced=replaced))
    return done


async def _differs(
    db: Client,
    agent: AgentInfo,
    declared: DeclaredAgent,
    seen: Sequence[CodeVersion],
    heads: Mapping[tuple[int, str], StatusHead],
) -> bool:
    """Return whether something other than a new text would have to be written for the code to be met exactly."""
    protected = protected_of(declared, agent, exact=True)
    if facts_changed(agent, declared.primary, sorted(declared.exposed), protected):
        return True
    return bool(await to_activate(db, agent, declared, seen, heads))
