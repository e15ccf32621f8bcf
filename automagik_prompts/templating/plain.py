"""Values as people expect to see them: text, numbers, dates, lists of these; and data as JSON where code opened it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel

from automagik_prompts.templating.access import ABSENT, get, is_machinery, members, report_unreadable
from automagik_prompts.templating.limits import UNIT_LENGTH, Meter, ValueLimitError

SURROGATES = re.compile("[\ud800-\udfff]")
UNREADABLE: object = object()
"""What stands for a value that raised while it was read."""

_MAX_DEPTH = 20
"""How deep data may be nested to be printed as JSON."""


class Items(list[object]):
    """A list that prints as its items, separated by commas."""

    __slots__ = ()

    def __str__(self) -> str:
        return ", ".join(str(item) for item in self)


def length_of(value: object) -> int:
    """Return how many characters a value prints at least."""
    if isinstance(value, str):
        return len(value)
    return sum(map(length_of, value)) if isinstance(value, Items) else 1


class Json(str):
    """Data that is JSON already."""

    __slots__ = ()


class _Number(float):
    """A number that compares like one and prints as the original, such as a `Decimal` with all of its digits."""

    def __new__(cls, value: Decimal | float, text: str) -> Self:
        made = super().__new__(cls, value)
        made.text = text
        return made

    text: str

    def __str__(self) -> str:
        return self.text


def clean(text: str, name: str, meter: Meter) -> str:
    """Return a text that can be sent and saved: lone surrogates, which no JSON can hold, become U+FFFD.

    Raises:
        ValueLimitError: It is longer than the limit.
    """
    if len(text) > meter.limits.value_length:
        raise ValueLimitError(name, f"has {len(text)} characters, and {meter.limits.value_length} are allowed")
    if text.isascii():
        return text
    meter.spend(name, len(text))
    return SURROGATES.sub("\ufffd", text)


def scalar(value: object, name: str, meter: Meter) -> object:
    """Return a value that prints as people expect it, or `ABSENT` for one that would print as an object's repr.

    What raises while it is read is `UNREADABLE`.

    Raises:
        ValueLimitError: It is larger than the limits allow.
    """
    if value is None or value is ABSENT:
        return ABSENT
    if type(value) in {bool, int, float}:
        return value
    if type(value) is str:
        return clean(value, name, meter)
    try:
        return _converted(value, name, meter)
    except (RecursionError, ValueLimitError):
        raise
    except Exception as error:  # noqa: BLE001  # the application's `__str__` may raise anything; it is reported
        report_unreadable(value, "__str__", error)
        return UNREADABLE


def _converted(value: object, name: str, meter: Meter) -> object:
    if isinstance(value, Enum):
        return scalar(value.value, name, meter)
    if isinstance(value, str):
        return clean(str(value), name, meter)
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
        return _joined(value, name, meter)
    if isinstance(value, bytes | bytearray | memoryview | Mapping | BaseModel) or is_machinery(value):
        return ABSENT
    if type(value).__str__ is object.__str__:
        return ABSENT
    return clean(str(value), name, meter)


def _joined(value: Collection[object], name: str, meter: Meter) -> object:
    _check_items(value, name, meter)
    meter.spend(name, len(value) * UNIT_LENGTH)
    found = [(item, scalar(item, name, meter)) for item in value]
    items = [text for _, text in found if text is not ABSENT and text is not UNREADABLE]
    if (value and not items) or any(text is ABSENT and item is not None for item, text in found):
        return ABSENT  # some of it is data, which would be left out without a word
    if sum(map(length_of, items)) > meter.limits.value_length:
        raise ValueLimitError(name, f"has more than {meter.limits.value_length} characters")
    # The order of a set differs between processes, and so would the prompt.
    return Items(sorted(items, key=str) if isinstance(value, set | frozenset) else items)


def as_json(value: object, name: str, meter: Meter) -> object:
    """Return data as JSON, `ABSENT` for what is none; names that begin with an underscore are left out.

    Raises:
        ValueLimitError: It is larger than the limits allow.
    """
    data = _data(value, name, meter, _MAX_DEPTH)
    if data is ABSENT:
        return ABSENT
    return Json(clean(json.dumps(data, ensure_ascii=False), name, meter))


def _data(value: object, name: str, meter: Meter, depth: int) -> Any:
    """Return a value as JSON has it."""
    meter.spend(name, UNIT_LENGTH)
    if type(value) is str:
        meter.spend(name, len(value))
        return value
    if value is None or type(value) in {bool, int}:
        return value
    if depth == 0:
        raise ValueLimitError(name, f"is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, Enum):
        return _data(value.value, name, meter, depth - 1)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        _check_items(value, name, meter)
    if (found := _named(value)) is not None:
        data = ((key, _data(item, name, meter, depth - 1)) for key, item in found.items())
        return {key: item for key, item in data if item is not ABSENT}
    if isinstance(value, list | tuple | set | frozenset):
        items = [item for item in (_data(one, name, meter, depth - 1) for one in value) if item is not ABSENT]
        return sorted(items, key=str) if isinstance(value, set | frozenset) else items
    plain = scalar(value, name, meter)
    if isinstance(plain, float) and not isinstance(plain, _Number) and plain == plain and abs(plain) != float("inf"):
        return plain
    return ABSENT if plain is ABSENT or plain is UNREADABLE else str(plain)


def _named(value: object) -> Mapping[str, object] | None:
    """Return the named parts of data, `None` for what has none."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in members(value, value.items) if not str(key).startswith("_")}
    if isinstance(value, BaseModel):
        return {key: get(value, key) for key in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: get(value, one.name) for one in fields(value) if not one.name.startswith("_")}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    return None


def _check_items(value: Collection[object], name: str, meter: Meter) -> None:
    if len(value) > meter.limits.items:
        raise ValueLimitError(name, f"has {len(value)} items, and {meter.limits.items} are allowed")
