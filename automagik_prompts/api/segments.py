"""Names in paths: a slash in a name is not one between names."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import Path
from pydantic import AfterValidator, BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from automagik_prompts.domain.validation import MAX_NAME_LENGTH, MAX_VERSION

_SLASH = "\x1f"
"""Stands for a slash inside of a name while a path is taken apart; no name can hold it."""

END = "\x1e"
"""May stand behind a name in a path, for names that would be a way up there; no name can hold it either."""


class Segments:
    """Has the slashes of names kept apart, as servers decode a path as a whole.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        raw: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2f" in raw.lower():
            scope = {**scope, "path": _apart(scope["path"], raw.partition(b"?")[0].decode("ascii", "replace"))}
        await self._app(scope, receive, send)


def _apart(path: str, raw: str) -> str:
    """Return a path whose names hold no slash, from the way it was sent; either may have a prefix more."""
    kept = "/".join(unquote(part).replace("/", _SLASH) for part in raw.split("/"))
    plain = kept.replace(_SLASH, "/")  # of the same length
    if plain.endswith(path):
        return kept[len(kept) - len(path) :]
    return path[: len(path) - len(plain)] + kept if path.endswith(plain) else path


def named(segment: str) -> str:
    """Return the name that a part of a path is."""
    return segment.replace(_SLASH, "/").removesuffix(END)


AgentName = Annotated[
    str,
    Path(alias="agent", description="The agent's name.", min_length=1, max_length=MAX_NAME_LENGTH),
    AfterValidator(named),
]
StatusName = Annotated[
    str,
    Path(alias="status", description="The status key, in any case.", min_length=1, max_length=MAX_NAME_LENGTH),
    AfterValidator(named),
]


def _number(given: object) -> object:
    """Refuse what is read as a number elsewhere: `1.0`, `+1`, `1_0`."""
    if isinstance(given, str) and not (given.isascii() and given.isdigit()):
        raise ValueError("it takes a number, such as 7")
    return given


def _flag(given: object) -> object:
    """Refuse what is read as a boolean elsewhere: `1`, `on`, `yes`."""
    if isinstance(given, str) and given not in {"true", "false"}:
        raise ValueError("it takes true or false")
    return given


Number = Annotated[int, BeforeValidator(_number)]
"""A number in an address."""

Flag = Annotated[bool, BeforeValidator(_flag)]
"""A boolean in an address."""

VersionNumber = Annotated[Number, Path(alias="version", description="The version's number.", ge=1, le=MAX_VERSION)]
RequestNumber = Annotated[Number, Path(alias="number", description="The request's number.", ge=1, le=MAX_VERSION)]
