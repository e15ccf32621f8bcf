"""The command `watch`: what a process would serve, as it changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from automagik_prompts.cli.live import following
from automagik_prompts.cli.moments import seconds as as_seconds
from automagik_prompts.cli.options import Modules, OptionalAgent
from automagik_prompts.cli.output.served import ServedLine, Watched
from automagik_prompts.cli.output.tables import columns, terminal_lines
from automagik_prompts.cli.output.text import console, is_terminal, plural, print_json, print_line, print_note, visible
from automagik_prompts.cli.session import Session, command, try_modules
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.served import Health, State
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.plugin import PromptPlugin

_GLANCE = 0.1
"""Seconds between two looks at what this process serves; it is a look into memory."""


@dataclass(frozen=True, slots=True)
class View:
    """What is served at one moment.

    Attributes:
        lines: What is served, by agent and status.
        health: How the plugin stands.
        changed: When each line changed last while this command watched.
    """

    lines: dict[PromptKey, ServedLine]
    health: Health
    changed: dict[PromptKey, datetime]


@command
def watch(
    session: Session,
    agent: OptionalAgent = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--for",
            metavar="SECONDS",
            min=0,
            callback=as_seconds,
            help="End after so many seconds.",
            show_default=False,
        ),
    ] = None,
    module: Modules = None,
) -> None:
    """Follow what is served, live.

    On a terminal it is a table, the latest changes first, until Ctrl-C. In a pipe each change is a line; with --json
    each change is one line of JSON.
    """
    session.authorize([agent or ""])
    modules = try_modules(session, module)
    for problem in modules.problems:
        print_note(problem)
    with following(session, [agent] if agent is not None else None) as plugin:
        views = _views(plugin, agent, seconds)
        try:
            if session.json:
                _print_json(views)
            elif is_terminal() and not console().is_dumb_terminal:
                _show(views, session.place)
            else:
                _print_lines(views)
        except KeyboardInterrupt:
            return  # that is how one stops watching


def _views(plugin: PromptPlugin, agent: str | None, seconds: float | None) -> Iterator[View]:
    """Yield what is served, now and whenever it changes."""
    end = None if seconds is None else time.monotonic() + seconds
    before: View | None = None
    while True:
        snapshot = plugin.snapshot()
        if snapshot is not None:
            view = _view(snapshot, plugin.health(), agent, before)
            if before is None or _seen(view) != _seen(before):
                yield view
                before = view
        if before is not None and end is not None and time.monotonic() >= end:
            return
        time.sleep(_GLANCE)


def _seen(view: View) -> tuple[object, ...]:
    """Return what a person would see differ."""
    return view.lines, view.health.state, view.health.error, view.health.problems


def _view(snapshot: Snapshot, health: Health, agent: str | None, before: View | None) -> View:
    lines = {
        PromptKey(*key): ServedLine(
            agent=key[0],
            status_key=key[1],
            served_status_key=selection.prompt.status_key,
            version=selection.prompt.version,
            served_from=selection.prompt.source,
            reason=selection.reason,
            content_hash=selection.prompt.content_hash,
        )
        for key, selection in sorted(snapshot.selections.items())
        if agent is None or key[0] == agent
    }
    changed = {} if before is None else dict(before.changed)
    if before is not None:
        now = datetime.now(UTC)
        changed |= {key: now for key, line in lines.items() if before.lines.get(key) != line}
    return View(lines, health, changed)


def _print_json(views: Iterator[View]) -> None:
    for view in views:
        shape = Watched(
            at=datetime.now(UTC),
            state=view.health.state,
            error=view.health.error,
            problems=list(view.health.problems),
            prompts=list(view.lines.values()),
        )
        print_json(shape, one_line=True)


def _print_lines(views: Iterator[View]) -> None:
    """Print one line for each change, and first one for each status."""
    state: tuple[State, str | None] | None = None
    problems: tuple[str, ...] = ()
    known: dict[PromptKey, ServedLine] = {}
    for view in views:
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        if state != (view.health.state, view.health.error):
            state = (view.health.state, view.health.error)
            print_line(f"{now} {view.health.state.value}{f': {view.health.error}' if view.health.error else ''}")
        for problem in view.health.problems:
            if problem not in problems:
                print_line(f"{now} {problem}")
        problems = view.health.problems
        for key, line in view.lines.items():
            if known.get(key) != line:
                print_line(f"{now} {line.agent}/{line.status_key}: {_served(line)}")
        for agent, status_key in known.keys() - view.lines.keys():
            print_line(f"{now} {agent}/{status_key}: nothing any more")
        known = view.lines


def _show(views: Iterator[View], place: str) -> None:
    """Show a table that follows, as many lines of it as the terminal has room for."""
    out = console()
    with Live(console=out, auto_refresh=False, transient=False) as live:
        for view in views:
            live.update(_screen(view, place, out.width, out.height), refresh=True)


def _screen(view: View, place: str, width: int, height: int) -> Group:
    keys = sorted(view.lines, key=lambda key: (-view.changed[key].timestamp() if key in view.changed else 0.0, key))
    room = max(1, height - 5 - 2 * len(view.health.problems) - 3 * (view.health.error is not None))
    rows = [
        (
            *key,
            _served(view.lines[key]),
            view.changed[key].astimezone().strftime("%H:%M:%S") if key in view.changed else "",
        )
        for key in keys[:room]
    ]
    state = Text(f"{view.health.state.value}", style="green" if view.health.state is State.LIVE else "red")
    state.append(f"  {visible(place)}  {'by notifications' if view.health.listening else 'by polling'}", style="dim")
    parts = [state]
    if view.health.error:
        parts.append(Text(visible(view.health.error), style="red"))
    parts.extend(Text(visible(problem), style="red") for problem in view.health.problems)
    parts.extend(terminal_lines(columns("agent", "status", "=served", "=changed"), rows, None, width))
    if len(keys) > room:
        parts.append(Text(f"... and {plural(len(keys) - room, 'status', 'statuses')} more; name an agent", style="dim"))
    return Group(*parts)


def _served(line: ServedLine) -> str:
    what = f"version {line.version}" if line.version is not None else "the text"
    other = f" of {line.served_status_key}" if line.served_status_key != line.status_key else ""
    return f"{what}{other} ({line.served_from.value})"
