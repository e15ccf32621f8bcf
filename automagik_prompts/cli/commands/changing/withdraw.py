"""The command `withdraw`: nobody is sent a version any more, also no conversation that began with it."""

from __future__ import annotations

from typing import Annotated

import typer

from automagik_prompts.cli.completion import complete_versions
from automagik_prompts.cli.options import Agent, Author, Emergency, ExpectRevision, Note, Status, VersionNumber, Yes
from automagik_prompts.cli.output.text import print_note
from automagik_prompts.cli.session import Session, command
from automagik_prompts.cli.writing import described, edit, said, show_replacement
from automagik_prompts.domain.edits import EditResult, Intent
from automagik_prompts.domain.records import Action
from automagik_prompts.editing import queries
from automagik_prompts.storage.database import Database


@command
def withdraw(
    session: Session,
    agent: Agent,
    status: Status,
    version: VersionNumber,
    activate: Annotated[
        int | None,
        typer.Option(
            "--activate",
            metavar="N",
            min=1,
            help="The version that takes its place, if it is the active one.",
            autocompletion=complete_versions,
            show_default=False,
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the withdrawal back; nothing is activated.")] = False,
    emergency: Emergency = False,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    yes: Yes = False,
) -> None:
    """Have nobody sent a version any more.

    Conversations that began with it leave it; a run under way keeps its text. The version cannot be activated until the
    withdrawal is taken back.
    """
    if undo and activate is not None:
        raise typer.BadParameter("--undo activates nothing: activate a version afterwards")

    async def preview(database: Database) -> None:
        wanted = await queries.get(database, agent, status, version)
        if activate is not None:
            instead = await queries.get(database, agent, status, activate)
            await show_replacement(database, agent, instead, emergency=emergency)
        what = (
            "may be used again" if undo else "is withdrawn: conversations that began with it leave it at their next run"
        )
        print_note(f"{agent}/{wanted.status_key}: {described(wanted)} {what}.")

    async def write(database: Database, intent: Intent) -> EditResult:
        edits = session.edits(database)
        return await edits.withdraw(agent, status, version, activate=activate, undo=undo, **said(intent))

    action = Action.REINSTATED if undo else Action.WITHDRAWN
    question = "Take it back?" if undo else "Withdraw it?"
    edit(
        session,
        agent,
        write,
        Intent(author, note, expect_revision, emergency=emergency),
        preview,
        question,
        yes=yes,
        action=action,
    )
