"""How much work a text is to fill, counted in units and never in time: tags, helper calls, rounds of loops, characters.

When a text is written or loaded it is estimated with so many items in each loop. In a run, the lists that it goes over
are counted before anything is filled, so that a run which cannot be afforded is found out at little cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from automagik_prompts.domain.served import Limits
from automagik_prompts.templating.access import ABSENT, Path, get, is_collection, length, members, written
from automagik_prompts.templating.limits import ValueLimitError

ASSUMED_ITEMS = 50
"""Items in each loop, when a text is estimated."""


@dataclass(slots=True)
class Work:
    """The units of one round of a loop, or of the text itself.

    Attributes:
        path: The path of what is gone over; empty for the text itself.
        units: What one round takes besides the loops in it.
        inner: The loops in it.
    """

    path: Path = ()
    units: int = 1
    inner: list[Work] = field(default_factory=list)

    def estimate(self) -> int:
        """Return the units of one round, with `ASSUMED_ITEMS` items in each loop."""
        return self.units + sum(ASSUMED_ITEMS * loop.estimate() for loop in self.inner)

    def uses(self, path: Path) -> bool:
        """Return whether a loop in it goes over a part of what is found at a path."""
        return any(loop.path[: len(path)] == path or loop.uses(path) for loop in self.inner)


def check_work(work: Work, values: Mapping[str, object], limits: Limits, no_lists: list[str]) -> None:
    """Count the work that the values of one run make, and refuse what is beyond the limits.

    Args:
        work: The text's work.
        values: The values by their top-level names.
        limits: What is allowed.
        no_lists: Takes the names of what is gone over and is no list.

    Raises:
        ValueLimitError: A list is too long, or the work too much; it names the list.
    """
    left = limits.units - work.units
    for loop in work.inner:
        left -= _rounds(loop, values, {}, limits, left, no_lists)


def _rounds(
    loop: Work,
    values: Mapping[str, object],
    bound: Mapping[Path, object],
    limits: Limits,
    left: int,
    no_lists: list[str],
) -> int:
    """Return the units of all rounds of a loop."""
    name = written(loop.path)
    items = _at(loop.path, values, bound)
    if not is_collection(items):
        if name not in no_lists:
            no_lists.append(name)
        return 0
    count = length(items)
    if count > limits.items:
        raise ValueLimitError(name, f"has {count} items, and {limits.items} are allowed")
    units = count * loop.units
    place = (*loop.path, "[]")
    if loop.inner and count:
        each: list[object] = [ABSENT]
        if loop.uses(place):
            each = members(items, items.values if isinstance(items, Mapping) else items.__iter__)
        for item in each:
            _check(units, left, name, limits)
            within = {**bound, place: item}
            inner = sum(_rounds(one, values, within, limits, left - units, no_lists) for one in loop.inner)
            units += inner * (count if item is ABSENT else 1)
    _check(units, left, name, limits)
    return units


def _check(units: int, left: int, name: str, limits: Limits) -> None:
    if units > left:
        raise ValueLimitError(name, f"makes filling the text take more than {limits.units} units of work")


def _at(path: Path, values: Mapping[str, object], bound: Mapping[Path, object]) -> object:
    """Return what is found at a path, from the closest item that is bound."""
    for end in range(len(path), 0, -1):
        if path[:end] in bound:
            found, rest = bound[path[:end]], path[end:]
            break
    else:
        found, rest = values.get(path[0], ABSENT), path[1:]
    for part in rest:
        if part.isdecimal() and isinstance(found, list | tuple):
            found = found[int(part)] if int(part) < len(found) else ABSENT
        else:
            found = get(found, part)
    return found
