"""The rules that names and texts obey, on every engine alike: what breaks one is refused before it is written."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, TypeGuard

from automagik_prompts.domain.invisible import invisible_names
from automagik_prompts.exceptions import InvalidPromptError

MAX_NAME_LENGTH = 255
"""The longest agent name, status key, prompt name or author, in characters."""

MAX_TEXT_LENGTH = 2_000_000
"""The longest prompt text, in characters."""

MAX_NOTE_LENGTH = 10_000
"""The longest note, in characters."""

MAX_VERSION = 2**31 - 1
"""The highest number of a version that the database has room for."""

Format = Literal["handlebars", "simple", "text"]
"""How a text is read: as a Handlebars template, with nothing but the tags of exposed names filled, or verbatim."""

FORMATS: tuple[Format, ...] = ("handlebars", "simple", "text")

_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
"""PostgreSQL refuses NUL, UTF-8 has no lone surrogates; SQLite would store a NUL without a word."""


def check_text(
    text: object, *, agent: str | None = None, status_key: str | None = None, may_be_blank: bool = False
) -> str:
    """Return a prompt text, or refuse it for a reason that holds on every database engine.

    Args:
        text: What was given.
        agent: The agent it is for, for the message.
        status_key: The status it is for, for the message.
        may_be_blank: Whether it may show nothing, as the draft of somebody who has just begun.

    Raises:
        InvalidPromptError: Not a string, blank, longer than `MAX_TEXT_LENGTH` characters, or it holds a NUL or a
            lone surrogate, which PostgreSQL and UTF-8 cannot keep.
    """
    where = f" for {agent}/{status_key}" if agent else f" for status {status_key!r}" if status_key else ""
    if not isinstance(text, str):
        raise InvalidPromptError(
            f"The prompt{where} must be a string, not {type(text).__name__}.", agent=agent, status_key=status_key
        )
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidPromptError(
            f"The prompt{where} has {len(text)} characters; at most {MAX_TEXT_LENGTH} can be kept. Shorten it.",
            agent=agent,
            status_key=status_key,
        )
    if problem := _unstorable(text):
        raise InvalidPromptError(f"The prompt{where} {problem}. Remove it.", agent=agent, status_key=status_key)
    if not may_be_blank and is_blank(text):
        raise InvalidPromptError(
            f"The prompt{where} is blank. Write at least one visible character; to serve nothing, deactivate instead.",
            agent=agent,
            status_key=status_key,
        )
    return text


def check_name(name: object, what: str, *, limit: int = MAX_NAME_LENGTH) -> str:
    """Return an agent name, a status key or the like in NFC, or refuse it.

    Args:
        name: What was given.
        what: What it names, for the message.
        limit: The longest it may be, in characters.

    Raises:
        InvalidPromptError: Not a string, blank, too long, with blanks around it, or with control characters.
    """
    if not isinstance(name, str):
        raise InvalidPromptError(f"The {what} must be a string, not {type(name).__name__}.")
    name = normalized(name)
    if len(name) > limit:
        raise InvalidPromptError(f"The {what} has {len(name)} characters; at most {limit} are allowed. Shorten it.")
    if problem := _unstorable(name):
        raise InvalidPromptError(f"The {what} {problem}. Remove it.")
    if is_blank(name):
        raise InvalidPromptError(f"The {what} is blank. Give it at least one visible character.")
    if name != name.strip():
        raise InvalidPromptError(f"The {what} {_shown(name)} begins or ends with a blank. Remove it.")
    if found := next(invisible_names(name), None):
        raise InvalidPromptError(f"The {what} contains an invisible character, {found}. Remove it.")
    if name.isprintable():
        return name
    if control := next((char for char in name if unicodedata.category(char) in {"Cc", "Zl", "Zp"}), None):
        raise InvalidPromptError(
            f"The {what} contains the control character U+{ord(control):04X} at position {name.index(control) + 1}. "
            "Remove it."
        )
    return name


def normalized(name: str) -> str:
    """Return a name in the one form of its characters in which names are kept (NFC), as a plain string."""
    return (name if name.isascii() else unicodedata.normalize("NFC", name))[:]


def is_number(value: object) -> TypeGuard[int]:
    """Return whether a value is the number of a version, a request or a draft that could exist."""
    return type(value) is int and 0 < value <= MAX_VERSION


def check_optional(value: str | None, what: str, *, limit: int = MAX_NAME_LENGTH) -> str | None:
    """Return a prompt name, an author or a note that may be absent, or refuse it.

    Raises:
        InvalidPromptError: Not a string, too long, or with characters that cannot be kept.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidPromptError(f"The {what} must be a string, not {type(value).__name__}.")
    if len(value) > limit:
        raise InvalidPromptError(f"The {what} has {len(value)} characters; at most {limit} are allowed. Shorten it.")
    if problem := _unstorable(value):
        raise InvalidPromptError(f"The {what} {problem}. Remove it.")
    return value


def check_format(value: str) -> Format:
    """Return a format, or refuse it.

    Raises:
        InvalidPromptError: It is not one of `FORMATS`.
    """
    for known in FORMATS:
        if value == known:
            return known
    raise InvalidPromptError(f"The format {value!r} is unknown. Use one of: {', '.join(FORMATS)}.")


def _unstorable(text: str) -> str | None:
    """Return which character no database could keep, and where it stands; `None` if there is none."""
    # The usual text is told apart without looking at each of its characters.
    if text.isascii() and "\0" not in text:
        return None
    found = _UNSTORABLE.search(text)
    if found is None:
        return None
    index, char = found.start(), found.group()
    kind = "NUL character" if char == "\0" else "lone surrogate"
    line = text.count("\n", 0, index) + 1
    column = index - text.rfind("\n", 0, index)
    return (
        f"contains the {kind} U+{ord(char):04X} at position {index + 1} "
        f"(line {line}, column {column}), which cannot be stored"
    )


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: only spaces, control characters, or marks such as a zero-width space."""
    if text[:1].isalnum():
        return False  # without looking at each of its characters
    return not any(not char.isspace() and unicodedata.category(char) not in {"Cc", "Cf"} for char in text)


def _shown(name: str) -> str:
    """Show a name in a message, shortened."""
    return repr(name if len(name) <= 60 else name[:57] + "...")
