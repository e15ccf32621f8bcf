"""The command `fleet`: which processes follow the database, and how far."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from automagik_prompts.cli.completion import complete_agents
from automagik_prompts.cli.output.running import FleetList, print_unknown
from automagik_prompts.cli.output.tables import columns, print_table
from automagik_prompts.cli.output.text import age, plural, print_json, print_line
from automagik_prompts.cli.session import Session, command
from automagik_prompts.domain.running.fleet import Fleet, FleetProcess, Standing

_HASH = 8
"""Characters of the code's hash that are shown."""


@command
def fleet(
    session: Session,
    agent: Annotated[
        str | None,
        typer.Argument(
            metavar="[AGENT]",
            help="Only processes that follow this agent.",
            autocompletion=complete_agents,
            show_default=False,
        ),
    ] = None,
    late: Annotated[
        bool, typer.Option("--late", help="Only those that do not follow, or cannot serve something.")
    ] = False,
    release: Annotated[
        str | None,
        typer.Option(
            "--release", metavar="NAME", help="Only of this release, or of this code's hash.", show_default=False
        ),
    ] = None,
) -> None:
    """List the processes that follow the database, and how far.

    A process says that it is there once a minute, and when it has taken a change. One that has not for two and a half
    minutes is dead, and is shown for an hour.
    """
    found = session.run(lambda database: session.edits(database).fleet())
    kept = [one for one in found.processes if _is_meant(one, agent, late=late, release=release)]
    shown = replace(found, processes=tuple(kept))
    if session.json:
        print_json(FleetList.of(shown))
        return
    _print(shown, len(found.processes))


def _is_meant(process: FleetProcess, agent: str | None, *, late: bool, release: str | None) -> bool:
    if agent is not None and process.follows is not None and agent not in process.follows:
        return False
    if release is not None and process.release != release and not (process.code_hash or "").startswith(release):
        return False
    return not late or process.standing is not Standing.FOLLOWS or bool(process.problems)


def _print(fleet: Fleet, count: int) -> None:
    if not fleet.processes and count:
        print_line(f"None of {plural(count, 'process', 'processes')} is so.")
    elif not fleet.processes:
        print_line("No process says that it follows this database.")
    else:
        print_table(
            columns("process", "release", "=code", "=state", ">started", ">seen"),
            [_row(one) for one in fleet.processes],
            [_note(one) for one in fleet.processes],
        )
    print_unknown(fleet.unknown)


def _row(process: FleetProcess) -> tuple[str, ...]:
    state: str = process.standing
    if state == "behind" and process.behind is not None:
        state = f"behind by {plural(process.behind, 'agent')}"
    return (
        process.name,
        process.release or "",
        (process.code_hash or "")[:_HASH],
        state,
        age(process.started_at),
        age(process.seen_at),
    )


def _note(process: FleetProcess) -> str:
    """Return what a process cannot serve."""
    return "; ".join(
        f"cannot serve {one.agent}/{one.status_key} version {one.version}: {one.reason}" for one in process.problems
    )
