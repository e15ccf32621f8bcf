"""How anything becomes a key: strings in any spelling, and enum members by their value and then by their name."""

from __future__ import annotations

from enum import Enum, Flag, IntEnum, StrEnum, auto

import pytest

from automagik_prompts.domain.keys import PromptKey, StatusKeys, folded, new_key, spellings, spelt_alike
from automagik_prompts.domain.validation import MAX_NAME_LENGTH
from automagik_prompts.exceptions import InvalidPromptError

COMPOSED, DECOMPOSED = "PR\u00c9-APROVADO", "PRE\u0301-APROVADO"


class Plain(Enum):
    """Values that are the keys in another case."""

    NEW = "new"
    APPROVED = "approved"


class Strings(StrEnum):
    """Values that are the keys."""

    OPEN = "open"


class Legacy(str, Enum):  # noqa: UP042  # `str()` of this one is `Legacy.OPEN`
    """A status from before `StrEnum`."""

    OPEN = "open"


class Number(IntEnum):
    """Values that no key can be, so the names count."""

    OPEN = auto()


class Labelled(Enum):
    """Values that are more than a key, likewise."""

    OPEN = ("o", "An open contact")


class Crossed(Enum):
    """Values that are each other's names."""

    NEW = "APPROVED"
    APPROVED = "NEW"


class Shouted(Enum):
    """A member whose name is spelt more exactly than its value."""

    approved = "Approved"


class Rights(Flag):
    """Members that can be put together to something without a name."""

    READ = auto()
    WRITE = auto()


@pytest.mark.parametrize(
    ("status", "keys", "found"),
    [
        ("open", ["open", "OPEN"], "open"),
        ("OPEN", ["open", "OPEN"], "OPEN"),
        ("Open", ["open"], "open"),
        ("Default", ["NEW", "DEFAULT"], "DEFAULT"),
        (DECOMPOSED, [COMPOSED], COMPOSED),
        (COMPOSED, [DECOMPOSED], DECOMPOSED),
        (COMPOSED.lower(), [DECOMPOSED], DECOMPOSED),
        ("STRASSE", ["stra\u00dfe"], "stra\u00dfe"),
        ("\u0399\u0390", ["\u03b9\u0390"], "\u03b9\u0390"),
        ("approved", ["NEW", "APPROVED"], "APPROVED"),
        ("aproved", ["NEW", "APPROVED"], None),
        ("", ["NEW"], None),
        (Plain.APPROVED, ["NEW", "APPROVED"], "APPROVED"),
        (Plain.APPROVED, ["NEW", "APPROVED", "approved"], "approved"),
        (Strings.OPEN, ["OPEN"], "OPEN"),
        (Legacy.OPEN, ["open"], "open"),
        (Number.OPEN, ["OPEN"], "OPEN"),
        (Number.OPEN, ["open"], "open"),
        (Labelled.OPEN, ["OPEN", "o"], "OPEN"),
        (Crossed.NEW, ["NEW", "APPROVED"], "APPROVED"),
        (Shouted.approved, ["APPROVED", "approved"], "approved"),
        (Plain.NEW, ["OTHER"], None),
    ],
)
def test_a_status_is_found_however_it_is_given(status: str | Enum, keys: list[str], found: str | None) -> None:
    """The exact spelling comes before another, an enum member's value before its name; the key is a plain string."""
    assert StatusKeys(keys).find(status) == found
    assert type(StatusKeys(keys).find(status)) in {str, type(None)}


def test_of_two_places_the_first_one_spells() -> None:
    """What the code spells otherwise than the database is found under the database's key, and is no key of its own."""
    keys = StatusKeys(["approved", "NEW"], ["APPROVED", "NEW", "REJECTED", "rejected"])
    assert list(keys) == ["approved", "NEW", "REJECTED"]
    assert [keys.find(key) for key in ("APPROVED", "Approved", "new", "rejected")] == [
        "approved",
        "approved",
        "NEW",
        "REJECTED",
    ]
    assert "approved" in keys
    assert "APPROVED" not in keys


def test_spellings_that_exist_side_by_side_each_stay() -> None:
    """A database from before may have such pairs: each is itself, and a third spelling always finds the same one."""
    pair = ["default", "DEFAULT"]
    for keys in (StatusKeys(pair), StatusKeys(reversed(pair)), StatusKeys(pair, ["Default"])):
        assert [keys.find(key) for key in pair] == pair
        assert keys.find("Default") == "DEFAULT"
    assert spelt_alike([*pair, "NEW", COMPOSED, DECOMPOSED]) == [["DEFAULT", "default"], [DECOMPOSED, COMPOSED]]


def test_a_text_is_not_looked_up_at_length() -> None:
    """A member of an enum class of prompts has its text as its value: only its name can be a status."""
    text = "x" * 1_000_000

    class Texts(Enum):
        NEW = text

    assert StatusKeys(["NEW"]).find(Texts.NEW) == "NEW"
    assert StatusKeys(["NEW", text.upper()]).find(Texts.NEW) == "NEW"


@pytest.mark.parametrize(
    ("status", "key"),
    [
        ("open", "open"),
        (Strings.OPEN, "open"),
        (Legacy.OPEN, "open"),
        (Number.OPEN, "OPEN"),
        (Labelled.OPEN, "OPEN"),
        (DECOMPOSED, COMPOSED),
        (Strings("open"), "open"),
    ],
)
def test_a_new_status_gets_its_key(status: str | Enum, key: str) -> None:
    """The string or the value, in the form in which names are kept; the name where the value is no string."""
    assert new_key(status) == key
    assert type(new_key(status)) is str


@pytest.mark.parametrize("status", [5, None, b"open", ["open"], object(), Rights.READ & Rights.WRITE])
def test_anything_else_is_no_status(status: object) -> None:
    """Whoever gives something else is told what can be given."""
    for call in (spellings, new_key):
        with pytest.raises(InvalidPromptError, match="A status must be a string, an enum member, or None, not"):
            call(status)


def test_a_key_is_a_pair() -> None:
    """It can be looked up by a plain tuple, sorted, taken apart, and read."""
    key = PromptKey("stan", "NEW")
    assert key == ("stan", "NEW")
    assert hash(key) == hash(("stan", "NEW"))
    assert f"{key}" == "stan/NEW"
    assert sorted([key, PromptKey("a", "Z")])[0] == ("a", "Z")


def test_the_longest_names_are_found_too() -> None:
    """A spelling may be longer than what a key may have, in a form with a character for each accent."""
    longest = "\u1fb7" * MAX_NAME_LENGTH  # four characters when taken apart
    keys = StatusKeys([longest])
    assert keys.find("\u03b1\u0342\u0345" * MAX_NAME_LENGTH) == longest
    assert folded(longest) == folded(longest.upper())
