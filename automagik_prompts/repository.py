"""All queries of the library; nothing else reads or writes its tables.

Every function takes a connection, and gives and takes values, never rows. Functions that write expect to run inside a
transaction that began with `lock_agent` or `lock_agents`: that UPDATE is the lock that keeps versions without gaps,
the signal that tells other processes, and the token for optimistic writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import IntegrityError
from tortoise.expressions import F, RawSQL
from tortoise.queryset import QuerySet

from automagik_prompts.catalogue import Connection, required_columns
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.models import AgentRow, EventRow, PromptRow, UtcField
from automagik_prompts.types import (
    Action,
    ActiveVersion,
    AgentInfo,
    Event,
    EventCreate,
    Prompt,
    PromptCreate,
    content_hash,
)

T = TypeVar("T")

CHANNEL = "automagik_prompts"
"""The channel on which PostgreSQL notifies; an empty payload means that there is news."""

_NOW = "CURRENT_TIMESTAMP"
"""The time in `agents`: the database's own, which fits a host's column whatever its type is."""

_AGENT_FIELDS = ("id", "name", "default_status_key", "active_default_prompt_id", "variables", "revision")
_AGENT_COLUMNS = frozenset({"name", "default_status_key", "variables", "revision", "created_at", "updated_at"})
"""The columns of `agents` that are written when an agent is added."""

_TIME = UtcField()
_CHUNK = 500
"""Values in one statement, at most: SQLite allows 999 in old versions."""


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """What seeding must know of a version that came from code; its text stays in the database."""

    id: int
    agent_id: int
    status_key: str
    version: int
    content_hash: str
    format: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where the versions of one status stand.

    Attributes:
        latest: The highest version number.
        active: The active version's number, if there is one.
        active_from_code: Whether that one came from code.
    """

    latest: int
    active: int | None
    active_from_code: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one status of an agent stands, in all that an overview needs; without its texts.

    Attributes:
        agent: The agent's name.
        revision: The agent's revision.
        status_key: The status.
        primary: Whether it is the agent's primary status.
        versions: How many versions there are.
        latest: The highest version number.
        code_version: The code default: the newest version that came from code, if there is one.
        active: The active version's number, if there is one.
        from_code: Whether that one came from code.
        author: Who wrote it.
        name: Its name for people.
        note: Why it was written.
        created_at: When it was written.
        active_since: When it was activated.
    """

    agent: str
    revision: int
    status_key: str
    primary: bool
    versions: int
    latest: int
    code_version: int | None
    active: int | None = None
    from_code: bool = False
    author: str | None = None
    name: str | None = None
    note: str | None = None
    created_at: datetime | None = None
    active_since: datetime | None = None

    @property
    def drift(self) -> bool:
        """Whether the code has changed under a person's version: nobody has decided between the two since."""
        if self.active is None or self.from_code or self.code_version is None:
            return False
        return self.code_version > self.active


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a version from others of its status, without its text."""

    status_key: str
    version: int
    content_hash: str
    format: str
    name: str | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class Marker:
    """A fingerprint of everything that is active; it differs after every write, also after one by plain SQL."""

    agents: int
    revisions: int
    active: int
    active_ids: int
    active_versions: int


@dataclass(frozen=True, slots=True)
class ActiveSet:
    """Everything that a snapshot is built from, read in one statement.

    Attributes:
        agents: All agents.
        active: Every active version.
        marker: The fingerprint of both.
    """

    agents: tuple[AgentInfo, ...]
    active: tuple[ActiveVersion, ...]
    marker: Marker


# The seven functions of the original design, by their names.


async def create_prompt(db: BaseDBAsyncClient, data: PromptCreate) -> Prompt:
    """Write the next version of an agent's text for a status.

    The agent must be locked by this transaction; that is what keeps the numbers without gaps.

    Args:
        db: The connection of a transaction.
        data: What to write. Where `is_active` is set, the version takes the place of the one that was active.
    """
    written = (await create_prompts(db, [replace(data, is_active=False)]))[0]
    if not data.is_active:
        return written
    return await set_prompt_active(db, data.agent_id, written.id, data.status_key) or written


async def get_prompt_by_id(db: BaseDBAsyncClient, prompt_id: int) -> Prompt | None:
    """Return a version by its id, or `None`."""
    row = await PromptRow.filter(id=prompt_id).using_db(db).first()
    return _prompt(row) if row is not None else None


async def get_active_prompt(db: BaseDBAsyncClient, agent_id: int, status_key: str) -> Prompt | None:
    """Return the active version of an agent's text for a status, or `None`."""
    row = await PromptRow.filter(agent_id=agent_id, status_key=status_key, is_active=True).using_db(db).first()
    return _prompt(row) if row is not None else None


async def set_prompt_active(
    db: BaseDBAsyncClient, agent_id: int, prompt_id: int | None, status_key: str
) -> Prompt | None:
    """Make one version the active one of its agent and status, or none.

    The agent must be locked by this transaction. Where the status is the agent's primary one,
    `active_default_prompt_id` follows.

    Args:
        db: The connection of a transaction.
        agent_id: The agent's id.
        prompt_id: The version's id, or `None` to leave the status without an active version.
        status_key: The status.

    Returns:
        The active version, or `None` if there is none now or the id belongs to another agent or status.
    """
    now = _now()
    mine = PromptRow.filter(agent_id=agent_id, status_key=status_key)
    if prompt_id is not None and not await mine.filter(id=prompt_id).using_db(db).exists():
        return None
    # In two steps: with one UPDATE the order of the rows decides whether the unique index objects.
    await mine.filter(is_active=True).using_db(db).update(is_active=False, updated_at=now)
    if prompt_id is not None:
        await mine.filter(id=prompt_id).using_db(db).update(is_active=True, updated_at=now)
    await (
        AgentRow.filter(id=agent_id, default_status_key=status_key)
        .using_db(db)
        .update(active_default_prompt_id=prompt_id)
    )
    return await get_prompt_by_id(db, prompt_id) if prompt_id is not None else None


async def find_code_default_prompt(db: BaseDBAsyncClient, agent_id: int, status_key: str) -> Prompt | None:
    """Return the code default of an agent's status, the newest version that came from code, or `None`."""
    row = (
        await PromptRow.filter(agent_id=agent_id, status_key=status_key, is_default_from_code=True)
        .order_by("-version")
        .using_db(db)
        .first()
    )
    return _prompt(row) if row is not None else None


async def get_latest_version_for_status(db: BaseDBAsyncClient, agent_id: int, status_key: str) -> int | None:
    """Return the highest version number of an agent's status, or `None` if there is no version."""
    rows = (
        await PromptRow.filter(agent_id=agent_id, status_key=status_key)
        .order_by("-version")
        .limit(1)
        .using_db(db)
        .values_list("version", flat=True)
    )
    return int(rows[0]) if rows else None  # type: ignore[call-overload]  # values_list is typed as tuples


async def get_prompts_by_agent_id(
    db: BaseDBAsyncClient, agent_id: int, status_key: str | None = None, *, limit: int | None = None
) -> list[Prompt]:
    """Return an agent's versions, by status and then newest first.

    Args:
        db: The connection.
        agent_id: The agent's id.
        status_key: Only this status.
        limit: At most this many.
    """
    query = PromptRow.filter(agent_id=agent_id)
    if status_key is not None:
        query = query.filter(status_key=status_key)
    query = query.order_by("status_key", "-version")
    if limit is not None:
        query = query.limit(limit)
    return [_prompt(row) for row in await query.using_db(db)]


# Agents.


async def get_agent(db: BaseDBAsyncClient, name: str) -> AgentInfo | None:
    """Return an agent by its name, or `None`."""
    row = await _agents().filter(name=name).using_db(db).first()
    return _agent(row) if row is not None else None


async def get_agents(db: BaseDBAsyncClient, names: Iterable[str] | None = None) -> list[AgentInfo]:
    """Return agents by name, sorted; all of them where no names are given."""
    if names is None:
        return [_agent(row) for row in await _agents().order_by("name").using_db(db)]
    found: list[AgentInfo] = []
    for chunk in _chunks(sorted(set(names))):
        found += [_agent(row) for row in await _agents().filter(name__in=chunk).order_by("name").using_db(db)]
    return found


async def add_agents(db: BaseDBAsyncClient, agents: Sequence[AgentInfo]) -> None:
    """Write agents that do not exist yet; one that somebody else wrote meanwhile stays as it is.

    Raises:
        SchemaError: The table is a host's, and its own columns do not let a row be added without them.
    """
    connection = Connection(db)
    if connection.dialect == "postgres":
        # First, as after an error this transaction could not ask any more; on SQLite the first statement is a write.
        await _check_required(connection, agents)
    try:
        await connection.run_many(
            "INSERT INTO agents (name, default_status_key, variables, revision, created_at, updated_at) "
            f"VALUES (?, ?, ?, 0, {_NOW}, {_NOW}) ON CONFLICT DO NOTHING",
            [(agent.name, agent.default_status_key, json.dumps(agent.variables)) for agent in agents],
        )
    except IntegrityError as error:
        if connection.dialect == "sqlite":
            await _check_required(connection, agents)
        raise SchemaError(
            f"The {_named(agents)} cannot be added to the table agents, which another application has "
            f"made: {error}. Add them with that application."
        ) from error
    known = {agent.name for agent in await get_agents(db, [agent.name for agent in agents])}
    if left := [agent for agent in agents if agent.name not in known]:
        raise SchemaError(
            f"The {_named(left)} cannot be added to the table agents, which another application has made "
            "and which takes something else of them for a duplicate. Add them with that application."
        )


async def lock_agent(db: BaseDBAsyncClient, agent_id: int, *, notify: bool = True) -> AgentInfo | None:
    """Raise an agent's revision and return the agent: the first statement of every transaction that writes.

    Until the transaction ends no other process can write to this agent. On PostgreSQL the listening processes are
    notified when it is committed.

    Args:
        db: The connection of a transaction.
        agent_id: The agent's id.
        notify: Whether to notify; a transaction that locks many agents does it once, by `notify_listeners`.
    """
    changed = (
        await AgentRow.filter(id=agent_id).using_db(db).update(revision=F("revision") + 1, updated_at=RawSQL(_NOW))
    )
    if not changed:
        return None
    if notify:
        await notify_listeners(db)
    row = await _agents().filter(id=agent_id).using_db(db).first()
    return _agent(row) if row is not None else None


async def hold_agent(db: BaseDBAsyncClient, agent_id: int) -> AgentInfo | None:
    """Lock an agent and return it, without raising its revision: for events that change nothing of what is served.

    Args:
        db: The connection of a transaction.
        agent_id: The agent's id.
    """
    if not await AgentRow.filter(id=agent_id).using_db(db).update(revision=F("revision")):
        return None
    row = await _agents().filter(id=agent_id).using_db(db).first()
    return _agent(row) if row is not None else None


async def lock_agents(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> list[AgentInfo]:
    """Do the same as `lock_agent` for many agents at once, and notify once; one that was deleted is left out.

    The locks are taken in the order of the ids, as whoever locks several agents does, so that nobody waits in a circle.
    """
    found: list[AgentInfo] = []
    for chunk in _chunks(sorted(set(agent_ids))):
        numbers = _numbers(chunk)
        if db.capabilities.dialect == "postgres":
            await db.execute_query(f"SELECT id FROM agents WHERE id IN ({numbers}) ORDER BY id FOR UPDATE")
        await db.execute_query(
            f"UPDATE agents SET revision = revision + 1, updated_at = {_NOW} WHERE id IN ({numbers})"
        )
        found += [_agent(row) for row in await _agents().filter(id__in=chunk).order_by("id").using_db(db)]
    await notify_listeners(db)
    return found


async def point_to_active(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> None:
    """Make `active_default_prompt_id` of some agents the active version of their primary status."""
    for chunk in _chunks(sorted(set(agent_ids))):
        await db.execute_query(
            "UPDATE agents SET active_default_prompt_id = (SELECT p.id FROM prompts p WHERE p.agent_id = agents.id "
            "AND p.status_key = agents.default_status_key AND p.is_active = true) "
            f"WHERE id IN ({_numbers(chunk)})"
        )


async def notify_listeners(db: BaseDBAsyncClient) -> None:
    """Have PostgreSQL tell the listening processes, when this transaction is committed, that there is news."""
    if db.capabilities.dialect == "postgres":
        await db.execute_query(f"SELECT pg_notify('{CHANNEL}', '')")


async def set_agent_facts(
    db: BaseDBAsyncClient, agent_id: int, *, default_status_key: str, variables: Sequence[str]
) -> None:
    """Write what the code says of an agent besides its texts; `active_default_prompt_id` follows the primary status."""
    active = await get_active_prompt(db, agent_id, default_status_key)
    await (
        AgentRow.filter(id=agent_id)
        .using_db(db)
        .update(
            default_status_key=default_status_key,
            variables=list(variables),
            active_default_prompt_id=active.id if active is not None else None,
        )
    )


# Versions.


async def create_prompts(db: BaseDBAsyncClient, new: Sequence[PromptCreate]) -> list[Prompt]:
    """Write the next versions of several texts, at most one for an agent and status.

    The agents must be locked by this transaction. Where `is_active` is set, the caller has deactivated the version that
    was active.
    """
    if not new:
        return []
    now = _now()
    if len(new) == 1:
        latest = {_key(new[0]): await get_latest_version_for_status(db, *_key(new[0])) or 0}
    else:
        heads = await get_heads(db, {data.agent_id for data in new})
        latest = {key: head.latest for key, head in heads.items()}
    for key, deleted in (await get_deleted_versions(db, {data.agent_id for data in new})).items():
        latest[key] = max(latest.get(key, 0), deleted)
    rows = [
        PromptRow(
            agent_id=data.agent_id,
            status_key=data.status_key,
            version=latest.get(_key(data), 0) + 1,
            prompt_text=data.prompt_text,
            format=data.format,
            is_active=data.is_active,
            is_default_from_code=data.is_default_from_code,
            name=data.name,
            content_hash=content_hash(data.prompt_text),
            author=data.author,
            note=data.note,
            created_at=now,
            updated_at=now,
        )
        for data in new
    ]
    if len(rows) == 1:
        await rows[0].save(using_db=db, force_create=True)
        return [_prompt(rows[0])]
    await PromptRow.bulk_create(rows, batch_size=60, using_db=db)
    ids: dict[tuple[int, str, int], int] = {}
    for agent_ids in _chunks(sorted({row.agent_id for row in rows})):
        _, found = await db.execute_query(
            "SELECT id, agent_id, status_key, version FROM prompts "
            f"WHERE agent_id IN ({_numbers(agent_ids)}) AND version IN ({_numbers({row.version for row in rows})})"
        )
        ids |= {(row["agent_id"], row["status_key"], row["version"]): row["id"] for row in map(dict, found)}
    for row in rows:
        row.id = ids[row.agent_id, row.status_key, row.version]
    return [_prompt(row) for row in rows]


async def delete_prompt(db: BaseDBAsyncClient, prompt_id: int) -> None:
    """Delete a version; its events stay, and its number is never given again.

    The agent must be locked by this transaction, and the version must not be active.
    """
    await PromptRow.filter(id=prompt_id, is_active=False).using_db(db).delete()


async def get_deleted_versions(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> dict[tuple[int, str], int]:
    """Return the highest version number that was deleted, by agent id and status key."""
    found: dict[tuple[int, str], int] = {}
    for chunk in _chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT agent_id, status_key, MAX(version) AS version FROM prompt_events "
            f"WHERE action = '{Action.DELETED.value}' AND agent_id IN ({_numbers(chunk)}) GROUP BY agent_id, status_key"
        )
        found |= {(row["agent_id"], row["status_key"]): row["version"] for row in map(dict, rows)}
    return found


async def get_version(db: BaseDBAsyncClient, agent_id: int, status_key: str, version: int) -> Prompt | None:
    """Return a version by its number, or `None`."""
    row = await PromptRow.filter(agent_id=agent_id, status_key=status_key, version=version).using_db(db).first()
    return _prompt(row) if row is not None else None


async def get_newest_versions(db: BaseDBAsyncClient, agent_id: int, *, limit: int) -> list[Prompt]:
    """Return an agent's newest versions of all statuses, newest first."""
    return [_prompt(row) for row in await PromptRow.filter(agent_id=agent_id).order_by("-id").limit(limit).using_db(db)]


async def get_status_keys(db: BaseDBAsyncClient, agent_id: int) -> list[str]:
    """Return the status keys of which an agent has versions, sorted."""
    found = (
        await PromptRow.filter(agent_id=agent_id)
        .distinct()
        .order_by("status_key")
        .using_db(db)
        .values_list("status_key", flat=True)
    )
    return [str(key) for key in found]


async def get_active_set(db: BaseDBAsyncClient) -> ActiveSet:
    """Return all agents with their active versions: one statement, however many versions there are."""
    # `is_active = true` stands literally in the statement: a bound value would keep SQLite off the partial index.
    _, rows = await db.execute_query(
        "SELECT a.id, a.name, a.default_status_key, a.active_default_prompt_id, a.variables, a.revision, "
        "p.id AS prompt_id, p.status_key, p.version, p.prompt_text, p.format "
        "FROM agents a LEFT JOIN prompts p ON p.agent_id = a.id AND p.is_active = true"
    )
    agents: dict[int, AgentInfo] = {}
    active: list[ActiveVersion] = []
    for row in map(dict, rows):
        agent = agents.get(row["id"])
        if agent is None:
            agent = agents[row["id"]] = AgentInfo(
                id=row["id"],
                name=_label(row["name"]),
                default_status_key=_label(row["default_status_key"]),
                active_default_prompt_id=row["active_default_prompt_id"],
                variables=_names(row["variables"]),
                revision=_number(row["revision"]),
            )
        if row["prompt_id"] is not None:
            version = ActiveVersion(
                agent=agent.name,
                prompt_id=row["prompt_id"],
                status_key=_label(row["status_key"]),
                version=_number(row["version"]),
                prompt_text=_text(row["prompt_text"]),
                format=_label(row["format"]),
            )
            active.append(version)
    marker = Marker(
        agents=len(agents),
        revisions=sum(agent.revision for agent in agents.values()),
        active=len(active),
        active_ids=sum(version.prompt_id for version in active),
        active_versions=sum(version.version for version in active),
    )
    return ActiveSet(tuple(agents.values()), tuple(active), marker)


async def get_marker(db: BaseDBAsyncClient) -> Marker:
    """Return the fingerprint of what is active: one statement over small indexes."""
    _, rows = await db.execute_query(
        "SELECT a.n AS agents, a.r AS revisions, p.n AS active, p.i AS active_ids, p.v AS active_versions FROM "
        "(SELECT COUNT(*) AS n, COALESCE(SUM(revision), 0) AS r FROM agents) a, "
        "(SELECT COUNT(*) AS n, COALESCE(SUM(id), 0) AS i, COALESCE(SUM(version), 0) AS v FROM prompts "
        "WHERE is_active = true) p"
    )
    row = dict(rows[0])
    return Marker(**{name: int(row[name]) for name in Marker.__slots__})


async def get_code_versions(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> list[CodeVersion]:
    """Return the versions of agents that came from code, without their texts."""
    found: list[CodeVersion] = []
    for chunk in _chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT id, agent_id, status_key, version, content_hash, format FROM prompts "
            f"WHERE is_default_from_code = true AND agent_id IN ({_numbers(chunk)}) "
            "ORDER BY agent_id, status_key, version"
        )
        found += [CodeVersion(**dict(row)) for row in rows]
    return found


async def get_heads(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> dict[tuple[int, str], Head]:
    """Return where each status of some agents stands, by agent id and status key."""
    found: dict[tuple[int, str], Head] = {}
    for chunk in _chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT agent_id, status_key, MAX(version) AS latest, MAX(CASE WHEN is_active THEN version END) AS active, "
            "MAX(CASE WHEN is_active AND is_default_from_code THEN 1 ELSE 0 END) AS active_from_code FROM prompts "
            f"WHERE agent_id IN ({_numbers(chunk)}) GROUP BY agent_id, status_key"
        )
        for row in map(dict, rows):
            head = Head(row["latest"], row["active"], bool(row["active_from_code"]))
            found[row["agent_id"], row["status_key"]] = head
    return found


async def get_standings(db: BaseDBAsyncClient, agent_id: int | None = None) -> list[Standing]:
    """Return where each status stands, of one agent or of all, sorted; two queries, and no text is read."""
    where = "" if agent_id is None else f"WHERE p.agent_id = {int(agent_id)} "
    _, counted = await db.execute_query(
        "SELECT a.name AS agent, p.agent_id, p.status_key, COUNT(*) AS versions, MAX(p.version) AS latest, "
        "MAX(CASE WHEN p.is_default_from_code THEN p.version END) AS code_version, a.default_status_key, a.revision "
        f"FROM prompts p JOIN agents a ON a.id = p.agent_id {where}"
        "GROUP BY a.name, p.agent_id, p.status_key, a.default_status_key, a.revision ORDER BY a.name, p.status_key"
    )
    _, active = await db.execute_query(
        "SELECT p.agent_id, p.status_key, p.version, p.is_default_from_code, p.author, p.name, p.note, p.created_at, "
        f"p.updated_at FROM prompts p {where or 'WHERE '}{'AND ' if where else ''}p.is_active = true"
    )
    actives = {(row["agent_id"], row["status_key"]): row for row in map(dict, active)}
    found: list[Standing] = []
    for row in map(dict, counted):
        facts: dict[str, Any] = {}
        if (now := actives.get((row["agent_id"], row["status_key"]))) is not None:
            facts = {name: now[name] for name in ("author", "name", "note")}
            facts |= {"active": now["version"], "from_code": bool(now["is_default_from_code"])}
            facts["created_at"] = _TIME.to_python_value(now["created_at"])
            facts["active_since"] = _TIME.to_python_value(now["updated_at"])
        found.append(
            Standing(
                agent=row["agent"],
                revision=row["revision"],
                status_key=row["status_key"],
                primary=row["status_key"] == row["default_status_key"],
                versions=row["versions"],
                latest=row["latest"],
                code_version=row["code_version"],
                **facts,
            )
        )
    return found


async def get_last_actions(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> dict[tuple[int, str], Action]:
    """Return what was done last about the active version of each status of some agents, by agent id and status key.

    A status that is not there never had an active version.
    """
    actions = ", ".join(f"'{action.value}'" for action in (Action.ACTIVATED, Action.ROLLED_BACK, Action.DEACTIVATED))
    found: dict[tuple[int, str], Action] = {}
    for chunk in _chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT agent_id, status_key, action FROM prompt_events WHERE id IN (SELECT MAX(id) FROM prompt_events "
            f"WHERE action IN ({actions}) AND agent_id IN ({_numbers(chunk)}) GROUP BY agent_id, status_key)"
        )
        found |= {(row["agent_id"], row["status_key"]): Action(row["action"]) for row in map(dict, rows)}
    return found


async def get_fingerprints(db: BaseDBAsyncClient, agent_id: int) -> list[Fingerprint]:
    """Return what tells an agent's versions apart, by status and then newest first, without their texts."""
    _, rows = await db.execute_query(
        "SELECT status_key, version, content_hash, format, name, is_active FROM prompts "
        f"WHERE agent_id = {int(agent_id)} ORDER BY status_key, version DESC"
    )
    return [Fingerprint(**{**row, "is_active": bool(row["is_active"])}) for row in map(dict, rows)]


async def get_texts(db: BaseDBAsyncClient, agent_id: int, *, active_only: bool) -> list[Prompt]:
    """Return an agent's versions with their texts, by status and then newest first; all of them, or the active ones."""
    query = PromptRow.filter(agent_id=agent_id)
    if active_only:
        query = query.filter(is_active=True)
    return [_prompt(row) for row in await query.order_by("status_key", "-version").using_db(db)]


# Events.


async def add_events(db: BaseDBAsyncClient, events: Sequence[EventCreate]) -> None:
    """Append to the history."""
    if not events:
        return
    now = _now()
    rows = [
        EventRow(
            agent_id=event.agent_id,
            status_key=event.status_key,
            action=event.action.value,
            prompt_id=event.prompt_id,
            version=event.version,
            from_version=event.from_version,
            author=event.author,
            note=event.note,
            revision=event.revision,
            created_at=now,
        )
        for event in events
    ]
    await EventRow.bulk_create(rows, batch_size=80, using_db=db)


async def get_events(
    db: BaseDBAsyncClient,
    agent_id: int | None,
    status_key: str | None = None,
    *,
    actions: Iterable[Action] | None = None,
    prompt_id: int | None = None,
    limit: int | None = None,
) -> list[Event]:
    """Return events, newest first.

    Args:
        db: The connection.
        agent_id: The agent's id; `None` for the events of all agents.
        status_key: Only this status.
        actions: Only these.
        prompt_id: Only those about this version.
        limit: At most this many.
    """
    query = EventRow.all() if agent_id is None else EventRow.filter(agent_id=agent_id)
    if status_key is not None:
        query = query.filter(status_key=status_key)
    if actions is not None:
        query = query.filter(action__in=[action.value for action in actions])
    if prompt_id is not None:
        query = query.filter(prompt_id=prompt_id)
    query = query.order_by("-id")
    if limit is not None:
        query = query.limit(limit)
    return [_event(row) for row in await query.using_db(db)]


def _key(data: PromptCreate) -> tuple[int, str]:
    return data.agent_id, data.status_key


def _numbers(values: Iterable[int]) -> str:
    """Write numbers into a statement; anything that is not a number raises."""
    return ", ".join(str(int(value)) for value in values)


def _now() -> datetime:
    return datetime.now(UTC)


def _chunks(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


async def _check_required(db: Connection, agents: Sequence[AgentInfo]) -> None:
    """Make sure that a row of `agents` needs no value that this library does not know."""
    missing = [name for name in await required_columns(db, "agents") if name not in _AGENT_COLUMNS]
    if not missing:
        return
    example = ", ".join("..." for _ in missing)
    raise SchemaError(
        f"The {_named(agents)} cannot be added: the table agents is another application's, and its "
        f"columns {', '.join(missing)} must have a value in each row. Add such rows with that application, or with "
        f"INSERT INTO agents (name, {', '.join(missing)}) VALUES (..., {example}), or give the columns a "
        "default. Nothing else is needed; until then their texts are served from code."
    )


def _named(agents: Sequence[AgentInfo]) -> str:
    shown = ", ".join(repr(agent.name) for agent in agents[:10])
    more = f" and {len(agents) - 10} more" if len(agents) > 10 else ""
    return f"agent{'s' if len(agents) > 1 else ''} {shown}{more}"


def _agents() -> QuerySet[AgentRow]:
    """Return the query of agents without their times: a host's table may keep these in a form of its own."""
    return AgentRow.all().only(*_AGENT_FIELDS)


def _agent(row: AgentRow) -> AgentInfo:
    return AgentInfo(
        id=row.id,
        name=row.name,
        default_status_key=row.default_status_key,
        active_default_prompt_id=row.active_default_prompt_id,
        variables=_names(row.variables),
        revision=_number(row.revision),
    )


# SQLite keeps whatever plain SQL has put into a column; one such row must not keep the others from being read.


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    """Return a text; what is no UTF-8 becomes lone surrogates, which are refused where texts are checked."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _label(value: object) -> str:
    """Return a name in a form that can be printed."""
    return _text(value).encode("utf-8", "replace").decode()


def _names(variables: object) -> tuple[str, ...]:
    """Return the exposed names from a JSON column, which a driver may give as text; anything else counts as none."""
    if isinstance(variables, str):
        try:
            variables = json.loads(variables)
        except ValueError:
            return ()
    if not isinstance(variables, list):
        return ()
    return tuple(sorted(name for name in variables if isinstance(name, str)))


def _prompt(row: PromptRow) -> Prompt:
    return Prompt(**{name: getattr(row, name) for name in Prompt.__slots__})


def _event(row: EventRow) -> Event:
    facts = {name: getattr(row, name) for name in Event.__slots__}
    return Event(**{**facts, "action": Action(row.action)})
