"""Importing the texts of another database: each becomes a version here, once, however often it is done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.database_url import redacted_url, sqlite_path
from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY
from automagik_prompts.domain.records import Action, AgentInfo, EventCreate, PromptCreate
from automagik_prompts.domain.validation import check_name
from automagik_prompts.exceptions import ConfigurationError, InvalidPromptError
from automagik_prompts.schema.legacy.plan import AUTHOR, MIGRATED_NAME, plan_text
from automagik_prompts.schema.legacy.planned import AgentPlan, Outcome, PlannedVersion, SourceText
from automagik_prompts.schema.legacy.tables import read_agents, read_source_versions, read_texts, read_versions, shown
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.introspection import columns, folded, kind_of
from automagik_prompts.storage.readonly import read_only

_BATCH = 200
"""Agents in one transaction of an import, at most, so that people who write do not wait long."""

_WRITTEN = frozenset({Outcome.CREATED, Outcome.INACTIVE, Outcome.ACTIVATED})

Progress = Callable[[int], Callable[[], None]]
"""Called with how many texts there are; returns what is called after each."""


@dataclass(frozen=True, slots=True)
class TextSource:
    """Another database whose texts are to be imported.

    Attributes:
        url: Its URL.
        table: The table; on PostgreSQL also `schema.table`.
        name_column: The column with the agents' names.
        text_column: The column with their texts.
    """

    url: str = field(repr=False)
    table: str = "agents"
    name_column: str = "name"
    text_column: str = "system_prompt"

    def __str__(self) -> str:
        return f"{self.table}.{self.text_column} of {redacted_url(self.url)}"


async def preview_import(database_url: str, source: TextSource) -> tuple[AgentPlan, ...]:
    """Return what would become of each text, without writing anything.

    Args:
        database_url: The database to import into; an SQLite file that does not exist counts as empty.
        source: Where the texts are.

    Raises:
        ConfigurationError: The source has no such table or column, or a name twice.
        DatabaseUnavailableError: One of the databases cannot be read.
    """
    texts = await read_source(source)
    path = sqlite_path(database_url)
    if path is not None and not path.exists():
        return _plans(texts, {}, [])

    async def look(db: DatabaseReader) -> tuple[AgentPlan, ...]:
        known = {agent.name: agent.id for agent in await read_agents(db)} if await columns(db, "agents") else {}
        return _plans(texts, known, await read_versions(db))

    return await read_only(database_url, look)


async def import_texts(
    database: Database, source: TextSource, progress: Progress | None = None
) -> tuple[AgentPlan, ...]:
    """Make a version of each text of another database, adding agents that do not exist.

    What is there already is not written again, so that an import that was interrupted can simply be run again. The
    other database is only read.

    Args:
        database: An open database with the schema of this release.
        source: Where the texts are.
        progress: Called with how far it is.

    Returns:
        What became of each text, by name.

    Raises:
        ConfigurationError: The source has no such table or column, or a name twice.
        SchemaError: Agents cannot be added to this database.
        DatabaseUnavailableError: One of the databases cannot be used.
    """
    texts = await read_source(source)
    step = progress(len(texts)) if progress is not None else None
    done: list[AgentPlan] = []
    for batch in _batches(texts):
        plans = await database.run(_plan_batch, batch)
        if any(plan.outcome in _WRITTEN for plan in plans):
            plans = await database.transaction(_import_batch, plans, batch, f"from {source}")
        done += plans
        if step is not None:
            for _ in plans:
                step()
    return tuple(done)


def _batches(texts: Sequence[SourceText]) -> Iterator[list[SourceText]]:
    """Cut texts into batches, never between two texts of one agent."""
    batch: list[SourceText] = []
    for text in texts:
        if len(batch) >= _BATCH and batch[-1].name != text.name:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


async def read_source(source: TextSource) -> list[SourceText]:
    """Return the texts of another database, by agent: those of a table, else its versions where it keeps such.

    A database of the shape that this library grew from has a table `prompts` beside `agents`: its versions are taken
    with their statuses, whether they are active, and their times.

    Raises:
        ConfigurationError: There is no such table or column, or a name is missing or stands there twice.
        DatabaseUnavailableError: The database cannot be read.
    """
    schema, _, table = source.table.rpartition(".")

    async def look(db: DatabaseReader) -> list[SourceText]:
        if await kind_of(db, table) is None:
            raise ConfigurationError(
                f"There is no table {source.table!r} in {redacted_url(source.url)}. Name the right one with --table."
            )
        versions = await read_source_versions(db) if table == "agents" else []
        present = await columns(db, table)
        if versions and folded(db, source.text_column) not in present:
            return versions
        for column, option in ((source.name_column, "--name-column"), (source.text_column, "--text-column")):
            if folded(db, column) not in present:
                raise ConfigurationError(
                    f"The table {source.table!r} of {redacted_url(source.url)} has no column {column!r}; it has "
                    f"{', '.join(sorted(present))}. Name the right one with {option}."
                )
        rows = await read_texts(db, table, source.name_column, source.text_column)
        _check_names(source, [name for name, _ in rows])
        texts = [SourceText(name, text, where=f"a row of {source.table}") for name, text in rows]
        # A text that is kept beside its versions comes after them: it is the same, or what was written last.
        return [*versions, *(text for text in texts if text.text or not versions)]

    found = await read_only(source.url, look, schema=schema or None)
    if nameless := [text.where for text in found if text.name is None and text.where.endswith("of prompts)")]:
        raise ConfigurationError(
            f"Whose texts these are cannot be told, as there is no agent or its name is missing: {shown(nameless)}. "
            "Give each agent a name, or take the rows out."
        )
    return sorted(found, key=lambda text: str(text.name))


def _check_names(source: TextSource, names: Sequence[str | None]) -> None:
    """Make sure that each row has a name of its own.

    Raises:
        ConfigurationError: Some do not; the message names them all.
    """
    twice = sorted(repr(name) for name, number in Counter(names).items() if number > 1 and name)
    if twice:  # a row without a name alone is refused by itself
        missing = sum(not name for name in names)
        nameless = f" and {missing} row{'s' if missing > 1 else ''} without a name" if missing else ""
        raise ConfigurationError(
            f"The column {source.name_column!r} of {source.table!r} has the same name in several rows: {shown(twice)}"
            f"{nameless}. Which text is meant cannot be told; give each a name of its own, or import from a view that "
            "does."
        )


def _plans(
    texts: Sequence[SourceText], agents: Mapping[str, int], versions: Sequence[PlannedVersion]
) -> tuple[AgentPlan, ...]:
    by_agent: defaultdict[int, list[PlannedVersion]] = defaultdict(list)
    for version in versions:
        by_agent[version.agent_id].append(version)
    plans: list[AgentPlan] = []
    new: dict[str, list[PlannedVersion]] = {}
    for item in texts:
        name = item.name or ""
        agent_id = agents.get(name)
        mine = by_agent[agent_id] if agent_id is not None else new.setdefault(name, [])
        plan = plan_text(
            agent_id, name, item.text, mine, status_key=item.status_key, is_active=item.is_active, format=item.format
        )
        if plan.outcome in _WRITTEN:
            try:
                check_name(name, "agent name")
                check_name(item.status_key, "status key")
            except InvalidPromptError as error:
                plan = replace(plan, outcome=Outcome.REFUSED, reason=error.message)
        if plan.outcome in {Outcome.CREATED, Outcome.INACTIVE} and plan.version is not None:
            active = plan.outcome is Outcome.CREATED
            mine.append(
                PlannedVersion(0, agent_id or 0, plan.status_key, plan.version, item.text or "", active, plan.format)
            )
        plans.append(plan)
    return tuple(plans)


async def _plan_batch(client: BaseDBAsyncClient, texts: Sequence[SourceText]) -> tuple[AgentPlan, ...]:
    agents = {
        agent.name: agent.id for agent in await repository.get_agents(client, [text.name or "" for text in texts])
    }
    return _plans(texts, agents, await read_versions(Connection(client), agents.values()) if agents else [])


async def _import_batch(
    client: BaseDBAsyncClient, plans: Sequence[AgentPlan], texts: Sequence[SourceText], note: str
) -> tuple[AgentPlan, ...]:
    """Write one batch, decided again under the locks of its agents."""
    # The first statement is a write, as SQLite wants it; the locks are taken in the order of the ids, as everywhere.
    ids = {plan.agent_id for plan in plans if plan.agent_id is not None and plan.outcome in _WRITTEN}
    unknown = {plan.agent: plan for plan in reversed(plans) if plan.agent_id is None and plan.outcome in _WRITTEN}
    if new := [AgentInfo(0, name, default_status_key=_primary(name, plans)) for name in sorted(unknown)]:
        await repository.add_agents(client, new)
        ids |= {agent.id for agent in await repository.get_agents(client, [agent.name for agent in new])}
    locked = {agent.name: agent for agent in await repository.lock_agents(client, ids)}
    decided = await _plan_batch(client, texts)
    new_plans = [
        (plan, text)
        for plan, text in zip(decided, texts, strict=True)
        if plan.outcome in {Outcome.CREATED, Outcome.INACTIVE} and plan.agent in locked and plan.text is not None
    ]
    written = await repository.create_prompts(
        client,
        [
            PromptCreate(
                agent_id=locked[plan.agent].id,
                prompt_text=plan.text or "",
                status_key=plan.status_key,
                format=plan.format,
                is_default_from_code=True,
                is_active=plan.outcome is Outcome.CREATED,
                name=text.title or MIGRATED_NAME,
                author=text.author or AUTHOR,
                note="; ".join(filter(None, (text.note, note, plan.reason))),
                created_at=text.created_at,
                updated_at=text.updated_at,
            )
            for plan, text in new_plans
        ],
    )
    events = []
    for (plan, _), prompt in zip(new_plans, written, strict=True):
        events.append(_event(plan, Action.CREATED, locked[plan.agent], prompt.id, note))
        if prompt.is_active:
            events.append(_event(plan, Action.ACTIVATED, locked[plan.agent], prompt.id, note))
    for plan in decided:
        if plan.outcome is Outcome.ACTIVATED and plan.agent in locked and plan.version_id is not None:
            await repository.set_prompt_active(client, locked[plan.agent].id, plan.version_id, plan.status_key)
            events.append(_event(plan, Action.ACTIVATED, locked[plan.agent], plan.version_id, note))
    await repository.add_events(client, events)
    for plan in decided:
        agent = locked.get(plan.agent)
        if agent is not None and not set(plan.uses).issubset(agent.variables):
            await repository.set_agent_facts(
                client,
                agent.id,
                default_status_key=agent.default_status_key,
                variables=sorted({*agent.variables, *plan.uses}),
                protected=agent.protected,
            )
    await repository.point_to_active(client, (agent.id for agent in locked.values()))
    return decided


def _primary(agent: str, plans: Sequence[AgentPlan]) -> str:
    """Return the primary status of an agent that is added: `default`, or the first one that has an active version."""
    mine = [plan for plan in plans if plan.agent == agent and plan.outcome in _WRITTEN]
    if any(plan.status_key == DEFAULT_STATUS_KEY for plan in mine):
        return DEFAULT_STATUS_KEY
    return next((plan.status_key for plan in mine if plan.outcome is Outcome.CREATED), mine[0].status_key)


def _event(plan: AgentPlan, action: Action, agent: AgentInfo, prompt_id: int, note: str) -> EventCreate:
    return EventCreate(
        agent_id=agent.id,
        status_key=plan.status_key,
        action=action,
        revision=agent.revision,
        prompt_id=prompt_id,
        version=plan.version,
        from_version=plan.from_version if action is Action.ACTIVATED else None,
        author=AUTHOR,
        note=note,
    )
