"""Which prompt is meant: an agent and a status key, in whatever form they were given.

The one place where a string or an enum member becomes a status key. A status is found by its exact spelling first, of
an enum member by its value and then by its name, and only then without regard to case. Keys that differ only in case
or in Unicode form are one key to people, so no two of one agent are ever made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from unicodedata import normalize

from automagik_prompts.exceptions import InvalidPromptError

DEFAULT_STATUS_KEY = "default"
"""The status key of an agent that has one prompt only, and the last resort of every agent."""

Status = str | Enum
"""What a status may be given as."""


@dataclass(frozen=True, slots=True, order=True)
class PromptKey:
    """The list of versions that is meant.

    Attributes:
        agent: The agent's name.
        status_key: The status key.
    """

    agent: str
    status_key: str

    def __str__(self) -> str:
        return f"{self.agent}/{self.status_key}"


def spellings(status: object) -> tuple[str, ...]:
    """Return what a status may be called, the likeliest first; none for `None`, the primary status.

    Args:
        status: A string, an enum member (its value, then its name), or `None`.

    Raises:
        InvalidPromptError: It is something else.
    """
    if isinstance(status, Enum):
        found = (status.value, status.name) if isinstance(status.value, str) else (status.name,)
    elif isinstance(status, str):
        found = (status,)
    elif status is None:
        return ()
    else:
        raise InvalidPromptError(
            f"A status must be a string, an enum member, or None, not {type(status).__name__}. Return one of these "
            "from the status function."
        )
    return tuple(dict.fromkeys(form for name in found for form in (name, normalize("NFC", name))))


def folded(status_key: str) -> str:
    """Return a key as people compare it: without regard to case and Unicode form."""
    return normalize("NFC", normalize("NFC", status_key).casefold())


def find_status(status: object, known: Iterable[str]) -> str | None:
    """Return the known key that a status means, or `None`; an exact spelling comes before one in another case.

    Raises:
        InvalidPromptError: It is neither a string nor an enum member nor `None`.
    """
    names = spellings(status)
    keys = known if isinstance(known, (set, frozenset, dict)) else set(known)
    for name in names:
        if name in keys:
            return name
    by_fold: dict[str, str] = {}
    for key in sorted(keys):
        by_fold.setdefault(folded(key), key)
    return next((by_fold[fold] for name in names if (fold := folded(name)) in by_fold), None)


def status_value(status: object, known: Iterable[str] = ()) -> str | None:
    """Return the key that a status means: the known one, else what it is called itself; `None` for the primary one.

    Raises:
        InvalidPromptError: It is neither a string nor an enum member nor `None`.
    """
    names = spellings(status)
    if not names:
        return None
    return find_status(status, known) or normalize("NFC", names[0])


def is_ambiguous(status: Enum, known: Iterable[str]) -> bool:
    """Return whether an enum member's value and its name are two different keys."""
    keys = set(known)
    value = find_status(status.value, keys) if isinstance(status.value, str) else None
    name = find_status(status.name, keys)
    return value is not None and name is not None and value != name
