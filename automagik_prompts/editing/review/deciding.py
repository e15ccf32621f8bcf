"""What waits for a decision, as `check` finds it: the three texts of a drift, and texts of the code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.review import RequestState
from automagik_prompts.domain.summaries import CodeVersion, StatusSummary
from automagik_prompts.editing import queries
from automagik_prompts.editing.findings import Finding, Kind, OneWay, ThreeWays
from automagik_prompts.editing.review.drift import find_drift
from automagik_prompts.editing.sync_plan import find_same
from automagik_prompts.storage.database import Database


async def three_ways(database: Database, finding: Finding, declared: Mapping[str, DeclaredAgent]) -> Finding:
    """Return a drift with the three texts that there are to decide between."""
    agent, status_key = str(finding.agent), str(finding.status_key)
    drift = await find_drift(database, agent, status_key)
    if drift is not None:
        base, code, person = drift.base, OneWay(drift.code.version, drift.code.prompt_text), drift.person
    else:
        # The database has not seen the code's text: what the person's version takes into account is the newest one.
        base = await queries.get_code_default(database, agent, status_key)
        active = await queries.get_active(database, agent, status_key)
        text = declared[agent].prompts[status_key].text if agent in declared else None
        if active is None or text is None:
            return finding
        code, person = OneWay(None, text), active
    began = OneWay(base.version, base.prompt_text) if base is not None else None
    return replace(finding, three_ways=ThreeWays(began, code, OneWay(person.version, person.prompt_text)))


async def code_waiting(
    database: Database,
    declared: Mapping[str, DeclaredAgent],
    summaries: Iterable[StatusSummary],
    seen: Mapping[PromptKey, Sequence[CodeVersion]],
) -> list[Finding]:
    """Return the texts of the code that need approval and are not active: what waits, and what would be asked for."""
    found: list[Finding] = []
    for one in summaries:
        agent, key = declared.get(one.agent), PromptKey(one.agent, one.status_key)
        prompt = agent.prompts.get(one.status_key) if agent is not None else None
        match = find_same(prompt, seen.get(key, ())) if prompt is not None else None
        is_other = one.active is not None and one.from_code and match is not None and match.version != one.active
        if one.protection is None or not one.protection.approve_code or match is None or not is_other:
            continue
        asked = [
            request
            for request in await queries.requests(database, *key, waiting=False)
            if request.prompt_id == match.id and request.state is not RequestState.LAPSED
        ]
        if not asked:
            words, command = "it is not active, and nobody is asked to approve it", "automagik-prompts sync"
            found.append(Finding(Kind.UNSYNCED, _waits(key, match.version, words), *key, match.version, None, command))
        elif asked[0].is_waiting:
            words, command = "it waits for approval", f"automagik-prompts requests --show {asked[0].id}"
            found.append(Finding(Kind.WAITING, _waits(key, match.version, words), *key, match.version, None, command))
    return found


def _waits(key: PromptKey, version: int, words: str) -> str:
    return f"The code's text of {key} is version {version}: {words}."
