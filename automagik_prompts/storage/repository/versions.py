"""The queries of `prompts`: writing versions and finding them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import Q

from automagik_prompts.domain.keys import folded
from automagik_prompts.domain.records import Action, AgentInfo, Prompt, PromptCreate
from automagik_prompts.domain.summaries import CodeVersion, StatusHead
from automagik_prompts.domain.text import content_hash
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import PromptRow
from automagik_prompts.storage.repository.activating import set_prompt_active
from automagik_prompts.storage.repository.events import get_deleted_versions
from automagik_prompts.storage.repository.mapping import (
    AGENT_COLUMNS,
    PROMPT_COLUMNS,
    agent_from,
    chunks,
    current_time,
    numbers,
    prompt_from,
    prompt_value,
    read_label,
    read_text,
)


async def create_prompt(db: BaseDBAsyncClient, data: PromptCreate) -> Prompt:
    """Write the next version of an agent's text for a status.

    The agent must be locked by this transaction; that is what keeps the numbers without gaps.

    Args:
        db: The connection of a transaction.
        data: What to write. Where `is_active` is set, the version takes the place of the one that was active.

    Raises:
        InvalidPromptError: The status is new, and differs only in case or in Unicode form from one that the agent has.
    """
    written = (await create_prompts(db, [replace(data, is_active=False)]))[0]
    if not data.is_active:
        return written
    return await set_prompt_active(db, data.agent_id, written.id, data.status_key) or written


async def create_prompts(db: BaseDBAsyncClient, new: Sequence[PromptCreate]) -> list[Prompt]:
    """Write the next versions of several texts, in the order in which they are given.

    The agents must be locked by this transaction. Where `is_active` is set, the caller has deactivated the version that
    was active.

    Raises:
        InvalidPromptError: A status is new, and differs only in case or in Unicode form from another one of its agent.
    """
    if not new:
        return []
    now = current_time()
    if len(new) == 1 and (number := await get_latest_version_for_status(db, *_key(new[0]))) is not None:
        latest = {_key(new[0]): number}
    else:
        heads = await get_heads(db, {data.agent_id for data in new})
        latest = {key: head.latest for key, head in heads.items()}
        _check_spellings(new, latest)
    for key, deleted in (await get_deleted_versions(db, {data.agent_id for data in new})).items():
        latest[key] = max(latest.get(key, 0), deleted)
    versions = []
    for data in new:
        latest[_key(data)] = latest.get(_key(data), 0) + 1
        versions.append(latest[_key(data)])
    rows = [
        PromptRow(
            agent_id=data.agent_id,
            status_key=data.status_key,
            version=version,
            prompt_text=data.prompt_text,
            format=data.format,
            is_active=data.is_active,
            is_default_from_code=data.is_default_from_code,
            name=data.name,
            content_hash=content_hash(data.prompt_text),
            author=data.author,
            note=data.note,
            created_at=data.created_at or now,
            updated_at=data.updated_at or data.created_at or now,
        )
        for data, version in zip(new, versions, strict=True)
    ]
    if len(rows) == 1:
        await rows[0].save(using_db=db, force_create=True)
        return [prompt_value(rows[0])]
    await PromptRow.bulk_create(rows, batch_size=60, using_db=db)
    ids: dict[tuple[int, str, int], int] = {}
    for agent_ids in chunks(sorted({row.agent_id for row in rows})):
        _, found = await db.execute_query(
            "SELECT id, agent_id, status_key, version FROM prompts "
            f"WHERE agent_id IN ({numbers(agent_ids)}) AND version IN ({numbers({row.version for row in rows})})"
        )
        ids |= {(row["agent_id"], row["status_key"], row["version"]): row["id"] for row in map(dict, found)}
    for row in rows:
        row.id = ids[row.agent_id, row.status_key, row.version]
    return [prompt_value(row) for row in rows]


def _check_spellings(new: Sequence[PromptCreate], known: Collection[tuple[int, str]]) -> None:
    """Refuse a new status that differs from another one of its agent in spelling only."""
    if not (fresh := [key for key in map(_key, new) if key not in known]):
        return
    spelt = {(agent_id, folded(key)): key for agent_id, key in known}
    for agent_id, key in fresh:
        if (other := spelt.setdefault((agent_id, folded(key)), key)) != key:
            raise InvalidPromptError(
                f"The status {key!r} differs only in case or in Unicode form from {other!r}, which the agent has "
                f"already. Use {other!r}.",
                status_key=key,
            )


async def delete_prompt(db: BaseDBAsyncClient, prompt_id: int) -> None:
    """Delete a version; its events stay, and its number is never given again.

    The agent must be locked by this transaction, and the version must not be active.
    """
    await PromptRow.filter(id=prompt_id, is_active=False).using_db(db).delete()


async def get_prompt_by_id(db: BaseDBAsyncClient, prompt_id: int) -> Prompt | None:
    """Return a version by its id, or `None`."""
    row = await PromptRow.filter(id=prompt_id).using_db(db).first()
    return prompt_value(row) if row is not None else None


async def get_active_prompt(db: BaseDBAsyncClient, agent_id: int, status_key: str) -> Prompt | None:
    """Return the active version of an agent's text for a status, or `None`."""
    row = await PromptRow.filter(agent_id=agent_id, status_key=status_key, is_active=True).using_db(db).first()
    return prompt_value(row) if row is not None else None


async def find_code_default_prompt(db: BaseDBAsyncClient, agent_id: int, status_key: str) -> Prompt | None:
    """Return the code default of an agent's status, the newest version that came from code, or `None`."""
    row = (
        await PromptRow.filter(agent_id=agent_id, status_key=status_key, is_default_from_code=True)
        .order_by("-version")
        .using_db(db)
        .first()
    )
    return prompt_value(row) if row is not None else None


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


async def get_version(db: BaseDBAsyncClient, agent_id: int, status_key: str, version: int) -> Prompt | None:
    """Return a version by its number, or `None`."""
    rows = await Connection(db).rows(
        f"SELECT {', '.join(PROMPT_COLUMNS)} FROM prompts WHERE agent_id = ? AND status_key = ? AND version = ?",
        *(agent_id, status_key, version),
    )
    return prompt_from(rows[0]) if rows else None


async def find_named(
    db: BaseDBAsyncClient, agent: str, status_key: str, version: int
) -> tuple[AgentInfo, Prompt] | None:
    """Return a version and its agent by their names, as they are spelt exactly; `None` if there is none."""
    rows = await Connection(db).rows(_NAMED, agent, status_key, version)
    return (agent_from(rows[0]), prompt_from(rows[0], "p_")) if rows else None


_NAMED = (
    f"SELECT {', '.join(f'a.{name} AS {name}' for name in AGENT_COLUMNS)}, "
    f"{', '.join(f'p.{name} AS p_{name}' for name in PROMPT_COLUMNS)} FROM agents a "
    "JOIN prompts p ON p.agent_id = a.id WHERE a.name = ? AND p.status_key = ? AND p.version = ?"
)


async def get_same_text(db: BaseDBAsyncClient, prompt: Prompt) -> list[Prompt]:
    """Return the versions of a status that have the text of one of them, that one too, by number."""
    rows = PromptRow.filter(
        agent_id=prompt.agent_id, status_key=prompt.status_key, content_hash=prompt.content_hash
    ).order_by("version")
    return [prompt_value(row) for row in await rows.using_db(db)]


async def get_prompts_by_agent_id(
    db: BaseDBAsyncClient,
    agent_id: int,
    status_key: str | None = None,
    *,
    after: tuple[str, int] | None = None,
    limit: int | None = None,
) -> list[Prompt]:
    """Return an agent's versions, by status and then newest first.

    Args:
        db: The connection.
        agent_id: The agent's id.
        status_key: Only this status.
        after: The status and number after which to begin.
        limit: At most this many.
    """
    query = PromptRow.filter(agent_id=agent_id)
    if status_key is not None:
        query = query.filter(status_key=status_key)
    if after is not None:
        query = query.filter(Q(status_key__gt=after[0]) | Q(status_key=after[0], version__lt=after[1]))
    query = query.order_by("status_key", "-version")
    if limit is not None:
        query = query.limit(limit)
    return [prompt_value(row) for row in await query.using_db(db)]


async def get_texts(db: BaseDBAsyncClient, agent_id: int, *, active_only: bool) -> list[Prompt]:
    """Return an agent's versions with their texts, by status and then newest first; all of them, or the active ones."""
    query = PromptRow.filter(agent_id=agent_id)
    if active_only:
        query = query.filter(is_active=True)
    return [prompt_value(row) for row in await query.order_by("status_key", "-version").using_db(db)]


async def get_newest_versions(db: BaseDBAsyncClient, agent_id: int, *, limit: int) -> list[Prompt]:
    """Return an agent's newest versions of all statuses, newest first."""
    return [
        prompt_value(row) for row in await PromptRow.filter(agent_id=agent_id).order_by("-id").limit(limit).using_db(db)
    ]


async def get_newest_texts(
    db: BaseDBAsyncClient, agents: Collection[str], *, limit: int, length: int
) -> dict[str, list[tuple[str, str, str, bool]]]:
    """Return the newest texts of the statuses of some agents that have an active one.

    Each with its status, its format, and whether it was active once, as far as the history says.

    Args:
        db: The connection.
        agents: The agents' names.
        limit: At most so many texts of a status.
        length: Longer ones are left out, in characters.
    """
    found: dict[str, list[tuple[str, str, str, bool]]] = {}
    for chunk in chunks(sorted(agents)):
        rows = await Connection(db).rows(
            f"SELECT a.name, x.status_key, p.prompt_text, p.format, {_WAS_ACTIVE} AS was_active FROM agents a "
            f"JOIN prompts x ON x.agent_id = a.id AND x.is_active = true {engine_of(db).newest(limit)} "
            f"WHERE a.name IN ({', '.join('?' * len(chunk))}) "
            f"AND LENGTH(p.prompt_text) <= {int(length)} ORDER BY p.id DESC",
            *chunk,
        )
        for row in rows:
            text, read_as = read_text(row["prompt_text"]), read_label(row["format"])
            one = (read_label(row["status_key"]), text, read_as, bool(row["was_active"]))
            found.setdefault(read_label(row["name"]), []).append(one)
    return found


# What took the place of a version says so, too: an adopted one has no event of its own.
_WAS_ACTIVE = (
    "(p.is_active = true OR EXISTS (SELECT 1 FROM prompt_events e WHERE e.agent_id = p.agent_id "
    "AND e.status_key = p.status_key AND (e.from_version = p.version "
    f"OR (e.version = p.version AND e.action IN ('{Action.ACTIVATED.value}', '{Action.ROLLED_BACK.value}')))))"
)


async def get_code_versions(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> list[CodeVersion]:
    """Return the versions of agents that came from code, without their texts."""
    found: list[CodeVersion] = []
    for chunk in chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT id, agent_id, status_key, version, content_hash, format FROM prompts "
            f"WHERE is_default_from_code = true AND agent_id IN ({numbers(chunk)}) "
            "ORDER BY agent_id, status_key, version"
        )
        found += [CodeVersion(**dict(row)) for row in rows]
    return found


async def get_heads(db: BaseDBAsyncClient, agent_ids: Iterable[int]) -> dict[tuple[int, str], StatusHead]:
    """Return where each status of some agents stands, by agent id and status key."""
    found: dict[tuple[int, str], StatusHead] = {}
    for chunk in chunks(sorted(set(agent_ids))):
        _, rows = await db.execute_query(
            "SELECT agent_id, status_key, MAX(version) AS latest, MAX(CASE WHEN is_active THEN version END) AS active, "
            "MAX(CASE WHEN is_active AND is_default_from_code THEN 1 ELSE 0 END) AS active_from_code FROM prompts "
            f"WHERE agent_id IN ({numbers(chunk)}) GROUP BY agent_id, status_key"
        )
        for row in map(dict, rows):
            head = StatusHead(row["latest"], row["active"], bool(row["active_from_code"]))
            found[row["agent_id"], row["status_key"]] = head
    return found


def _key(data: PromptCreate) -> tuple[int, str]:
    return data.agent_id, data.status_key
