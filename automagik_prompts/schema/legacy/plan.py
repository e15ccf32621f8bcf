"""What becomes of the texts of a database that had agents before this library: decided here, written nowhere.

The preview and the migrations ask the same functions, so that what was announced is what happens.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from automagik_prompts.schema.legacy.frozen import DEFAULT_STATUS_KEY, Format, text_refusal
from automagik_prompts.schema.legacy.planned import AgentPlan, LegacyAgent, Outcome, PlannedVersion
from automagik_prompts.schema.legacy.text_format import format_of

MIGRATED_NAME = "Migrated Default Prompt"
"""The name of versions that come from a text column."""

AUTHOR = "migration"
"""The author of what migrations write."""


_number = attrgetter("version")

_NO_UTF8 = re.compile(r"[\ud800-\udfff]")
"""How bytes that are no text look after reading."""


def refusal(text: str) -> str:
    """Return why a text cannot be kept on every engine, or nothing."""
    if _NO_UTF8.search(text):
        return "its bytes are no valid UTF-8"
    return text_refusal(text)


def adopted_versions(
    versions: Iterable[PlannedVersion], pointers: Mapping[int, int | None]
) -> tuple[PlannedVersion, ...]:
    """Return the versions of a table of the first shape as they will stand: with a format, and one active per status.

    Args:
        versions: The versions as they stand.
        pointers: `active_default_prompt_id` by agent: of two active versions the one that it names stays active, else
            the newer one.
    """
    active: dict[tuple[int, str], PlannedVersion] = {}
    found = sorted(versions, key=lambda version: (version.agent_id, version.status_key, version.version))
    for version in found:
        key = (version.agent_id, version.status_key)
        if version.is_active and (key not in active or active[key].id != pointers.get(version.agent_id)):
            active[key] = version
    return tuple(
        replace(
            version,
            is_active=active.get((version.agent_id, version.status_key)) == version,
            format=version.format or format_of(version.text)[0],
        )
        for version in found
    )


def plan_texts(agents: Sequence[LegacyAgent], versions: Iterable[PlannedVersion]) -> tuple[AgentPlan, ...]:
    """Return what becomes of each agent's text.

    Args:
        agents: The agents with their texts.
        versions: The versions that exist already, as `adopted_versions` gives them.
    """
    by_agent: defaultdict[int, list[PlannedVersion]] = defaultdict(list)
    for version in versions:
        by_agent[version.agent_id].append(version)
    return tuple(_plan(agent, by_agent[agent.id]) for agent in sorted(agents, key=lambda agent: agent.name))


def plan_text(
    agent_id: int | None,
    agent: str,
    text: str | None,
    versions: Sequence[PlannedVersion],
    *,
    wins: bool = False,
    status_key: str = DEFAULT_STATUS_KEY,
    is_active: bool = True,
    format: Format | None = None,
) -> AgentPlan:
    """Return what becomes of one text, given the versions of its agent.

    Args:
        agent_id: The agent's id, if it exists.
        agent: The agent's name.
        text: The text.
        versions: The agent's versions.
        wins: Whether the text becomes active in any case; otherwise a version that is active stays so, and a text that
            differs from it is kept beside it.
        status_key: The status that it is for.
        is_active: Whether it is to be active at all.
        format: How it is read, where that is known.
    """
    if text is None or not text.strip():
        kind = Outcome.NULL if text is None else Outcome.BLANK if text else Outcome.EMPTY
        return AgentPlan(agent_id, agent, kind, status_key, text=text)
    mine = sorted((version for version in versions if version.status_key == status_key), key=_number)
    active = next((version for version in mine if version.is_active), None)
    before = active.version if active is not None else None
    plan = AgentPlan(agent_id, agent, Outcome.PRESENT, status_key, from_version=before, text=text)
    beside = f"version {active.version} is active" if active is not None and not wins else ""
    if not is_active:
        beside = beside or "it is not active there"
    same = active if active is not None and active.text == text else None
    same = same or next((version for version in reversed(mine) if version.text == text), None)
    if same is not None:
        plan = replace(plan, version=same.version, version_id=same.id, format=same.format or "handlebars")
        if same is active:
            return plan
        return replace(plan, reason=beside) if beside else replace(plan, outcome=Outcome.ACTIVATED)
    if reason := refusal(text):
        return replace(plan, outcome=Outcome.REFUSED, reason=reason)
    how, uses, verbatim = format_of(text)
    if format == "text":
        how, uses, verbatim = "text", (), ""
    return replace(
        plan,
        outcome=Outcome.INACTIVE if beside else Outcome.CREATED,
        version=mine[-1].version + 1 if mine else 1,
        format=how,
        reason="; ".join(filter(None, (verbatim, beside))),
        uses=uses,
    )


def _plan(agent: LegacyAgent, versions: Sequence[PlannedVersion]) -> AgentPlan:
    """Return what becomes of an agent of the application's table."""
    unchanged = agent.archived and agent.text == agent.archived_text
    same = max((version for version in versions if version.text == agent.text), key=_number, default=None)
    if unchanged and same is not None:
        # What the downgrade had written there; what is active now was brought back from the archive.
        plan = AgentPlan(agent.id, agent.name, Outcome.PRESENT, same.status_key, same.version, same.id, text=same.text)
    else:
        # A text that was changed since the downgrade is the newest wish.
        plan = plan_text(agent.id, agent.name, agent.text, versions, wins=agent.archived and not unchanged)
    names = set(plan.uses)
    for version in versions:
        if version.format != "text":
            names.update(format_of(version.text)[1])
    pointed = next((version for version in versions if version.id == agent.pointer), None)
    primary = None if agent.archived else pointed.status_key if pointed is not None else DEFAULT_STATUS_KEY
    return replace(plan, variables=tuple(sorted(names)), primary=primary)
