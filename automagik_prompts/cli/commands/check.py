"""The commands about what is not in sync: `check`, with an exit code and annotations for CI, and `keep`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from automagik_prompts.cli.interaction import can_ask, confirm
from automagik_prompts.cli.options import Agent, AgentOption, Author, ExpectRevision, Modules, Note, Status, Yes
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.reports import CheckReport, FindingLine, ThreeWaysLine
from automagik_prompts.cli.output.text import plural, print_item, print_json, print_line, print_note, visible
from automagik_prompts.cli.session import FOUND, Access, Session, command, import_modules
from automagik_prompts.cli.writing import described, report
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.review import Drift
from automagik_prompts.domain.text import unified_diff
from automagik_prompts.editing import checks
from automagik_prompts.editing.files.checks import check_files
from automagik_prompts.editing.findings import Finding, Kind, Level
from automagik_prompts.storage.database import Database

_MOST_LINES = 40
"""Lines of a difference, at most; `diff` shows all."""

_STYLES = {Level.ERROR: "red", Level.WARNING: "yellow"}


class ReportFormat(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


@command
def check(
    session: Session,
    files: Annotated[
        Path | None,
        typer.Option("--files", metavar="DIR", help="Also compare the files of an export.", show_default=False),
    ] = None,
    format: Annotated[
        ReportFormat, typer.Option("--format", help="For people, for programs, or as annotations on GitHub.")
    ] = ReportFormat.TEXT,
    ignore: Annotated[
        list[Kind] | None,
        typer.Option(
            "--ignore", help="Leave out what is of this kind. May be given several times.", show_default=False
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors.")] = False,
    no_database: Annotated[
        bool, typer.Option("--no-database", help="Compare files and code alone, as for a pull request.")
    ] = False,
    agent: AgentOption = None,
    module: Modules = None,
) -> None:
    """Compare code, database and files, for CI.

    Exit code 0: nothing found, or only warnings. 3: errors found. 1: the check could not be done. 2: wrong usage.
    """
    if no_database and files is None:
        raise typer.BadParameter("--no-database leaves nothing to compare without --files DIR")
    session.authorize(agent or [""])
    modules = list(import_modules(session, module))
    found = [
        finding
        for finding in _find(session, files, agent or None, no_database)
        if finding.kind not in {*(ignore or ())}
    ]
    errors = sum(strict or finding.level is Level.ERROR for finding in found)
    report = CheckReport(
        ok=not errors,
        errors=errors,
        warnings=len(found) - errors,
        modules=modules,
        findings=[FindingLine.of(finding) for finding in found],
    )
    chosen = ReportFormat.JSON if session.json else format
    if chosen is ReportFormat.JSON:
        print_json(report)
    else:
        _print(report, github=chosen is ReportFormat.GITHUB, strict=strict)
    if not report.ok:
        raise typer.Exit(FOUND)


def _find(session: Session, files: Path | None, agents: Collection[str] | None, no_database: bool) -> list[Finding]:
    declared = registry.agents

    async def work(database: Database) -> list[Finding]:
        found = await checks.check_database(database, declared, agents)
        if files is not None:
            usable = all(finding.kind is not Kind.MIGRATIONS for finding in found)
            found += await check_files(files, declared, database if usable else None, agents)
        return found

    if no_database and files is not None:
        return asyncio.run(check_files(files, declared, None, agents))
    return session.run(work, Access.AS_IS)


def _print(report: CheckReport, *, github: bool, strict: bool) -> None:
    if not report.modules:
        print_note("No prompt modules were found, so the code was not compared: name one with --module.")
    for finding in report.findings:
        level = Level.ERROR if strict else finding.level
        if github:
            print_line(annotation(finding, level))
            continue
        print_item(f"{level.value:<7}", f"{finding.kind}: {finding.message}", _STYLES[level])
        if finding.command is not None:
            print_line(f"         {finding.command}")
        if finding.three_ways is not None:
            _print_ways(finding.three_ways)
    if not report.findings:
        print_line("Code, database and files are in sync." if report.modules else "Nothing was found.")
    elif not github:
        print_line(f"{plural(report.errors, 'error')}, {plural(report.warnings, 'warning')}")


def _print_ways(ways: ThreeWaysLine) -> None:
    """Print what the code has changed, and what the person has, each since the text that both began with."""
    began = ways.base.text if ways.base is not None else ""
    base = f"version {ways.base.version} (base)" if ways.base is not None else "no version of the code"
    code = f"version {ways.code.version} (code)" if ways.code.version is not None else "the code"
    for text, label in ((ways.code.text, code), (ways.person.text, f"version {ways.person.version} (active)")):
        lines = unified_diff(began, text, base, label).splitlines()
        for line in [*lines[:_MOST_LINES], *(["..."] if len(lines) > _MOST_LINES else [])]:
            print_line(f"         {line}")


def annotation(finding: FindingLine, level: Level) -> str:
    """Return a finding as a command of a GitHub workflow."""
    facts = {"title": f"automagik-prompts {finding.kind}"}
    if finding.file is not None and (path := _in_repository(Path(finding.file))) is not None:
        facts = {"file": path, "line": str(finding.line or 1), **facts}
    written = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in facts.items())
    run = f" Run: {finding.command}" if finding.command is not None else ""
    return f"::{level.value} {written}::{_escaped(finding.message + run)}"


def _in_repository(path: Path) -> str | None:
    """Return a path as GitHub knows it; `None` for a file elsewhere, such as in an installed package."""
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return None


def _escaped(value: str, more: str = "") -> str:
    return visible("".join(f"%{ord(char):02X}" if char in f"%\r\n{more}" else char for char in value))


@command
def keep(
    session: Session,
    agent: Agent,
    status: Status,
    code_version: Annotated[
        int | None,
        typer.Option(
            "--code-version",
            metavar="N",
            min=1,
            help="The code's version that you have looked at; by default its newest one.",
            show_default=False,
        ),
    ] = None,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
    yes: Yes = False,
) -> None:
    """Keep a person's version although the code has changed.

    Until the code changes again that is no drift. To take the code's text, activate it; to have both, write a version
    with `create --based-on`.
    """
    if can_ask():
        # As any look at it, this is for who may look.
        found = session.run(lambda database: session.edits(database).drift(agent, status))
        if found is not None:
            show_drift(found)
            code_version = code_version or found.code.version
            if not yes:
                confirm(f"Keep version {found.person.version}?")
    done = session.run(
        lambda database: session.edits(database).keep(
            agent, status, code_version=code_version, author=author, note=note, expected_revision=expect_revision
        ),
        Access.WRITE,
    )
    if session.json:
        report(session, done)
        return
    print_line(f"{done.agent.name}/{done.status_key}: version {done.active_version} is kept; nothing has drifted now")


def show_drift(drift: Drift) -> None:
    """Show what the code has changed, and what a person has, each since the text that both began with."""
    base = f"version {drift.base.version} (base)" if drift.base is not None else "no version of the code"
    began = drift.base.prompt_text if drift.base is not None else ""
    print_note(f"{drift.agent}/{drift.status_key}: the code, since {base}:")
    print_diff(began, drift.code.prompt_text, base, f"version {drift.code.version} (code)", stderr=True)
    print_note(f"and {described(drift.person)}, which is active:")
    print_diff(began, drift.person.prompt_text, base, f"version {drift.person.version} (active)", stderr=True)
