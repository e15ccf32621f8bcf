"""The arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Agent = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's name.", show_default=False)]
OptionalAgent = Annotated[str | None, typer.Argument(metavar="[AGENT]", help="Only this agent.", show_default=False)]
Status = Annotated[str, typer.Argument(metavar="STATUS", help="The status key.", show_default=False)]
VersionNumber = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version's number.")]

Author = Annotated[str | None, typer.Option("--author", metavar="NAME", help="Who does this.")]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why; kept in the events.")]
ExpectRevision = Annotated[
    int | None,
    typer.Option("--expect-revision", metavar="N", min=0, help="Write only if the agent still has this revision."),
]
Modules = Annotated[
    list[str] | None,
    typer.Option(
        "--module", metavar="NAME", help="Import this module, besides the installed ones. May be given several times."
    ),
]
