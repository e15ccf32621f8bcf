"""The commands that change what is served or kept: `activate`, `rollback`, `deactivate`, `copy`, `delete`.

On a terminal each shows first what changes and for whom, and asks, unless `--yes` is given. What was shown is what
the answer is about: if somebody else writes meanwhile, nothing is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from automagik_prompts.cli.commands.browse import find_version
from automagik_prompts.cli.completion import complete_agents, complete_target_statuses, complete_versions
from automagik_prompts.cli.interaction import can_ask, confirm, find_author
from automagik_prompts.cli.options import (
    Agent,
    Author,
    ExpectRevision,
    NewAgent,
    NewStatus,
    Note,
    Status,
    VersionNumber,
    Yes,
)
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.schemas import EditOutput, origin
from automagik_prompts.cli.output.text import age, print_json, print_line, print_note
from automagik_prompts.cli.session import Access, Session, command, with_code
from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import EditResult, Intent, Target
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.records import Action, Prompt
from automagik_prompts.domain.summaries import StatusSummary
from automagik_prompts.editing import queries
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.storage.database import Database

Write = Callable[[Database, Intent], Awaitable[EditResult]]
Preview = Callable[[Database], Awaitable[None]]


@command
def activate(
    session: Session,
    agent: Agent,
    status: Status,
    version: VersionNumber,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    yes: Yes = False,
) -> None:
    """Make a version the active one."""

    async def preview(database: Database) -> None:
        await show_replacement(database, agent, await queries.get(database, agent, status, version))

    async def write(database: Database, intent: Intent) -> EditResult:
        return await DatabaseEdits(database).activate(agent, status, version, **asdict(intent))

    edit(session, agent, write, Intent(author, note, expect_revision), preview, "Activate it?", yes=yes)


@command
def rollback(
    session: Session,
    agent: Agent,
    status: Status,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    yes: Yes = False,
) -> None:
    """Go back to the version that was active before.

    Said again, it goes back further. After a deactivation it brings back what was deactivated.
    """

    async def preview(database: Database) -> None:
        await show_replacement(database, agent, await queries.find_earlier(database, agent, status))

    async def write(database: Database, intent: Intent) -> EditResult:
        return await DatabaseEdits(database).rollback(agent, status, **asdict(intent))

    edit(session, agent, write, Intent(author, note, expect_revision), preview, "Go back to it?", yes=yes)


@command
def deactivate(
    session: Session,
    agent: Agent,
    status: Status,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
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
        return await DatabaseEdits(database).deactivate(agent, status, **asdict(intent))

    edit(session, agent, write, Intent(author, note, expect_revision), preview, "Deactivate it?", yes=yes)


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
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    yes: Yes = False,
) -> None:
    """Copy a text to another agent or status, as a new version there."""
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
        return await DatabaseEdits(database).copy(
            source,
            *to_key,
            activate=activate,
            new_agent=new_agent,
            new_status=True,  # what it may be was looked at before
            **asdict(intent),
        )

    intent = Intent(author, note or f"copied from {copied}", expect_revision)
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
        return await DatabaseEdits(database).delete(agent, status, version, **asdict(intent))

    intent = Intent(author, note, expect_revision)
    edit(session, agent, write, intent, preview, "Delete it?", yes=yes, action=Action.DELETED)


def edit(
    session: Session,
    agent: str,
    write: Write,
    intent: Intent,
    preview: Preview,
    question: str,
    *,
    yes: bool,
    action: Action | None = None,
) -> None:
    """Show and ask where somebody sits at a terminal, then write and report."""
    intent = Intent(find_author(intent.author, session.settings), intent.note, intent.expected_revision)
    if can_ask():

        async def look(database: Database) -> int | None:
            known = await queries.get_agent(database, agent)
            await preview(database)
            return known.revision if known is not None else None

        revision = session.run(look)
        if not yes:
            confirm(question)
        if intent.expected_revision is None:
            intent = Intent(intent.author, intent.note, revision)
    report(session, session.run(lambda database: write(database, intent), Access.WRITE), action)


async def show_replacement(database: Database, agent: str, wanted: Prompt) -> None:
    """Show what another active version changes, and for whom."""
    status = wanted.status_key
    summaries = await queries.summaries(database, agent)
    active = await queries.get_active(database, agent, status)
    if active is not None and active.id == wanted.id:
        print_note(f"{agent}/{status}: {described(wanted)} is active already.")
        return
    before = "nothing" if active is None else described(active)
    print_note(f"{agent}/{status}: {described(wanted)} replaces {before}.")
    if wanted.note:
        print_note(f"Its note: {wanted.note}")
    old_label = f"version {active.version} (active)" if active is not None else "no active version"
    old = active.prompt_text if active is not None else ""
    print_diff(old, wanted.prompt_text, old_label, f"version {wanted.version}", stderr=True)
    print_note(audience(agent, status, summaries))


def audience(agent: str, status: str, summaries: Sequence[StatusSummary]) -> str:
    """Return who is served the active version of a status."""
    words = f"It is served to every run of the agent {agent} in the status {status}"
    if any(summary.primary and summary.status_key == status for summary in summaries):
        without = [summary.status_key for summary in summaries if summary.active is None]
        also = f" ({', '.join(key for key in without if key != status)})" if set(without) - {status} else ""
        words += f", and in every status that has no active version of its own{also}"
    return f"{words}; running processes follow within a second or so."


def described(prompt: Prompt) -> str:
    """Return a version in words: its number, its author and its age."""
    by = prompt.author or origin(prompt.is_default_from_code)
    return f"version {prompt.version} ({by}, {age(prompt.created_at)} ago)"


_DONE = {Action.DELETED: "deleted", Action.WITHDRAWN: "withdrawn", Action.REINSTATED: "withdrawn no more"}


def report(session: Session, change: EditResult, action: Action | None = None) -> None:
    """Print what a write did, and what may be meant otherwise in it."""
    for hint in change.hints:
        print_note(hint)
    if session.json:
        print_json(EditOutput.of(change))
        return
    where = f"{change.agent.name}/{change.status_key}"
    written = change.prompt.version if change.prompt is not None else None
    previous = change.previous_version
    active = f"version {change.active_version} is active" if change.active_version is not None else "none is active"
    if action in _DONE:
        print_line(f"{where}: version {written} is {_DONE[action]}; {active}")
    elif written is None:
        print_line(f"{where}: version {previous} is not active any more; none is")
    elif change.active_version != written:
        print_line(f"{where}: version {written} is written; {active}")
    elif previous == written:
        print_line(f"{where}: version {written} was active already")
    else:
        before = f" (before: {previous})" if previous is not None else ""
        print_line(f"{where}: version {written} is active{before}")
