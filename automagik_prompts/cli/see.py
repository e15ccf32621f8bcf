"""The commands that look: `list`, `show`."""

from __future__ import annotations

from typing import Annotated

import typer

from automagik_prompts import lookup
from automagik_prompts.cli.arguments import Agent, OptionalAgent, Status
from automagik_prompts.cli.output import age, print_json, print_line, print_table
from automagik_prompts.cli.session import Session, command
from automagik_prompts.cli.shapes import StatusLine, StatusList, VersionText, origin
from automagik_prompts.db import Database
from automagik_prompts.exceptions import PromptNotFoundError
from automagik_prompts.repository import Standing
from automagik_prompts.types import Prompt


@command
def list_prompts(session: Session, agent: OptionalAgent = None) -> None:
    """List each status with its active version."""
    standings = session.run(lambda database: lookup.standings(database, agent))
    if session.json:
        print_json(StatusList(statuses=[StatusLine.of(standing) for standing in standings]))
        return
    if not standings:
        print_line("There are no prompts yet. Declare them in code and run: automagik-prompts sync")
        return
    print_table(
        ("agent", "status", ">active", ">of", "source", "author", ">since", "drift"),
        [_row(standing) for standing in standings],
    )


def _row(standing: Standing) -> tuple[str, ...]:
    status = f"{standing.status_key} *" if standing.primary else standing.status_key
    drift = f"code: {standing.code_version}" if standing.drift else ""
    if standing.active is None or standing.active_since is None:
        return standing.agent, status, "none", str(standing.latest), "", "", "", drift
    return (
        standing.agent,
        status,
        str(standing.active),
        str(standing.latest),
        origin(standing.from_code),
        standing.author or "",
        age(standing.active_since),
        drift,
    )


@command
def show(
    session: Session,
    agent: Agent,
    status: Status,
    version: Annotated[int | None, typer.Option("--version", metavar="N", min=1, help="This version.")] = None,
    active: Annotated[bool, typer.Option("--active", help="The active version, which is the default.")] = False,
    code: Annotated[bool, typer.Option("--code", help="The newest version that came from code.")] = False,
) -> None:
    """Show one version and its text."""
    if (version is not None) + active + code > 1:
        raise typer.BadParameter("Choose one of --version, --active and --code.")
    prompt = session.run(lambda database: _find(database, agent, status, version, code=code))
    if session.json:
        print_json(VersionText.of(agent, prompt))
        return
    print_line(prompt.prompt_text)


async def _find(database: Database, agent: str, status: str, version: int | None, *, code: bool) -> Prompt:
    if version is not None:
        return await lookup.get(database, agent, status, version)
    get = lookup.get_code_default if code else lookup.get_active
    found = await get(database, agent, status)
    if found is None:
        what = "no version from code" if code else "no active version"
        raise PromptNotFoundError(
            f"{agent}/{status} has {what}. See: automagik-prompts history {agent} {status}",
            agent=agent,
            status_key=status,
        )
    return found
