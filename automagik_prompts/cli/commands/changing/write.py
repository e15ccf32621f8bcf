"""The commands that change what is served or kept: `activate`, `rollback`, `deactivate`, `copy`, `delete`.

On a terminal each shows first what changes and for whom, and asks, unless `--yes` is given. What was shown is what
the answer is about: if somebody else writes meanwhile, nothing is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from automagik_prompts.cli.commands.browse import find_version
from automagik_prompts.cli.completion import complete_agents, complete_target_statuses, complete_versions
from automagik_prompts.cli.interaction import can_ask
from automagik_prompts.cli.options import (
    Agent,
    Author,
    Emergency,
    ExpectRevision,
    NewAgent,
    NewStatus,
    Note,
    Status,
    VersionNumber,
    Wait,
    Yes,
)
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.text import print_note
from automagik_prompts.cli.session import Session, command, with_code
from automagik_prompts.cli.writing import audience, described, edit, said, show_replacement
from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import EditResult, Intent, Target
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.records import Action
from automagik_prompts.editing import queries
from automagik_prompts.storage.database import Database


@command
def activate(
    session: Session,
    agent: Agent,
    status: Status,
    version: VersionNumber,
    emergency: Emergency = False,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    wait: Wait = None,
    yes: Yes = False,
) -> None:
    """Make a version the active one."""

    async def preview(database: Database) -> None:
        wanted = await queries.get(database, agent, status, version)
        await show_replacement(database, agent, wanted, emergency=emergency)

    async def write(database: Database, intent: Intent) -> EditResult:
        return await session.edits(database).activate(agent, status, version, wait=wait, **said(intent))

    edit(
        session,
        agent,
        write,
        Intent(author, note, expect_revision, emergency=emergency),
        preview,
        "Activate it?",
        yes=yes,
    )


@command
def rollback(
    session: Session,
    agent: Agent,
    status: Status,
    emergency: Emergency = False,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    wait: Wait = None,
    yes: Yes = False,
) -> None:
    """Go back to the version that was active before.

    Said again, it goes back further. After a deactivation it brings back what was deactivated.
    """

    async def preview(database: Database) -> None:
        wanted = await queries.find_earlier(database, agent, status)
        await show_replacement(database, agent, wanted, emergency=emergency)

    async def write(database: Database, intent: Intent) -> EditResult:
        return await session.edits(database).rollback(agent, status, wait=wait, **said(intent))

    edit(
        session,
        agent,
        write,
        Intent(author, note, expect_revision, emergency=emergency),
        preview,
        "Go back to it?",
        yes=yes,
    )


@command
def deactivate(
    session: Session,
    agent: Agent,
    status: Status,
    emergency: Emergency = False,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    wait: Wait = None,
    yes: Yes = False,
) -> None:
    """Leave a status without an active version of its own.

    Its agents are served the primary status' text from then on, or the code's.
    """

    async def preview(database: Database) -> None:
        active = await find_version(database, agent, status, None)
        summaries = await queries.summaries(database, agent)
        primary = next((summary for summary in summaries if summary.primary), None)
        print_note(f"{agent}/{active.status_key}: {described(active)} will not be active any more.")
        if primary is None or primary.status_key == active.status_key or primary.active is None:
            print_note("It is served the code's text from then on.")
        else:
            print_note(f"It is served version {primary.active} of {primary.status_key} from then on.")

    async def write(database: Database, intent: Intent) -> EditResult:
        return await session.edits(database).deactivate(agent, status, wait=wait, **said(intent))

    edit(
        session,
        agent,
        write,
        Intent(author, note, expect_revision, emergency=emergency),
        preview,
        "Deactivate it?",
        yes=yes,
    )


@command
def copy(
    session: Session,
    agent: Agent,
    status: Status,
    to_agent: Annotated[
        str,
        typer.Argument(
            metavar="TO_AGENT", help="The agent that gets it.", autocompletion=complete_agents, show_default=False
        ),
    ],
    to_status: Annotated[
        str,
        typer.Argument(
            metavar="TO_STATUS",
            help="The status that gets it.",
            autocompletion=complete_target_statuses,
            show_default=False,
        ),
    ],
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            metavar="N",
            min=1,
            help="This version; by default the active one.",
            autocompletion=complete_versions,
            show_default=False,
        ),
    ] = None,
    activate: Annotated[bool, typer.Option("--activate", help="Activate the copy at once.")] = False,
    new_agent: NewAgent = False,
    new_status: NewStatus = False,
    emergency: Emergency = False,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    yes: Yes = False,
) -> None:
    """Copy a text to another agent or status, as a new version there."""
    session.authorize([agent])
    source = session.run(lambda database: find_version(database, agent, status, version))

    def find(code: Mapping[str, DeclaredAgent]) -> Target:
        statuses = code[to_agent].prompts if to_agent in code else ()
        return session.run(
            lambda database: queries.find_target(
                database, to_agent, to_status, new_agent=new_agent, new_status=new_status, statuses=statuses
            )
        )

    target = with_code(session, find)
    to_key = PromptKey(target.name, target.status_key)
    copied = f"{PromptKey(agent, source.status_key)} version {source.version}"

    async def preview(database: Database) -> None:
        summaries = await queries.summaries(database, target.name) if target.agent is not None else []
        now = next((one for one in summaries if one.status_key == target.status_key and one.active is not None), None)
        active = await queries.get_active(database, *to_key) if now is not None else None
        label = f"{to_key} version {active.version} (active)" if active else "no active version"
        print_diff(active.prompt_text if active else "", source.prompt_text, label, copied, stderr=True)
        if activate:
            print_note(audience(*to_key, summaries))

    async def write(database: Database, intent: Intent) -> EditResult:
        return await session.edits(database).copy(
            source,
            *to_key,
            activate=activate,
            new_agent=new_agent,
            new_status=True,  # what it may be was looked at before
            **said(intent),
        )

    intent = Intent(author, note or f"copied from {copied}", expect_revision, emergency=emergency)
    question = "Write and activate it?" if activate else "Write it?"
    edit(session, target.name, write, intent, preview, question, yes=yes)


@command
def delete(
    session: Session,
    agent: Agent,
    status: Status,
    version: VersionNumber,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    yes: Yes = False,
) -> None:
    """Delete a version that a person wrote and that is not active.

    Its text is lost. What was done to it stays in the events, and its number is never given again.
    """
    if not yes and not can_ask():
        raise typer.BadParameter("nobody can be asked here: say --yes to delete what cannot be brought back")

    async def preview(database: Database) -> None:
        wanted = await queries.get(database, agent, status, version)
        print_note(f"{agent}/{wanted.status_key}: {described(wanted)} is deleted. Its text cannot be brought back.")

    async def write(database: Database, intent: Intent) -> EditResult:
        return await session.edits(database).delete(agent, status, version, **said(intent))

    intent = Intent(author, note, expect_revision)
    edit(session, agent, write, intent, preview, "Delete it?", yes=yes, action=Action.DELETED)
