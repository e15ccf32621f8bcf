"""The database's URL: which engine it names, which file or server, and how it is shown without secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, quote, unquote, unquote_plus, urlsplit, urlunsplit

from automagik_prompts.server_url import hosts_of

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


_PRAGMAS = frozenset(
    {
        *("busy_timeout", "cache_size", "foreign_keys", "journal_mode", "journal_size_limit", "mmap_size"),
        *("synchronous", "temp_store"),
    }
)
"""The options of an SQLite URL: settings of the connection."""


def check_options(options: str) -> None:
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
    if name in {"", ":memory:"}:
        return None
    path = unquote(name)
    # Two slashes in front are one, as SQLite's own URIs would take what follows for a host.
    return Path(f"/{path.lstrip('/')}" if path.startswith("//") else path).absolute()


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
    parts = server_parts(url)
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


def server_parts(url: str) -> SplitResult | None:
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


def with_secret(parts: SplitResult, secret: str) -> str:
    """Return the URL of these parts with a password."""
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(secret, safe='')}@{host}"))


def _secrets(url: str) -> set[str]:
    """Return the passwords in a database URL, in each form in which a driver could repeat them."""
    found = _SECRET_OPTION.findall(url)
    if (parts := server_parts(url)) is not None:
        found.append(parts.password or "")
    elif not url.lower().startswith("sqlite://"):
        # It is not known where the password ends, so each piece of it counts.
        password = url.rpartition("://")[2].partition(":")[2]
        password = password.rpartition("@")[0] or password
        found += [password, *re.split(r"[/?#@:\[\]]", password)]
    forms = {form for secret in found for form in (secret, unquote(secret), unquote_plus(secret))}
    return {" ".join(form.split()) for form in forms} - {""}
