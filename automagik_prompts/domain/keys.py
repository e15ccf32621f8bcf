"""Which prompt is meant: an agent and a status key, in whatever form they were given.

The one place where a string or an enum member becomes a status key. A status is found by its exact spelling first, of
an enum member by its value and then by its name, and only then without regard to case. Keys that differ only in case
or in Unicode form are one key to people, so no two of one agent are ever made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple
from unicodedata import normalize

from automagik_prompts.domain.validation import MAX_NAME_LENGTH, normalized
from automagik_prompts.exceptions import InvalidPromptError

DEFAULT_STATUS_KEY = "default"
"""The status key of an agent that has one prompt only, and the last resort of every agent, in whatever case."""

Status = str | Enum
"""What a status may be given as."""

_MAX_SPELLING = 4 * MAX_NAME_LENGTH
"""The longest spelling of a key, in characters: in one form a letter may be three characters more than in another."""


class PromptKey(NamedTuple):
    """Which prompt: the name of an agent and a status key, as they are kept."""

    agent: str
    status_key: str

    def __str__(self) -> str:
        return f"{self.agent}/{self.status_key}"


class SpellingClash(NamedTuple):
    """A status that the code spells otherwise than the database, so that its text is not written.

    Attributes:
        agent: The agent's name.
        declared: The key in code.
        stored: The key in the database.
    """

    agent: str
    declared: str
    stored: str

    def __str__(self) -> str:
        return (
            f"The code of {self.agent} has the status {self.declared!r} and the database {self.stored!r}, which differ "
            "only in case or in Unicode form. The code's text was not written. Spell it alike."
        )


class StatusKeys:
    """The status keys of one agent, each found however it is given.

    Args:
        keys: Keys that exist; such as differ in spelling only are different keys, as a database may have them.
        more: Keys that exist as well, unless one of the others is another spelling of theirs.
    """

    __slots__ = ("_by_fold", "_keys")

    def __init__(self, keys: Iterable[str], more: Iterable[str] = ()) -> None:
        self._keys = dict.fromkeys(keys)
        # Made late: most statuses are given as they are kept.
        self._by_fold: dict[str, str] | None = None
        for key in more:
            if key not in self._keys and self.find(key) is None:
                self._keys[key] = None
                self._folds()[folded(key)] = key

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def find(self, status: Status) -> str | None:
        """Return the key that a status means, or `None`: its own spelling comes first, then one in another case.

        Args:
            status: A string, or an enum member by its value and then by its name.

        Raises:
            InvalidPromptError: It is something else.
        """
        words = spellings(status)
        for word in words:
            if word in self._keys:
                return word[:]  # plain, where a subclass of `str` was given
        for word in words:
            # What is longer is a prompt's text, which a member of an enum class of prompts has as its value.
            if len(word) <= _MAX_SPELLING and (key := self._folds().get(folded(word))) is not None:
                return key
        return None

    def _folds(self) -> dict[str, str]:
        found = self._by_fold
        if found is None:
            found = self._by_fold = {folded(key): key for key in sorted(self._keys, reverse=True)}
        return found


def spellings(status: object) -> tuple[str, ...]:
    """Return what a status may be called: the string, or the value and the name of an enum member.

    Raises:
        InvalidPromptError: It is something else, or an enum member without a name.
    """
    if isinstance(status, Enum):
        found = tuple(word for word in (status.value, status.name) if isinstance(word, str))
        if found:
            return found
    elif isinstance(status, str):
        return (status,)
    raise InvalidPromptError(
        f"A status must be a string, an enum member, or None, not {type(status).__name__}. Give one of these, or "
        "return it from the status function."
    )


def new_key(status: object) -> str:
    """Return what a status is called that nobody knows: the string, or the value of an enum member, else its name.

    Raises:
        InvalidPromptError: It is something else.
    """
    return normalized(spellings(status)[0])


def folded(name: str) -> str:
    """Return what all spellings of a name have in common that differ only in case or in Unicode form."""
    return name.casefold() if name.isascii() else normalize("NFD", normalize("NFD", name).casefold())


def spelt_alike(keys: Iterable[str]) -> list[list[str]]:
    """Return the keys that differ only in case or in Unicode form, each such group sorted."""
    groups: dict[str, set[str]] = {}
    for key in keys:
        groups.setdefault(folded(key), set()).add(key)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)
