"""The commands that look back: `history`, `events`."""

from __future__ import annotations

from automagik_prompts.cli.options import Agent, Limit, OptionalAgent, OptionalStatus
from automagik_prompts.cli.output.schemas import EventLine, EventList, VersionLine, VersionList, origin
from automagik_prompts.cli.output.tables import columns, print_table
from automagik_prompts.cli.output.text import is_terminal, print_json, print_line, print_note, when
from automagik_prompts.cli.session import Session, command
from automagik_prompts.domain.records import Event, Prompt
from automagik_prompts.editing import queries


@command
def history(session: Session, agent: Agent, status: OptionalStatus = None, limit: Limit = 50) -> None:
    """List the versions of an agent's texts, newest first."""
    found = session.run(lambda database: queries.versions(database, agent, status, limit=limit + 1))
    shown = found[:limit]
    if session.json:
        print_json(VersionList(versions=[VersionLine.of(agent, prompt) for prompt in shown]))
        return
    if not shown:
        print_line(f"{agent} has no versions yet.")
        return
    print_table(
        columns("status", ">version", "=active", "=origin", "author", "=written", ">length"),
        [_version_row(prompt) for prompt in shown],
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
def events(session: Session, agent: OptionalAgent = None, status: OptionalStatus = None, limit: Limit = 50) -> None:
    """List what was done, by whom and why, newest first."""
    found = session.run(lambda database: queries.events(database, agent, status, limit=limit + 1))
    shown = found[:limit]
    if session.json:
        print_json(EventList(events=[EventLine.of(name, event) for name, event in shown]))
        return
    if not shown:
        print_line("Nothing was done yet.")
        return
    print_table(
        columns("=when", "agent", "status", "=what", ">version", ">from", "author"),
        [_event_row(name, event) for name, event in shown],
        [event.note or "" for _, event in shown],
    )
    _tell_more(len(found) > limit, limit)


def _event_row(agent: str, event: Event) -> tuple[str, ...]:
    return (
        when(event.created_at),
        agent,
        event.status_key,
        event.action.value.replace("_", " "),
        str(event.version or ""),
        str(event.from_version or ""),
        event.author or "",
    )


def _tell_more(more: bool, limit: int) -> None:
    """Print that there is more, where a person reads along."""
    if more and is_terminal():
        print_note(f"These are the newest {limit}; see more with --limit.")
