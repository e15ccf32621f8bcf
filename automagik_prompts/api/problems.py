"""Errors as RFC 9457 has them: `application/problem+json`, made from the attributes of our exceptions."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse

from automagik_prompts.exceptions import (
    ConfigurationError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidPromptError,
    NoActivePromptError,
    NotAllowedError,
    PromptNotFoundError,
    PromptsError,
    RenderError,
    SchemaError,
    UnexposedVariableError,
    UnknownAgentError,
)

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:automagik-prompts:problem:"

TITLES = {
    "configuration": "The API cannot work as it is set up",
    "conflict": "Somebody else wrote first",
    "cross-site": "The request came from another site",
    "database-unavailable": "The database cannot be used now",
    "gone": "What was followed is not there any more",
    "internal": "Something unexpected happened",
    "invalid-prompt": "The text or a name is refused",
    "invalid-request": "The request is not as the API describes it",
    "key-reused": "The key was used for another request",
    "method-not-allowed": "This cannot be done here",
    "not-allowed": "The policy does not allow it",
    "not-found": "There is no such thing",
    "not-identified": "Nobody is known",
    "precondition-required": "It must be said what the write rests on",
    "render-error": "The text could not be filled",
    "schema": "The database's schema is not the one that is needed",
    "too-large": "The body is too large",
    "too-many": "Too many requests",
    "unexposed-variable": "The text uses a variable that is not exposed",
    "unsupported-media-type": "The body is no JSON",
}
"""What kinds of problems there are, by the last part of their type."""

# The first that fits.
_KINDS: tuple[tuple[type[PromptsError], int, str], ...] = (
    (NotAllowedError, 403, "not-allowed"),
    (ConflictError, 412, "conflict"),
    (UnexposedVariableError, 422, "unexposed-variable"),
    (InvalidPromptError, 422, "invalid-prompt"),
    (PromptNotFoundError, 404, "not-found"),
    (NoActivePromptError, 404, "not-found"),
    (RenderError, 422, "render-error"),
    (SchemaError, 503, "schema"),
    (DatabaseUnavailableError, 503, "database-unavailable"),
    (ConfigurationError, 503, "configuration"),
)

_OPTION = re.compile(r"--[a-z-]+(?: [A-Z]+)? \(([a-z_]+=[^)]+)\)")
_IN_BRACKETS = re.compile(r" \(automagik-prompts [^)]*\)")
_AT_THE_END = re.compile(r"(?:[.:;] See: |: |, or run: |; )automagik-prompts .*", re.DOTALL)

_FACTS = ("agent", "status_key", "names", "expected", "actual", "actor", "operation", "roles")
RETRY_AFTER = 2
"""Seconds after which it is worth trying again where the database cannot be used."""


class FieldFault(BaseModel):
    """What is wrong with one part of a request; never what it held."""

    at: str
    message: str


class Problem(BaseModel):
    """What went wrong, for people and for programs."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    agent: str | None = None
    status_key: str | None = None
    names: list[str] | None = None
    expected: int | None = None
    actual: int | None = None
    actor: str | None = None
    operation: str | None = None
    present: dict[str, Any] | None = None
    faults: list[FieldFault] | None = None


class ProblemError(Exception):
    """A problem of the request itself, before the service is asked.

    Args:
        status: The status code.
        kind: The last part of its type.
        detail: What happened and what to do next.
        headers: Headers of the response.
        facts: More members of the problem.
    """

    def __init__(
        self, status: int, kind: str, detail: str, headers: dict[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = headers or {}
        self.facts = facts


def problem(
    status: int, kind: str, detail: str, headers: dict[str, str] | None = None, **facts: object
) -> JSONResponse:
    """Return the response for a problem.

    Args:
        status: The status code.
        kind: The last part of its type.
        detail: What happened and what to do next.
        headers: Headers of the response.
        facts: More members.
    """
    given = {name: value for name, value in facts.items() if value is not None}
    body = {"type": f"{PREFIX}{kind}", "title": TITLES[kind], "status": status, "detail": detail, **given}
    return JSONResponse(body, status, {**(headers or {}), "Cache-Control": "no-store"}, MEDIA_TYPE)


def kind_of(error: PromptsError) -> tuple[int, str]:
    """Return the status code and the kind of one of our errors."""
    return next(((status, kind) for cause, status, kind in _KINDS if isinstance(error, cause)), (500, "internal"))


def told(error: PromptsError) -> str:
    """Return what somebody who came over the network is told of an error.

    The names of other agents are left out: who asks may not be allowed to see them. So are commands, as they have no
    command line; what an option is called for programs stays.
    """
    if isinstance(error, UnknownAgentError):
        return f"There is no agent {error.agent!r}."
    words = _OPTION.sub(r"\1", _IN_BRACKETS.sub("", error.message))
    command = _AT_THE_END.search(words)
    return f"{words[: command.start()]}." if command else words


def problem_of(error: PromptsError, **facts: object) -> JSONResponse:
    """Return the response for one of our errors."""
    status, kind = kind_of(error)
    detail = told(error) if status != 503 else f"{TITLES[kind]}. Try again later; the server's log says more."
    known: dict[str, object] = {name: getattr(error, name, None) for name in _FACTS}
    headers = {"Retry-After": str(RETRY_AFTER)} if status == 503 else None
    return problem(status, kind, detail, headers, **known, **facts)
