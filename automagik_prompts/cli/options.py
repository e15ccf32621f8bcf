"""The arguments and options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from automagik_prompts.cli.completion import complete_agents, complete_statuses, complete_versions
from automagik_prompts.cli.moments import seconds


class TextFormat(StrEnum):
    """How a text is read."""

    HANDLEBARS = "handlebars"
    SIMPLE = "simple"
    TEXT = "text"


Agent = Annotated[
    str, typer.Argument(metavar="AGENT", help="The agent's name.", autocompletion=complete_agents, show_default=False)
]
OptionalAgent = Annotated[
    str | None,
    typer.Argument(metavar="[AGENT]", help="Only this agent.", autocompletion=complete_agents, show_default=False),
]
Status = Annotated[
    str, typer.Argument(metavar="STATUS", help="The status key.", autocompletion=complete_statuses, show_default=False)
]
OptionalStatus = Annotated[
    str | None,
    typer.Argument(metavar="[STATUS]", help="Only this status.", autocompletion=complete_statuses, show_default=False),
]
VersionNumber = Annotated[
    int,
    typer.Argument(
        metavar="VERSION", help="The version's number.", autocompletion=complete_versions, min=1, show_default=False
    ),
]

AgentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--agent",
        metavar="NAME",
        help="Only this agent. May be given several times.",
        autocompletion=complete_agents,
        show_default=False,
    ),
]
Author = Annotated[
    str | None,
    typer.Option(
        "--author",
        metavar="NAME",
        help="Who does this; by default AUTOMAGIK_PROMPTS_AUTHOR, git's user.name, or the login name. Refused where "
        "AUTOMAGIK_PROMPTS_POLICY decides who may do what.",
        show_default=False,
    ),
]
Note = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="Why; kept in the events.", show_default=False)
]
Emergency = Annotated[
    bool,
    typer.Option("--emergency", help="Change a protected status without approval; --note says why, and it is marked."),
]
ExpectRevision = Annotated[
    int | None,
    typer.Option(
        "--expect-revision",
        metavar="N",
        min=0,
        help="Write only if nobody has written to the status since this revision of the agent.",
        show_default=False,
    ),
]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        metavar="[SECONDS]",
        min=0,
        max=3600,
        callback=seconds,
        help="Wait until every living process serves it, 30 s by default; exit code 3 if one does not in time.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NewAgent = Annotated[bool, typer.Option("--new-agent", help="Add the agent if there is none of that name.")]
NewStatus = Annotated[
    bool, typer.Option("--new-status", help="Add the status if neither the code nor the database knows it.")
]
AllowInvisible = Annotated[
    bool, typer.Option("--allow-invisible", help="The text may hold characters that nobody sees.")
]
Adopt = Annotated[
    bool, typer.Option("--adopt", help="A table agents of another shape is meant: keep its agents' prompts here.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="The newest ones, at most so many.")]
Modules = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        metavar="NAME",
        help="Import this module besides those of installed packages. May be given several times.",
        show_default=False,
    ),
]
