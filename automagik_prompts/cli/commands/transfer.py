"""The commands that move prompts between databases and folders: `export`, `import`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from automagik_prompts.cli.interaction import can_ask, confirm
from automagik_prompts.cli.options import AgentOption, AllowInvisible, Author, Emergency, NewStatus, Note, Yes
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.progress import progress
from automagik_prompts.cli.output.reports import Exported, ExportedLine, Imported, ImportedLine
from automagik_prompts.cli.output.text import is_terminal, plural, print_json, print_line, print_note
from automagik_prompts.cli.session import FOUND, Access, Session, command, looking, with_code
from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.editing.files import exporting, importing
from automagik_prompts.editing.files.folder import read_folder
from automagik_prompts.editing.files.importing import ImportPlan, Outdated
from automagik_prompts.editing.files.text import PromptFile
from automagik_prompts.exceptions import ConfigurationError, ConflictError, InvalidPromptError
from automagik_prompts.storage.database import Database


@command
@looking
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

    async def read(database: Database) -> tuple[list[tuple[PromptFile, int]], list[str] | None]:
        shown = None if session.policy is None else sorted(await session.edits(database).visible())
        names = agent or shown
        return await exporting.read_prompts(database, names), names

    prompts, names = session.run(read)
    try:
        files = exporting.export(prompts, folder, agents=names, prune=prune)
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
    emergency: Emergency = False,
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
    _look_over(session, plan, dry_run=dry_run, force=force)
    if dry_run:
        _tell(session, plan, activate=activate, dry_run=True)
        raise typer.Exit(passed)
    if plan.work and can_ask() and not yes:
        _preview(plan, activate=activate)
        confirm(f"Write to {session.place}?")
    done = _carry_out(session, plan, author, note, activate=activate, emergency=emergency)
    _tell(session, done, activate=activate, dry_run=False)
    raise typer.Exit(FOUND if any(step.request is not None for step in done.steps) else passed)


def _look_over(session: Session, plan: ImportPlan, *, dry_run: bool, force: bool) -> None:
    """Say what may be meant otherwise, and refuse what would undo somebody else's work.

    Raises:
        ConflictError: Another version is active now than the one that a file was made from.
        NotAllowedError: What is there would be shown to somebody who may not look at it.
    """
    if dry_run or plan.outdated or can_ask():
        session.authorize(sorted({step.file.prompt.agent for step in plan.steps}))
    for file, hints in plan.hints:
        for hint in hints:
            print_note(f"{file.path}: {hint}")
    if plan.outdated and not force:
        _refuse(plan.outdated)


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


def _carry_out(
    session: Session, plan: ImportPlan, author: str | None, note: str | None, *, activate: bool, emergency: bool
) -> ImportPlan:
    with progress("importing", len(plan.work)) as advance:

        async def work(database: Database) -> ImportPlan:
            return await importing.carry_out(
                database,
                session.edits(database),
                plan,
                activate=activate,
                author=author,
                note=note,
                emergency=emergency,
                progress=lambda _step: advance(),
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
        if step.request is not None:
            where = f"{step.file.prompt.agent}/{step.file.prompt.status_key}"
            lines.append(f"{where}: {version} waits for approval, as request {step.request} ({before})")
            continue
        lines.append(
            f"{step.file.prompt.agent}/{step.file.prompt.status_key}: {version} {outcome[step.action]} ({before})"
        )
    return lines


def _no_folder(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{error.filename or folder}: {error.strerror}. Name a folder that can be used.")
