"""The URL of a PostgreSQL server: which options it may have, and what they mean to the driver.

Whoever hosts databases hands out URLs as libpq reads them. What the driver understands is left to it (TLS, several
hosts), what it has another name for is translated, and everything else is refused by name, before anything is opened.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from automagik_prompts.domain.text import closest

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""How TLS is used, as libpq calls it: `require` encrypts, and only the last two make sure who answers."""

_TLS = {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "ssl_min_protocol_version"}
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_PASSED = _TLS | {"ssl_max_protocol_version", "target_session_attrs", "passfile", "host", "port"}
"""What the driver reads in the URL itself."""

_POOL = {
    **dict.fromkeys(("minsize", "maxsize", "max_queries", "statement_cache_size"), int),
    **dict.fromkeys(("max_inactive_connection_lifetime", "command_timeout", "timeout"), float),
    "schema": str,
}
"""Options of the connection pool and of each connection."""

_TRANSLATED = ("application_name", "channel_binding", "connect_timeout", "gssencmode", "options", "pgbouncer", "ssl")
"""What has another name here, or is true already."""

OPTIONS = tuple(sorted({*_PASSED, *_POOL, *_TRANSLATED}))

_OLD_SSL = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"}
_LAST_PORT = 65535
_SETTING = re.compile(r"-c\s*([A-Za-z_][\w.]*)=((?:\\.|[^\s\\])*)|--([A-Za-z_][\w.-]*)=((?:\\.|[^\s\\])*)")
_LOOPBACK = re.compile(r"localhost|127\..*|\[?::1\]?|/.*|%2F.*|", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """What a URL says.

    Attributes:
        dsn: What the driver reads by itself.
        options: Options of the pool and of each connection.
        settings: Settings of each session.
        files: The files that it names, by option.
        is_local: Whether no host is beyond this machine.
    """

    dsn: str = field(repr=False)
    options: dict[str, Any]
    settings: dict[str, str]
    files: dict[str, str]
    is_local: bool


def hosts_of(netloc: str) -> tuple[str, ...]:
    """Return the hosts of a URL, each with its port, if it has one.

    Raises:
        ValueError: A port is no number, which may be a piece of a password.
    """
    found = tuple(netloc.rpartition("@")[2].split(","))
    for host in found:
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not port.isdecimal():
            raise ValueError("a port is a number")
    return found


def read_server_url(url: str) -> ServerUrl:
    """Take a URL apart.

    Raises:
        ValueError: An option is unknown, or its value cannot be meant; the message names it.
    """
    parts = urlsplit(url)
    passed: list[tuple[str, str]] = []
    options: dict[str, Any] = {}
    settings: dict[str, str] = {}
    hosts = list(hosts_of(parts.netloc))
    for host in hosts:
        port = host.rpartition("]")[2].partition(":")[2]
        if port and int(port) > _LAST_PORT:
            raise ValueError(f"the port {port} cannot be: the last one is {_LAST_PORT}")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _PASSED:
            passed.append((name, _checked(name, value)))
        elif name in _POOL:
            options[name] = _number(name, value)
        elif name in _TRANSLATED:
            _translate(name, value, passed, options, settings)
        else:
            close = closest(name, OPTIONS)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            raise ValueError(
                f"the option {name!r} behind the question mark is not known. {hint}There are {', '.join(OPTIONS)}"
            )
    given = dict(passed)
    if given.get("host"):
        hosts = given["host"].split(",")
    if given.get("sslrootcert") == "system":
        # What libpq calls so since PostgreSQL 16: the certificates that this machine trusts.
        found = ssl.get_default_verify_paths()
        given["sslrootcert"] = found.cafile or found.openssl_cafile
    path = Path(given["sslrootcert"]) if given.get("sslrootcert") else None
    files = {name: given[name] for name in _FILES if given.get(name)}
    query = urlencode(given, quote_via=quote)
    return ServerUrl(
        dsn=urlunsplit(("postgresql", parts.netloc, parts.path, query, "")),
        options=options,
        settings=settings,
        files={**files, **({"sslrootcert": str(path)} if path is not None else {})},
        is_local=all(_LOOPBACK.fullmatch(re.sub(r":\d*$", "", host)) for host in hosts),
    )


def missing_files(url: ServerUrl) -> Iterator[str]:
    """Yield the files that a URL names and that cannot be read, each with its option."""
    for option, name in url.files.items():
        if not Path(name).is_file():
            yield f"{option}={name}"


def _translate(
    name: str, value: str, passed: list[tuple[str, str]], options: dict[str, Any], settings: dict[str, str]
) -> None:
    if name == "application_name":
        settings[name] = value
    elif name == "connect_timeout":
        options["timeout"] = _number(name, value) or None  # 0 is no limit to libpq, and ours to us
    elif name == "options":
        settings |= _session_settings(value)
    elif name == "pgbouncer":
        if value.lower() in {"true", "1"}:
            options["statement_cache_size"] = 0
    elif name == "ssl":
        # As other drivers spell it; what is no mode would silently switch TLS on.
        passed.append(("sslmode", _checked("sslmode", _OLD_SSL.get(value.lower(), value), written="ssl")))
    elif value not in {"disable", "prefer", "allow"}:
        what = {"channel_binding": "no channel binding", "gssencmode": "no GSSAPI encryption"}[name]
        raise ValueError(f"{name}={value} cannot be kept: the driver has {what}. Write {name}=prefer, or leave it out")


def _checked(name: str, value: str, *, written: str | None = None) -> str:
    if name == "sslmode" and value not in MODES:
        raise ValueError(f"{written or name}={value} is no mode of TLS; there are {', '.join(MODES)}")
    return value


def _number(name: str, value: str) -> Any:
    kind = _POOL.get(name, float)
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name}={value} is no number") from None


def _session_settings(value: str) -> dict[str, str]:
    """Return the settings of a session in libpq's `options`, such as `-c search_path=prompts`."""
    found: dict[str, str] = {}
    rest = value.strip()
    while rest:
        one = _SETTING.match(rest)
        if one is None:
            raise ValueError(f"options={value}: only settings such as -c search_path=name can be kept")
        setting, text = (one[1], one[2]) if one[1] else (one[3].replace("-", "_"), one[4])
        found[setting] = re.sub(r"\\(.)", r"\1", text)
        rest = rest[one.end() :].strip()
    return found
