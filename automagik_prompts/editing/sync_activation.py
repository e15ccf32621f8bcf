"""Which known texts of the code a sync activates: of a reverted release, of a drift, or such as never were active."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.records import Action, AgentInfo
from automagik_prompts.domain.review import RequestState
from automagik_prompts.editing.sync_plan import AUTHOR, find_same, protected_of
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.repository import CodeVersion, StatusHead


async def to_activate(
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
    if declared.on_drift == "code":
        found += await _drifted(db, agent, declared, seen)
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
    guarded = replace(agent, protected=protected_of(declared, agent, exact=True))
    return [
        (match, active)
        for match, active in found
        if match.id not in withdrawn and not await _is_asked(db, guarded, match)
    ]


async def _is_asked(db: Client, agent: AgentInfo, match: CodeVersion) -> bool:
    """Return whether a text that needs approval waits for it, or was declined: then it is not asked for again."""
    protection = agent.protection(match.status_key)
    if protection is None or not protection.approve_code:
        return False
    asked = await repository.get_requests(db, agent.id, match.status_key, waiting=False)
    return any(one.prompt_id == match.id and (one.is_waiting or one.state is RequestState.DECLINED) for one in asked)


async def _drifted(
    db: Client, agent: AgentInfo, declared: DeclaredAgent, seen: Sequence[CodeVersion]
) -> list[tuple[CodeVersion, int | None]]:
    """Return the code's texts that take the place of people's versions, where nobody has decided to keep these."""
    found: list[tuple[CodeVersion, int | None]] = []
    for (_, status_key), state in (await repository.get_drift_states(db, [agent.id])).items():
        prompt = declared.prompts.get(status_key)
        match = find_same(prompt, seen) if prompt is not None and state.drift else None
        if match is not None and match.version == state.code_version:
            found.append((match, state.active))
    return found


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
    """Return whether the present activation of a status was made by code, or approved as the code had asked for it."""
    actions = (Action.ACTIVATED, Action.ROLLED_BACK)
    last = await repository.get_events(db, agent.id, status_key, actions=actions, limit=1)
    if not last:
        return False
    if last[0].request_id is not None and last[0].approval == "approved":
        asked = await repository.get_request(db, last[0].request_id)
        return asked is not None and asked.actor_id == AUTHOR
    # Events from before actors were kept have a name only.
    return last[0].actor_id == AUTHOR or (last[0].actor_id is None and last[0].author == AUTHOR)
