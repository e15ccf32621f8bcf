"""The queries of `prompt_requests`: changes of active versions that wait for approval, or were decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.policy import CODE, Operation
from automagik_prompts.domain.records import Action, AgentInfo, Prompt
from automagik_prompts.domain.review import WAITING, ApprovalRequest, RequestState
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import UtcField
from automagik_prompts.storage.repository.events import SWITCHED
from automagik_prompts.storage.repository.mapping import current_time, numbers, read_protected

_TIME = UtcField()

_LAST_SWITCH = (
    "(SELECT MAX(e.id) FROM prompt_events e WHERE e.agent_id = {agent} AND e.status_key = {status} "
    f"AND e.action IN ({SWITCHED}))"
)

# What was asked, and all that says whether it still can be done.
_READ = (
    "SELECT r.*, a.name AS agent, a.protected_statuses, p.content_hash AS present_hash, "
    f"{_LAST_SWITCH.format(agent='r.agent_id', status='r.status_key')} AS last_switch, "
    "(SELECT v.id FROM prompts v WHERE v.agent_id = r.agent_id AND v.status_key = r.status_key "
    "AND v.is_active = true) AS active_id "
    "FROM prompt_requests r JOIN agents a ON a.id = r.agent_id "
    "LEFT JOIN prompts p ON p.id = r.prompt_id AND p.version = r.version"
)


async def add_request(
    db: BaseDBAsyncClient,
    agent: AgentInfo,
    status_key: str,
    operation: Operation,
    *,
    target: Prompt | None,
    active: Prompt | None,
    state: RequestState,
    author: str | None,
    actor_id: str | None,
    note: str | None,
) -> int:
    """Write a request, and return its number. The agent must be locked by this transaction.

    Args:
        db: The connection of a transaction.
        agent: The agent.
        status_key: The status.
        operation: What is asked for.
        target: The version that would be active.
        active: The version that is active now.
        state: `open`, or `emergency` for what was done without approval.
        author: Who asks, by name.
        actor_id: Who asks, by id.
        note: Why.
    """
    connection = Connection(db)
    now = engine_of(connection).written_time(current_time())
    last = await connection.rows(f"SELECT {_LAST_SWITCH.format(agent='?', status='?')} AS id", agent.id, status_key)
    facts: dict[str, object] = {
        "agent_id": agent.id,
        "status_key": status_key,
        "operation": operation.value,
        "prompt_id": target.id if target is not None else None,
        "version": target.version if target is not None else None,
        "content_hash": target.content_hash if target is not None else None,
        "from_prompt_id": active.id if active is not None else None,
        "from_version": active.version if active is not None else None,
        "from_event": last[0]["id"] or 0,
        "state": state.value,
        "author": author,
        "actor_id": actor_id,
        "note": note,
        "created_at": now,
        "decided_at": None if state is RequestState.OPEN else now,
        "decided_by": None if state is RequestState.OPEN else author,
    }
    await connection.run(
        f"INSERT INTO prompt_requests ({', '.join(facts)}) VALUES (?{', ?' * (len(facts) - 1)})", *facts.values()
    )
    # Nobody else writes requests of this agent meanwhile.
    rows = await connection.rows("SELECT MAX(id) AS id FROM prompt_requests WHERE agent_id = ?", agent.id)
    return int(rows[0]["id"])


async def get_request(db: BaseDBAsyncClient, request_id: int) -> ApprovalRequest | None:
    """Return a request, or `None`."""
    found = await _requests(db, f"{_READ} WHERE r.id = ?", request_id)
    return found[0] if found else None


async def get_requests(
    db: BaseDBAsyncClient,
    agent_id: int | None = None,
    status_key: str | None = None,
    *,
    waiting: bool = True,
    before: int | None = None,
    limit: int | None = None,
) -> list[ApprovalRequest]:
    """Return requests, newest first.

    Args:
        db: The connection.
        agent_id: Only of this agent.
        status_key: Only of this status.
        waiting: Only those that were not decided yet; some of them may have lapsed.
        before: Only those with lower numbers.
        limit: At most so many.
    """
    wanted: list[str] = []
    values: list[object] = []
    for condition, value in (("r.agent_id = ?", agent_id), ("r.status_key = ?", status_key), ("r.id < ?", before)):
        if value is not None:
            wanted.append(condition)
            values.append(value)
    if waiting:
        wanted.append(f"r.state = '{RequestState.OPEN.value}'")
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    most = f" LIMIT {int(limit)}" if limit is not None else ""
    return await _requests(db, f"{_READ}{where} ORDER BY r.id DESC{most}", *values)


async def decide_request(db: BaseDBAsyncClient, request_id: int, state: RequestState, by: str | None) -> None:
    """Note what became of a request. The agent must be locked by this transaction."""
    connection = Connection(db)
    now = engine_of(connection).written_time(current_time())
    await connection.run(
        "UPDATE prompt_requests SET state = ?, decided_at = ?, decided_by = ? WHERE id = ?",
        state.value,
        now,
        by,
        request_id,
    )


async def lapse_requests(
    db: BaseDBAsyncClient, agent_id: int, *, prompt_ids: Iterable[int] = (), code_of: str | None = None
) -> None:
    """Let requests lapse that nobody has decided. The agent must be locked by this transaction.

    Args:
        db: The connection of a transaction.
        agent_id: The agent's id.
        prompt_ids: Those for one of these versions.
        code_of: Those that the code has made for this status.
    """
    connection = Connection(db)
    start = f"UPDATE prompt_requests SET state = '{RequestState.LAPSED.value}' WHERE agent_id = ? AND state = ? AND "
    if ids := list(prompt_ids):
        await connection.run(f"{start}prompt_id IN ({numbers(ids)})", agent_id, RequestState.OPEN.value)
    if code_of is not None:
        values = (agent_id, RequestState.OPEN.value, code_of, CODE)
        await connection.run(f"{start}status_key = ? AND actor_id = ?", *values)


async def get_approvers(db: BaseDBAsyncClient, request_id: int) -> set[str]:
    """Return the ids of those who have approved a request."""
    return set((await _approvals(db, [request_id])).get(request_id, {}))


async def _approvals(db: BaseDBAsyncClient, request_ids: Collection[int]) -> dict[int, dict[str, str]]:
    """Return who has approved, by the request: their names by id."""
    if not request_ids:
        return {}
    rows = await Connection(db).rows(
        f"SELECT request_id, actor_id, author FROM prompt_events WHERE action = '{Action.APPROVED.value}' "
        f"AND request_id IN ({numbers(request_ids)}) ORDER BY id"
    )
    found: dict[int, dict[str, str]] = {}
    for row in rows:
        if row["actor_id"] is not None:
            found.setdefault(row["request_id"], {})[row["actor_id"]] = row["author"] or row["actor_id"]
    return found


async def _requests(db: BaseDBAsyncClient, statement: str, *values: object) -> list[ApprovalRequest]:
    rows = await Connection(db).rows(statement, *values)
    approvals = await _approvals(db, [row["id"] for row in rows])
    return [_request(row, approvals.get(row["id"], {})) for row in rows]


def _request(row: Mapping[str, Any], approvers: Mapping[str, str]) -> ApprovalRequest:
    # Who asked never counts, whatever plain SQL has put there.
    approved_by = tuple(name for actor, name in approvers.items() if actor != row["actor_id"])
    agent = AgentInfo(row["agent_id"], row["agent"], protected=read_protected(row["protected_statuses"]))
    protection = agent.protection(row["status_key"])
    approvals = protection.approvals if protection is not None else 1
    state = RequestState(row["state"])
    if state in WAITING:
        is_same = row["active_id"] == row["from_prompt_id"] and (row["last_switch"] or 0) == row["from_event"]
        if not is_same or row["present_hash"] != row["content_hash"]:
            state = RequestState.LAPSED
        elif len(approved_by) >= approvals:
            state = RequestState.APPROVED
    decided = row["decided_at"]
    return ApprovalRequest(
        id=row["id"],
        agent=row["agent"],
        status_key=row["status_key"],
        operation=Operation(row["operation"]),
        prompt_id=row["prompt_id"],
        version=row["version"],
        content_hash=row["content_hash"],
        from_version=row["from_version"],
        state=state,
        author=row["author"],
        actor_id=row["actor_id"],
        note=row["note"],
        approvals=approvals,
        approved_by=approved_by,
        created_at=_TIME.to_python_value(row["created_at"]),  # type: ignore[arg-type]  # the column has no NULL
        decided_at=_TIME.to_python_value(decided) if decided is not None else None,
        decided_by=row["decided_by"],
    )
