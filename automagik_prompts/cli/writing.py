"""How commands write: what is about to happen is shown, somebody is asked, and what was done is reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import typer

from automagik_prompts.cli.interaction import can_ask, confirm
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.running import print_followers
from automagik_prompts.cli.output.schemas import EditOutput, origin
from automagik_prompts.cli.output.text import age, one_line, plural, print_json, print_line, print_note
from automagik_prompts.cli.session import FOUND, Access, Session
from automagik_prompts.domain.edits import EditResult, Intent
from automagik_prompts.domain.records import Action, Prompt
from automagik_prompts.domain.review import RequestState
from automagik_prompts.domain.summaries import StatusSummary
from automagik_prompts.editing import queries
from automagik_prompts.storage.database import Database

Write = Callable[[Database, Intent], Awaitable[EditResult]]
Preview = Callable[[Database], Awaitable[None]]


def edit(
    session: Session,
    agent: str,
    write: Write,
    intent: Intent,
    preview: Preview,
    question: str,
    *,
    yes: bool,
    action: Action | None = None,
) -> None:
    """Show and ask where somebody sits at a terminal, then write and report."""
    if can_ask():
        session.authorize([agent])  # what changes is about to be shown

        async def look(database: Database) -> int | None:
            known = await queries.get_agent(database, agent)
            await preview(database)
            return known.revision if known is not None else None

        revision = session.run(look)
        if not yes:
            confirm(question)
        if intent.expected_revision is None:
            intent = replace(intent, expected_revision=revision)
    report(session, session.run(lambda database: write(database, intent), Access.WRITE), action)


def said(intent: Intent) -> dict[str, Any]:
    """Return what a person has said with a command, as the verbs take it."""
    words = {"author": intent.author, "note": intent.note, "expected_revision": intent.expected_revision}
    return {**words, "emergency": True} if intent.emergency else words


async def show_replacement(database: Database, agent: str, wanted: Prompt, *, emergency: bool = False) -> None:
    """Show what another active version changes, and for whom."""
    status = wanted.status_key
    summaries = await queries.summaries(database, agent)
    active = await queries.get_active(database, agent, status)
    if active is not None and active.id == wanted.id:
        print_note(f"{agent}/{status}: {described(wanted)} is active already.")
        return
    before = "nothing" if active is None else described(active)
    print_note(f"{agent}/{status}: {described(wanted)} replaces {before}.")
    if wanted.note:
        print_note(f"Its note: {one_line(wanted.note)}")
    old_label = f"version {active.version} (active)" if active is not None else "no active version"
    old = active.prompt_text if active is not None else ""
    print_diff(old, wanted.prompt_text, old_label, f"version {wanted.version}", stderr=True)
    protection = next((one.protection for one in summaries if one.status_key == status), None)
    if protection is not None:
        approvals = plural(protection.approvals, "approval")
        print_note(
            f"It is protected: this passes {approvals} by, and stays marked in the events."
            if emergency
            else f"It is protected: this asks for {approvals}, and changes nothing yet."
        )
    print_note(audience(agent, status, summaries))


def audience(agent: str, status: str, summaries: Sequence[StatusSummary]) -> str:
    """Return who is served the active version of a status."""
    words = f"It is served to every run of the agent {agent} in the status {status}"
    if any(summary.primary and summary.status_key == status for summary in summaries):
        without = [summary.status_key for summary in summaries if summary.active is None]
        also = f" ({', '.join(key for key in without if key != status)})" if set(without) - {status} else ""
        words += f", and in every status that has no active version of its own{also}"
    return f"{words}; running processes follow within a second or so."


def described(prompt: Prompt) -> str:
    """Return a version in words: its number, its author and its age."""
    by = prompt.author or origin(prompt.is_default_from_code)
    return f"version {prompt.version} ({by}, {age(prompt.created_at)} ago)"


_DONE = {Action.DELETED: "deleted", Action.WITHDRAWN: "withdrawn", Action.REINSTATED: "withdrawn no more"}


def report(session: Session, change: EditResult, action: Action | None = None) -> None:
    """Print what a write did, and what may be meant otherwise in it.

    Raises:
        typer.Exit: It waits for approval, or a process has not followed in time: it is done and needs a look.
    """
    for hint in change.hints:
        print_note(hint)
    if session.json:
        print_json(EditOutput.of(change))
    else:
        print_edit(change, action)
        if change.followers is not None:
            print_followers(change.followers)
    waited = change.followers
    if change.is_waiting or (waited is not None and (waited.late or waited.error)):
        raise typer.Exit(FOUND)


def print_edit(change: EditResult, action: Action | None = None) -> None:
    """Print for people what a write did."""
    if change.request is not None and change.is_waiting:
        asked = change.request
        still = (
            f"version {change.active_version} stays active" if change.active_version is not None else "none is active"
        )
        waits = "waits" if change.is_new_request else f"by {asked.author} waits already"
        print_line(f"{change.agent.name}/{change.status_key}: request {asked.id} to {asked.what} {waits}; {still}")
        return
    where = f"{change.agent.name}/{change.status_key}"
    written = change.prompt.version if change.prompt is not None else None
    previous = change.previous_version
    active = f"version {change.active_version} is active" if change.active_version is not None else "none is active"
    if action in _DONE:
        print_line(f"{where}: version {written} is {_DONE[action]}; {active}")
    elif written is None:
        print_line(f"{where}: version {previous} is not active any more; none is")
    elif change.active_version != written:
        print_line(f"{where}: version {written} is written; {active}")
    elif previous == written:
        print_line(f"{where}: version {written} was active already")
    else:
        before = f" (before: {previous})" if previous is not None else ""
        mark = ""
        if change.request is not None and change.request.state is RequestState.EMERGENCY:
            mark = f", without approval: request {change.request.id}"
        print_line(f"{where}: version {written} is active{before}{mark}")
