"""The commands for a database from before this library, and for the way back: `migrate-legacy`, `downgrade`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Annotated

import typer

from automagik_prompts.cli.interaction import can_ask, confirm
from automagik_prompts.cli.options import Adopt, Yes
from automagik_prompts.cli.output.progress import progress
from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.cli.output.text import plural, print_json, print_line
from automagik_prompts.cli.output.warnings import warnings_as_notes
from automagik_prompts.cli.session import Access, Session, command, open_database
from automagik_prompts.database_url import redacted_url
from automagik_prompts.exceptions import ConfigurationError, SchemaError
from automagik_prompts.schema import migrate
from automagik_prompts.schema.legacy import importer
from automagik_prompts.schema.legacy import preview as legacy
from automagik_prompts.schema.legacy.adopt import FOREIGN
from automagik_prompts.schema.legacy.archive import ARCHIVED_VERSIONS
from automagik_prompts.schema.legacy.importer import TextSource
from automagik_prompts.schema.legacy.planned import AgentPlan, Outcome
from automagik_prompts.schema.legacy.preview import Preview
from automagik_prompts.schema.legacy.tables import TEXT_COLUMN

_WITHOUT_TEXT = (Outcome.NULL, Outcome.EMPTY, Outcome.BLANK)


class LegacyAgentLine(Shape):
    """What becomes of one agent's text."""

    agent: str
    outcome: Outcome
    status_key: str | None
    version: int | None
    format: str | None
    variables: list[str]
    reason: str | None

    @classmethod
    def of(cls, plan: AgentPlan) -> LegacyAgentLine:
        """Describe a plan."""
        served = plan.version is not None
        return cls(
            agent=plan.agent,
            outcome=plan.outcome,
            status_key=plan.status_key if served else None,
            version=plan.version,
            format=plan.format if served else None,
            variables=list(plan.uses),
            reason=plan.reason or None,
        )


class LegacyReport(Shape):
    """`migrate-legacy`: what would be done, or was done."""

    database: str
    source: str | None
    dry_run: bool
    blockers: list[str]
    pending: list[str]
    applied: list[str]
    doubled: list[str]
    restored: int
    inactive: list[str]
    versions: list[str]
    agents: list[LegacyAgentLine]


class Downgraded(Shape):
    """`downgrade`."""

    database: str
    taken_back: list[str]


@command
def migrate_legacy(
    session: Session,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, through a connection that cannot write.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="Import the texts of this database.", show_default=False),
    ] = None,
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="With --from: its table.")] = "agents",
    name_column: Annotated[
        str, typer.Option("--name-column", metavar="NAME", help="With --from: the column with the agents' names.")
    ] = "name",
    text_column: Annotated[
        str, typer.Option("--text-column", metavar="NAME", help="With --from: the column with the texts.")
    ] = "system_prompt",
    adopt: Adopt = False,
) -> None:
    """Adopt the texts of a database from before this library.

    Without --from the database itself is upgraded, and each text in agents.system_prompt becomes a version. With --from
    the texts of another database become versions in this one; what is there already is not written again.

    Exit code 1: something stands in the way, or a text was refused.
    """
    if source is not None:
        _import(session, TextSource(source, table, name_column, text_column), dry_run=dry_run)
    else:
        _adopt(session, dry_run=dry_run, adopt=adopt)


@command
def downgrade(
    session: Session,
    step: Annotated[
        int, typer.Option("--step", metavar="N", min=0, help="The last migration to take back; 0 takes back all.")
    ] = 0,
    yes: Yes = False,
) -> None:
    """Take the schema back to an older one.

    What the older schema has no place for, such as later versions, is put aside in tables of their own; the next
    upgrade takes it back.
    """
    if not yes:
        if not can_ask():
            raise ConfigurationError("Nobody can be asked here. Say --yes to take the schema back.")
        confirm(f"Take the schema of {session.place} back? No prompt is served from it until the next upgrade.")
    done = session.run(lambda database: migrate.downgrade(database, step), Access.TAKE_BACK)
    if session.json:
        print_json(Downgraded(database=session.place, taken_back=list(done)))
        return
    for version in done:
        print_line(f"Took back {version}")
    if not done:
        print_line(f"There was nothing to take back in {session.place}.")
    elif step == 0:
        print_line(
            f"Versions and events are kept in {ARCHIVED_VERSIONS} and beside it; the next upgrade takes them back."
        )


def _adopt(session: Session, *, dry_run: bool, adopt: bool) -> None:
    open_database(session.settings.database_url)  # which says what to do where there is no file
    preview = asyncio.run(legacy.preview(session.settings.database_url))
    if preview.foreign and not adopt:
        raise SchemaError(FOREIGN)
    applied: tuple[str, ...] = ()
    if not dry_run and not preview.blockers:
        with warnings_as_notes():
            applied = session.run(lambda database: migrate.upgrade(database, adopt=True), Access.MIGRATE)
    if session.json:
        print_json(_report(session, preview, dry_run=dry_run, applied=applied))
    else:
        _tell_adoption(session, preview, applied, dry_run=dry_run)
    if preview.blockers:
        raise typer.Exit(1)


def _tell_adoption(session: Session, preview: Preview, applied: Sequence[str], *, dry_run: bool) -> None:
    if preview.blockers:
        print_line(f"{session.place} cannot be adopted as it is, and nothing was changed:")
        for blocker in preview.blockers:
            print_line(f"- {blocker}")
        return
    if not preview.pending:
        print_line(f"Nothing to do: the schema of {session.place} is up to date.")
        return
    inactive = (f"{one} has no active version; `sync` activates the one that is the code's" for one in preview.inactive)
    for line in (*map(str, preview.agents), *preview.versions, *inactive, *preview.doubled):
        print_line(line)
    if preview.without_texts:
        print_line(f"The table agents has no column {TEXT_COLUMN}, so that there are no texts to adopt.")
    if preview.restored:
        print_line(f"{plural(preview.restored, 'version')} of before the downgrade come back")
    print_line(_summary(preview.agents) if preview.agents else "There are no agents of another application.")
    if dry_run:
        print_line(f"Nothing was written. {plural(len(preview.pending), 'migration')} would be applied by:")
        print_line("automagik-prompts upgrade")
    for version in applied:
        print_line(f"Applied {version}")


def _import(session: Session, source: TextSource, *, dry_run: bool) -> None:
    if dry_run:
        plans = asyncio.run(importer.preview_import(session.settings.database_url, source))
    else:
        with ExitStack() as stack:

            def begin(total: int) -> Callable[[], None]:
                return stack.enter_context(progress("importing", total))

            plans = session.run(lambda database: importer.import_texts(database, source, begin), Access.CREATE)
    if session.json:
        print_json(_report(session, Preview(agents=plans), dry_run=dry_run, source=redacted_url(source.url)))
    else:
        for plan in plans:
            print_line(str(plan))
        print_line(_summary(plans))
        if dry_run:
            print_line("Nothing was written.")
    if any(plan.outcome is Outcome.REFUSED for plan in plans):
        raise typer.Exit(1)


def _report(
    session: Session,
    preview: Preview,
    *,
    dry_run: bool,
    applied: Sequence[str] = (),
    source: str | None = None,
) -> LegacyReport:
    return LegacyReport(
        database=session.place,
        source=source,
        dry_run=dry_run,
        blockers=list(preview.blockers),
        pending=list(preview.pending),
        applied=list(applied),
        doubled=list(preview.doubled),
        restored=preview.restored,
        inactive=list(preview.inactive),
        versions=list(preview.versions),
        agents=[LegacyAgentLine.of(plan) for plan in preview.agents],
    )


def _summary(plans: Sequence[AgentPlan]) -> str:
    """Return in one line what becomes of all texts."""
    count = Counter(plan.outcome for plan in plans)
    new, verbatim = count[Outcome.CREATED] + count[Outcome.INACTIVE], sum(plan.verbatim for plan in plans)
    parts = [
        f"{plural(len(plans), 'agent')}: {plural(new, 'new version')}"
        + (f" ({verbatim} verbatim)" if verbatim else "")
        + (f" ({count[Outcome.INACTIVE]} not activated)" if count[Outcome.INACTIVE] else "")
    ]
    if count[Outcome.ACTIVATED]:
        parts.append(f"{count[Outcome.ACTIVATED]} activated")
    if count[Outcome.PRESENT]:
        parts.append(f"{count[Outcome.PRESENT]} there already")
    if without := [f"{count[kind]} {kind.value}" for kind in _WITHOUT_TEXT if count[kind]]:
        parts.append(f"without a text: {', '.join(without)}")
    if count[Outcome.REFUSED]:
        parts.append(f"{count[Outcome.REFUSED]} refused")
    return "; ".join(parts)
