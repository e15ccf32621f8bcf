"""Sample values: a field for each variable that a text uses, and a tick for each condition."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from automagik_prompts.templating.access import BUILTINS

_TEST = re.compile(r"\{\{[~\s]*(?:#|else\s+)(if|unless)\s+([^{}]*?)[~\s]*\}\}")
_NAME = re.compile(r"[^\W\d_][\w-]*(?:\.[\w-]+)*")
_HELPERS = frozenset({"and", "or", "not", "eq", "ne", "lt", "lte", "gt", "gte", "true", "false", "null", "this"})
_ITSELF = ""


@dataclass(frozen=True, slots=True)
class SampleField:
    """A field for a value.

    Attributes:
        name: The variable.
        value: What stands in it.
        is_list: Whether each line is an item's.
    """

    name: str
    value: str = field(repr=False)
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """A tick for a part of a text that depends on a value.

    Attributes:
        name: The variable.
        kind: `if` or `unless`.
        lines: The lines on which it is asked.
        is_on: Whether it is there.
        follows: Whether it has a value of its own, too.
    """

    name: str
    kind: str
    lines: tuple[int, ...]
    is_on: bool
    follows: bool


@dataclass(frozen=True, slots=True)
class Samples:
    """The sample values of a text.

    Attributes:
        fields: A field for each value.
        conditions: A tick for each condition.
    """

    fields: tuple[SampleField, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def values(self) -> dict[str, object]:
        """The values by name, as an application's `deps` would have them."""
        off = tuple(one.name for one in self.conditions if not one.is_on)
        tree: dict[str, Any] = {}
        for one in self.fields:
            if one.value and not any(one.name == name or one.name.startswith((f"{name}.", f"{name}[")) for name in off):
                _put(tree, one.name.split("."), one.value)
        for condition in self.conditions:
            if condition.is_on and not condition.follows:
                _put(tree, condition.name.split("."), True)
        return {name: _finished(value) for name, value in tree.items()}


def samples_of(text: str, variables: Iterable[str], values: Mapping[str, str], ticks: Mapping[str, bool]) -> Samples:
    """Return the sample values of a text.

    Args:
        text: The text.
        variables: The variables that it uses, as templates tell them.
        values: What stood in the fields; of others it is a word that says what it is.
        ticks: Which conditions were shown, and whether they were ticked.
    """
    used = set(variables)
    printed = {name for name in used if not name.endswith("?")} - BUILTINS
    tested = {name.removesuffix("?") for name in used} - BUILTINS
    asked = _conditions(text, tested)
    # What is only asked for has a tick; of the items of a list each has its own answer, so that is a line.
    shown = printed | {name for name in tested if "[]" in name}
    fields = tuple(
        SampleField(name, values.get(name, _word(name)), is_list="[]" in name)
        for name in sorted(shown)
        if not any(other.startswith((f"{name}.", f"{name}[")) for other in shown)
    )
    conditions = tuple(
        Condition(name, kind, tuple(dict.fromkeys(lines)), ticks.get(name, True), _has_part(name, shown))
        for name, (kind, lines) in asked.items()
    )
    return Samples(fields, conditions)


def samples_sent(values: Mapping[str, str], ticks: Mapping[str, bool]) -> Samples:
    """Return the sample values as they were sent, while a text cannot be read: nobody has to give them again."""
    fields = tuple(SampleField(name, value, is_list="[]" in name) for name, value in values.items())
    conditions = tuple(
        Condition(name, "if", (), is_on, follows=_has_part(name, values)) for name, is_on in ticks.items()
    )
    return Samples(fields, conditions)


def _has_part(name: str, shown: Collection[str]) -> bool:
    return any(one == name or one.startswith((f"{name}.", f"{name}[")) for one in shown)


def _conditions(text: str, tested: Collection[str]) -> dict[str, tuple[str, list[int]]]:
    found: dict[str, tuple[str, list[int]]] = {}
    for test in _TEST.finditer(text):
        line = text.count("\n", 0, test.start()) + 1
        for name in _names(test[2]):
            full = name if name in tested else next((one for one in tested if one.endswith(f".{name}")), None)
            if full is not None and "[]" not in full:
                found.setdefault(full, (test[1], []))[1].append(line)
    return found


def _names(argument: str) -> Iterator[str]:
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", argument)
    yield from (name for name in _NAME.findall(bare) if name not in _HELPERS)


def _word(name: str) -> str:
    """Return what stands for a value until somebody gives one: `Customer name` for `contact.customer_name`."""
    return name.rpartition(".")[2].removesuffix("[]").lstrip("@").replace("_", " ").capitalize()


def _put(tree: dict[str, Any], steps: list[str], value: str | bool) -> None:
    name, rest = steps[0].removesuffix("[]"), steps[1:]
    if name == steps[0]:
        if not rest:
            tree[name] = value
        elif isinstance(inner := tree.setdefault(name, {}), dict):
            _put(inner, rest, value)
        return
    items = tree.setdefault(name, [])
    if not isinstance(items, list):
        return
    for index, line in enumerate(str(value).rstrip("\n").split("\n")):
        if index == len(items):
            items.append({})
        _put(items[index], rest or [_ITSELF], line)


def _finished(value: Any) -> object:
    """Return a value with lists of texts instead of their parts, and mappings where a text asks for the keys."""
    if isinstance(value, list):
        if any("@key" in item for item in value):
            return {item.get("@key", str(place)): _finished(_without_key(item)) for place, item in enumerate(value)}
        return [_finished(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {_ITSELF}:
            return value[_ITSELF]
        return {name: _finished(part) for name, part in value.items() if name != _ITSELF}
    return value


def _without_key(item: dict[str, Any]) -> object:
    return {name: value for name, value in item.items() if name != "@key"}
