from __future__ import annotations

import logging
from collections import UserDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import pytest
from pydantic import BaseModel, SecretStr

from automagik_prompts.templating import access
from automagik_prompts.templating.access import ABSENT, builtin_value, get
from automagik_prompts.templating.compiling import compile_template


def fill(text: str, **given: object) -> str:
    """Return a template filled with values."""
    return compile_template(text, "handlebars").render(lambda name: given.get(name, ABSENT))


@pytest.fixture(autouse=True)
def _warn_anew() -> None:
    """Warnings are given once in a process; each test sees its own."""
    access._warn_unreadable.cache_clear()


class Level(StrEnum):
    """A status as text."""

    GOLD = "gold"


class Rank(Enum):
    """A status as a number."""

    FIRST = 1


class Money(int):
    """A number that prints in its own way."""

    def __str__(self) -> str:
        return f"R$ {int(self)},00"


class Named:
    """An object that says how it prints."""

    def __str__(self) -> str:
        return "Ann"


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("text", "text"),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (Level.GOLD, "gold"),
        (Rank.FIRST, "1"),
        (Money(5), "R$ 5,00"),
        (Decimal("10.50"), "10.50"),
        (Decimal("1E+500"), "1E+500"),
        (date(2025, 5, 13), "2025-05-13"),
        (datetime(2025, 5, 13, 18, 31, tzinfo=UTC), "2025-05-13 18:31:00+00:00"),
        (time(18, 31), "18:31:00"),
        (timedelta(days=1), "1 day, 0:00:00"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (PurePosixPath("a/b"), "a/b"),
        (Named(), "Ann"),
        (["a", 1, None, ["b"]], "a, 1, b"),
        (("a", "b"), "a, b"),
        ({"b", "a", "c"}, "a, b, c"),
        (frozenset({2, 1}), "1, 2"),
        ([], ""),
        (SecretStr("hunter2"), "**********"),
    ],
)
def test_a_value_prints_as_people_expect(value: object, printed: str) -> None:
    """Scalars print as themselves, enum members as their values, lists with commas, sets in one order."""
    assert fill("{{value}}", value=value) == printed


class Record(NamedTuple):
    """A record that happens to be a tuple."""

    name: str = "Ann"
    password: str = "hunter2"  # noqa: S105  # a value that must not come out


@dataclass
class Data:
    """A record."""

    name: str = "Ann"
    password: str = "hunter2"  # noqa: S105  # as above
    tags: list[str] = field(default_factory=list)


class Model(BaseModel):
    """A record with a `__str__` of its own, by Pydantic."""

    name: str = "Ann"
    password: str = "hunter2"  # noqa: S105  # as above


class Plain:
    """An object with attributes, a property and a method."""

    name = "Ann"

    def __init__(self) -> None:
        self.password = "hunter2"  # noqa: S105  # as above

    @property
    def upper(self) -> str:
        """A property."""
        return "ANN"

    def method(self) -> str:
        """A method."""
        return "hunter2"


class Typed(TypedDict):
    """A typed dictionary."""

    name: str


RECORDS: list[Any] = [
    Record(),
    Data(),
    Model(),
    Plain(),
    SimpleNamespace(name="Ann"),
    Typed(name="Ann"),
    UserDict(name="Ann"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_field_is_found_in_every_kind_of_record(record: object) -> None:
    """Attributes and keys are read alike, at the top and in loops."""
    assert (
        fill("{{r.name}} {{#with r}}{{name}}{{/with}} {{#each rs}}{{name}}{{/each}}", r=record, rs=[record])
        == "Ann Ann Ann"
    )
    assert fill("{{#if r}}yes{{/if}}{{#if rs}}yes{{/if}}", r=record, rs=[record]) == "yesyes"


@pytest.mark.parametrize(
    "value",
    [
        *RECORDS,
        {"password": "hunter2"},
        deque(["hunter2"]),
        b"hunter2",
        object(),
        print,
        Plain().method,
        Plain,
        logging,
        ValueError("hunter2"),
        (item for item in ["hunter2"]),
        {"a": "hunter2"}.values(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_prints_as_an_objects_repr(value: object) -> None:
    """A record, a function, bytes or anything else that has no text of its own counts as missing when printed whole."""
    for text in ("{{value}}", "{{json value}}", "{{uppercase value}}", "{{truncate value 9}}"):
        out = fill(text, value=value)
        assert "value is no text" in out.lower() or out == "[value is"
        assert "hunter2" not in out
    assert fill("{{#each vs}}{{this}}{{/each}}", vs=[value]) == "[vs[] is no text]"
    assert fill("{{vs}}", vs=[value]) == fill("{{join vs}}", vs=[value]) == "[vs is no text]"


def test_methods_classes_and_private_names_are_never_returned() -> None:
    """Only data is read: `get` gives neither code nor what begins with an underscore."""
    plain = Plain()
    assert get(plain, "name") == "Ann"
    assert get(plain, "upper") == "ANN"
    for container, name in (
        (plain, "method"),
        (plain, "__class__"),
        (plain, "__dict__"),
        (plain, "_hidden"),
        (Model(), "model_dump"),
        (SimpleNamespace(kind=Plain, module=logging), "kind"),
        (SimpleNamespace(kind=Plain, module=logging), "module"),
        ({"_hidden": 1}, "_hidden"),
        ({"name": 1}, "keys"),
        ("text", "upper"),
        (None, "name"),
        (ABSENT, "name"),
    ):
        assert get(container, name) is ABSENT


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{#if (gt price 10)}}dear{{else}}cheap{{/if}}", "dear"),
        ("{{#if (eq price 20.5)}}same{{/if}}", "same"),
        ("{{#if free}}1{{else}}0{{/if}}{{#if (not free)}}0{{/if}}", "00"),
        ("{{price}} {{json price}} {{free}}", "20.50 20.5 0.00"),
        ("{{#if (lt money 6)}}{{money}}{{/if}}", "R$ 5,00"),
        ("{{#if (gt day '2025-01-01')}}later{{/if}}", "later"),
        ("{{#if (eq level 'gold')}}gold{{/if}}", "gold"),
    ],
)
def test_values_can_be_compared(text: str, result: str) -> None:
    """A decimal compares as the number that it is and prints with its own digits."""
    day, level = date(2025, 5, 13), Level.GOLD
    assert fill(text, price=Decimal("20.50"), free=Decimal("0.00"), money=Money(5), day=day, level=level) == result


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        ([object()], True),
        ([None], True),
        ([], False),
        (set(), False),
        ({"a": 1}, True),
        ({}, False),
        (object(), True),
        (Plain(), True),
        ("x", True),
        ("", False),
        ("0", True),
        (0, False),
        (0.0, False),
        (Decimal(0), False),
        (False, False),
        (None, False),
        (ABSENT, False),
    ],
)
def test_a_condition_sees_whether_something_is_there(value: object, truth: bool) -> None:
    """A list of objects counts, an empty one does not; it is the same whether the value is printed elsewhere or not."""
    yes = "1" if truth else "0"
    assert fill("{{#if v}}1{{else}}0{{/if}}", v=value) == yes
    assert fill("{{#unless v}}0{{else}}1{{/unless}}", v=value) == yes
    assert fill("{{#if (and v true)}}1{{else}}0{{/if}}", v=value) == yes
    assert fill("{{#if v}}1{{else}}0{{/if}}{{#if false}}{{v}}{{/if}}", v=value) == yes
    assert fill("{{#if v}}1{{else}}0{{/if}}{{#if false}}{{v.name}}{{#each v}}{{name}}{{/each}}{{/if}}", v=value) == yes


def test_a_loop_needs_no_variable() -> None:
    """A loop goes round as often as there are items, also where nothing of them is used."""
    assert fill("{{#each vs}}{{@index}}{{#if @last}}.{{/if}}{{/each}}", vs=[object(), object()]) == "01."
    assert fill("{{#each vs}}-{{else}}none{{/each}}", vs={"a": 1, "b": 2}) == "--"
    assert fill("{{#each vs}}-{{else}}none{{/each}}", vs=()) == "none"


def test_loops_over_mappings() -> None:
    """A mapping's values are its items, and its keys are there under `@key` or as the second block parameter."""
    prices = {"A": {"p": 1}, 7: {"p": 2}}
    assert fill("{{#each m}}{{@key}}={{p}};{{/each}}", m=prices) == "A=1;7=2;"
    assert fill("{{#each m as |v k|}}{{k}}={{v.p}};{{/each}}", m=prices) == "A=1;7=2;"
    assert fill("{{#each m}}{{#each this}}{{@../key}}{{@key}}{{/each}}{{/each}}", m={"A": {"b": 1}}) == "Ab"
    assert fill("{{#each m}}{{@key}}{{/each}}", m={"A": object()}) == "A"


def test_lists_can_be_indexed_and_have_attributes() -> None:
    """A part that is a number is a place in a list; another one is an attribute, and missing where there is none."""
    assert fill("{{vs.1}} {{vs.0}}", vs=["a", "b"]) == "b a"
    assert fill("{{vs.1.name}}", vs=[Data(), Data(name="Bea")]) == "Bea"
    assert fill("{{vs.5}}", vs=["a"]) == "[No data for vs.5]"
    assert fill("{{vs.length}}", vs=["a"]) == "[No data for vs.length]"


@pytest.mark.parametrize("value", [Data(tags=["x"]), {"name": "Ann", "tags": ["x"]}])
def test_a_value_that_is_printed_and_taken_apart(value: object) -> None:
    """To use a part of a record does not make the whole printable."""
    assert fill("{{v}}|{{v.name}}", v=value) == "[v is no text]|Ann"
    assert fill("{{v.tags}}|{{#each v.tags}}{{this}}{{/each}}", v=value) == "x|x"


def test_an_object_with_a_text_of_its_own_prints_it_also_where_it_is_taken_apart() -> None:
    """What `{{contact}}` shows does not depend on what else the text uses."""

    class Contact(Named):
        city = "Rio"

    assert fill("{{c}} {{uppercase c}} {{c.city}}", c=Contact()) == "Ann ANN Rio"


class Broken:
    """An object of a host whose session is closed: everything raises."""

    @property
    def name(self) -> str:
        """A property that raises."""
        raise RuntimeError("hunter2")

    def __str__(self) -> str:
        raise RuntimeError("hunter2")

    def __len__(self) -> int:
        raise RuntimeError("hunter2")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("hunter2")

    def __contains__(self, item: object) -> bool:
        raise RuntimeError("hunter2")


class BrokenDict(UserDict[str, object]):
    """A mapping that raises when it is asked."""

    def __getitem__(self, key: str) -> object:
        raise RuntimeError("hunter2")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{b.name}}", "[No data for b.name]"),
        ("{{b}}", "[No data for b]"),
        ("{{#if b}}1{{else}}0{{/if}}", "0"),
        ("{{#each b}}{{this}}{{else}}none{{/each}}", "none"),
        ("{{#each b}}-{{else}}none{{/each}}", "none"),
        ("{{#each bs}}{{this}}{{/each}}", "[No data for bs[]]"),
        ("{{d.name}}", "[No data for d.name]"),
    ],
)
def test_a_value_that_cannot_be_read_counts_as_missing(
    text: str, result: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A property or a lazy collection that raises cannot fail a run; it is told once, without what it said."""
    for _ in range(3):
        assert fill(text, b=Broken(), bs=[Broken()], d=BrokenDict(name=1)) == result
    messages = [record.getMessage() for record in caplog.records]
    assert messages
    assert len(messages) == len(set(messages))
    assert "raised RuntimeError; the variable counts as missing" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_list_that_contains_itself_counts_as_missing(caplog: pytest.LogCaptureFixture) -> None:
    """A circle in the host's data ends in a warning."""
    circle: list[object] = ["a"]
    circle += [circle] * 50
    assert fill("{{v}} {{name}}", v=circle, name="Ann") == "[No data for v] Ann"
    assert "RecursionError" in caplog.text


def test_only_what_the_text_uses_is_read() -> None:
    """A property that the text does not name is not touched, so a slow or failing one costs nothing."""
    assert fill("{{#with b}}{{other}}{{/with}}", b=SimpleNamespace(other="x", broken=Broken())) == "x"


def test_the_built_in_variables() -> None:
    """The agent's name, the status, the run and the local date are always there."""
    assert builtin_value("agent_name", "stan", "A", "r1") == "stan"
    assert builtin_value("status_key", "stan", "A", "r1") == "A"
    assert builtin_value("run_id", "stan", "A", None) is None
    assert builtin_value("today", "stan", "A", None) == date.today().isoformat()  # the local date is meant
    assert builtin_value("other", "stan", "A", None) is ABSENT
