"""The settings of a plugin, from arguments or `AUTOMAGIK_PROMPTS_*` variables; nothing is read before first use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import quote, unquote

from pydantic import Field, SecretStr, ValidationError, field_serializer, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from automagik_prompts.database_url import (
    Dialect,
    SecretUrl,
    check_options,
    dialect_of,
    redacted_url,
    server_parts,
    sqlite_path,
    with_secret,
)
from automagik_prompts.domain.history import HistoryRules, Provenance
from automagik_prompts.domain.served import MissingMode
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.server_url import read_server_url

DEFAULT_DATABASE_URL = "sqlite://automagik_prompts.db"
ENVIRONMENT_PREFIX = "AUTOMAGIK_PROMPTS_"

MIN_KEY_LENGTH = 16
"""Characters that a key should have."""


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
        history_key: The key that signs what histories say about prompts; several of them, by commas, while a new one
            takes the place of an old one: the first one signs, each is believed. `doctor` warns of short ones.
        provenance: What the requests of a history say about their prompt: `full`, `opaque` (a token that only who has
            the key can read) or `off`.
        pin_timeout: Seconds that a run waits for the version that its conversation goes on with, at most.
        baggage: Whether the prompt travels as OpenTelemetry baggage to the services that an agent calls.
        seed: Whether this process writes by itself: the code's texts, the schema of an embedded database, and what it
            cannot serve. Off, it only follows: for a viewer, or where a release step runs `automagik-prompts sync`.
        release: Which release of the application this process is, such as `2026.11` or a commit; shown by
            `automagik-prompts fleet`.
        heartbeat: Seconds between two signs of life by which the fleet knows this process, and by which it tells how
            often each version was sent; 0 for none.
        policy: What decides who may do what, as `module:object`; for the command line as well, where it guards against
            mistakes: only the database's own rights guard against people.
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
    history_key: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    provenance: Provenance = "full"
    pin_timeout: float = Field(default=0.2, ge=0, le=10)
    baggage: bool = False
    seed: bool = True
    release: str | None = Field(default=None, max_length=255)
    heartbeat: float = Field(default=60.0, ge=0, le=3600)
    policy: str | None = None

    @field_validator("modules", "only", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, re.split(r"[\s,]+", value))) if isinstance(value, str) else value

    @field_validator("history_key", mode="before")
    @classmethod
    def _keys(cls, value: object) -> object:
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_sign(self) -> Self:
        if self.provenance == "opaque" and not self.history_key:
            raise ValueError("provenance=opaque needs a history_key: the token is made with it")
        return self

    @field_validator("database_url", "listen_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if dialect_of(value) == "sqlite":
            check_options(value.partition("?")[2])
        elif server_parts(value) is None:
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
        parts = server_parts(url)
        if parts is None or dialect_of(url) == "sqlite" or not parts.username:
            raise ValueError("database_password belongs to a user on a server: postgresql://user@host/database")
        secret = password.get_secret_value() if isinstance(password, SecretStr) else str(password)
        if parts.password is not None:
            if unquote(parts.password) == secret:
                return values  # by whoever has read these settings before
            raise ValueError("the password is given twice: take it out of the database URL")
        given = {**values, "database_url": with_secret(parts, secret)}
        if (listen_url := values.get("listen_url")) is not None:
            direct = server_parts(str(listen_url))
            if direct is not None and direct.username and direct.password is None:
                given["listen_url"] = with_secret(direct, secret)
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
    def history(self) -> HistoryRules:
        """What is written into histories, and what is believed of them."""
        keys = tuple(key.get_secret_value().encode() for key in self.history_key)
        return HistoryRules(keys, self.provenance, self.pin_timeout, self.baggage)

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
