"""What the API takes, as models: they are the OpenAPI document, too."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from automagik_prompts.domain.validation import MAX_NAME_LENGTH, MAX_NOTE_LENGTH, MAX_TEXT_LENGTH, MAX_VERSION, Format

Note = Field(None, max_length=MAX_NOTE_LENGTH, description="Why; kept in the events.")
Number = Field(ge=1, le=MAX_VERSION, description="The version's number.")


LONGEST_WAIT = 60
"""Seconds that a request may wait until all processes follow; what stands between cuts off who waits for longer."""


class Body(BaseModel):
    """Something that the API takes; what it does not know is refused, and a text is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Reason(Body):
    """Why something is done."""

    note: str | None = Note


class Switch(Reason):
    """Why the active version changes."""

    emergency: bool = Field(False, description="Whether to change a protected status without approval.")


class Change(Switch):
    """Why the active version changes, and whether to wait until all serve that."""

    wait: float | None = Field(
        None,
        ge=0,
        le=LONGEST_WAIT,
        description="Seconds to wait until every living process serves it, at most; `followers` says which do not. A "
        "process says how far it is within 5 seconds.",
    )


class Activation(Change):
    """Which version is to be active."""

    version: int = Number


class TextBody(Body):
    """A text."""

    text: str = Field(min_length=1, max_length=MAX_TEXT_LENGTH)
    format: Format = "handlebars"


class CheckBody(TextBody):
    """A text to be checked."""

    name: str | None = Field(None, max_length=MAX_NAME_LENGTH)
    new_agent: bool = False
    new_status: bool = False
    allow_invisible: bool = False


class NewVersion(CheckBody):
    """A text to be written."""

    note: str | None = Note
    activate: bool = False
    based_on: int | None = Field(None, ge=1, le=MAX_VERSION)
    draft: int | None = Field(None, ge=1, le=MAX_VERSION, description="The counter of one's draft that it was.")
    emergency: bool = False


class DraftBody(TextBody):
    """A draft to be saved."""

    text: str = Field(max_length=MAX_TEXT_LENGTH)
    note: str | None = Note
    base_version: int | None = Field(None, ge=1, le=MAX_VERSION)


class Withdrawal(Switch):
    """Why a version is withdrawn."""

    activate: int | None = Field(None, ge=1, le=MAX_VERSION, description="The version that takes its place.")


class Keeping(Reason):
    """Which version of the code was looked at."""

    code_version: int | None = Field(None, ge=1, le=MAX_VERSION)


class PreviewBody(Body):
    """What to fill, and with what."""

    values: dict[str, Any] = Field(default_factory=dict)
    version: int | None = Field(None, ge=1, le=MAX_VERSION)
    text: str | None = Field(None, max_length=MAX_TEXT_LENGTH)
    format: Format = "handlebars"


class RequestBody(Reason):
    """What is asked for: a version, or none for a deactivation."""

    version: int | None = Field(None, ge=1, le=MAX_VERSION)


class Approval(Reason):
    """How a request is approved."""

    activate: bool = Field(True, description="Whether it is carried out at once when enough have approved.")


class CommentBody(Body):
    """A comment on a version, a status or a request."""

    text: str = Field(min_length=1, max_length=MAX_NOTE_LENGTH)
    agent: str | None = None
    status_key: str | None = None
    version: int | None = Field(None, ge=1, le=MAX_VERSION)
    request: int | None = Field(None, ge=1, le=MAX_VERSION)
