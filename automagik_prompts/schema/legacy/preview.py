"""For a database from before this library: what an upgrade would do to it, said without writing anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automagik_prompts.schema import migrations
from automagik_prompts.schema.legacy import archive
from automagik_prompts.schema.legacy.adopt import is_foreign
from automagik_prompts.schema.legacy.checks import find_blockers
from automagik_prompts.schema.legacy.plan import adopted_versions, plan_texts
from automagik_prompts.schema.legacy.planned import AgentPlan, Outcome, PlannedVersion
from automagik_prompts.schema.legacy.tables import TEXT_COLUMN, read_agents, read_versions
from automagik_prompts.schema.outlook import has_host_tables
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.introspection import columns
from automagik_prompts.storage.readonly import read_only


@dataclass(frozen=True, slots=True)
class Preview:
    """What an upgrade would do.

    Attributes:
        agents: What becomes of each agent's text, by name.
        blockers: Why it cannot be done, each with what to do; then nothing would be changed.
        pending: The migrations that would be applied.
        doubled: Statuses of which two versions are active, and which one would stay so.
        restored: How many versions would come back from the archive of a downgrade.
        without_texts: The application's table `agents` has no column with texts.
        foreign: The table `agents` may be about something else, and must be said to be meant.
        inactive: Statuses with versions of which none would be active.
        versions: What the table `prompts` has already, a line for each status.
    """

    agents: tuple[AgentPlan, ...] = ()
    blockers: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    restored: int = 0
    without_texts: bool = False
    foreign: bool = False
    inactive: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()


async def preview(database_url: str) -> Preview:
    """Return what `migrate.upgrade` would do to a database, without writing anything.

    Raises:
        DatabaseUnavailableError: The database cannot be read.
    """
    return await read_only(database_url, _preview)


async def _preview(db: DatabaseReader) -> Preview:
    pending = migrations.missing_versions(await migrations.read_applied(db))
    if len(pending) == len(migrations.all_migrations()) and (found := await find_blockers(db)):
        return Preview(pending=pending, blockers=found)
    if not pending or not await has_host_tables(db):
        return Preview(pending=pending)
    agents, present = await read_agents(db), await read_versions(db)
    plan = archive.plan_restore(await archive.read_archive(db), {agent.name: agent.id for agent in agents}, present)
    there = {item.version.id for item in plan if item.is_there}
    versions = [*(version for version in present if version.id not in there), *(item.version for item in plan)]
    adopted = adopted_versions(versions, {agent.id: agent.pointer for agent in agents})
    names = {agent.id: agent.name for agent in agents}
    active = {(version.agent_id, version.status_key) for version in adopted if version.is_active}
    plans = plan_texts(agents, adopted)
    written = {Outcome.CREATED, Outcome.ACTIVATED}
    active |= {(plan.agent_id or 0, plan.status_key) for plan in plans if plan.outcome in written}
    inactive = {(version.agent_id, version.status_key) for version in adopted} - active
    return Preview(
        agents=plans,
        pending=pending,
        doubled=_doubled(versions, adopted, names),
        restored=len(plan),
        without_texts=bool(agents) and TEXT_COLUMN not in await columns(db, "agents"),
        foreign=len(pending) == len(migrations.all_migrations()) and await is_foreign(db),
        inactive=tuple(f"{names.get(agent_id, agent_id)}/{status_key}" for agent_id, status_key in sorted(inactive)),
        versions=_present(adopted, names),
    )


def _present(versions: Sequence[PlannedVersion], names: Mapping[int, str]) -> tuple[str, ...]:
    """Return which versions the statuses have already, and which one is active."""
    found: defaultdict[tuple[int, str], list[PlannedVersion]] = defaultdict(list)
    for version in versions:
        found[version.agent_id, version.status_key].append(version)
    lines = []
    for (agent_id, status_key), mine in sorted(found.items()):
        active = next((f"version {version.version} active" for version in mine if version.is_active), "none active")
        lines.append(
            f"{names.get(agent_id, agent_id)}/{status_key}: {len(mine)} version{'s' * (len(mine) > 1)}, {active}"
        )
    return tuple(lines)


def _doubled(
    before: Sequence[PlannedVersion], after: Sequence[PlannedVersion], names: Mapping[int, str]
) -> tuple[str, ...]:
    """Return of which statuses two versions are active, and which one stays so."""
    active: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for version in before:
        if version.is_active:
            active[version.agent_id, version.status_key].append(version.version)
    stays = {(version.agent_id, version.status_key): version.version for version in after if version.is_active}
    return tuple(
        f"{names[agent_id]}/{status_key}: versions {', '.join(map(str, sorted(numbers)))} are active, version "
        f"{stays[agent_id, status_key]} stays so"
        for (agent_id, status_key), numbers in sorted(active.items())
        if len(numbers) > 1
    )
