"""The commands that write: `create`, `activate`, `rollback`."""

from __future__ import annotations

from typing import Annotated

import typer

from automagik_prompts import editing
from automagik_prompts.cli.arguments import Agent, Author, ExpectRevision, Note, Status, VersionNumber
from automagik_prompts.cli.output import print_json, print_line
from automagik_prompts.cli.session import Session, command
from automagik_prompts.cli.shapes import Changed
from automagik_prompts.editing import Change, Intent
from automagik_prompts.types import check_format


@command
def create(
    session: Session,
    agent: Agent,
    status: Status,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="The text.")],
    activate: Annotated[bool, typer.Option("--activate", help="Activate it at once.")] = False,
    format: Annotated[str, typer.Option("--format", metavar="handlebars|text", help="How the text is read.")] = (
        "handlebars"
    ),
    new_agent: Annotated[bool, typer.Option("--new-agent", help="Add the agent if there is none of that name.")] = (
        False
    ),
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
) -> None:
    """Write a new version of a text."""
    change = session.run(
        lambda database: editing.create(
            database,
            agent,
            status,
            text,
            format=check_format(format),
            activate=activate,
            new_agent=new_agent,
            intent=Intent(author or session.settings.author, note, expect_revision),
        ),
        create=new_agent,
    )
    _tell(session, change)


@command
def activate(
    session: Session,
    agent: Agent,
    status: Status,
    version: VersionNumber,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
) -> None:
    """Make a version the active one."""
    intent = Intent(author or session.settings.author, note, expect_revision)
    _tell(session, session.run(lambda database: editing.activate(database, agent, status, version, intent=intent)))


@command
def rollback(
    session: Session,
    agent: Agent,
    status: Status,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
) -> None:
    """Go back to the version that was active before."""
    intent = Intent(author or session.settings.author, note, expect_revision)
    _tell(session, session.run(lambda database: editing.rollback(database, agent, status, intent=intent)))


def _tell(session: Session, change: Change) -> None:
    if session.json:
        print_json(Changed.of(change))
        return
    where = f"{change.agent.name}/{change.status_key}"
    written = change.prompt.version if change.prompt is not None else None
    if written is not None and change.active_version == written:
        before = f" (before: {change.previous_version})" if change.previous_version is not None else ""
        print_line(f"{where}: version {written} is active{before}")
    else:
        active = change.active_version if change.active_version is not None else "none"
        print_line(f"{where}: version {written} is written (active: {active})")
