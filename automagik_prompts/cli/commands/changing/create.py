"""The command `create`: a text from the command line, a file, a pipe or the editor becomes a new version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Annotated

import typer

from automagik_prompts.cli.input import read_text
from automagik_prompts.cli.interaction import Editor, can_ask, confirm
from automagik_prompts.cli.options import (
    Agent,
    AllowInvisible,
    Author,
    Emergency,
    ExpectRevision,
    NewAgent,
    NewStatus,
    Note,
    Status,
    TextFormat,
    Yes,
)
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.schemas import Checked
from automagik_prompts.cli.output.text import print_error, print_json, print_note
from automagik_prompts.cli.session import Access, Session, command, with_code
from automagik_prompts.cli.writing import audience, report, said
from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import Intent, Target
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.summaries import StatusSummary
from automagik_prompts.domain.text import content_hash, unified_diff
from automagik_prompts.domain.validation import Format
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import InvalidPromptError, PromptsError
from automagik_prompts.storage.database import Database
from automagik_prompts.templating.access import BUILTINS


@dataclass(frozen=True, slots=True)
class CreatePlan:
    """A new version before it is written.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        text: The finished text.
        format: How it is read.
        name: A name for people.
        activate: Whether it becomes active.
        new_agent: Whether the agent may be unknown.
        allow_invisible: Whether the text may hold invisible characters.
        based_on: The code's version that it was merged with.
    """

    agent: str
    status_key: str
    text: str
    format: Format
    name: str | None
    activate: bool
    new_agent: bool
    allow_invisible: bool
    based_on: int | None


@dataclass(frozen=True, slots=True)
class Before:
    """What is there before a text is written.

    Attributes:
        target: What the text is written for.
        active: The active version, if there is one.
        summaries: Where the agent's statuses stand.
    """

    target: Target
    active: Prompt | None
    summaries: list[StatusSummary]


@command
def create(
    session: Session,
    agent: Agent,
    status: Status,
    stdin: Annotated[
        str | None,
        typer.Argument(metavar="[-]", help="A dash reads the text from standard input.", show_default=False),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="The text itself.", show_default=False)
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="PATH", help="The file that holds the text, byte for byte.", show_default=False),
    ] = None,
    format: Annotated[
        TextFormat | None,
        typer.Option(
            "--format",
            help="How the text is read; by default as the active version is, else as a Handlebars template.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="A name for people.", show_default=False)
    ] = None,
    activate: Annotated[bool, typer.Option("--activate", help="Activate it at once.")] = False,
    new_agent: NewAgent = False,
    new_status: NewStatus = False,
    allow_invisible: AllowInvisible = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and compare, and write nothing.")] = False,
    based_on: Annotated[
        int | None,
        typer.Option(
            "--based-on",
            metavar="N",
            min=1,
            help="The code's version that the text was merged with; once it is active, that is no drift.",
            show_default=False,
        ),
    ] = None,
    emergency: Emergency = False,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    yes: Yes = False,
) -> None:
    """Write a new version of a text.

    Without a text your editor opens on the active one. The finished text is checked and compared with the active one
    before anything is written.
    """
    given = [one for one in (stdin, text, file) if one is not None]
    if len(given) > 1 or (stdin is not None and stdin != "-"):
        raise typer.BadParameter("give the text once: with --text, with --file, or - for standard input")
    if not given and not can_ask():
        raise typer.BadParameter("there is no terminal to edit at: use --text, --file, or - for standard input")
    intent = Intent(author, note, expect_revision, emergency=emergency)
    if dry_run or can_ask():
        session.authorize([agent])  # its text is about to be shown
    access = Access.CREATE if new_agent else Access.WRITE

    def look(code: Mapping[str, DeclaredAgent]) -> Before:
        async def work(database: Database) -> Before:
            return await _look(database, agent, status, code, new_agent=new_agent, new_status=new_status)

        return session.run(work, access)

    before = with_code(session, look)
    target = before.target
    chosen: Format = format.value if format is not None else before.active.format if before.active else "handlebars"
    plan = CreatePlan(
        target.name, target.status_key, text or "", chosen, name, activate, new_agent, allow_invisible, based_on
    )
    if given:
        if text is None:
            plan = _with_text(plan, read_text(file if file is not None else "-"))
        _check(session, plan)
        _finish(session, plan, before, intent, dry_run=dry_run, yes=yes)
        return
    editor = Editor(
        before.active.prompt_text if before.active else "",
        ".md" if chosen == "text" else ".hbs",
        help=_help(plan, target),
    )
    try:
        _finish(session, _edited(session, editor, plan, before), before, intent, dry_run=dry_run, yes=yes)
    except (PromptsError, typer.Abort):
        editor.keep()
        raise
    editor.discard()


def _help(plan: CreatePlan, target: Target) -> list[str]:
    """Return what a person is told below the text in their editor."""
    about = f"{target.name}/{target.status_key}, {plan.format}."
    if plan.format == "text":
        return [f"{about} It is served as it stands: nothing is filled."]
    exposed = target.agent.variables if target.agent is not None else ()
    tags = [f"{{{{{name}}}}}" if name.isidentifier() else name for name in exposed]
    own = [f"{{{{{name}}}}}" for name in sorted(BUILTINS)]
    lines = [f"{about} These variables may be used:"]
    for names in (tags, own):
        lines += [f"  {line}" for line in wrap(" ".join(names), 74, break_long_words=False, break_on_hyphens=False)]
    return lines


def _edited(session: Session, editor: Editor, plan: CreatePlan, before: Before) -> CreatePlan:
    """Let the person edit until the text can be written."""
    while True:
        try:
            plan = _with_text(plan, editor.edit())
        except InvalidPromptError as error:
            print_error(error.message)
            confirm("Edit it again?")
            continue
        if plan.text == (before.active.prompt_text if before.active is not None else ""):
            print_note("The text is as it was: nothing was written.")
            editor.discard()
            raise typer.Exit(1)
        try:
            _check(session, plan)
        except InvalidPromptError as error:
            print_error(error.message)
            confirm("Edit it again?")
        else:
            return plan


def _with_text(plan: CreatePlan, text: str) -> CreatePlan:
    return replace(plan, text=text)


def _finish(session: Session, plan: CreatePlan, before: Before, intent: Intent, *, dry_run: bool, yes: bool) -> None:
    """Show what is about to be written, ask, and write it."""
    old, old_label = _old(plan, before)
    if before.active is not None and "\r\n" in plan.text and "\r" not in old:
        print_note("The text ends its lines with CR LF; it is kept byte for byte.")
    new_label = f"{plan.agent}/{plan.status_key} new"
    if dry_run:
        if session.json:
            print_json(
                Checked(
                    agent=plan.agent,
                    status_key=plan.status_key,
                    active_version=before.active.version if before.active else None,
                    content_hash=content_hash(plan.text),
                    length=len(plan.text),
                    unified=unified_diff(old, plan.text, old_label, new_label),
                )
            )
        else:
            print_diff(old, plan.text, old_label, new_label)
            print_note("The text is good. Nothing was written.")
        return
    if can_ask():
        print_diff(old, plan.text, old_label, new_label, stderr=True)
        if plan.activate:
            print_note(audience(plan.agent, plan.status_key, before.summaries))
        if not yes:
            confirm("Write and activate it?" if plan.activate else "Write it?")
        if intent.expected_revision is None and before.target.agent is not None:
            # What was shown is what is meant.
            intent = replace(intent, expected_revision=before.target.agent.revision)
    change = session.run(
        lambda database: session.edits(database).create(
            plan.agent,
            plan.status_key,
            plan.text,
            format=plan.format,
            name=plan.name,
            activate=plan.activate,
            new_agent=plan.new_agent,
            new_status=True,  # what it may be was looked at before
            allow_invisible=plan.allow_invisible,
            based_on=plan.based_on,
            **said(intent),
        ),
        Access.WRITE,
    )
    report(session, change)


def _old(plan: CreatePlan, before: Before) -> tuple[str, str]:
    if before.active is None:
        return "", "no active version"
    return before.active.prompt_text, f"{plan.agent}/{plan.status_key} version {before.active.version} (active)"


async def _look(
    database: Database,
    agent: str,
    status: str,
    code: Mapping[str, DeclaredAgent],
    *,
    new_agent: bool,
    new_status: bool,
) -> Before:
    """Read what is there; an unknown agent or status and a wrong name are refused before anybody edits."""
    statuses = code[agent].prompts if agent in code else ()
    target = await queries.find_target(
        database, agent, status, new_agent=new_agent, new_status=new_status, statuses=statuses
    )
    if target.agent is None:
        return Before(target, None, [])
    summaries = await queries.summaries(database, target.name)
    now = next((summary for summary in summaries if summary.status_key == target.status_key), None)
    active = await queries.get_active(database, target.name, target.status_key) if now is not None else None
    return Before(target, active, summaries)


def _check(session: Session, plan: CreatePlan) -> None:
    """Check the finished text as writing it will, and write nothing."""
    session.run(
        lambda database: session.edits(database).check(
            plan.agent,
            plan.status_key,
            plan.text,
            format=plan.format,
            name=plan.name,
            new_agent=plan.new_agent,
            new_status=True,  # what it may be was looked at before
            allow_invisible=plan.allow_invisible,
        )
    )
