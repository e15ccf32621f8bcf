"""The commands of a deployment: `sync`, `upgrade`, `grants`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from automagik_prompts.cli.options import Adopt, Modules
from automagik_prompts.cli.output.reports import Granted, GrantList, Synced, SyncedLine, Upgraded
from automagik_prompts.cli.output.text import plural, print_error, print_json, print_line, print_note
from automagik_prompts.cli.output.warnings import warnings_as_notes
from automagik_prompts.cli.session import FOUND, Access, Session, command, import_modules
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.edits import SyncResult
from automagik_prompts.domain.invisible import described, suspicious
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import ConfigurationError, DriftError
from automagik_prompts.schema import migrate, migrations
from automagik_prompts.server_url import read_server_url
from automagik_prompts.storage import grants as rights
from automagik_prompts.storage.dialects.base import quoted


class GrantedRole(StrEnum):
    """What a user of the database is for."""

    VIEWER = "viewer"
    EDITOR = "editor"
    PUBLISHER = "publisher"
    APP = "app"


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


@command
def grants(
    session: Session,
    role: Annotated[
        list[GrantedRole],
        typer.Option("--role", help="What it is to be able to do. May be given several times.", show_default=False),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="NAME",
            help="A user or a group of the database; by default prompts_ROLE.",
            show_default=False,
        ),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="NAME",
            help="The schema of the tables; by default what ?schema= in the URL names, else public.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        bool, typer.Option("--seed", help="With --role app: it writes what its code declares, too.")
    ] = False,
) -> None:
    """Print the SQL that gives a role of PostgreSQL the least rights.

    Nothing is changed, and no database is asked. Run it as the owner of the tables, once for each release.
    """
    if seed and GrantedRole.APP not in role:
        raise typer.BadParameter("--seed goes with --role app")
    where = _schema(session, schema)
    given: list[Granted] = []
    for one in dict.fromkeys(role):
        full = rights.SEEDS if seed and one is GrantedRole.APP else rights.DatabaseRole(one.value)
        name = rights.identifier(to or f"prompts_{one.value}", "role")
        given.append(Granted(role=full, to=name, statements=list(rights.grants(full, name, where))))
    if session.json:
        print_json(GrantList(grants=given))
        return
    print_line("-- For the owner of the tables. A role must be there before; this makes one:")
    for name in dict.fromkeys(one.to for one in given):
        print_line(f"-- CREATE ROLE {quoted(name)}{' LOGIN' if to else ''};")
    print_line("BEGIN;")
    for granted in given:
        print_line(f"-- {granted.role}")
        print_line("\n".join(granted.statements))
    print_line("COMMIT;")


def _schema(session: Session, named: str | None) -> str:
    """Return the schema of the tables.

    Raises:
        ConfigurationError: The database is a file, and no schema is named.
    """
    if named is not None:
        return rights.identifier(named, "schema")
    if session.settings.dialect == "sqlite":
        raise ConfigurationError(
            f"{session.place} is a file and has no roles: whoever can write to it can do everything. For PostgreSQL "
            "name its URL, or the schema of its tables with --schema."
        )
    return rights.identifier(read_server_url(session.settings.database_url).options.get("schema") or "public", "schema")


def _warn_of_invisible(session: Session) -> None:
    """Say on stderr which active texts hold what nobody sees, after texts have come in that nobody was asked about."""
    for info, prompt in session.run(queries.active_prompts):
        if found := list(suspicious(prompt.prompt_text)):
            where = f"{info.name}/{prompt.status_key}, version {prompt.version}"
            print_note(f"{where} contains invisible characters: {described(found)}. See: automagik-prompts check")
