"""Reducing the application's values to what a text uses of them.

Nothing that the application owns reaches the template engine: strings, numbers, truth values, and lists and
dictionaries of them that hold only the parts that the text names. What cannot be read counts as missing, so that a text
which somebody edits cannot make a run fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from automagik_prompts.domain.served import UNLIMITED, MissingMode
from automagik_prompts.exceptions import RenderError
from automagik_prompts.templating.access import (
    ABSENT,
    get,
    is_collection,
    is_machinery,
    length,
    members,
    report_unreadable,
)
from automagik_prompts.templating.limits import Meter
from automagik_prompts.templating.plain import UNREADABLE, Items, as_json, clean, length_of, scalar

MARKER = "[No data for "
"""How the text begins that stands in for a missing value."""

NO_TEXT = " is no text]"
"""How the text ends that stands in for a value that is there and is no text."""


@dataclass(slots=True)
class Node:
    """How a template uses one part of a path.

    Attributes:
        printed: Whether it is printed.
        tested: Whether a condition or a loop looks at it.
        is_open: Whether code opened everything below it (`contact.*`): as data it prints as JSON.
        is_withheld: Whether code does not expose it, so that it counts as missing.
        is_named: Whether code exposes it by its name, and not only by opening what is above it.
        children: The parts of it that are used.
    """

    printed: bool = False
    tested: bool = False
    is_open: bool = False
    is_named: bool = True
    is_withheld: bool = False
    children: dict[str, Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """How values are read for one text.

    Attributes:
        missing: What a missing value becomes.
        meter: How large values may be, and what is left of the run's work.
    """

    missing: MissingMode
    meter: Meter


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


def size(value: object) -> int:
    """Return how many characters of a value, reduced to what is used, there are to print."""
    if isinstance(value, Fields):
        return size(value.whole) + sum(map(size, value.values())) + size(value.loop)
    if isinstance(value, Mapping):
        return sum(map(size, value.values()))
    return sum(map(size, value)) if isinstance(value, list) else length_of(value)


def used(value: object, name: str, node: Node, rules: Rules) -> object:
    """Return what the template uses of one variable's value; one that cannot be read counts as missing.

    Raises:
        ValueLimitError: It is larger than the limits allow.
    """
    # The common case first: a name that is printed and whose value is a string.
    if type(value) is str and node.printed and not node.children:
        return clean(value, name, rules.meter)
    try:
        return _prune(value, node, name, rules)
    except RecursionError as error:
        # A list that contains itself. Not caught further down, where the next item would begin it all again.
        report_unreadable(value, name, error)
        return _absent(name, rules, ABSENT)


def _absent(path: str, rules: Rules, value: object) -> str:
    """Return what stands in for a missing value, or for one that is no text."""
    if rules.missing == "empty":
        return ""
    if rules.missing == "error":
        return _MissingIsError(path)
    return Missing(f"{MARKER}{path}]" if value is None or value is ABSENT else f"[{path}{NO_TEXT}")


def _printed(value: object, node: Node, path: str, rules: Rules) -> object:
    """Return what a value prints, or `ABSENT`."""
    found = ABSENT if is_machinery(value) else scalar(value, path, rules.meter)
    is_data = found is ABSENT and node.is_open and value is not None and not is_machinery(value)
    return as_json(value, path, rules.meter) if is_data else found


def _prune(value: object, node: Node, path: str, rules: Rules) -> object:
    """Reduce a value to what the template uses of it."""
    if node.is_withheld:
        value = value if node.children else ABSENT
    if node.children:
        return _prune_container(value, node, path, rules)
    if not node.printed:
        return _truth(value)
    found = ABSENT if value is ABSENT else _printed(value, node, path, rules)
    if found is UNREADABLE:
        value = found = ABSENT
    if found is not ABSENT:
        return found
    # What has no text of its own may still be there, for a condition.
    return _prune_container(value, node, path, rules) if node.tested else _absent(path, rules, value)


def _truth(value: object) -> object:
    """Return what a condition or a loop may know of a value that is not printed: whether, and how many."""
    if is_collection(value):
        return Items([""] * length(value))
    if value is None or value is ABSENT:
        return False
    if isinstance(value, str):
        return bool(value)
    found = scalar(value, "", Meter(UNLIMITED))
    return found is ABSENT or found is UNREADABLE or bool(found)


def _prune_container(value: object, node: Node, path: str, rules: Rules) -> Fields:
    if is_machinery(value):
        value = ABSENT  # an item of a list: what is found by a name was looked at there
    has_places = "[]" in node.children or any(name.isdecimal() for name in node.children)
    items: Sequence[object] = ()
    if has_places and is_collection(value) and not isinstance(value, Mapping):
        items = members(value, value.__iter__)
    fields = {
        name: _prune(_part(value, items, name, child), child, f"{path}.{name}", rules)
        for name, child in node.children.items()
        if name != "[]"
    }
    is_shown = node.printed and value is not ABSENT and not node.is_withheld
    whole = _printed(value, node, path, rules) if is_shown else ABSENT
    if whole is UNREADABLE:
        value = whole = ABSENT
    return Fields(
        fields,
        whole=_absent(path, rules, ABSENT if node.is_withheld else value) if whole is ABSENT else whole,
        loop=_loop(value, items, node, f"{path}[]", rules),
        is_absent=node.is_withheld or (node.tested and not _truth(value)),
    )


def _loop(value: object, items: Sequence[object], node: Node, path: str, rules: Rules) -> object:
    """Return what a loop over a value goes over, each item reduced to what the template uses of it."""
    if node.is_withheld or not node.tested or not is_collection(value):
        return None
    if (every := node.children.get("[]")) is None:
        return _truth(value)  # only of use to count
    if isinstance(value, Mapping):
        return {str(key): _prune(item, every, path, rules) for key, item in members(value, value.items)}
    return Items(_prune(item, every, path, rules) for item in items)


def _part(value: object, items: Sequence[object], name: str, node: Node) -> object:
    """Return a part of a value: the item at a place of a list, else what is found under the name."""
    if items and name.isdecimal():
        return items[int(name)] if int(name) < len(items) else ABSENT
    return get(value, name, fields_only=not node.is_named)
