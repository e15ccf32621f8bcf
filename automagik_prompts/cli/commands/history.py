"""The commands that look back: `history`, `events`."""

from __future__ import annotations

from typing import Annotated

import typer

from automagik_prompts.cli.moments import moment
from automagik_prompts.cli.options import Agent, Limit, OptionalAgent, OptionalStatus
from automagik_prompts.cli.output.pager import paged
from automagik_prompts.cli.output.running import usage_cell, usage_heading
from automagik_prompts.cli.output.schemas import EventLine, EventList, UsedVersion, VersionList, origin
from automagik_prompts.cli.output.tables import columns, print_table
from automagik_prompts.cli.output.text import is_terminal, print_json, print_line, when
from automagik_prompts.cli.session import Session, command, looking
from automagik_prompts.domain.records import Action, Event, Prompt
from automagik_prompts.domain.running.usage import UsageByVersion
from automagik_prompts.editing import queries
from automagik_prompts.editing.pages import MAX_PAGE
from automagik_prompts.editing.running.usage import usage
from automagik_prompts.storage.database import Database


@command
@looking
@paged
def history(session: Session, agent: Agent, status: OptionalStatus = None, limit: Limit = 50) -> None:
    """List the versions of an agent's texts, newest first."""

    async def read(database: Database) -> tuple[list[Prompt], UsageByVersion | None]:
        versions = await queries.versions(database, agent, status, limit=limit + 1)
        return versions, await usage(database, [one.id for one in versions])

    found, sent = session.run(read)
    shown = found[:limit]
    if session.json:
        print_json(VersionList(versions=[UsedVersion.of(agent, prompt, sent) for prompt in shown]))
        return
    if not shown:
        print_line(f"{agent} has no versions yet.")
        return
    print_table(
        columns("status", ">version", "=active", "=origin", "author", "=written", ">length", *usage_heading(sent)),
        [(*_version_row(prompt), *usage_cell(sent, prompt.id)) for prompt in shown],
        [prompt.note or prompt.name or "" for prompt in shown],
    )
    _tell_more(len(found) > limit, limit)


def _version_row(prompt: Prompt) -> tuple[str, ...]:
    return (
        prompt.status_key,
        str(prompt.version),
        "active" if prompt.is_active else "withdrawn" if prompt.is_withdrawn else "",
        origin(prompt.is_default_from_code),
        prompt.author or "",
        when(prompt.created_at),
        str(len(prompt.prompt_text)),
    )


@command
@looking
@paged
def events(
    session: Session,
    agent: OptionalAgent = None,
    status: OptionalStatus = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--request", metavar="REQUEST", help="Only those of this request for approval.", min=1, show_default=False
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="WHEN", help="Not older: 2026-11-24, 2026-11-24T14:00, or 3d, 12h.", show_default=False
        ),
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", metavar="NAME", help="Only by this person.", show_default=False)
    ] = None,
    action: Annotated[
        list[Action] | None,
        typer.Option("--action", help="Only this. May be given several times.", show_default=False),
    ] = None,
    lines: Annotated[bool, typer.Option("--jsonl", help="Print one line of JSON for each event.")] = False,
    limit: Limit = 50,
) -> None:
    """List what was done, by whom and why, newest first."""
    begin = moment(since, "--since") if since is not None else None

    async def read(database: Database) -> list[Event]:
        edits, found, after = session.edits(database), list[Event](), None
        while len(found) <= limit:
            most = min(limit + 1 - len(found), MAX_PAGE)
            page = await edits.events(
                agent,
                status,
                request_id=number,
                actions=action or None,
                author=author,
                since=begin,
                after=after,
                limit=most,
            )
            found += page.items
            after = page.next
            if after is None:
                break
        return found

    found = session.run(read)
    shown = found[:limit]
    if lines:
        for event in shown:
            print_json(EventLine.of(event), one_line=True)
        return
    if session.json:
        print_json(EventList(events=[EventLine.of(event) for event in shown]))
        return
    if not shown:
        print_line("Nothing of that was done." if begin or author or action or number else "Nothing was done yet.")
        return
    # Where all of them log in as the same user, that user says nothing.
    by_user = len({event.db_user for event in shown}) > 1
    print_table(
        columns("=when", "agent", "status", "=what", ">version", ">from", "author (db user)" if by_user else "author"),
        [_event_row(event, by_user=by_user) for event in shown],
        [event.note or "" for event in shown],
    )
    _tell_more(len(found) > limit, limit)


def _event_row(event: Event, *, by_user: bool) -> tuple[str, ...]:
    author = event.author or ""
    if by_user and event.db_user != event.author:
        author = f"{author} ({event.db_user or 'not known'})".strip()
    about: list[str] = [] if event.approval is None else [event.approval]
    if event.request_id is not None:
        about.append(f"request {event.request_id}")
    mark = f" ({', '.join(about)})" if about else ""
    return (
        when(event.created_at),
        event.agent,
        event.status_key,
        event.action.value.replace("_", " ") + mark,
        str(event.version or ""),
        str(event.from_version or ""),
        author,
    )


def _tell_more(more: bool, limit: int) -> None:
    """Print that there is more, where a person reads along."""
    if more and is_terminal():
        print_line(f"These are the newest {limit}; see more with --limit.")
