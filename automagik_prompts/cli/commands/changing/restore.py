"""The command `restore`: which versions were active at a moment, and making them active again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from automagik_prompts.cli.completion import complete_agents
from automagik_prompts.cli.interaction import can_ask, confirm
from automagik_prompts.cli.moments import moment
from automagik_prompts.cli.options import Author, Emergency, Note, Yes
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.restored import Restored, RestoredLine
from automagik_prompts.cli.output.tables import columns, print_table
from automagik_prompts.cli.output.text import plural, print_json, print_line, print_note
from automagik_prompts.cli.session import FOUND, Access, Session, command
from automagik_prompts.cli.writing import print_edit
from automagik_prompts.domain.edits import EditResult, RestorePlan, RestoreStep
from automagik_prompts.editing import queries
from automagik_prompts.storage.database import Database

MOST_SHOWN = 3
"""Differences that are shown before the question, at most; more would hide the list."""


@command
def restore(
    session: Session,
    as_of: Annotated[
        str,
        typer.Option(
            "--as-of",
            metavar="WHEN",
            help="The moment: 2026-11-24T14:00 (local time unless a zone is given), or 3d, 12h.",
            show_default=False,
        ),
    ],
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent",
            metavar="NAME",
            help="Only this agent; by default all.",
            autocompletion=complete_agents,
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what changes, and write nothing.")] = False,
    emergency: Emergency = False,
    author: Author = None,
    note: Note = None,
    yes: Yes = False,
) -> None:
    """Bring back what was active at a moment, of one agent or of all.

    No text is lost: versions are only activated, or deactivated where none was active then. Whoever wants it undone
    restores the moment before. A protected status becomes a request.
    """
    then = moment(as_of, "--as-of")

    async def plan(database: Database) -> RestorePlan:
        found = await session.edits(database).plan_restore(then, agent=agent)
        if can_ask() or (dry_run and not session.json):
            await _show(database, found, emergency=emergency, stderr=not dry_run)
        return found

    planned = session.run(plan)
    if not dry_run and planned.work:
        if can_ask() and not yes:
            confirm(f"Bring back {plural(len(planned.work), 'status', 'statuses')}?")
        done = session.run(
            lambda database: session.edits(database).restore(planned, emergency=emergency, author=author, note=note),
            Access.WRITE,
        )
        _report(session, planned, done)
    else:
        _report(session, planned, (), dry_run=dry_run)


async def _show(database: Database, plan: RestorePlan, *, emergency: bool, stderr: bool) -> None:
    """Show what changes."""
    print_note(f"Back to {zoned(plan.as_of)}.")
    if plan.added:
        print_note(_left_alone(plan))
    if not plan.steps:
        return
    asked = {(one.agent, one.status_key, one.version) for one in await queries.requests(database)}
    protected = {
        (one.agent, one.status_key): one.protection
        for name in dict.fromkeys(step.agent for step in plan.steps)
        for one in await queries.summaries(database, name)
    }
    print_table(
        columns("agent", "status", ">active", ">then", "what happens"),
        [
            (
                step.agent,
                step.status_key,
                _number(step.active_version),
                _number(step.version),
                _words(
                    step,
                    is_protected=protected.get(step.key) is not None,
                    is_asked=(*step.key, step.version) in asked,
                    emergency=emergency,
                ),
            )
            for step in plan.steps
        ],
        stderr=stderr,
    )
    if len(plan.work) <= MOST_SHOWN:
        for step in plan.work:
            await _show_texts(database, step, stderr=stderr)
    else:
        print_note("The command diff shows what differs between two of these versions.")


def _left_alone(plan: RestorePlan) -> str:
    return f"Not there yet, and left alone: {', '.join(plan.added)}."


def _words(step: RestoreStep, *, is_protected: bool, is_asked: bool, emergency: bool) -> str:
    if step.blocker is not None:
        return f"stays: {step.blocker}"
    if is_protected and not emergency:
        return "waits for approval already" if is_asked else "asks for approval"
    return "deactivated" if step.version is None else "activated"


async def _show_texts(database: Database, step: RestoreStep, *, stderr: bool) -> None:
    async def text(version: int | None) -> str:
        return (await queries.get(database, *step.key, version)).prompt_text if version is not None else ""

    labels = [
        f"{step.key} {f'version {number}' if number is not None else 'no version'}{mark}"
        for number, mark in ((step.active_version, " (active)"), (step.version, ""))
    ]
    print_diff(await text(step.active_version), await text(step.version), *labels, stderr=stderr)


def zoned(when: datetime) -> str:
    """Write a moment to the second, in local time with its zone, and in UTC where that differs."""
    local = when.astimezone()
    offset = f"{local:%z}"
    name = "" if local.tzname() == offset[:3] else f"{local:%Z}, "
    text = f"{local:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]} ({name}your time)"
    return text if local.utcoffset() == when.utcoffset() else f"{text}, {when:%Y-%m-%d %H:%M:%S} UTC"


def _number(version: int | None) -> str:
    return str(version) if version is not None else "none"


def _report(session: Session, plan: RestorePlan, done: Sequence[EditResult], *, dry_run: bool = False) -> None:
    """Print what was done, and what was not.

    Raises:
        typer.Exit: Something could not come back, or waits for approval.
    """
    if session.json:
        print_json(_output(plan, done))
    elif not plan.steps:
        if plan.added and not can_ask() and not dry_run:
            print_note(_left_alone(plan))
        print_line("Nothing has changed since.")
    elif dry_run:
        print_note("Nothing was written.")
    for change in done if not session.json else ():
        print_edit(change)
    for step in plan.steps if not dry_run else ():
        if step.blocker is not None:
            print_note(f"{step.key} stays as it is. {step.blocker}")
    if not dry_run and (len(done) < len(plan.steps) or any(change.is_waiting for change in done)):
        raise typer.Exit(FOUND)


def _output(plan: RestorePlan, done: Sequence[EditResult]) -> Restored:
    changes = {(change.agent.name, change.status_key): change for change in done}
    return Restored(
        as_of=plan.as_of,
        added=list(plan.added),
        statuses=[RestoredLine.of(step, changes.get(step.key)) for step in plan.steps],
    )
