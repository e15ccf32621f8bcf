"""The command `doctor`: everything that must be right for prompts to be served, looked at in turn."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import typer

from automagik_prompts.cli.diagnosis.disk import disk_snapshot
from automagik_prompts.cli.diagnosis.serving import served
from automagik_prompts.cli.interaction import find_author
from automagik_prompts.cli.options import Modules
from automagik_prompts.cli.output.reports import Diagnosed, Diagnosis
from automagik_prompts.cli.output.text import plural, print_item, print_json, print_line
from automagik_prompts.cli.session import Session, command, open_database, try_modules
from automagik_prompts.database_url import redacted_url
from automagik_prompts.declaring.registry import registry
from automagik_prompts.exceptions import ConfigurationError, PromptsError
from automagik_prompts.following.journal import Journal
from automagik_prompts.schema import migrations, outlook
from automagik_prompts.server_url import read_server_url
from automagik_prompts.settings import ENVIRONMENT_PREFIX, MIN_KEY_LENGTH, Settings
from automagik_prompts.storage.database import Database

_PACKAGES = ("automagik-prompts", "pydantic-ai-slim", "tortoise-orm", "aerich", "pydantic-handlebars", "asyncpg")
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


def _doctor(session: Session, module: Modules = None) -> None:
    """Look for what could keep prompts from being served.

    Exit code 1 where something failed; a warning is worth a look.
    """
    checks: list[Diagnosed] = []
    for name, look in (
        ("modules", partial(_modules, session, module)),
        ("policy", partial(_policy, session)),
        ("connection", partial(_database, session)),
        ("serving", partial(_served, session, checks)),
        ("disk snapshot", partial(disk_snapshot, session.settings)),
        ("history key", partial(_keys, session.settings)),
    ):
        checks += _looked(name, look)
    _tell(session.json, _settings(session.settings), checks)


def _unsettled(error: ConfigurationError, as_json: bool) -> None:
    """Report settings that cannot work: there is nothing else to look at."""
    _tell(as_json, {}, [Diagnosed(name="settings", outcome="failed", message=error.message)])


doctor = command(_doctor, _unsettled)


def _looked(name: str, look: Callable[[], Iterable[Diagnosed]]) -> Iterator[Diagnosed]:
    """Yield what a check finds; one that fails itself is a finding like any other, and the next one is made."""
    try:
        yield from look()
    except PromptsError as error:
        yield Diagnosed(name=name, outcome="failed", message=error.message)
    except Exception as error:  # noqa: BLE001  # the last resort: whoever needs a diagnosis gets one
        if "--debug" in sys.argv:
            traceback.print_exc()
        words = f"Unexpected {type(error).__name__}. Run it again with --debug and report what it prints."
        yield Diagnosed(name=name, outcome="failed", message=words)


def _tell(as_json: bool, settings: dict[str, str], checks: list[Diagnosed]) -> None:
    is_ok = all(check.outcome != "failed" for check in checks)
    diagnosis = Diagnosis(ok=is_ok, versions=_versions(), settings=settings, checks=checks)
    if as_json:
        print_json(diagnosis)
    else:
        _print(diagnosis)
    if not is_ok:
        raise typer.Exit(1)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _settings(settings: Settings) -> dict[str, str]:
    """Return each setting as it is in force, without passwords, and where it came from."""
    path = Journal(settings).path
    effective = {
        "database_url": redacted_url(settings.database_url),
        "listen_url": redacted_url(settings.listen_url) if settings.listen_url is not None else "none",
        "poll_interval": f"{settings.interval:g}",
        "cache_dir": path.parent if path is not None else "none",
        "author": find_author(None, settings),
        "history_key": plural(len(settings.history_key), "key") if settings.history_key else "none",
    }
    found = {}
    for name in Settings.model_fields:
        value = effective.get(name, getattr(settings, name))
        variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
        words = (" ".join(value) or "none") if isinstance(value, tuple) else str(value)
        given = any(variable == known.upper() and text for known, text in os.environ.items())
        found[name] = f"{words} ({variable})".strip() if given else words
    return found


def _modules(session: Session, named: Sequence[str] | None) -> Iterator[Diagnosed]:
    modules = try_modules(session, named)
    for problem in modules.problems:
        yield Diagnosed(name="modules", outcome="failed", message=problem)
    if modules.names:
        agents = plural(len(registry.agents), "agent")
        yield Diagnosed(name="modules", outcome="ok", message=f"{', '.join(modules.names)}: {agents} declared")
    elif not modules.problems:
        words = "none found; the code's texts are not known here. Name one with --module, or declare an entry point."
        yield Diagnosed(name="modules", outcome="warning", message=words)


def _policy(session: Session) -> Iterator[Diagnosed]:
    """Load what decides who may do what; without it nothing may be done."""
    if session.policy is not None:
        yield Diagnosed(name="policy", outcome="ok", message=f"{session.settings.policy} decides who may do what")


def _database(session: Session) -> list[Diagnosed]:
    """Look at the connection, then at the schema."""
    return asyncio.run(_connection(session, time.perf_counter()))


def _served(session: Session, before: Sequence[Diagnosed]) -> Iterator[Diagnosed]:
    """Look at what would be served, where the schema is the one that it is read from."""
    if any(check.name == "schema" and check.outcome == "ok" for check in before):
        yield from served(session)


async def _connection(session: Session, began: float) -> list[Diagnosed]:
    async with open_database(session.settings.database_url, looking=True) as database:
        taken = (time.perf_counter() - began) * 1000
        checks = [Diagnosed(name="connection", outcome="ok", message=f"{session.place} answers ({taken:.0f} ms)")]
        hindered = [Diagnosed(name="server", outcome="warning", message=w) for w in await database.hindrances()]
        return [*checks, *await _tls(database), *hindered, await _schema(database)]


async def _tls(database: Database) -> list[Diagnosed]:
    if database.is_embedded:
        return []
    if (used := await database.tls_version()) is not None:
        return [Diagnosed(name="TLS", outcome="ok", message=f"on, {used}")]
    if read_server_url(database.url).is_local:
        return [Diagnosed(name="TLS", outcome="ok", message="off, and nothing leaves this machine")]
    words = (
        "off: prompts and the password cross the network in the clear. Add ?sslmode=require to the URL, or "
        "sslmode=verify-full with sslrootcert=FILE, which also makes sure who answers."
    )
    return [Diagnosed(name="TLS", outcome="warning", message=words)]


async def _schema(database: Database) -> Diagnosed:
    """Say what an upgrade would do."""
    found, known = await outlook.look_ahead(database), len(migrations.all_migrations())
    if found.refusal is not None:
        return Diagnosed(name="schema", outcome="failed", message=found.refusal.message)
    if not found.due:
        return Diagnosed(name="schema", outcome="ok", message=f"up to date, {plural(known, 'migration')}")
    words = f"{len(found.due)} of {known} migrations are to be applied, from {found.due[0].version}. "
    if found.is_anothers:
        words += "They change tables of another application. See how: automagik-prompts migrate-legacy --dry-run. Then "
        words += "run: automagik-prompts upgrade"
    else:
        words += "Run: automagik-prompts upgrade"
    # An embedded schema that is behind is brought up to date by the next process that starts.
    by_itself = database.is_embedded and not found.is_anothers
    return Diagnosed(name="schema", outcome="warning" if by_itself else "failed", message=words)


def _print(diagnosis: Diagnosis) -> None:
    for heading, facts in (("versions", diagnosis.versions), ("settings", diagnosis.settings)):
        if facts:
            print_line(f"{heading}:")
        width = max(map(len, facts), default=0)
        for name, value in facts.items():
            print_item(f"  {name:<{width}}", value, "")
    print_line("checks:")
    for check in diagnosis.checks:
        print_item(f"  {check.outcome:<7}", f"{check.name}: {check.message}", _STYLES[check.outcome])


def _keys(settings: Settings) -> Iterator[Diagnosed]:
    """Warn of a key that somebody could guess."""
    if any(len(key.get_secret_value()) < MIN_KEY_LENGTH for key in settings.history_key):
        words = (
            f"history_key has a key of fewer than {MIN_KEY_LENGTH} characters, which can be guessed. Make one: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
        yield Diagnosed(name="history key", outcome="warning", message=words)
