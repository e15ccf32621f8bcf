"""What a template may know of the application's values: reading them, and reducing them to what a text uses.

Nothing that the application owns reaches the template engine: strings, numbers, truth values, and lists and
dictionaries of them that hold only the parts that the text names. What cannot be read counts as missing, so that a text
which somebody edits cannot make a run fail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from inspect import isclass, ismodule, isroutine
from typing import Self, TypeGuard, TypeVar, cast
from uuid import UUID

from pydantic import BaseModel

from automagik_prompts.domain.served import MissingMode
from automagik_prompts.exceptions import RenderError

T = TypeVar("T")

logger = logging.getLogger("automagik_prompts")

BUILTINS = frozenset({"agent_name", "status_key", "run_id", "today"})
"""Variables that every template may use."""

MARKER = "[No data for "
"""How the text begins that stands in for a missing value."""

ABSENT: object = object()
"""What a lookup returns for a name that has no value."""


@dataclass(slots=True)
class Node:
    """How a template uses one part of a path: printed, tested, or neither where it is only passed through."""

    printed: bool = False
    tested: bool = False
    children: dict[str, Node] = field(default_factory=dict)


class Missing(str):
    """The text of a missing value: prints as the marker, and counts as empty in a condition."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == ""

    def __ne__(self, other: object) -> bool:
        return other != ""

    __hash__ = str.__hash__


class _MissingIsError(Missing):
    """A missing value that may be tested but not printed."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RenderError(f"The prompt could not be rendered: there is no data for {str.__str__(self)}.")


class Fields(dict[str, object]):
    """The used parts of a value that is taken apart.

    Attributes:
        whole: What the value prints as a whole; never an object's repr.
        loop: What a loop goes over; `None` where the value has no items.
        is_absent: Whether a condition takes it for nothing.
    """

    __slots__ = ("is_absent", "loop", "whole")

    def __init__(self, fields: Mapping[str, object], whole: object, loop: object, *, is_absent: bool) -> None:
        super().__init__(fields)
        self.whole = whole
        self.loop = loop
        self.is_absent = is_absent

    def __str__(self) -> str:
        return str(self.whole)


class Items(list[object]):
    """A list that prints as its items, separated by commas."""

    __slots__ = ()

    def __str__(self) -> str:
        return ", ".join(str(item) for item in self)


class _Number(float):
    """A number that compares like one and prints as the original, such as a `Decimal` with all of its digits."""

    def __new__(cls, value: Decimal | float, text: str) -> Self:
        made = super().__new__(cls, value)
        made.text = text
        return made

    text: str

    def __str__(self) -> str:
        return self.text


def _absent(path: str, mode: MissingMode) -> str:
    """Return what stands in for a missing value."""
    if mode == "empty":
        return ""
    return Missing(f"{MARKER}{path}]") if mode == "marker" else _MissingIsError(path)


def used(value: object, name: str, node: Node, mode: MissingMode) -> object:
    """Return what the template uses of one variable's value; one that cannot be read counts as missing."""
    # The common case first: a name that is printed and whose value is a string.
    if type(value) is str and node.printed and not node.children:
        return value
    try:
        return _prune(value, node, name, mode)
    except RecursionError as error:
        # A list that contains itself. Not caught further down, where the next item would begin it all again.
        _report_unreadable(value, name, error)
        return _absent(name, mode)


def _prune(value: object, node: Node, path: str, mode: MissingMode) -> object:
    """Reduce a value to what the template uses of it."""
    if node.children:
        return _prune_container(value, node, path, mode)
    if not node.printed:
        return _truth(value)
    scalar = _scalar(value)
    if scalar is not ABSENT:
        return scalar
    # What has no text of its own may still be there, for a condition.
    return _prune_container(value, node, path, mode) if node.tested else _absent(path, mode)


def _truth(value: object) -> object:
    """Return what a condition or a loop may know of a value that is not printed: whether, and how many."""
    if isinstance(value, Mapping) or _is_list(value):
        return Items([""] * _length(value))
    scalar = _scalar(value)
    return value is not ABSENT and value is not None and (scalar is ABSENT or bool(scalar))


def _prune_container(value: object, node: Node, path: str, mode: MissingMode) -> Fields:
    has_places = "[]" in node.children or any(name.isdecimal() for name in node.children)
    items = _members(value, value.__iter__) if has_places and _is_list(value) else ()
    fields = {
        name: _prune(_part(value, items, name), child, f"{path}.{name}", mode)
        for name, child in node.children.items()
        if name != "[]"
    }
    whole = _scalar(value) if node.printed else ABSENT
    return Fields(
        fields,
        whole=_absent(path, mode) if whole is ABSENT else whole,
        loop=_loop(value, items, node, f"{path}[]", mode),
        is_absent=node.tested and not _truth(value),
    )


def _loop(value: object, items: Sequence[object], node: Node, path: str, mode: MissingMode) -> object:
    """Return what a loop over a value goes over, each item reduced to what the template uses of it."""
    every = node.children.get("[]")
    if not node.tested or not isinstance(value, Collection) or isinstance(value, str | bytes | bytearray):
        return None
    if every is None:
        return _truth(value)  # only of use to count
    if isinstance(value, Mapping):
        return {str(key): _prune(item, every, path, mode) for key, item in _members(value, value.items)}
    return Items(_prune(item, every, path, mode) for item in items)


def _part(value: object, items: Sequence[object], name: str) -> object:
    """Return a part of a value: the item at a place of a list, else what is found under the name."""
    if items and name.isdecimal():
        return items[int(name)] if int(name) < len(items) else ABSENT
    return get(value, name)


def _is_list(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | bytearray | Mapping)


def _members(value: object, read: Callable[[], Iterable[T]]) -> list[T]:
    """Return what a collection holds; nothing where it raises, as one that loads from a database may."""
    try:
        return list(read())
    except Exception as error:  # noqa: BLE001  # the application's collection may raise anything; it is reported
        _report_unreadable(value, "the items", error)
        return []


def _length(value: Collection[object]) -> int:
    try:
        return len(value)
    except Exception as error:  # noqa: BLE001  # as above
        _report_unreadable(value, "the length", error)
        return 0


def get(container: object, name: str) -> object:
    """Return one named value of a mapping or an object, or `ABSENT`.

    Methods, classes and names that begin with an underscore are never returned. A property that raises counts as
    absent, so that a text which somebody edits cannot make a run fail.
    """
    if container is None or container is ABSENT or name.startswith("_"):
        return ABSENT
    try:
        if isinstance(container, Mapping):
            return cast("Mapping[str, object]", container).get(name, ABSENT)
        value = getattr(container, name, ABSENT)
    except Exception as error:  # noqa: BLE001  # the application's property may raise anything; it is reported
        _report_unreadable(container, name, error)
        return ABSENT
    if type(value) is str:
        return value
    return ABSENT if isroutine(value) or isclass(value) or ismodule(value) else value


def names_in(*containers: object) -> list[str]:
    """Return the names that mappings and objects have values for, as far as that can be told without reading one."""
    found: list[str] = []
    for container in containers:
        kept = container if isinstance(container, Mapping) else getattr(container, "__dict__", None)
        slots = getattr(type(container), "__dataclass_fields__", ())
        names = [*(kept if isinstance(kept, Mapping) else ()), *slots]
        found += [name for name in names[:200] if isinstance(name, str) and not name.startswith("_")]
    return found


def builtin_value(name: str, agent: str, status_key: str, run_id: str | None) -> object:
    """Return the value of a built-in variable, or `ABSENT`; `today` is the local date as in 2025-05-13."""
    if name not in BUILTINS:
        return ABSENT
    if name == "today":
        return date.today().isoformat()
    return {"agent_name": agent, "status_key": status_key, "run_id": run_id}[name]


def _scalar(value: object) -> object:
    """Return a value that prints as people expect it, or `ABSENT` for one that would print as an object's repr."""
    if value is None or value is ABSENT:
        return ABSENT
    if type(value) in {str, bool, int, float}:
        return value
    try:
        return _converted(value)
    except RecursionError:
        raise
    except Exception as error:  # noqa: BLE001  # the application's `__str__` may raise anything; it is reported
        _report_unreadable(value, "__str__", error)
        return ABSENT


def _converted(value: object) -> object:
    if isinstance(value, Enum):
        return _scalar(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Decimal | int | float):
        if type(value).__str__ is int.__str__:
            return int(value)
        try:
            return _Number(value, str(value))
        except (ArithmeticError, ValueError):
            return str(value)  # larger than any float, or a signalling NaN
    if isinstance(value, date | time | timedelta | UUID):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        return _joined(value)
    if isinstance(value, bytes | bytearray | memoryview | Mapping | BaseModel | BaseException):
        return ABSENT
    if isroutine(value) or isclass(value) or ismodule(value) or type(value).__str__ is object.__str__:
        return ABSENT
    return str(value)


def _joined(value: Collection[object]) -> object:
    items = [item for item in map(_scalar, value) if item is not ABSENT]
    if value and not items:
        return ABSENT
    # The order of a set differs between processes, and so would the prompt.
    return Items(sorted(items, key=str) if isinstance(value, set | frozenset) else items)


def _report_unreadable(value: object, name: str, error: Exception) -> None:
    """Log that the application's own object raised while a value was read."""
    _warn_unreadable(type(value).__name__, name, type(error).__name__)


@lru_cache(maxsize=256)
def _warn_unreadable(kind: str, name: str, error: str) -> None:
    """Warn once, not on every run; an error's message may hold data, so only its type is named."""
    logger.warning("Reading %r of %s raised %s; the variable counts as missing. Look there.", name, kind, error)
