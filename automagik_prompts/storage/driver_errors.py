"""What the drivers' errors mean, as this library's own: with what to do next, and without the values they repeat."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from tortoise.exceptions import BaseORMException
from tortoise.exceptions import ConfigurationError as TortoiseConfigurationError

from automagik_prompts.database_url import dialect_of, redacted, redacted_url, server_parts, sqlite_path
from automagik_prompts.exceptions import (
    AccessDeniedError,
    ConfigurationError,
    DatabaseUnavailableError,
    InvalidPromptError,
    MissingRightError,
    PromptsError,
    SchemaError,
)
from automagik_prompts.settings import ENVIRONMENT_PREFIX
from automagik_prompts.storage.file_errors import file_error

_UPGRADE = "automagik-prompts upgrade"
_TOO_MANY_CONNECTIONS = "53300"
_NO_RIGHT = "42501"
_KEPT = "stays as it was written"
"""What the triggers say that keep texts and events."""

_VALUES = re.compile(r"(\s*(?:DETAIL|CONTEXT): |(query argument \$\d+): ).*", re.DOTALL)
"""Where a driver's message begins to repeat values; what comes before an argument's value stays."""


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn the drivers' errors into this library's."""
    try:
        yield
    except PromptsError:
        raise
    except TortoiseConfigurationError as error:
        raise ConfigurationError(
            f"The database URL {redacted_url(url)} cannot work: {redacted(str(error), url)}. Correct "
            f"{ENVIRONMENT_PREFIX}DATABASE_URL."
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The database URL {redacted_url(url)} needs the package {error.name!r}. Install it with: pip "
            "install 'automagik-prompts[postgres]'"
        ) from error
    except (BaseORMException, sqlite3.Error, OSError, TimeoutError) as error:
        raise meaning_of(error, url) from error
    except Exception as error:
        # asyncpg is optional, so its exceptions are known by the module they come from.
        if type(error).__module__.partition(".")[0] != "asyncpg":
            raise
        raise meaning_of(error, url) from error


def meaning_of(error: BaseException, url: str) -> PromptsError:
    """Return what an error of a driver means."""
    # Without what servers and drivers repeat of the values: a row or an argument may hold a prompt.
    words = _VALUES.sub(r"\2", str(error) or type(error).__name__)
    text = redacted(words, url)
    where = redacted_url(url)
    lowered = text.lower()
    if _sqlstate(error).startswith("28"):
        return AccessDeniedError(
            f"The database {where} refuses the user or the password ({text}). Correct the password there or in "
            f"{ENVIRONMENT_PREFIX}DATABASE_URL."
        )
    if _KEPT in lowered:
        text = text.replace(" HINT: ", ". ")
        return MissingRightError(f"The database {where} refuses it: {text}.", user=_user(url), refusal=text)
    if _sqlstate(error) == _NO_RIGHT:
        user = _user(url)
        return MissingRightError(
            f"The database {where} gives its user{f' {user}' if user else ''} no right to this ({text}). Have the "
            "owner of the tables run what automagik-prompts grants prints: --role app for a process that only "
            "follows, --role viewer, editor or publisher for people. Only the owner changes the schema.",
            user=user,
            refusal=text,
        )
    if (
        "no such table" in lowered
        or "no such column" in lowered
        or ("does not exist" in lowered and ("relation" in lowered or "column" in lowered))
    ):
        return SchemaError(f"The database {where} lacks a table or column ({text}). Run: {_UPGRADE}")
    if "has no equivalent in encoding" in lowered:
        character = _unencodable(text)
        return InvalidPromptError(
            f"The text has the character {character}, which the database {where} cannot hold: its encoding is not "
            "UTF8. Nothing was written. Take the character out, or make a database with ENCODING 'UTF8'."
        )
    if (path := sqlite_path(url)) is not None and (found := file_error(path, text)) is not None:
        return found
    if isinstance(error, TimeoutError):
        return DatabaseUnavailableError(f"The database {where} did not answer in time. Try again when it does.")
    if "readonly database" in lowered or "read-only" in lowered:
        return DatabaseUnavailableError(
            f"The database {where} is read-only ({text}). Serving goes on; write where it can be written."
        )
    if "database is locked" in lowered:
        return DatabaseUnavailableError(
            f"The database {where} is locked by another program that writes to it or reads from it. Nothing was "
            "changed here; try again when that has ended, or stop it."
        )
    return DatabaseUnavailableError(f"The database {where} cannot be used now: {type(error).__name__}: {text}")


def _user(url: str) -> str | None:
    """Return the user that a server's URL names."""
    parts = server_parts(url) if dialect_of(url) != "sqlite" else None
    return unquote(parts.username) if parts is not None and parts.username else None


def _unencodable(text: str) -> str:
    """Return the character that a server's message shows as bytes, such as `0xe2 0x82 0xac`."""
    found = [int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2})", text)]
    character = bytes(found).decode("utf-8", "replace")
    return f"{character!r} (U+{ord(character):04X})" if len(character) == 1 else "that it shows as bytes"


def _sqlstate(error: BaseException) -> str:
    """Return a server's code for an error, also for one that Tortoise has wrapped; empty if there is none."""
    wrapped = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
    return str(getattr(error, "sqlstate", None) or getattr(wrapped, "sqlstate", None) or "")


def is_refused_for_crowd(error: BaseException | None) -> bool:
    """Return whether the server refused a connection because it has too many."""
    while error is not None:
        if getattr(error, "sqlstate", None) == _TOO_MANY_CONNECTIONS:
            return True
        error = error.__cause__
    return False
