"""The commands that look at what is there: `agents`, `list`, `show`."""

from __future__ import annotations

from collections import defaultdict
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from automagik_prompts.cli.completion import complete_agents, complete_versions
from automagik_prompts.cli.moments import moment
from automagik_prompts.cli.options import Agent, Status
from automagik_prompts.cli.output.pager import paged
from automagik_prompts.cli.output.running import usage_cell, usage_heading
from automagik_prompts.cli.output.schemas import (
    AgentLine,
    AgentList,
    StatusLine,
    StatusList,
    VersionText,
    origin,
)
from automagik_prompts.cli.output.tables import columns, print_table
from automagik_prompts.cli.output.text import (
    age,
    console,
    is_terminal,
    plural,
    print_invisible,
    print_json,
    print_line,
    print_text,
    visible,
    when,
)
from automagik_prompts.cli.session import Session, command, looking
from automagik_prompts.domain.records import AgentInfo, Prompt
from automagik_prompts.domain.running.usage import UsageByVersion
from automagik_prompts.domain.summaries import StatusSummary
from automagik_prompts.domain.text import word
from automagik_prompts.editing import checks, queries
from automagik_prompts.editing.findings import Kind
from automagik_prompts.editing.running.usage import usage
from automagik_prompts.exceptions import PromptNotFoundError
from automagik_prompts.storage.database import Database

_BROKEN = frozenset({Kind.INACTIVE, Kind.UNEXPOSED, Kind.INVALID, Kind.CHANGED})
"""What keeps a status' own text from being served."""

NOTHING = "There are no prompts yet. Declare them in code and run: automagik-prompts sync"


@command
@looking
@paged
def agents(session: Session) -> None:
    """List the agents."""

    async def read(database: Database) -> tuple[list[AgentInfo], list[StatusSummary]]:
        shown = await session.edits(database).visible()
        infos = [info for info in await queries.agents(database) if info.name in shown]
        return infos, await queries.summaries(database)

    infos, summaries = session.run(read)
    by_agent: defaultdict[str, list[StatusSummary]] = defaultdict(list)
    for summary in summaries:
        by_agent[summary.agent].append(summary)
    lines = [_agent_line(info, by_agent[info.name]) for info in infos]
    if session.json:
        print_json(AgentList(agents=lines))
        return
    if not lines:
        session.authorize([""])
        print_line(NOTHING)
        return
    print_table(
        columns("agent", "primary status", ">active", ">statuses", ">versions", ">revision", "variables"),
        [
            (
                line.agent,
                line.primary_status,
                _number(line.active_version),
                str(line.statuses),
                str(line.versions),
                str(line.revision),
                " ".join(line.variables) + (" (not from code)" if line.variables and line.allow_list != "code" else ""),
            )
            for line in lines
        ],
    )


def _agent_line(info: AgentInfo, summaries: list[StatusSummary]) -> AgentLine:
    primary = next((summary for summary in summaries if summary.primary), None)
    return AgentLine(
        agent=info.name,
        primary_status=info.default_status_key,
        active_version=primary.active if primary is not None else None,
        statuses=len(summaries),
        versions=sum(summary.versions for summary in summaries),
        variables=list(info.variables),
        allow_list="code" if any(one.code_version is not None for one in summaries) else "stored",
        revision=info.revision,
    )


@command
@paged
def list_prompts(
    session: Session,
    agent: Annotated[
        str | None,
        typer.Argument(
            metavar="[AGENT]",
            help="Only this agent, or those that a pattern such as 'support*' fits.",
            autocompletion=complete_agents,
            show_default=False,
        ),
    ] = None,
    drift: Annotated[bool, typer.Option("--drift", help="Only what has drifted.")] = False,
    problem: Annotated[
        bool, typer.Option("--problem", help="Only what has no active version, or one that cannot be served.")
    ] = False,
    author: Annotated[
        str | None,
        typer.Option("--author", metavar="NAME", help="Only whose active version they wrote.", show_default=False),
    ] = None,
    changed_since: Annotated[
        str | None,
        typer.Option(
            "--changed-since",
            metavar="WHEN",
            help="Only what became active since: 2026-11-24, 2026-11-24T14:00, or 3d, 12h.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List each status with its active version.

    A star marks the primary status. Drift: the code has changed under a person's version, and that is the code's.
    """
    since = moment(changed_since, "--changed-since") if changed_since is not None else None
    pattern = agent if agent is not None and any(char in agent for char in "*?[") else None
    if agent is not None and pattern is None:
        session.authorize([agent])

    async def read(database: Database) -> tuple[list[StatusSummary], int, int, UsageByVersion | None]:
        shown = await session.edits(database).visible()
        found = await queries.summaries(database, agent if pattern is None else None)
        found = [one for one in found if one.agent in shown]
        kept = fitting = [one for one in found if pattern is None or fnmatchcase(one.agent, pattern)]
        if problem:
            findings = await checks.check_database(database, {}, {one.agent for one in kept})
            bad = {(one.agent, one.status_key) for one in findings if one.kind in _BROKEN}
            kept = [one for one in kept if (one.agent, one.status_key) in bad]
        if author is not None:
            kept = [one for one in kept if one.active is not None and one.author == author]
        if since is not None:
            kept = [one for one in kept if one.active_since is not None and one.active_since >= since]
        kept = [one for one in kept if one.drift or not drift]
        sent = await usage(database, [one.active_id for one in kept if one.active_id is not None])
        return kept, len(fitting), len(found), sent

    summaries, count, known, sent = session.run(read)
    if session.json:
        print_json(StatusList(statuses=[StatusLine.of(summary, sent) for summary in summaries]))
        return
    if not summaries and count:
        print_line(f"None of {plural(count, 'status', 'statuses')} is so.")
        return
    if not summaries and known:
        print_line(f"No agent fits {agent!r}.")
        return
    if not summaries:
        session.authorize([""])
        print_line(NOTHING)
        return
    print_table(
        columns("agent", "status", ">active", ">of", "=origin", "author", ">since", "=drift", *usage_heading(sent)),
        [(*_row(summary), *usage_cell(sent, summary.active_id)) for summary in summaries],
    )


def _row(summary: StatusSummary) -> tuple[str, ...]:
    marks = f"{' *' if summary.primary else ''}{' (protected)' if summary.protection is not None else ''}"
    return (
        summary.agent,
        f"{summary.status_key}{marks}",
        _number(summary.active),
        str(summary.latest),
        origin(summary.from_code) if summary.active is not None else "",
        summary.author or "",
        age(summary.active_since) if summary.active_since is not None else "",
        f"code {summary.code_version}" if summary.drift else "",
    )


def _number(version: int | None) -> str:
    return str(version) if version is not None else "none"


@command
@looking
@paged
def show(
    session: Session,
    agent: Agent,
    status: Status,
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            metavar="N",
            min=1,
            help="This version.",
            autocompletion=complete_versions,
            show_default=False,
        ),
    ] = None,
    active: Annotated[bool, typer.Option("--active", help="The active version, which is the default.")] = False,
    code: Annotated[bool, typer.Option("--code", help="The newest version that came from code.")] = False,
) -> None:
    """Show one version and its text.

    In a pipe only the text is printed, byte for byte.
    """
    if (version is not None) + active + code > 1:
        raise typer.BadParameter("choose one of --version, --active and --code")
    prompt = session.run(lambda database: find_version(database, agent, status, version, code=code))
    if session.json:
        print_json(VersionText.of(agent, prompt))
        return
    if is_terminal():
        _print_facts(agent, prompt)
    print_text(prompt.prompt_text)
    print_invisible(prompt.prompt_text)


async def find_version(
    database: Database, agent: str, status: str, version: int | None, *, code: bool = False
) -> Prompt:
    """Return the version that the options of a command name: by its number, the code's newest, or the active one.

    Raises:
        PromptNotFoundError: There is none.
    """
    if version is not None:
        return await queries.get(database, agent, status, version)
    get = queries.get_code_default if code else queries.get_active
    found = await get(database, agent, status)
    if found is None:
        what = "no version from code" if code else "no active version"
        key = await queries.find_key(database, agent, status)
        raise PromptNotFoundError(
            f"{key} has {what}. See: automagik-prompts history {word(key.agent)} {word(key.status_key)}",
            agent=key.agent,
            status_key=key.status_key,
        )
    return found


def _print_facts(agent: str, prompt: Prompt) -> None:
    """Print what is known of a version, above its text."""
    from rich.text import Text  # only where a person reads along

    state = "active" if prompt.is_active else "withdrawn" if prompt.is_withdrawn else "not active"
    written = f"{prompt.author or 'unknown'} ({origin(prompt.is_default_from_code)}), {when(prompt.created_at)}"
    text = f"{prompt.format}, {plural(len(prompt.prompt_text), 'character')}, sha256 {prompt.content_hash[:12]}"
    facts = [f"{agent}/{prompt.status_key}, version {prompt.version} ({state})", f"{written}, {text}"]
    facts += [f"{label}: {value}" for label, value in (("name", prompt.name), ("note", prompt.note)) if value]
    for line, style in zip(facts, ["bold", *["dim"] * len(facts)], strict=False):
        console().print(Text(visible(line), style=style))
    print_line()
