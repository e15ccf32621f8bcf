"""What the URL of a server may have behind its question mark, and what of it is refused by name."""

from __future__ import annotations

import pytest

from automagik_prompts.database_url import identity_of, redacted_url
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.server_url import read_server_url
from automagik_prompts.settings import load_settings

BASE = "postgresql://user:pw@db.example.com:6432/prompts"


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ("sslmode=require", "sslmode=require"),
        ("sslmode=verify-full&sslrootcert=/etc/ca.pem", "sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem"),
        ("ssl=disable", "sslmode=disable"),
        ("ssl=false", "sslmode=disable"),
        ("ssl=true", "sslmode=require"),
        ("ssl=verify-ca", "sslmode=verify-ca"),
        ("target_session_attrs=read-write", "target_session_attrs=read-write"),
        ("gssencmode=disable&channel_binding=prefer", ""),
    ],
)
def test_what_the_driver_reads(options: str, passed: str) -> None:
    """TLS is spelt as libpq spells it, and in the ways that other drivers have."""
    found = read_server_url(f"{BASE}?{options}")
    assert found.dsn == f"{BASE}{'?' if passed else ''}{passed}"
    assert (found.options, found.settings) == ({}, {})
    assert "pw" not in repr(found)


@pytest.mark.parametrize(
    ("options", "expected", "settings"),
    [
        ("connect_timeout=7&application_name=shop", {"timeout": 7.0}, {"application_name": "shop"}),
        ("pgbouncer=true&maxsize=2&minsize=1", {"statement_cache_size": 0, "maxsize": 2, "minsize": 1}, {}),
        ("schema=ours&command_timeout=5", {"schema": "ours", "command_timeout": 5.0}, {}),
        (
            "options=-c%20search_path%3Dours%20--statement-timeout=5s%20-cgeqo=off",
            {},
            {"search_path": "ours", "statement_timeout": "5s", "geqo": "off"},
        ),
        ("options=-c%20search_path%3Da%5C%20b", {}, {"search_path": "a b"}),
    ],
)
def test_what_is_translated(options: str, expected: dict[str, object], settings: dict[str, str]) -> None:
    """What hosting providers and other libraries write has the meaning that it has there."""
    found = read_server_url(f"{BASE}?{options}")
    assert (found.dsn, found.options, found.settings) == (BASE, expected, settings)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("sslmod=require", r"'sslmod' .* is not known\. Did you mean 'sslmode'\?"),
        ("connection_limit=1", "'connection_limit' .* is not known"),
        ("sslmode=on", "sslmode=on is no mode of TLS; there are disable, allow"),
        ("ssl=maybe", "ssl=maybe is no mode of TLS"),
        ("channel_binding=require", "channel_binding=require cannot be kept: the driver has no channel binding"),
        ("gssencmode=require", "gssencmode=require cannot be kept"),
        ("options=-W", "options=-W: only settings"),
        ("maxsize=many", "maxsize=many is no number"),
        ("connect_timeout=soon", "connect_timeout=soon is no number"),
    ],
)
def test_what_is_refused_by_name(options: str, words: str) -> None:
    """Before anything is opened, and without the password."""
    with pytest.raises(ConfigurationError, match=words) as refused:
        load_settings(database_url=f"{BASE}?{options}")
    assert "pw" not in refused.value.message.replace("write", "")


def test_several_hosts() -> None:
    """A URL may name more than one; it is one database, and shows no password."""
    url = "postgresql://user:secret@one:5432,[::1]:5433,three/prompts?target_session_attrs=read-write"
    settings = load_settings(database_url=url)
    assert read_server_url(settings.database_url).dsn == url
    assert identity_of(url) == "postgres:user@one:5432,[::1]:5433,three/prompts"
    assert redacted_url(url) == "postgresql://user:***@one:5432,[::1]:5433,three/prompts?..."
    with pytest.raises(ConfigurationError, match="percent-encoded"):
        load_settings(database_url="postgresql://user:p:ass/word@one:5432,two:54x3/prompts")
    assert identity_of(BASE) == "postgres:user@db.example.com:6432/prompts"


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("postgresql://localhost/p", True),
        ("postgresql://u@127.0.0.1:5433/p", True),
        ("postgresql://u@[::1]:5433/p", True),
        ("postgresql:///p", True),
        ("postgresql:///p?host=/run/postgresql", True),
        ("postgresql://%2Frun%2Fpostgresql/p", True),
        ("postgresql://localhost,db.example.com/p", False),
        ("postgresql:///p?host=db.example.com", False),
        (BASE, False),
    ],
)
def test_what_leaves_this_machine(url: str, is_local: bool) -> None:
    """Every host counts."""
    assert read_server_url(url).is_local == is_local
