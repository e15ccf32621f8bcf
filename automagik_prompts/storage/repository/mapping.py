"""Rows become values here, and values parts of statements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from automagik_prompts.domain.records import Action, AgentInfo, Event, Prompt, Protection
from automagik_prompts.storage.models import AgentRow, EventRow, PromptRow

T = TypeVar("T")

_CHUNK = 500
"""Values in one statement, at most: SQLite allows 999 in old versions."""


def numbers(values: Iterable[int]) -> str:
    """Write numbers into a statement; anything that is not a number raises."""
    return ", ".join(str(int(value)) for value in values)


def current_time() -> datetime:
    """Return the time that is written into versions and events."""
    return datetime.now(UTC)


def chunks(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """Cut values into as many as one statement may hold."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def agent_value(row: AgentRow) -> AgentInfo:
    """Return a row of `agents` as a value."""
    return AgentInfo(
        id=row.id,
        name=row.name,
        default_status_key=row.default_status_key,
        active_default_prompt_id=row.active_default_prompt_id,
        variables=read_names(row.variables),
        revision=read_number(row.revision),
        protected=read_protected(row.protected_statuses),
    )


_COLUMNS = tuple(name for name in Prompt.__slots__ if name not in {"is_withdrawn", "based_on"})
"""What of a version stands in its row."""


def prompt_value(row: PromptRow) -> Prompt:
    """Return a row of `prompts` as a value."""
    return Prompt(**{name: getattr(row, name) for name in _COLUMNS})


PROMPT_COLUMNS = _COLUMNS
AGENT_COLUMNS = (*(name for name in AgentInfo.__slots__ if name != "protected"), "protected_statuses")
"""What a statement reads of a version, and of an agent."""


def prompt_from(row: Mapping[str, Any], prefix: str = "") -> Prompt:
    """Return what a statement has read of a version as a value, as the ORM reads it."""
    known = PromptRow._meta.fields_map  # noqa: SLF001  # Tortoise documents it
    return Prompt(**{name: known[name].to_python_value(row[f"{prefix}{name}"]) for name in _COLUMNS})


def agent_from(row: Mapping[str, Any]) -> AgentInfo:
    """Return what a statement has read of an agent as a value."""
    return AgentInfo(
        id=row["id"],
        name=row["name"],
        default_status_key=row["default_status_key"],
        active_default_prompt_id=row["active_default_prompt_id"],
        variables=read_names(row["variables"]),
        revision=read_number(row["revision"]),
        protected=read_protected(row["protected_statuses"]),
    )


def event_value(row: EventRow) -> Event:
    """Return a row of `prompt_events` as a value."""
    facts = {name: getattr(row, name) for name in Event.__slots__ if name != "agent"}
    return Event(**{**facts, "action": Action(row.action)})


# SQLite keeps whatever plain SQL has put into a column; one such row must not keep the others from being read.


def read_number(value: object) -> int:
    """Return a number; anything else counts as 0."""
    return value if isinstance(value, int) else 0


def read_text(value: object) -> str:
    """Return a text; what is no UTF-8 becomes lone surrogates, which are refused where texts are checked."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def read_label(value: object) -> str:
    """Return a name in a form that can be printed."""
    return read_text(value).encode("utf-8", "replace").decode()


def read_protected(value: object) -> tuple[Protection, ...]:
    """Return the protected statuses from a JSON column; what plain SQL has made unreadable protects what it names."""
    if isinstance(value, str):
        with suppress(ValueError):  # otherwise it is the name of a status
            value = json.loads(value)
    if isinstance(value, list | str):
        value = dict.fromkeys([value] if isinstance(value, str) else filter(lambda one: isinstance(one, str), value))
    if not isinstance(value, dict):
        return ()
    found: list[Protection] = []
    for status_key, rule in sorted(value.items()):
        facts = rule if isinstance(rule, dict) else {}
        approvals = facts.get("approvals")
        found.append(
            Protection(
                status_key,
                approvals if isinstance(approvals, int) and approvals > 0 else 1,
                facts.get("approve_code") is True,
            )
        )
    return tuple(found)


def written_protected(protected: Iterable[Protection]) -> dict[str, dict[str, object]] | None:
    """Return protected statuses as the JSON column has them; nothing where there are none."""
    return {one.status_key: {"approvals": one.approvals, "approve_code": one.approve_code} for one in protected} or None


def read_names(variables: object) -> tuple[str, ...]:
    """Return the exposed names from a JSON column, which a driver may give as text; anything else counts as none."""
    if isinstance(variables, str):
        try:
            variables = json.loads(variables)
        except ValueError:
            return ()
    if not isinstance(variables, list):
        return ()
    return tuple(sorted(name for name in variables if isinstance(name, str)))
