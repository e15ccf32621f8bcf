"""The command `search`: the lines in which a text stands."""

from __future__ import annotations

from typing import Annotated

import typer

from automagik_prompts.cli.completion import complete_agents
from automagik_prompts.cli.output.pager import paged
from automagik_prompts.cli.output.schemas import MatchLine, MatchList
from automagik_prompts.cli.output.text import console, is_terminal, print_json, print_line, print_text, visible
from automagik_prompts.cli.session import Session, command, looking
from automagik_prompts.domain.summaries import Match
from automagik_prompts.editing import queries
from automagik_prompts.storage.database import Database


@command
@looking
@paged
def search(
    session: Session,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for.", show_default=False)],
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent", metavar="NAME", help="Only this agent.", autocompletion=complete_agents, show_default=False
        ),
    ] = None,
    every_version: Annotated[
        bool, typer.Option("--all", help="Look at every version, not only at the active ones.")
    ] = False,
    match_case: Annotated[bool, typer.Option("--match-case", help="Tell upper from lower case.")] = False,
) -> None:
    """Find lines of active versions that contain a text."""

    async def read(database: Database) -> list[Match]:
        shown = await session.edits(database).visible()
        matches = await queries.search(database, text, agent=agent, every_version=every_version, match_case=match_case)
        return [match for match in matches if match.agent in shown]

    found = session.run(read)
    if session.json:
        print_json(MatchList(matches=[MatchLine.of(match) for match in found]))
        return
    if not found:
        where = "any version" if every_version else "any active version; --all looks at every version"
        print_line(f"{text!r} is not in {where}.")
    if is_terminal():
        for match in found:
            _show_match(match)
    else:
        print_text("".join(f"{_place(match)}:{match.line}: {match.excerpt}\n" for match in found))


def _place(match: Match) -> str:
    prompt = match.prompt
    return f"{match.agent}/{prompt.status_key} {prompt.version}{'' if prompt.is_active else ' (not active)'}"


def _show_match(match: Match) -> None:
    from rich.text import Text  # only where a person reads along

    line = Text()
    line.append(f"{visible(_place(match))}:{match.line}: ", style="cyan")
    line.append(visible(match.excerpt[: match.start]))
    line.append(visible(match.excerpt[match.start : match.end]), style="bold red")
    line.append(visible(match.excerpt[match.end :]))
    console().print(line)
