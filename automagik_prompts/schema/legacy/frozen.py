"""What old migrations need of the rest, as it was when they were written; so what they do can never change.

These are copies on purpose: the rules of today, in `domain`, may change, and a migration must not change with them.
The only thing that is asked of today's library is whether a text is a template that it can serve (`text_format`).
"""

from __future__ import annotations

import hashlib
import unicodedata
from enum import StrEnum
from typing import Literal, NamedTuple

# Migrations have these from here: they import nothing else.
from automagik_prompts.storage.connection import Connection as Connection
from automagik_prompts.storage.introspection import columns as columns
from automagik_prompts.storage.introspection import is_unique as is_unique
from automagik_prompts.storage.introspection import refers_to as refers_to

APP_LABEL = "automagik_prompts"
DEFAULT_STATUS_KEY = "default"
MAX_NAME_LENGTH = 255
MAX_TEXT_LENGTH = 2_000_000

Format = Literal["handlebars", "text"]


class Action(StrEnum):
    """What an event of a migration says was done to a version."""

    CREATED = "created"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"


class Event(NamedTuple):
    """An event that a migration appends; its fields are the columns of `prompt_events`."""

    agent_id: int
    status_key: str
    action: str
    prompt_id: int
    version: int
    note: str
    revision: int
    from_version: int | None = None


def content_hash(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def text_refusal(text: str) -> str:
    """Return why a text cannot be kept on every engine, or nothing."""
    if len(text) > MAX_TEXT_LENGTH:
        return f"The prompt has {len(text)} characters; at most {MAX_TEXT_LENGTH} can be kept. Shorten it."
    if (index := text.find("\0")) >= 0:
        line, column = text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
        return (
            f"The prompt contains the NUL character U+0000 at position {index + 1} (line {line}, column {column}), "
            "which cannot be stored. Remove it."
        )
    if not any(not char.isspace() and unicodedata.category(char) not in {"Cc", "Cf"} for char in text):
        return "The prompt is blank. Write at least one visible character; to serve nothing, deactivate instead."
    return ""
