"""The commands of a deployment: `sync`, `upgrade`."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from automagik_prompts.cli.options import Adopt, Modules
from automagik_prompts.cli.output.reports import Synced, SyncedLine, Upgraded
from automagik_prompts.cli.output.text import plural, print_error, print_json, print_line, print_note
from automagik_prompts.cli.output.warnings import warnings_as_notes
from automagik_prompts.cli.session import FOUND, Access, Session, command, import_modules
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.edits import SyncResult
from automagik_prompts.domain.invisible import described, suspicious
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import DriftError
from automagik_prompts.schema import migrate, migrations

_OUTCOMES = {
    "created": "version {} is written and active",
    "drift": "version {} is written, not activated: a person decided otherwise",
    "withdrawn": "version {} is written, not activated: its text is withdrawn",
    "activated": "version {} of the code is active",
    "requested": "version {} of the code waits for approval",
    "alike": "is not written: the database has a status that differs only in case or in Unicode form",
    "orphan": "is no longer in code; its newest version from code is {}",
}


@command
def sync(session: Session, module: Modules = None) -> None:
    """Write what the code declares, as a release step."""
    found = import_modules(session, module)
    try:
        done = session.run(lambda database: session.edits(database, registry.agents).sync(), Access.CREATE)
        drifted = None
    except DriftError as error:
        done, drifted = error.results, error.message
    _tell(session, found, done)
    if drifted is not None:
        print_error(drifted)
        raise typer.Exit(FOUND)


def _tell(session: Session, found: Sequence[str], done: Sequence[SyncResult]) -> None:
    if session.json:
        print_json(
            Synced(
                modules=list(found),
                agents=len(registry.agents),
                done=[SyncedLine.of(item) for item in done],
            )
        )
        return
    for item in done:
        if item.clash is not None:
            print_note(str(item.clash))
            continue
        if item.outcome == "undecided":
            continue  # the error names them
        before = f" (before: version {item.replaced}, by a person)" if item.replaced is not None else ""
        print_line(f"{item.agent}/{item.status_key}: {_OUTCOMES[item.outcome].format(item.version)}{before}")
    if not found:
        print_line("No prompt modules were found: name one with --module, or declare an entry point.")
    elif not any(item.outcome not in {"orphan", "alike", "undecided"} for item in done):
        print_line(f"No text is new: the database has those of {plural(len(registry.agents), 'agent')}.")


@command
def upgrade(session: Session, adopt: Adopt = False) -> None:
    """Bring the database's schema up to date."""
    with warnings_as_notes():
        applied = session.run(lambda database: migrate.upgrade(database, adopt=adopt), Access.MIGRATE)
    summaries = session.run(queries.summaries) if applied else []
    inactive = [f"{one.agent}/{one.status_key}" for one in summaries if one.active is None]
    last = migrations.all_migrations()[-1].version
    if session.json:
        print_json(Upgraded(database=session.place, applied=list(applied), revision=last, inactive=inactive))
        return
    for version in applied:
        print_line(f"Applied {version}")
    print_line(f"The schema of {session.place} is up to date.")
    if applied:
        _warn_of_invisible(session)
    for status in inactive:
        print_line(f"{status} has versions and none is active: activate one, or let `sync` activate the code's.")


def _warn_of_invisible(session: Session) -> None:
    """Say on stderr which active texts hold what nobody sees, after texts have come in that nobody was asked about."""
    for info, prompt in session.run(queries.active_prompts):
        if found := list(suspicious(prompt.prompt_text)):
            where = f"{info.name}/{prompt.status_key}, version {prompt.version}"
            print_note(f"{where} contains invisible characters: {described(found)}. See: automagik-prompts check")
