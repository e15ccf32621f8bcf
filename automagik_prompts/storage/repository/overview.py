"""The queries that go over all agents: which statuses are meant, how many, how texts begin, and texts to search."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.review import RequestState
from automagik_prompts.domain.summaries import Meant, Overview, StatusPlace
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.models import PromptRow
from automagik_prompts.storage.repository.events import SWITCHED
from automagik_prompts.storage.repository.mapping import chunks, numbers, prompt_value, read_text

_WANTING = (Meant.BAD, Meant.DRIFTED, Meant.WAITING)
"""What wants a look."""

BEGINNING = 200
"""Characters of a text that an overview reads."""

Parts = tuple[str, list[object]]
"""A part of a statement with its values."""


async def get_status_places(
    db: BaseDBAsyncClient, meant: Meant, about: Overview, *, after: tuple[str, str] | None, limit: int | None
) -> list[StatusPlace]:
    """Return which statuses are meant, by agent and status as the engine sorts them.

    Args:
        db: The connection.
        meant: Which ones.
        about: What says which these are.
        after: The agent and status after which to begin.
        limit: How many, at most.
    """
    source, values = _source(db, meant, about)
    where = ""
    if after is not None:
        # The first condition alone can be answered by the index of the names.
        where = "WHERE a.name >= ? AND (a.name > ? OR s.status_key > ?) "
        values += [after[0], *after]
    most = f" LIMIT {int(limit)}" if limit is not None else ""
    rows = await Connection(db).rows(
        f"SELECT DISTINCT a.id, a.name, s.status_key FROM agents a JOIN {source} s ON s.agent_id = a.id {where}"
        f"ORDER BY a.name, s.status_key{most}",
        *values,
    )
    return [StatusPlace(row["id"], row["name"], row["status_key"]) for row in rows]


async def count_statuses(db: BaseDBAsyncClient, about: Overview) -> tuple[int, int, dict[Meant, int]]:
    """Return how many agents have statuses, how many of these want a look, and how many are meant by what.

    Args:
        db: The connection.
        about: What says which are meant.
    """
    others = (Meant.RECENT, Meant.MINE)
    sources = [_source(db, meant, about) for meant in (*_WANTING, *others)]
    flags = ", ".join(f"MAX(CASE WHEN t.meant = '{meant}' THEN 1 ELSE 0 END) AS {meant}" for meant in _WANTING)
    wanting = " UNION ALL ".join(
        f"SELECT '{meant}' AS meant, s.agent_id, s.status_key FROM {source} s"
        for meant, (source, _) in zip(_WANTING, sources, strict=False)
    )
    sums = ", ".join(f"COALESCE(SUM(u.{meant}), 0) AS {meant}" for meant in _WANTING)
    more = ", ".join(
        f"(SELECT COUNT(*) FROM (SELECT DISTINCT agent_id, status_key FROM {source} s) m) AS {meant}"
        for meant, (source, _) in zip(others, sources[len(_WANTING) :], strict=True)
    )
    rows = await Connection(db).rows(
        f"SELECT {more}, w.*, (SELECT COUNT(DISTINCT agent_id) FROM prompts) AS agents, (SELECT COUNT(*) FROM "
        f'(SELECT agent_id FROM prompts GROUP BY agent_id, status_key) a) AS "{Meant.ALL}" '
        f"FROM (SELECT COUNT(*) AS wanting, {sums} FROM (SELECT t.agent_id, t.status_key, {flags} FROM ({wanting}) t "
        "GROUP BY t.agent_id, t.status_key) u) w",
        *(value for _, given in (*sources[len(_WANTING) :], *sources[: len(_WANTING)]) for value in given),
    )
    return rows[0]["agents"], rows[0]["wanting"], {meant: int(rows[0][meant.value]) for meant in Meant}


async def get_overview_marker(db: BaseDBAsyncClient) -> tuple[int, ...]:
    """Return numbers of which one differs once something was written that an overview shows; cheap to read.

    On a server a transaction that ends later than a younger one may leave them as they are.
    """
    rows = await Connection(db).rows(
        "SELECT (SELECT MAX(change) FROM prompt_changes) AS changes, (SELECT MAX(id) FROM prompt_events) AS events, "
        "(SELECT MAX(id) FROM prompt_requests) AS requests"
    )
    return tuple(value or 0 for value in rows[0].values())


async def get_agent_names(db: BaseDBAsyncClient, agent_ids: Collection[int]) -> dict[int, str]:
    """Return the names of some agents, by their ids."""
    found: dict[int, str] = {}
    for chunk in chunks(sorted(agent_ids)):
        rows = await Connection(db).rows(f"SELECT id, name FROM agents WHERE id IN ({numbers(chunk)})")
        found |= {row["id"]: row["name"] for row in rows}
    return found


async def get_waiting_keys(db: BaseDBAsyncClient, agent_ids: Collection[int]) -> set[tuple[int, str]]:
    """Return which statuses of some agents have requests that wait."""
    found: set[tuple[int, str]] = set()
    for chunk in chunks(sorted(agent_ids)):
        rows = await Connection(db).rows(f"SELECT * FROM {_WAITING} s WHERE agent_id IN ({numbers(chunk)})")
        found |= {(row["agent_id"], row["status_key"]) for row in rows}
    return found


async def get_plain_texts(
    db: BaseDBAsyncClient, agent_ids: Collection[int], *, active_only: bool
) -> list[tuple[int, str]]:
    """Return the texts of some agents with the ids of their versions; all of them, or the active ones."""
    only = " AND is_active = true" if active_only else ""
    found: list[tuple[int, str]] = []
    for chunk in chunks(sorted(agent_ids)):
        rows = await Connection(db).rows(
            f"SELECT id, prompt_text FROM prompts WHERE agent_id IN ({numbers(chunk)}){only}"
        )
        found += [(row["id"], read_text(row["prompt_text"])) for row in rows]
    return found


async def get_prompts(db: BaseDBAsyncClient, prompt_ids: Sequence[int]) -> list[Prompt]:
    """Return versions by their ids; those that do not exist are left out."""
    found: list[Prompt] = []
    for chunk in chunks(prompt_ids):
        found += [prompt_value(row) for row in await PromptRow.filter(id__in=chunk).using_db(db)]
    return found


async def get_beginnings(db: BaseDBAsyncClient, prompt_ids: Sequence[int]) -> dict[int, str]:
    """Return how texts begin, by the ids of the versions."""
    found: dict[int, str] = {}
    for chunk in chunks(prompt_ids):
        rows = await Connection(db).rows(
            f"SELECT id, SUBSTR(prompt_text, 1, {BEGINNING}) AS beginning FROM prompts WHERE id IN ({numbers(chunk)})"
        )
        found |= {row["id"]: read_text(row["beginning"]) for row in rows}
    return found


_DRIFTED = (
    "(SELECT p.agent_id, p.status_key FROM prompts p LEFT JOIN prompt_bases b ON b.prompt_id = p.id "
    "WHERE p.is_active = true AND p.is_default_from_code = false AND (SELECT MAX(c.version) FROM prompts c "
    "WHERE c.agent_id = p.agent_id AND c.status_key = p.status_key AND c.is_default_from_code = true "
    "AND NOT EXISTS (SELECT 1 FROM prompt_withdrawals w WHERE w.prompt_id = c.id AND w.version = c.version)) "
    "> COALESCE(b.code_version, p.version))"
)
# A request lapses where another version has become active since.
_WAITING = (
    "(SELECT r.agent_id, r.status_key FROM prompt_requests r "
    f"WHERE r.state = '{RequestState.OPEN.value}' AND r.from_event = COALESCE((SELECT MAX(e.id) FROM prompt_events e "
    f"WHERE e.agent_id = r.agent_id AND e.status_key = r.status_key AND e.action IN ({SWITCHED})), 0) "
    "AND COALESCE(r.from_prompt_id, 0) = COALESCE((SELECT v.id FROM prompts v "
    "WHERE v.agent_id = r.agent_id AND v.status_key = r.status_key AND v.is_active = true), 0))"
)

# Of those about which some event is, the ones that still have versions.
_LEFT = (
    "(SELECT d.agent_id, d.status_key FROM (SELECT DISTINCT e.agent_id, e.status_key FROM prompt_events e WHERE {}) d "
    "WHERE EXISTS (SELECT 1 FROM prompts p WHERE p.agent_id = d.agent_id AND p.status_key = d.status_key))"
)

_UNSERVED = (
    "(SELECT p.agent_id, p.status_key FROM prompts p JOIN agents a ON a.id = p.agent_id "
    "WHERE p.is_active = true AND ({}))"
)


def _source(db: BaseDBAsyncClient, meant: Meant, about: Overview) -> Parts:
    """Return what gives the agents and statuses that are meant."""
    match meant:
        case Meant.ALL:
            return "prompts", []
        case Meant.DRIFTED:
            return _DRIFTED, []
        case Meant.WAITING:
            return _WAITING, []
        case Meant.RECENT:
            since = engine_of(db).written_time(about.since)
            return _LEFT.format(f"e.action IN ({SWITCHED}) AND e.created_at >= ?"), [since]
        case Meant.MINE:
            return _LEFT.format("(e.actor_id = ? OR e.author = ?)"), [about.actor, about.actor]
        case Meant.BAD:
            one = "(a.name = ? AND p.status_key = ? AND p.version = ?)"
            values: list[object] = [value for version in about.unserved for value in version]
            return _UNSERVED.format(" OR ".join([one] * len(about.unserved)) or "false"), values
