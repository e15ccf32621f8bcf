"""The settings of a plugin, from arguments or `AUTOMAGIK_PROMPTS_*` variables; nothing is read before first use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, quote, unquote, unquote_plus, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_serializer, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from automagik_prompts.domain.served import MissingMode
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.server_url import hosts_of, read_server_url

DEFAULT_DATABASE_URL = "sqlite://automagik_prompts.db"
ENVIRONMENT_PREFIX = "AUTOMAGIK_PROMPTS_"

Dialect = Literal["sqlite", "postgres"]
_SCHEMES: dict[str, Dialect] = {
    "sqlite": "sqlite",
    "postgres": "postgres",
    "postgresql": "postgres",
    "asyncpg": "postgres",
}


_SECRET_OPTION = re.compile(r"[?&][^=&]*(?:pass|secret|token|key)[^=&]*=([^&#]+)", re.IGNORECASE)


class SecretUrl(str):
    """A database URL that never shows its password where it is printed for a debugger, a log or a crash report."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(redacted_url(str(self)))


class Settings(BaseSettings):
    """Plugin configuration.

    Attributes:
        database_url: `sqlite://file` (relative to the working directory; `sqlite:///absolute/file`) or
            `postgresql://user:password@host/database`.
        startup_timeout: Seconds that the first agent run of a process waits for the first load, at most.
        database_password: The password, where the URL has none; `listen_url` gets it, too.
        database_password_file: A file that holds it, likewise; a line break at its end does not count.
        listen_url: Where notifications are listened for, if not at `database_url`: a direct way to the same database
            of the same server, where `database_url` leads through a connection pooler that keeps them back.
        poll_interval: Seconds between two looks at the database. By default 0.25 for SQLite and 1 for a server.
        missing: What a missing variable becomes: `marker` (`[No data for name]`), `empty` or `error`.
        max_value_length: The longest value of a variable, in characters; a run with a longer one is sent the code's
            text.
        max_items: The longest list, in items, likewise.
        disk_snapshot: Whether the last known good texts are kept in a file, so that a process which starts while the
            database is down serves them.
        cache_dir: The folder of that file; by default the user's cache folder of the platform.
        modules: Modules to import before seeding, for applications that declare no entry point.
        only: The agents that are followed besides those that the code declares; by default all of them.
        author: Who writes, where a call does not say.
        seed: Whether this process writes by itself: the code's texts, the schema of an embedded database, and what it
            cannot serve. Off, it only follows: for a viewer, or where a release step runs `automagik-prompts sync`.
    """

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    database_url: str = Field(default=DEFAULT_DATABASE_URL, validate_default=True)
    database_password: SecretStr | None = None
    database_password_file: Path | None = None
    listen_url: str | None = None
    startup_timeout: float = Field(default=1.0, ge=0, le=60)
    poll_interval: float | None = Field(default=None, ge=0.01, le=3600)
    missing: MissingMode = "marker"
    max_value_length: int = Field(default=200_000, ge=1, le=4_000_000)
    max_items: int = Field(default=1_000, ge=1, le=1_000_000)
    disk_snapshot: bool = True
    cache_dir: Path | None = None
    modules: Annotated[tuple[str, ...], NoDecode] = ()
    only: Annotated[tuple[str, ...], NoDecode] = ()
    author: str | None = None
    seed: bool = True

    @field_validator("modules", "only", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, re.split(r"[\s,]+", value))) if isinstance(value, str) else value

    @field_validator("database_url", "listen_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if dialect_of(value) == "sqlite":
            _check_options(value.partition("?")[2])
        elif _server_parts(value) is None:
            raise ValueError("write special characters in user and password percent-encoded, such as %2F for a slash")
        else:
            read_server_url(value)
        return SecretUrl(value)

    @field_serializer("database_url", "listen_url")
    def _without_password(self, value: str | None) -> str | None:
        return None if value is None else redacted_url(value)

    @model_validator(mode="after")
    def _listens_at_a_server(self) -> Self:
        if self.listen_url is not None and "sqlite" in {self.dialect, dialect_of(self.listen_url)}:
            raise ValueError("listen_url is a second way to a server; for an SQLite file leave it out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _with_password(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Put a password that was given by itself into the URL."""
        password, file = values.get("database_password"), values.get("database_password_file")
        if not password and not file:
            return values
        if password and file:
            raise ValueError("the password is given twice: keep database_password or database_password_file")
        if file:
            try:
                password = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is no text"
                raise ValueError(f"the password file {file} cannot be read: {reason}") from None
        url = str(values.get("database_url", DEFAULT_DATABASE_URL))
        parts = _server_parts(url)
        if parts is None or dialect_of(url) == "sqlite" or not parts.username:
            raise ValueError("a password belongs to a user on a server: postgresql://user@host/database")
        if parts.password is not None:
            raise ValueError("the password is given twice: take it out of the database URL")
        secret = password.get_secret_value() if isinstance(password, SecretStr) else str(password)
        given = {**values, "database_url": _with_secret(parts, secret)}
        if (listen_url := values.get("listen_url")) is not None:
            direct = _server_parts(str(listen_url))
            if direct is not None and direct.username and direct.password is None:
                given["listen_url"] = _with_secret(direct, secret)
        return given

    def anchored(self) -> Self:
        """Return the same settings with absolute paths: a program may change its working directory later."""
        path, folder = sqlite_path(self.database_url), self.cache_dir
        changed: dict[str, object] = {}
        if path is not None:
            name, mark, options = self.database_url.partition("?")
            changed["database_url"] = SecretUrl(f"{name.partition('://')[0]}://{quote(str(path))}{mark}{options}")
        if folder is not None:
            changed["cache_dir"] = folder.absolute()
        return self.model_copy(update=changed)

    @property
    def dialect(self) -> Dialect:
        """The engine that the database URL names."""
        return dialect_of(self.database_url)

    @property
    def interval(self) -> float:
        """Seconds between two looks at the database."""
        if self.poll_interval is not None:
            return self.poll_interval
        return 0.25 if self.dialect == "sqlite" else 1.0


def load_settings(**given: Any) -> Settings:
    """Return settings from arguments, then from the environment, then from defaults.

    Args:
        given: Values by name; `None` means not given.

    Raises:
        ConfigurationError: A value cannot work. The message names the setting and never repeats its value, which may
            hold a password.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'settings'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_context=False, include_url=False)
        ]
        raise ConfigurationError(
            f"These settings cannot work: {'; '.join(problems)}. Correct the argument or the variable "
            f"{ENVIRONMENT_PREFIX}<NAME>."
        ) from None


_PRAGMAS = frozenset(
    {
        *("busy_timeout", "cache_size", "foreign_keys", "journal_mode", "journal_size_limit", "mmap_size"),
        *("synchronous", "temp_store"),
    }
)
"""The options of an SQLite URL: settings of the connection."""


def _check_options(options: str) -> None:
    """Refuse what an SQLite URL has behind a question mark and that is no option: most likely a part of the name.

    Raises:
        ValueError: It is none of `_PRAGMAS`.
    """
    for option in filter(None, options.split("&")):
        name, equals, _ = option.partition("=")
        if not equals or name not in _PRAGMAS:
            raise ValueError(
                f"behind the question mark {option!r} is no option of an SQLite URL; there are "
                f"{', '.join(sorted(_PRAGMAS))}. Write a question mark in a file's name as %3F"
            )


def dialect_of(url: str) -> Dialect:
    """Return the engine that a database URL names.

    Raises:
        ValueError: The scheme is not known.
    """
    scheme = url.partition("://")[0].lower()
    if "://" not in url or scheme not in _SCHEMES:
        raise ValueError(f"a database URL begins with one of: {', '.join(f'{name}://' for name in _SCHEMES)}")
    return _SCHEMES[scheme]


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite URL, absolute; `None` for a database in memory or on a server."""
    if dialect_of(url) != "sqlite":
        return None
    name = url.partition("://")[2].partition("?")[0]
    return None if name in {"", ":memory:"} else Path(unquote(name)).absolute()


def identity_of(url: str) -> str | None:
    """Return what tells one database from another, without secrets; `None` for a database in memory."""
    if dialect_of(url) == "sqlite":
        path = sqlite_path(url)
        return f"sqlite:{path}" if path is not None else None
    parts = urlsplit(url)
    if len(hosts := hosts_of(parts.netloc)) > 1:
        return f"postgres:{parts.username or ''}@{','.join(hosts)}{parts.path}"
    host = dict(part.split("=", 1) for part in parts.query.split("&") if "=" in part).get("host", "")
    return f"postgres:{parts.username or ''}@{parts.hostname or host}:{parts.port or ''}{parts.path}"


def redacted_url(url: str) -> str:
    """Return a database URL without its password and without options that could hold a secret."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "sqlite":
        path, options, _ = rest.partition("?")
        return f"{scheme}://{path}{'?...' if options else ''}"
    parts = _server_parts(url)
    if parts is None:
        return f"{scheme}://..." if scheme.lower() in _SCHEMES else "..."
    _, at, host = parts.netloc.rpartition("@")
    secret = ":***" if parts.password is not None else ""
    netloc = f"{parts.username or ''}{secret}@{host}" if at else host
    return urlunsplit((parts.scheme, netloc, parts.path, "..." if parts.query else "", ""))


def redacted(message: str, url: str) -> str:
    """Return a driver's error message on one line, without the passwords of the database URL."""
    text = " ".join(message.split())
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text if len(text) <= 300 else text[:297] + "..."


def _server_parts(url: str) -> SplitResult | None:
    """Return the parts of a server's URL, or `None` where it cannot be taken apart without doubt.

    A `/`, `?` or `#` in a password that is not percent-encoded ends the host, and the rest would pass for a path.
    """
    try:
        parts = urlsplit(url)
        hosts_of(parts.netloc)
    except ValueError:
        return None
    if not parts.scheme or parts.fragment or "@" in parts.path or "@" in parts.query:
        return None
    return parts


def _with_secret(parts: SplitResult, secret: str) -> str:
    """Return the URL of these parts with a password."""
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(secret, safe='')}@{host}"))


def _secrets(url: str) -> set[str]:
    """Return the passwords in a database URL, in each form in which a driver could repeat them."""
    found = _SECRET_OPTION.findall(url)
    if (parts := _server_parts(url)) is not None:
        found.append(parts.password or "")
    elif not url.lower().startswith("sqlite://"):
        # It is not known where the password ends, so each piece of it counts.
        password = url.rpartition("://")[2].partition(":")[2]
        password = password.rpartition("@")[0] or password
        found += [password, *re.split(r"[/?#@:\[\]]", password)]
    forms = {form for secret in found for form in (secret, unquote(secret), unquote_plus(secret))}
    return {" ".join(form.split()) for form in forms} - {""}
