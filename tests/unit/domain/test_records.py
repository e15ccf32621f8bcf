from __future__ import annotations

import dataclasses
import hashlib
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from automagik_prompts.domain.edits import Intent
from automagik_prompts.domain.records import PromptCreate
from automagik_prompts.domain.served import Explanation, Source, State
from automagik_prompts.domain.text import content_hash
from automagik_prompts.domain.validation import (
    MAX_NAME_LENGTH,
    MAX_NOTE_LENGTH,
    MAX_TEXT_LENGTH,
    check_format,
    check_name,
    check_optional,
    check_text,
)
from automagik_prompts.exceptions import InvalidPromptError

ODD_TEXTS = [
    " leading and trailing \n",
    "\ufeffwith a byte order mark",
    "line\r\nbreaks\rof\nall\u2028kinds\u2029\x85\x0b\x0c",
    "e\u0301 and \u00e9",
    "\u202eright to left\u202c \u200fmarks",
    "👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 \U0001f1e7\U0001f1f7",
    "tab\t bell\a escape\x1b delete\x7f",
    "\U0010ffff \ufffe \ue000",
    "%s {} {0} $1 ? ' \" ` \\ \\n -- /* */ ;",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_every_text_that_can_be_stored_is_kept_as_it_is(text: str) -> None:
    """Marks, joined emoji, every kind of line end and what looks like code in any language pass unchanged."""
    assert check_text(text) is text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is blank"),
        (" \t\r\n\u00a0\u2003", "is blank"),
        ("\u200b\ufeff\u2060\u200d", "is blank"),
        (None, "must be a string, not NoneType"),
        (b"bytes", "must be a string, not bytes"),
        ("x" * (MAX_TEXT_LENGTH + 1), f"has {MAX_TEXT_LENGTH + 1} characters; at most {MAX_TEXT_LENGTH}"),
        ("\0", "contains the NUL character U+0000 at position 1 (line 1, column 1)"),
        ("ab\ncd\0e", "contains the NUL character U+0000 at position 6 (line 2, column 3)"),
        ("a\r\nb\ud83d c", "contains the lone surrogate U+D83D at position 5 (line 2, column 2)"),
        ("\udfff\0", "contains the lone surrogate U+DFFF at position 1"),
    ],
)
def test_a_text_that_cannot_be_served_is_refused(text: object, reason: str) -> None:
    """The message says why, with the character and its place, and never repeats the text."""
    with pytest.raises(InvalidPromptError) as refused:
        check_text(text, agent="stan", status_key="APPROVED")
    assert refused.value.message.startswith("The prompt for stan/APPROVED ")
    assert reason in refused.value.message
    assert len(refused.value.message) < 300
    assert (refused.value.agent, refused.value.status_key) == ("stan", "APPROVED")


def test_the_longest_text_is_allowed() -> None:
    """The limit itself is allowed."""
    assert check_text("x" * MAX_TEXT_LENGTH)


def test_a_message_without_an_agent_names_what_it_knows() -> None:
    """Where only the status is known, or nothing, the message says so."""
    with pytest.raises(InvalidPromptError, match=r"^The prompt for status 'A' is blank"):
        check_text("", status_key="A")
    with pytest.raises(InvalidPromptError, match=r"^The prompt is blank"):
        check_text("")


@pytest.mark.parametrize(
    "name", ["default", "NOT_REGISTERED", "größe", "a b", "名前", "a:b/c.d", "x" * MAX_NAME_LENGTH]
)
def test_names_are_free(name: str) -> None:
    """A name may be in any language and have blanks within it."""
    assert check_name(name, "status key") == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "The status key is blank."),
        ("  ", "The status key is blank."),
        ("\u200b", "The status key is blank."),
        (None, "The status key must be a string, not NoneType."),
        (5, "The status key must be a string, not int."),
        (" a", "begins or ends with a blank"),
        ("a\n", "begins or ends with a blank"),
        ("a\nb", "contains the control character U+000A at position 2"),
        ("a\x1bb", "contains the control character U+001B at position 2"),
        ("a\u2028b", "contains the control character U+2028 at position 2"),
        ("a\0", "contains the NUL character U+0000 at position 2"),
        ("\ud800", "contains the lone surrogate U+D800 at position 1"),
        ("x" * (MAX_NAME_LENGTH + 1), "has 256 characters; at most 255 are allowed"),
    ],
)
def test_a_name_that_no_engine_keeps_is_refused(name: object, reason: str) -> None:
    """The same names are refused on every engine, with the same message."""
    with pytest.raises(InvalidPromptError) as refused:
        check_name(name, "status key")
    assert reason in refused.value.message


def test_optional_words() -> None:
    """A note or an author may be absent and may be blank, but not too long or impossible to keep."""
    assert check_optional(None, "note") is None
    assert check_optional("why\nand how", "note", limit=MAX_NOTE_LENGTH) == "why\nand how"
    for value, reason in (
        ("x" * 256, "The author has 256 characters; at most 255"),
        ("a\0", "The author contains the NUL character U+0000 at position 2"),
        (5, "The author must be a string, not int"),
    ):
        with pytest.raises(InvalidPromptError, match=reason.replace("+", r"\+")):
            check_optional(value, "author")  # type: ignore[arg-type]  # a wrong type is what is tested


@pytest.mark.parametrize(
    "take",
    [
        lambda note: check_optional(note, "note", limit=MAX_NOTE_LENGTH),
        lambda note: PromptCreate(agent_id=1, prompt_text="text", note=note).note,
        lambda note: Intent(note=note).note,
    ],
    ids=["check", "version", "intent"],
)
def test_the_longest_note(take: Callable[[str], str | None]) -> None:
    """A note may have ten thousand characters, of any width, and not one more."""
    longest = "\u00e9" * 10_000
    assert take(longest) == longest
    with pytest.raises(InvalidPromptError, match=r"The note has 10001 characters; at most 10000 are allowed\."):
        take(longest + "x")


@pytest.mark.parametrize(
    ("take", "what"),
    [
        (lambda word: check_optional(word, "author"), "author"),
        (lambda word: PromptCreate(agent_id=1, prompt_text="text", name=word).name, "prompt name"),
        (lambda word: PromptCreate(agent_id=1, prompt_text="text", author=word).author, "author"),
        (lambda word: Intent(author=word).author, "author"),
    ],
    ids=["check", "name", "author", "intent"],
)
def test_the_longest_author_and_name(take: Callable[[str], str | None], what: str) -> None:
    """An author or a prompt's name is kept in a column of 255 characters."""
    longest = "\u00e9" * 255
    assert take(longest) == longest
    with pytest.raises(InvalidPromptError, match=f"The {what} has 256 characters; at most 255 are allowed"):
        take(longest + "x")


def test_formats() -> None:
    """There are two ways to read a text."""
    assert check_format("handlebars") == "handlebars"
    assert check_format("text") == "text"
    with pytest.raises(InvalidPromptError, match=r"'jinja' is unknown\. Use one of: handlebars, simple, text"):
        check_format("jinja")


@pytest.mark.parametrize("text", [*ODD_TEXTS, "plain"])
def test_the_hash_is_that_of_the_bytes(text: str) -> None:
    """Anybody can compute it, with `sha256sum` on a file that holds the text."""
    assert content_hash(text) == hashlib.sha256(text.encode("utf-8")).hexdigest()


def test_the_hash_does_not_normalize() -> None:
    """Texts that look alike but differ in their bytes are different texts."""
    texts = ["\u00e9", "e\u0301", "\u00e9\n", "\u00e9\r\n", "\ufeff\u00e9"]
    assert len({content_hash(text) for text in texts}) == len(texts)
    assert unicodedata.normalize("NFC", texts[1]) == texts[0]


GOOD: dict[str, Any] = {"agent_id": 1, "prompt_text": "text"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt_text": " "},
        {"prompt_text": "a\0"},
        {"status_key": ""},
        {"status_key": "a "},
        {"format": "jinja"},
        {"name": "x" * 256},
        {"author": "\0"},
        {"note": "x" * (MAX_NOTE_LENGTH + 1)},
    ],
)
def test_what_could_not_be_stored_cannot_be_made(wrong: dict[str, Any]) -> None:
    """The value that repository.create_prompt takes is checked when it is built."""
    assert PromptCreate(**GOOD).status_key == "default"
    with pytest.raises(InvalidPromptError):
        PromptCreate(**GOOD | wrong)


def test_values_are_frozen_and_show_no_text() -> None:
    """Values that cross modules cannot be changed, and their repr shows no prompt."""
    data = PromptCreate(agent_id=1, prompt_text="a private text")
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.prompt_text = "another"  # type: ignore[misc]  # that it is refused is what is tested
    assert "private" not in repr(data)


def test_an_explanation_reads_like_a_report() -> None:
    """Printed, it says what is served, from where, why, and since when."""
    explanation = Explanation(
        agent="stan",
        status_key="LOST",
        served_status_key="APPROVED",
        version=3,
        source=Source.DATABASE,
        reason="the status 'LOST' has no active version",
        state=State.STALE,
        state_age=2.0,
        snapshot_age=5.25,
        error="The database cannot be used now",
        content_hash="0" * 64,
        variables=("name",),
        notes=("APPROVED, version 4: blank",),
    )
    assert str(explanation).splitlines() == [
        "stan/LOST: version 3 of 'APPROVED' from database",
        "  reason: the status 'LOST' has no active version",
        "  state: stale for 2.0 s (database read 5.2 s ago)",
        "  error: The database cannot be used now",
        "  note: APPROVED, version 4: blank",
    ]
