"""The queries of an overview: which statuses are meant, how many, and how their active texts begin."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.review import RequestState
from automagik_prompts.domain.summaries import Meant, Overview, StatusPlace
from automagik_prompts.storage.connection import Connection, engine_of
from automagik_prompts.storage.repository.events import SWITCHED
from automagik_prompts.storage.repository.mapping import chunks, numbers, read_text

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
    sources = [_source(db, meant, about) for meant in Meant]
    columns = [
        f"(SELECT COUNT(*) FROM (SELECT DISTINCT agent_id, status_key FROM {source} s) t)" for source, _ in sources
    ]
    values = [value for _, given in sources for value in given]
    wanting = [_source(db, meant, about) for meant in (Meant.BAD, Meant.DRIFTED, Meant.WAITING)]
    union = " UNION ".join(f"SELECT agent_id, status_key FROM {source} s" for source, _ in wanting)
    values += [value for _, given in wanting for value in given]
    names = ", ".join(f"{column} AS n{place}" for place, column in enumerate(columns))
    rows = await Connection(db).rows(
        f"SELECT {names}, (SELECT COUNT(*) FROM ({union}) u) AS wanting, "
        "(SELECT COUNT(*) FROM agents a WHERE EXISTS (SELECT 1 FROM prompts p WHERE p.agent_id = a.id)) AS agents",
        *values,
    )
    return rows[0]["agents"], rows[0]["wanting"], {meant: rows[0][f"n{place}"] for place, meant in enumerate(Meant)}


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


def _source(db: BaseDBAsyncClient, meant: Meant, about: Overview) -> Parts:
    """Return what gives the agents and statuses that are meant."""
    kept = "EXISTS (SELECT 1 FROM prompts p WHERE p.agent_id = e.agent_id AND p.status_key = e.status_key)"
    match meant:
        case Meant.ALL:
            return "prompts", []
        case Meant.DRIFTED:
            return _DRIFTED, []
        case Meant.WAITING:
            return _WAITING, []
        case Meant.RECENT:
            return (
                (
                    f"(SELECT e.agent_id, e.status_key FROM prompt_events e WHERE e.action IN ({SWITCHED}) "
                    f"AND e.created_at >= ? AND {kept})"
                ),
                [engine_of(db).written_time(about.since)],
            )
        case Meant.MINE:
            return (
                (
                    "(SELECT e.agent_id, e.status_key FROM prompt_events e WHERE (e.actor_id = ? OR e.author = ?) "
                    f"AND {kept})"
                ),
                [about.actor, about.actor],
            )
        case Meant.BAD:
            either = (
                " OR ".join(["(a.name = ? AND p.status_key = ? AND p.version = ?)"] * len(about.unserved)) or "false"
            )
            return (
                (
                    "(SELECT p.agent_id, p.status_key FROM prompts p JOIN agents a ON a.id = p.agent_id "
                    f"WHERE p.is_active = true AND ({either}))"
                ),
                [value for one in about.unserved for value in (one.agent, one.status_key, one.version)],
            )
