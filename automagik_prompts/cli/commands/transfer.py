"""The commands that move prompts between databases and folders: `export`, `import`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from automagik_prompts.cli.interaction import can_ask, confirm, find_author
from automagik_prompts.cli.options import AgentOption, AllowInvisible, Author, NewStatus, Note, Yes
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.progress import progress
from automagik_prompts.cli.output.reports import Exported, ExportedLine, Imported, ImportedLine
from automagik_prompts.cli.output.text import is_terminal, plural, print_json, print_line, print_note
from automagik_prompts.cli.session import FOUND, Access, Session, command, with_code
from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import Intent
from automagik_prompts.editing.files import exporting, importing
from automagik_prompts.editing.files.folder import read_folder
from automagik_prompts.editing.files.importing import ImportPlan, Outdated
from automagik_prompts.exceptions import ConfigurationError, ConflictError, InvalidPromptError
from automagik_prompts.storage.database import Database


@command
def export(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write to.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="URL", help="The database to read; the same as --database-url.", show_default=False
        ),
    ] = None,
    agent: AgentOption = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove files of prompts that are not active any more.")
    ] = False,
) -> None:
    """Write each active version to a Markdown file.

    A file that is right already is not touched, so that git shows only what has changed.
    """
    session = session.at(source)
    prompts = session.run(lambda database: exporting.read_prompts(database, agent or None))
    try:
        files = exporting.export(prompts, folder, agents=agent or None, prune=prune)
    except OSError as error:
        raise _no_folder(folder, error) from error
    lines = [ExportedLine.of(file) for file in files]
    if session.json:
        print_json(Exported(folder=str(folder), files=lines))
        return
    for line in lines:
        if line.outcome != "unchanged":
            print_line(f"{line.outcome} {line.path}")
    counts = {outcome: sum(line.outcome == outcome for line in lines) for outcome in ("written", "unchanged", "stale")}
    print_line(f"{plural(counts['written'], 'file')} written, {counts['unchanged']} unchanged")
    if counts["stale"] and is_terminal():
        print_note("Stale files are for prompts that are not active any more; --prune removes them.")


@command
def import_files(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that an export wrote.", show_default=False)],
    target: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="URL", help="The database to write to; the same as --database-url.", show_default=False
        ),
    ] = None,
    activate: Annotated[bool, typer.Option("--activate", help="Make the files' texts the active ones.")] = False,
    new_status: NewStatus = False,
    allow_invisible: AllowInvisible = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also replace what is newer than the version that a file was made from.")
    ] = False,
    author: Author = None,
    note: Note = None,
    yes: Yes = False,
) -> None:
    """Write a new version for each file that differs.

    All texts are checked before the first is written. A text that a version has already is not written again.
    """
    session = session.at(target)
    try:
        files, passed_over = read_folder(folder)
    except OSError as error:
        raise _no_folder(folder, error) from error
    if not files:
        raise InvalidPromptError(f"The folder {folder} has no prompts. Name the one that an export wrote.")
    for path in passed_over:
        print_note(f"{path} has no front matter and is passed over.")
    passed = FOUND if passed_over else 0
    access = Access.READ if dry_run else Access.CREATE

    def make_plan(code: Mapping[str, DeclaredAgent]) -> ImportPlan:
        return session.run(
            lambda database: importing.plan_import(
                database,
                files,
                activate=activate,
                new_status=new_status,
                allow_invisible=allow_invisible,
                declared=code,
            ),
            access,
        )

    plan = with_code(session, make_plan)
    for file, hints in plan.hints:
        for hint in hints:
            print_note(f"{file.path}: {hint}")
    if plan.outdated and not force:
        _refuse(plan.outdated)
    if dry_run:
        _tell(session, plan, activate=activate, dry_run=True)
        raise typer.Exit(passed)
    if plan.work and can_ask() and not yes:
        _preview(plan, activate=activate)
        confirm(f"Write to {session.place}?")
    intent = Intent(find_author(author, session.settings), note)
    _tell(session, _carry_out(session, plan, intent, activate=activate), activate=activate, dry_run=False)
    raise typer.Exit(passed)


def _refuse(outdated: Sequence[Outdated]) -> NoReturn:
    """Show, for each file, what has been done to its version since and what the file does to it, and refuse.

    Raises:
        ConflictError: Always.
    """
    for one in outdated:
        prompt, base = one.file.prompt, f"version {one.base.version}"
        now = f"version {one.active.version} (active)" if one.active is not None else "none active"
        print_note(f"{prompt.agent}/{prompt.status_key}: since {base}, from which {one.file.path} was made:")
        print_diff(one.base.prompt_text, one.active.prompt_text if one.active else "", base, now, stderr=True)
        print_note("and the file:")
        print_diff(one.base.prompt_text, prompt.text, base, str(one.file.path), stderr=True)
    names = ", ".join(f"{one.file.prompt.agent}/{one.file.prompt.status_key}" for one in outdated)
    first = outdated[0]
    raise ConflictError(
        f"{names}: another version is active now than the one that the file was made from, and nothing was written. "
        "Put what is new into the file, or export again; to replace it all the same, say so: --force",
        expected=first.base.version,
        actual=first.active.version if first.active is not None else 0,
        agent=first.file.prompt.agent,
    )


def _carry_out(session: Session, plan: ImportPlan, intent: Intent, *, activate: bool) -> ImportPlan:
    with progress("importing", len(plan.work)) as advance:

        async def work(database: Database) -> ImportPlan:
            return await importing.carry_out(
                database, plan, activate=activate, intent=intent, progress=lambda _step: advance()
            )

        return session.run(work, Access.WRITE)


def _tell(session: Session, plan: ImportPlan, *, activate: bool, dry_run: bool) -> None:
    if session.json:
        print_json(
            Imported(
                dry_run=dry_run,
                new_agents=[agent.name for agent in plan.new_agents],
                files=[ImportedLine.of(step) for step in plan.steps],
            )
        )
        return
    for line in _lines(plan, activate=activate, dry_run=dry_run):
        print_line(line)
    if not plan.work:
        unchanged = sum(step.action == "unchanged" for step in plan.steps)
        print_line(f"Nothing to write: {unchanged} of {plural(len(plan.steps), 'file')} active already")


def _preview(plan: ImportPlan, *, activate: bool) -> None:
    for line in _lines(plan, activate=activate, dry_run=True):
        print_note(line)


def _lines(plan: ImportPlan, *, activate: bool, dry_run: bool) -> list[str]:
    be = "would be" if dry_run else "is"
    lines = [f"{agent.name}: the agent {be} added" for agent in plan.new_agents]
    outcome = {
        "create": f"{be} written{' and active' if activate else ''}",
        "activate": f"{be} activated",
        "exists": "exists, not active",
    }
    for step in plan.steps:
        if step.action == "unchanged":
            continue
        version = f"version {step.version}" if step.version is not None else "a new version"
        before = f"before: {step.active}" if activate else f"active: {step.active}"
        before = before if step.active is not None else "none active before" if activate else "none active"
        lines.append(
            f"{step.file.prompt.agent}/{step.file.prompt.status_key}: {version} {outcome[step.action]} ({before})"
        )
    return lines


def _no_folder(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{error.filename or folder}: {error.strerror}. Name a folder that can be used.")
