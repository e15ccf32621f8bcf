"""The command `doctor`: everything that must be right for prompts to be served, looked at in turn."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import typer

from automagik_prompts.cli.interaction import find_author
from automagik_prompts.cli.live import following, wait_until_settled
from automagik_prompts.cli.options import Modules
from automagik_prompts.cli.output.reports import Diagnosed, Diagnosis
from automagik_prompts.cli.output.text import plural, print_item, print_json, print_line
from automagik_prompts.cli.session import ImportedModules, Session, command, open_database, try_modules
from automagik_prompts.database_url import redacted_url
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.served import State
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.following.journal import Journal
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema import migrate, migrations
from automagik_prompts.server_url import read_server_url
from automagik_prompts.settings import ENVIRONMENT_PREFIX, MIN_KEY_LENGTH, Settings
from automagik_prompts.storage.database import Database

_PACKAGES = ("automagik-prompts", "pydantic-ai-slim", "tortoise-orm", "aerich", "pydantic-handlebars", "asyncpg")
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}
_NOTIFIED_WITHIN = 10.0
"""Seconds within which it is known whether notifications are delivered."""


@command
def doctor(session: Session, module: Modules = None) -> None:
    """Look for what could keep prompts from being served.

    Exit code 1 where something failed; a warning is worth a look.
    """
    modules = try_modules(session, module)
    checks = [*_modules(modules), *_database(session), _disk(session.settings), *_keys(session.settings)]
    diagnosis = Diagnosis(
        ok=all(check.outcome != "failed" for check in checks),
        versions=_versions(),
        settings=_settings(session.settings),
        checks=checks,
    )
    if session.json:
        print_json(diagnosis)
    else:
        _print(diagnosis)
    if not diagnosis.ok:
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


def _modules(modules: ImportedModules) -> Iterator[Diagnosed]:
    for problem in modules.problems:
        yield Diagnosed(name="modules", outcome="failed", message=problem)
    if modules.names:
        agents = plural(len(registry.agents), "agent")
        yield Diagnosed(name="modules", outcome="ok", message=f"{', '.join(modules.names)}: {agents} declared")
    elif not modules.problems:
        words = "none found; the code's texts are not known here. Name one with --module, or declare an entry point."
        yield Diagnosed(name="modules", outcome="warning", message=words)


def _database(session: Session) -> list[Diagnosed]:
    """Look at the connection, then at the schema, then at what would be served."""
    began = time.perf_counter()
    try:
        checks = asyncio.run(_connection(session, began))
    except PromptsError as error:
        return [Diagnosed(name="connection", outcome="failed", message=error.message)]
    if any(check.outcome != "ok" for check in checks if check.name not in {"TLS", "server"}):
        return checks
    with following(session) as plugin:
        return [*checks, *_served(plugin, session.settings)]


async def _connection(session: Session, began: float) -> list[Diagnosed]:
    async with open_database(session.settings.database_url) as database:
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
    known = len(migrations.all_migrations())
    try:
        await migrate.check_writable(database)
    except PromptsError as error:
        # An embedded schema that is behind is brought up to date by the next process that starts.
        behind = database.is_embedded and bool(await migrate.pending(database))
        return Diagnosed(name="schema", outcome="warning" if behind else "failed", message=error.message)
    return Diagnosed(name="schema", outcome="ok", message=f"up to date, {plural(known, 'migration')}")


def _served(plugin: PromptPlugin, settings: Settings) -> Iterator[Diagnosed]:
    health = wait_until_settled(plugin)
    if health.state is not State.LIVE:
        yield Diagnosed(name="serving", outcome="failed", message=health.error or "the database was not read in time")
        return
    for problem in health.problems:
        yield Diagnosed(name="serving", outcome="failed", message=problem)
    if not health.problems:
        yield Diagnosed(name="serving", outcome="ok", message=f"{plural(health.agents, 'agent')}, all can be served")
    if unknown := _unknown_to_code(plugin):
        words = f"the code does not know {', '.join(unknown[:10])}{', ...' if len(unknown) > 10 else ''}"
        yield Diagnosed(name="statuses", outcome="warning", message=f"{words}. See: automagik-prompts check")
    yield from _allow_lists(plugin)
    yield _notifications(plugin, settings)


def _allow_lists(plugin: PromptPlugin) -> Iterator[Diagnosed]:
    """Say where the lists of variables come from, of agents whose texts use some."""
    snapshot = plugin.snapshot()
    using = sorted({key.agent for key, one in snapshot.served.items() if one.variables} if snapshot is not None else ())
    code = [name for name in using if name in registry.agents]
    other = [name for name in using if name not in registry.agents]
    if code:
        yield Diagnosed(name="variables", outcome="ok", message=f"from the code's declarations: {_some(code)}")
    if other:
        words = f"not declared here, so runs reach what ActivePrompt(expose=...) names and nothing else: {_some(other)}"
        yield Diagnosed(name="variables", outcome="ok", message=words)


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"


def _unknown_to_code(plugin: PromptPlugin) -> list[str]:
    """Return the statuses that only the database has, of agents that the code declares."""
    snapshot = plugin.snapshot()
    return [
        str(key)
        for key in sorted(snapshot.served if snapshot is not None else ())
        if (declared := registry.agents.get(key.agent)) is not None and declared.keys.find(key.status_key) is None
    ]


def _notifications(plugin: PromptPlugin, settings: Settings) -> Diagnosed:
    if settings.dialect == "sqlite":
        words = f"a file has none; changes are found within {settings.interval:g} s"
        return Diagnosed(name="notifications", outcome="ok", message=words)
    deadline = time.monotonic() + _NOTIFIED_WITHIN
    while not ((health := plugin.health()).listening or health.unheard) and time.monotonic() < deadline:
        time.sleep(0.02)
    if health.listening:
        return Diagnosed(name="notifications", outcome="ok", message="delivered; changes are seen at once")
    words = health.unheard or (
        f"not known to be delivered; changes are found within {settings.interval:g} s. Connections are short, or the "
        "server did not answer in time: run this again later."
    )
    return Diagnosed(name="notifications", outcome="warning", message=words)


def _disk(settings: Settings) -> Diagnosed:
    path = Journal(settings).path
    if path is None:
        words = "off: a process that starts while the database is down serves the code's texts"
        return Diagnosed(name="disk snapshot", outcome="warning", message=words)
    if not path.exists():
        return Diagnosed(name="disk snapshot", outcome="warning", message=f"{path} is not there yet")
    age = max(0.0, time.time() - path.stat().st_mtime)
    return Diagnosed(name="disk snapshot", outcome="ok", message=f"{path}, saved {age:.0f} s ago")


def _print(diagnosis: Diagnosis) -> None:
    for heading, facts in (("versions", diagnosis.versions), ("settings", diagnosis.settings)):
        print_line(f"{heading}:")
        width = max(map(len, facts))
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
