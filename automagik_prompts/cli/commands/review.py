"""The commands of review: `request`, `requests`, `approve`, `decline`, `comment`."""

from __future__ import annotations

from typing import Annotated

import typer

from automagik_prompts.cli.completion import complete_versions
from automagik_prompts.cli.interaction import can_ask, confirm
from automagik_prompts.cli.options import (
    Author,
    ExpectRevision,
    Note,
    OptionalAgent,
    OptionalStatus,
    Yes,
)
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.pager import paged
from automagik_prompts.cli.output.review import RequestLine, RequestList
from automagik_prompts.cli.output.schemas import EditOutput
from automagik_prompts.cli.output.tables import columns, print_table
from automagik_prompts.cli.output.text import one_line, print_json, print_line, print_note, when
from automagik_prompts.cli.session import Access, Session, command, looking
from automagik_prompts.cli.writing import report
from automagik_prompts.domain.edits import EditResult, Page
from automagik_prompts.domain.records import Event
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.text import word
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import PromptNotFoundError
from automagik_prompts.storage.database import Database

Number = Annotated[int, typer.Argument(metavar="REQUEST", help="The request's number.", min=1, show_default=False)]


@command
def request(
    session: Session,
    agent: Annotated[str | None, typer.Argument(metavar="[AGENT]", help="The agent.", show_default=False)] = None,
    status: Annotated[str | None, typer.Argument(metavar="[STATUS]", help="The status.", show_default=False)] = None,
    version: Annotated[
        int | None,
        typer.Argument(
            metavar="[VERSION]",
            help="The version that is to be active.",
            autocompletion=complete_versions,
            min=1,
            show_default=False,
        ),
    ] = None,
    deactivate: Annotated[
        bool, typer.Option("--deactivate", help="Ask for the status to have no active version.")
    ] = False,
    withdraw: Annotated[
        int | None,
        typer.Option("--withdraw", metavar="REQUEST", help="Withdraw your own request.", min=1, show_default=False),
    ] = None,
    author: Author = None,
    note: Note = None,
    expect_revision: ExpectRevision = None,
) -> None:
    """Ask another person to approve that a version becomes active.

    Of a protected status, `activate` does the same by itself.
    """
    if withdraw is not None:
        if agent is not None:
            raise typer.BadParameter("--withdraw takes the number of a request, and no agent")
        number = withdraw
        done = session.run(
            lambda database: session.edits(database).withdraw_request(number, author=author, note=note), Access.WRITE
        )
        _tell(session, done)
        return
    if agent is None or status is None or (version is None) != deactivate:
        raise typer.BadParameter("name AGENT STATUS VERSION, or AGENT STATUS --deactivate, or --withdraw REQUEST")
    where = (agent, status)
    done = session.run(
        lambda database: session.edits(database).request(
            *where, version, author=author, note=note, expected_revision=expect_revision
        ),
        Access.WRITE,
    )
    report(session, done)


@command
@looking
@paged
def requests(
    session: Session,
    agent: OptionalAgent = None,
    status: OptionalStatus = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that were decided, or have lapsed.")] = False,
    number: Annotated[
        int | None,
        typer.Option("--show", metavar="REQUEST", help="Show one request whole.", min=1, show_default=False),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="The newest ones, at most so many.")
    ] = 50,
) -> None:
    """List the requests for approval that wait, newest first."""
    if number is not None:
        _show(session, number)
        return

    async def read(database: Database) -> Page[ApprovalRequest]:
        return await session.edits(database).requests(agent, status, waiting=not every, limit=limit)

    found = session.run(read)
    if session.json:
        print_json(RequestList(requests=[RequestLine.of(one) for one in found.items]))
        return
    if not found.items:
        print_line("Nothing was ever requested." if every else "Nothing waits for approval.")
        return
    print_table(
        columns(">request", "agent", "status", "what", "=state", "by", "=asked"),
        [
            (
                str(one.id),
                one.agent,
                one.status_key,
                _what(one),
                one.state.value,
                one.author or "",
                when(one.created_at),
            )
            for one in found.items
        ],
        [one.note or "" for one in found.items],
    )
    if found.next is not None:
        print_note(f"These are the newest {limit}; see more with --limit.")


def _what(one: ApprovalRequest) -> str:
    return "deactivate" if one.version is None else f"{one.operation.value} {one.version}"


def _show(session: Session, number: int) -> None:
    async def read(database: Database) -> tuple[ApprovalRequest, tuple[Event, ...]]:
        edits = session.edits(database)
        found = await edits.get_request(number)
        return found, (await edits.events(found.agent, request_id=number, limit=1000)).items

    found, events = session.run(read)
    if session.json:
        print_json(RequestLine.of(found))
        return
    print_line(f"Request {found.id}, to {found.what}: {found.state.value}")
    print_line(f"by {found.author}, {when(found.created_at)}; {_approvals(found)}")
    for event in reversed(events):
        print_line(
            f"{when(event.created_at)}  {event.author}: {event.action.value.replace('_', ' ')}"
            f"{f' ({event.approval})' if event.approval is not None else ''}"
            f"{f': {one_line(event.note)}' if event.note else ''}"
        )

    async def preview(database: Database) -> None:
        await _compare(database, found)

    session.run(preview)


async def _compare(database: Database, found: ApprovalRequest) -> None:
    """Show what a request changes: from what was active when it was asked, to what it asks for."""
    texts: list[str] = []
    labels: list[str] = []
    for version in (found.from_version, found.version):
        text, label = "", f"version {version}" if version is not None else "no active version"
        if version is not None:
            try:
                text = (await queries.get(database, found.agent, found.status_key, version)).prompt_text
            except PromptNotFoundError:
                label += " (deleted)"
        texts.append(text)
        labels.append(label)
    if texts[0] == texts[1]:
        print_note(f"{labels[0]} and {labels[1]} have the same text.")
    print_diff(*texts, *labels, stderr=True)


def _approvals(found: ApprovalRequest) -> str:
    by = f" ({', '.join(found.approved_by)})" if found.approved_by else ""
    return f"{len(found.approved_by)} of {found.approvals} approvals{by}"


@command
def approve(
    session: Session,
    number: Number,
    only: Annotated[
        bool, typer.Option("--only", help="Approve, and leave it to who may activate to carry it out.")
    ] = False,
    author: Author = None,
    note: Note = None,
    yes: Yes = False,
) -> None:
    """Approve a request that another person has made.

    With the last approval that it needs, it is carried out.
    """
    if can_ask():
        found = session.run(lambda database: session.edits(database).get_request(number))
        print_note(f"Request {found.id} by {found.author}: {one_line(found.note) or 'no reason given'}")

        async def preview(database: Database) -> None:
            await _compare(database, found)

        session.run(preview)
        if not yes:
            is_last = len(found.approved_by) + 1 >= found.approvals
            confirm("Approve it, and let it go live?" if is_last and not only else "Approve it?")
    done = session.run(
        lambda database: session.edits(database).approve(number, activate=not only, author=author, note=note),
        Access.WRITE,
    )
    _tell(session, done)


@command
def decline(session: Session, number: Number, author: Author = None, note: Note = None) -> None:
    """Decline a request that another person has made; --note says why."""
    done = session.run(lambda database: session.edits(database).decline(number, author=author, note=note), Access.WRITE)
    _tell(session, done)


@command
def comment(
    session: Session,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What there is to say.", show_default=False)],
    agent: Annotated[str | None, typer.Argument(metavar="[AGENT]", help="The agent.", show_default=False)] = None,
    status: Annotated[str | None, typer.Argument(metavar="[STATUS]", help="The status.", show_default=False)] = None,
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            metavar="N",
            min=1,
            help="It is about this version.",
            autocompletion=complete_versions,
            show_default=False,
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--request", metavar="REQUEST", min=1, help="It is about this request.", show_default=False),
    ] = None,
    author: Author = None,
) -> None:
    """Say something about a version, a status, or a request; it is kept with the events."""
    done = session.run(
        lambda database: session.edits(database).comment(
            agent, status, version, text=text, request_id=number, author=author
        ),
        Access.WRITE,
    )
    if session.json:
        print_json(EditOutput.of(done))
        return
    print_line(
        f"{done.agent.name}/{done.status_key}: it is kept. See: automagik-prompts events {word(done.agent.name)}"
    )


def _tell(session: Session, done: EditResult) -> None:
    """Say what became of a request."""
    found = done.request
    if session.json or found is None:
        print_json(EditOutput.of(done))
        return
    now = f"version {done.active_version} is active" if done.active_version is not None else "none is active"
    left = f", {_approvals(found)}" if found.is_waiting else ""
    print_line(f"{found.agent}/{found.status_key}: request {found.id} is {found.state.value}{left}; {now}")
