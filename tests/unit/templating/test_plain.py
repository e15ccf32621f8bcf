"""Data: printed as JSON where code opened it, and said to be no text where not."""

from __future__ import annotations

import functools
import json
import sys
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, SecretStr

from automagik_prompts.domain.served import Gap, GapKind
from automagik_prompts.templating.access import ABSENT
from automagik_prompts.templating.compiling import compile_template


@dataclass
class Line:
    """A line of an order."""

    name: str
    price: Decimal
    _cost: int = 3
    tags: list[str] = field(default_factory=list)


class Model(BaseModel):
    """A model with a secret."""

    name: str = "Ada"
    key: SecretStr = SecretStr("hunter2")


Pair = namedtuple("Pair", "left right")  # noqa: PYI024  # as libraries without types have them


def fill(text: str, exposed: list[str], gaps: list[Gap] | None = None, **values: object) -> str:
    """Fill a text as an agent would whose code exposes these names."""
    template = compile_template(text, "handlebars").opened(exposed)
    return template.render(lambda name: values.get(name, ABSENT), gaps=gaps)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"a": 1, "b": [None, True, 1.5], "_c": 2}, {"a": 1, "b": [None, True, 1.5]}),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}]),
        (Line("flour", Decimal("2.50"), tags=["é"]), {"name": "flour", "price": "2.50", "tags": ["é"]}),
        (Model(), {"name": "Ada", "key": "**********"}),
        (Pair(1, "x"), {"left": 1, "right": "x"}),
        (({"a": 1},), [{"a": 1}]),
    ],
)
def test_data_is_json_where_code_opened_it(value: object, data: object) -> None:
    """`{{orders}}` and `{{json orders}}` print the same, also within a loop or deeper down."""
    printed = fill("{{orders}}", ["orders.*"], orders=value)
    assert json.loads(printed) == data
    assert fill("{{json orders}}", ["orders.*"], orders=value) == printed
    assert fill("{{#each all}}{{this}}{{/each}}", ["all.*"], all=[value]) == printed
    assert fill("{{c.orders}}", ["c.*"], c={"orders": value}) == printed


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], Line("x", Decimal(1)), Model(), Pair(1, 2)])
def test_elsewhere_it_is_said_to_be_no_text(value: object) -> None:
    """Not that there is no data, which would send somebody looking in the wrong place."""
    gaps: list[Gap] = []
    assert fill("{{orders}}", ["orders"], gaps, orders=value) == "[orders is no text]"
    assert gaps == [Gap("orders", GapKind.NO_TEXT)]
    assert fill("{{orders}}", ["orders"], [], orders=None) == "[No data for orders]"


@pytest.mark.parametrize("value", [3, "text", None, ABSENT])
def test_a_loop_over_what_is_no_list_is_noted(value: object) -> None:
    """It renders as nothing, as before, and whoever is responsible learns of it."""
    gaps: list[Gap] = []
    assert fill("-{{#each vs}}{{this}}{{/each}}-", ["vs"], gaps, vs=value) == "--"
    assert gaps == [Gap("vs", GapKind.NO_LIST)]
    gaps.clear()
    assert fill("-{{#each vs}}{{this}}{{/each}}-", ["vs"], gaps, vs=[]) == "--"
    assert gaps == []


class Contact:
    """Everything that an object may have, beside its data."""

    LIMIT = 9
    registry: ClassVar[dict[str, str]] = {"key": "hunter2"}

    def __init__(self) -> None:
        self.name = "Ada"
        self.frame = sys._getframe()
        self.partial = functools.partial(print, "hunter2")
        self.module = sys
        self.items = (number for number in range(3))
        self.waiting = self.wait()
        self.error = ValueError("hunter2")

    async def wait(self) -> None:
        """Be a coroutine."""

    def method(self) -> str:
        """Be a method."""
        return "hunter2"

    @property
    def full_name(self) -> str:
        """Be a property, as people use them."""
        return "Ada Lovelace"

    @functools.cached_property
    def cached(self) -> str:
        """Be one that is kept."""
        return "kept"


def reached(contact: Contact) -> Iterator[str]:
    """Yield each path through an object and its parts that prints something of it."""
    for path in (
        *("LIMIT", "registry", "registry.key", "frame", "frame.f_back", "frame.f_globals", "partial", "partial.args"),
        *("module", "module.path", "items", "items.gi_frame", "waiting", "waiting.cr_frame", "method", "error"),
        *("error.args", "error.__traceback__", "wait"),
    ):
        try:
            printed = fill(f"{{{{c.{path}}}}}", ["c.*"], c=contact)
        except Exception:  # noqa: BLE001, S112  # what is refused when it is written is not reached
            continue
        if printed not in {f"[No data for c.{path}]", f"[c.{path} is no text]"}:
            yield f"{path}: {printed}"


def test_what_is_opened_reaches_data_and_nothing_else() -> None:
    """Frames, coroutines, generators, exceptions, partials, modules, class-level constants and methods stay out."""
    contact = Contact()
    assert list(reached(contact)) == []
    assert fill("{{c.name}} {{c.full_name}} {{c.cached}}", ["c.*"], c=contact) == "Ada Ada Lovelace kept"
    assert fill("{{c.LIMIT}}", ["c.LIMIT"], c=contact) == "9"  # whoever names it means it
    contact.waiting.close()


def test_mappings_and_slots_are_data(recwarn: Any) -> None:
    """A mapping's keys, fields in slots and a dataclass' defaults are reached."""

    @dataclass
    class Slotted:
        __slots__ = ("name",)
        name: str

    assert fill("{{c.LIMIT}}", ["c.*"], c={"LIMIT": 1}) == "1"
    assert fill("{{c.name}}", ["c.*"], c=Slotted("Ada")) == "Ada"
    assert fill("{{c.tags}} {{c.name}}", ["c.*"], c=Line("x", Decimal(1), tags=["a", "b"])) == "a, b x"
    assert fill("{{c.left}}", ["c.*"], c=Pair(1, 2)) == "1"
    assert not recwarn.list
