"""The rights of the database's own roles on PostgreSQL: one table of who needs what, and the SQL that grants it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import EventCreate
from automagik_prompts.domain.roles import ROLES
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.storage.dialects.base import quoted


class DatabaseRole(StrEnum):
    """What a user of the database is for; the first three are those of the built-in policy."""

    VIEWER = "viewer"
    EDITOR = "editor"
    PUBLISHER = "publisher"
    APP = "app"
    SEEDING_APP = "app --seed"


VIEWER, EDITOR, PUBLISHER, APP, SEEDS = DatabaseRole
EVERYBODY = frozenset(DatabaseRole)
PEOPLE = frozenset({VIEWER, EDITOR, PUBLISHER})
WRITERS = frozenset({EDITOR, PUBLISHER, SEEDS})
APPS = frozenset({APP, SEEDS})


@dataclass(frozen=True, slots=True)
class Right:
    """One right on one table.

    Attributes:
        table: The table.
        verb: `SELECT`, `INSERT`, `UPDATE` or `DELETE`.
        roles: Who needs it.
        columns: The columns that it is for; all of them where none is named.
    """

    table: str
    verb: str
    roles: Collection[DatabaseRole]
    columns: tuple[str, ...] = ()


_EVENT = ("created_at", *EventCreate.__slots__)
"""Without `id` and `db_user`, which are the database's to give."""

_AGENT = ("name", "default_status_key", "variables", "revision", "created_at", "updated_at")
_DRAFT = ("prompt_text", "format", "note", "base_version", "counter", "is_discarded", "updated_at")

RIGHTS = (
    Right("aerich", "SELECT", EVERYBODY),
    Right("agents", "SELECT", EVERYBODY),
    Right("agents", "INSERT", {EDITOR, SEEDS}, _AGENT),
    # Every transaction that writes begins so.
    Right("agents", "UPDATE", WRITERS, ("revision", "updated_at")),
    Right("agents", "UPDATE", {PUBLISHER, SEEDS}, ("active_default_prompt_id",)),
    Right("agents", "UPDATE", {SEEDS}, ("default_status_key", "variables", "protected_statuses")),
    Right("prompts", "SELECT", EVERYBODY),
    Right("prompts", "INSERT", {EDITOR, SEEDS}),
    Right("prompts", "UPDATE", {PUBLISHER, SEEDS}, ("is_active", "updated_at")),
    Right("prompts", "DELETE", {PUBLISHER}),
    Right("prompt_events", "SELECT", EVERYBODY),
    Right("prompt_events", "INSERT", WRITERS, _EVENT),
    Right("prompt_changes", "SELECT", EVERYBODY),
    Right("prompt_withdrawals", "SELECT", EVERYBODY),
    Right("prompt_withdrawals", "INSERT", {PUBLISHER}),
    Right("prompt_withdrawals", "DELETE", {PUBLISHER}),
    Right("prompt_requests", "SELECT", PEOPLE | {SEEDS}),
    Right("prompt_requests", "INSERT", WRITERS),
    Right("prompt_requests", "UPDATE", WRITERS, ("state", "decided_at", "decided_by")),
    Right("prompt_drafts", "SELECT", {EDITOR}),
    Right("prompt_drafts", "INSERT", {EDITOR}),
    Right("prompt_drafts", "UPDATE", {EDITOR}, _DRAFT),
    Right("prompt_bases", "SELECT", EVERYBODY),
    Right("prompt_bases", "INSERT", WRITERS),
    Right("prompt_bases", "UPDATE", WRITERS, ("code_version",)),
    # What a process says of itself, and what it has sent; it takes the dead away as well.
    Right("prompt_processes", "SELECT", EVERYBODY),
    *(Right("prompt_processes", verb, APPS) for verb in ("INSERT", "UPDATE", "DELETE")),
    Right("prompt_usage", "SELECT", EVERYBODY),
    *(Right("prompt_usage", verb, APPS) for verb in ("INSERT", "UPDATE", "DELETE")),
    # What serves others over the network; only the owner makes tokens and revokes them.
    Right("prompt_tokens", "SELECT", {EDITOR, PUBLISHER}),
    Right("prompt_tokens", "UPDATE", {EDITOR, PUBLISHER}, ("last_used_at",)),
    *(Right("prompt_idempotency_keys", verb, {EDITOR, PUBLISHER}) for verb in ("SELECT", "INSERT", "UPDATE", "DELETE")),
)
"""Who needs what: all that is granted, and nothing else."""

_LONGEST = 63

UNNUMBERED = frozenset({"prompt_withdrawals", "prompt_bases", "prompt_processes"})
"""The tables whose rows get no number of their own."""


def identifier(name: str, what: str) -> str:
    """Return the name of a role or a schema, or refuse one that PostgreSQL would take for another.

    Raises:
        ConfigurationError: It is empty, too long, or has characters that nobody sees.
    """
    if not name or not name.isprintable():
        raise ConfigurationError(
            f"The {what} {name!r} is no name: it needs characters that can be seen, and no others."
        )
    if len(name.encode()) > _LONGEST:
        raise ConfigurationError(
            f"The {what} {name!r} is too long: PostgreSQL would cut it off after {_LONGEST} bytes."
        )
    return name


def grants(role: DatabaseRole, to: str, schema: str) -> Iterator[str]:
    """Yield the statements that give a user of the database the rights of a role.

    Args:
        role: The role.
        to: The user, or a group of users; it must exist.
        schema: The schema of the tables.
    """
    rights = [right for right in RIGHTS if role in right.roles]
    tables = list(dict.fromkeys(right.table for right in rights))
    yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(to)};"
    for table in tables:
        given = ", ".join(_given(right for right in rights if right.table == table))
        yield f"GRANT {given} ON {quoted(schema)}.{quoted(table)} TO {quoted(to)};"
    for table in tables:
        if table not in UNNUMBERED and any(right.verb == "INSERT" for right in rights if right.table == table):
            yield f"GRANT USAGE ON SEQUENCE {quoted(schema)}.{quoted(f'{table}_id_seq')} TO {quoted(to)};"


def _given(rights: Iterable[Right]) -> Iterator[str]:
    """Yield the rights on one table, each verb once."""
    columns: dict[str, tuple[str, ...]] = {}
    for right in rights:
        columns[right.verb] = columns.get(right.verb, ()) + right.columns
    for verb, names in columns.items():
        yield f"{verb} ({', '.join(map(quoted, names))})" if names else verb


def roles_for(operation: Operation) -> tuple[DatabaseRole, ...]:
    """Return the roles whose users may do something; it is what the built-in policy says of those that it has, too."""
    if operation is Operation.SYNC:
        return (SEEDS,)
    # The database has no approvers: whoever approves carries it out.
    return tuple(role for role in (VIEWER, EDITOR, PUBLISHER) if operation in ROLES[role]) or (PUBLISHER,)
