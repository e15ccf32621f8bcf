from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

import pytest

from automagik_prompts import PromptPlugin
from automagik_prompts.database_url import dialect_of, identity_of, redacted, redacted_url, sqlite_path
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.settings import DEFAULT_DATABASE_URL, Settings, load_settings

URL = "postgresql://ann@db.example/prompts"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests has no say."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AUTOMAGIK_PROMPTS_{name.upper()}", raising=False)


def test_without_any_setting_everything_works() -> None:
    """The default is a file in the working directory."""
    settings = load_settings()
    assert settings.database_url == DEFAULT_DATABASE_URL == "sqlite://automagik_prompts.db"
    assert (settings.dialect, settings.interval, settings.startup_timeout) == ("sqlite", 0.25, 1.0)
    assert (settings.missing, settings.modules, settings.author) == ("marker", (), None)
    assert sqlite_path(settings.database_url) == Path.cwd() / "automagik_prompts.db"


def test_settings_come_from_arguments_then_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument comes before a variable, and `None` means not given."""
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DATABASE_URL", "postgresql://host/db")
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_STARTUP_TIMEOUT", "0.5")
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_MISSING", "empty")
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_MODULES", "a.prompts, b.prompts\nc.prompts ,")
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_AUTHOR", "ann")
    settings = load_settings(startup_timeout=2.0, missing=None, author="bea")
    assert settings.database_url == "postgresql://host/db"
    assert (settings.dialect, settings.interval, settings.startup_timeout) == ("postgres", 1.0, 2.0)
    assert (settings.missing, settings.author) == ("empty", "bea")
    assert settings.modules == ("a.prompts", "b.prompts", "c.prompts")
    assert load_settings(modules=["x", "y"]).modules == ("x", "y")
    assert load_settings(poll_interval=3.0).interval == 3.0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            {"database_url": "mysql://u:hunter2@h/d"},
            "database_url: Value error, a database URL begins with one of: sqlite://",
        ),
        ({"database_url": "u:hunter2@h/d"}, "database_url: "),
        ({"database_url": ""}, "database_url: "),
        ({"database_url": "postgresql://u:hunter2/x@h/d"}, "percent-encoded, such as %2F for a slash"),
        ({"database_url": "postgresql://u:hunter2#x@h/d"}, "percent-encoded"),
        ({"database_url": "postgresql://u:hunter2?x@h/d"}, "percent-encoded"),
        ({"database_url": "postgresql://u:12/hunter2@h/d"}, "percent-encoded"),
        ({"database_url": "postgresql://u:[hunter2@h/d"}, "percent-encoded"),
        (
            {"database_url": URL, "listen_url": "mysql://u:hunter2@h/d"},
            "listen_url: Value error, a database URL begins",
        ),
        ({"database_url": URL, "listen_url": "postgresql://u:hunter2/x@h/d"}, "listen_url: Value error, write special"),
        ({"database_url": URL, "listen_url": "sqlite://hunter2.db"}, "listen_url is a second way to a server"),
        ({"listen_url": "postgresql://u:hunter2@h/d"}, "for an SQLite file leave it out"),
        ({"startup_timeout": -1}, "startup_timeout: "),
        ({"poll_interval": 0}, "poll_interval: "),
        ({"missing": "hunter2"}, "missing: "),
        ({"databse_url": "hunter2"}, "databse_url: Extra inputs are not permitted"),
    ],
)
def test_a_setting_that_cannot_work_is_named(given: dict[str, object], reason: str) -> None:
    """The message names the setting and never repeats its value, which may hold a password."""
    with pytest.raises(ConfigurationError) as refused:
        load_settings(**given)
    assert reason in refused.value.message
    assert "AUTOMAGIK_PROMPTS_<NAME>" in refused.value.message
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_variable_that_cannot_work_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds for the environment."""
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_POLL_INTERVAL", "hunter2")
    with pytest.raises(ConfigurationError, match=r"poll_interval: .*valid number") as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("sqlite://a.db", "sqlite"),
        ("SQLite:///a.db", "sqlite"),
        ("postgres://h/d", "postgres"),
        ("postgresql://h/d", "postgres"),
        ("asyncpg://h/d", "postgres"),
        ("postgresql:///d?host=/run/pg", "postgres"),
    ],
)
def test_the_engine_of_a_url(url: str, dialect: str) -> None:
    """The scheme tells the engine."""
    assert dialect_of(url) == dialect
    assert load_settings(database_url=url).dialect == dialect


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///tmp/a.db", "/tmp/a.db"),  # noqa: S108  # nothing is written
        ("sqlite:///tmp/a%20b%23.db?busy_timeout=5", "/tmp/a b#.db"),  # noqa: S108  # as above
        ("sqlite://sub/a.db", f"{Path.cwd()}/sub/a.db"),
        ("sqlite://:memory:", None),
        ("postgresql://h/d", None),
    ],
)
def test_the_file_of_an_sqlite_url(url: str, path: str | None) -> None:
    """A path is relative to the working directory unless it begins with a slash."""
    assert sqlite_path(url) == (Path(path) if path is not None else None)


PASSWORDS = ["hunter2", "p@ss:w/o#r?d%", "a b+c", "ünïcode", "[x]", "back\\slash", "'quote\"", "&a=b;", "x" * 200]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("encode", [lambda text: quote(text, safe=""), quote_plus], ids=["quote", "quote_plus"])
def test_no_password_is_ever_shown(password: str, encode: object) -> None:
    """Neither the URL nor a driver's message shows a password, in whatever form it is repeated."""
    assert callable(encode)
    coded = str(encode(password))
    url = f"postgresql://ann:{coded}@host:5432/db?sslmode=require&sslpassword={coded}"
    assert load_settings(database_url=url).database_url == url
    shown = redacted_url(url)
    assert shown == "postgresql://ann:***@host:5432/db?..."
    for form in (password, coded):
        message = redacted(f"cannot  connect with\n{form} to host as ann: {form!s}.", url)
        assert form not in message
        assert message.startswith("cannot connect with *** to host")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2/x@h/d",
        "postgresql://u:hunter2#x@h/d",
        "postgresql://u:hunter2?x@h/d",
        "postgresql://u:12/hunter2@h/d",
        "postgresql://u:hunter2",
        "postgresql://u:[hunter2@h/d",
        "postgresql://h/d?password=hunter2",
        "postgresql://h/d?user=u&PGPASSWORD=hunter2#x",
        "mysql://u:hunter2@h/d",
        "u:hunter2@h/d",
        "hunter2",
        "sqlite:///a.db?key=hunter2",
    ],
)
def test_a_broken_url_does_not_show_its_password_either(url: str) -> None:
    """Where a URL cannot be taken apart without doubt, nothing of it is shown."""
    assert "hunter2" not in redacted_url(url)
    if url != "hunter2":
        assert redacted("invalid port 'hunter2' for u", url) == "invalid port '***' for u"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite://a.db", "sqlite://a.db"),
        ("sqlite:///tmp/a@b.db?busy_timeout=5", "sqlite:///tmp/a@b.db?..."),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("postgresql:///db?host=/run/pg", "postgresql:///db?..."),
        ("postgresql://ann:secret@[::1]:5432/db", "postgresql://ann:***@[::1]:5432/db"),
    ],
)
def test_what_is_no_secret_is_shown(url: str, shown: str) -> None:
    """Whoever is paged sees which database it is."""
    assert redacted_url(url) == shown


def test_a_drivers_message_becomes_one_short_line() -> None:
    """Logs stay readable."""
    assert redacted("a\n  b\tc", "sqlite://a.db") == "a b c"
    assert redacted("x" * 400, "sqlite://a.db") == "x" * 297 + "..."


def test_the_identity_of_a_database_has_no_secret() -> None:
    """Two spellings of one database are one, and a changed password does not make another."""
    assert identity_of("sqlite://a.db") == f"sqlite:{Path.cwd()}/a.db"
    assert identity_of("sqlite://:memory:") is None
    one = identity_of("postgresql://ann:one@host:5432/db?ssl=1")
    assert one == identity_of("postgres://ann:two@host:5432/db") == "postgres:ann@host:5432/db"


def test_a_password_shows_nowhere() -> None:
    """Not where settings or a plugin are printed, dumped or looked into; it is there where a connection is made."""
    word = "hunter2"
    url = f"postgresql://ann:{word}@db.example/prompts"
    plugin = PromptPlugin(url, listen_url=url)
    settings = plugin.settings
    for shown in (
        *(repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())),
        *(
            repr(vars(plugin)),
            repr(vars(settings)),
            repr(vars(plugin._life)),
            repr(settings.database_url),
            repr(settings.listen_url),
        ),
        *(f"{settings!r}", repr(plugin.health()), repr(plugin)),
    ):
        assert word not in shown
    assert settings.database_url == settings.listen_url == url


@pytest.mark.parametrize("secret", ["hunter2", "a/b?c#d@e:f g%", "é\u00a0"])
def test_a_password_from_a_variable_or_a_file(secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not be in the arguments of a command, where every user of the machine can read it."""
    file = tmp_path / "password"
    file.write_text(secret + "\n", encoding="utf-8")
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DATABASE_URL", URL)
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DATABASE_PASSWORD_FILE", str(file))
    first = load_settings()
    monkeypatch.delenv("AUTOMAGIK_PROMPTS_DATABASE_PASSWORD_FILE")
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DATABASE_PASSWORD", secret)
    second = load_settings()
    assert first.database_url == second.database_url
    assert unquote(urlsplit(first.database_url).password or "") == secret
    assert secret not in repr(first) + repr(second) + second.model_dump_json()


def test_a_password_is_for_both_ways_to_a_server() -> None:
    """The second way gets the password, too, unless it has one of its own."""
    settings = load_settings(database_url=URL, listen_url=URL, database_password="hunter2")  # noqa: S106  # made up
    assert settings.listen_url == settings.database_url == "postgresql://ann:hunter2@db.example/prompts"
    own = "postgresql://bea:own@db.example/prompts"
    settings = load_settings(database_url=URL, listen_url=own, database_password="hunter2")  # noqa: S106  # as above
    assert settings.listen_url == own


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"database_url": "postgresql://ann:x@h/d", "database_password": "hunter2"}, "given twice"),
        ({"database_url": URL, "database_password": "hunter2", "database_password_file": "x"}, "given twice"),
        ({"database_url": "sqlite://a.db", "database_password": "hunter2"}, "belongs to a user on a server"),
        ({"database_url": "postgresql://h/d", "database_password": "hunter2"}, "belongs to a user on a server"),
        ({"database_url": URL, "database_password_file": "/nowhere/hunter"}, "cannot be read: No such file"),
    ],
)
def test_a_password_that_cannot_be_meant(given: dict[str, str], words: str) -> None:
    """The message says what to do and does not repeat the password."""
    with pytest.raises(ConfigurationError, match=words) as refused:
        load_settings(**given)
    assert "hunter2" not in refused.value.message
