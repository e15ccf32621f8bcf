"""The command `diff`: two versions, or the active one and the code."""

from __future__ import annotations

from typing import Annotated

import typer

from automagik_prompts.cli.commands.browse import find_version
from automagik_prompts.cli.completion import complete_versions
from automagik_prompts.cli.options import Agent, Modules, Status
from automagik_prompts.cli.output.diffs import print_diff
from automagik_prompts.cli.output.pager import paged
from automagik_prompts.cli.output.schemas import Difference
from automagik_prompts.cli.output.text import is_terminal, print_invisible, print_json, print_line
from automagik_prompts.cli.session import Session, command, import_modules, looking
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.text import closest, unified_diff
from automagik_prompts.domain.validation import normalized
from automagik_prompts.exceptions import PromptNotFoundError
from automagik_prompts.storage.database import Database

OptionalVersion = Annotated[
    int | None,
    typer.Argument(metavar="[V1]", help="A version.", autocompletion=complete_versions, min=1, show_default=False),
]
OtherVersion = Annotated[
    int | None,
    typer.Argument(
        metavar="[V2]",
        help="Another one; by default the active version.",
        autocompletion=complete_versions,
        min=1,
        show_default=False,
    ),
]


@command
@looking
@paged
def diff(
    session: Session,
    agent: Agent,
    status: Status,
    v1: OptionalVersion = None,
    v2: OtherVersion = None,
    code: Annotated[bool, typer.Option("--code", help="Compare the active version with the text in code.")] = False,
    module: Modules = None,
) -> None:
    """Show the difference between two versions.

    On a terminal as people read it, in a pipe as a unified diff. One version alone is compared with the active one.
    """
    if code == (v1 is not None):
        raise typer.BadParameter("name one or two versions, or say --code")
    if code:
        import_modules(session, module)
        new, new_label = _text_in_code(agent, status)
        old_prompt = session.run(lambda database: find_version(database, agent, status, None))
    else:
        old_prompt, new_prompt = session.run(lambda database: _two(database, agent, status, v1, v2))
        new, new_label = new_prompt.prompt_text, _label(agent, new_prompt)
    old, old_label = old_prompt.prompt_text, _label(agent, old_prompt)
    if session.json:
        print_json(
            Difference(
                agent=agent,
                status_key=old_prompt.status_key,
                old=old_label,
                new=new_label,
                equal=old == new,
                unified=unified_diff(old, new, old_label, new_label),
            )
        )
        return
    if old == new and is_terminal():
        print_line(f"{old_label} and {new_label} have the same text.")
    print_diff(old, new, old_label, new_label)
    print_invisible(new)


async def _two(
    database: Database, agent: str, status: str, first: int | None, second: int | None
) -> tuple[Prompt, Prompt]:
    one = await find_version(database, agent, status, first)
    return one, await find_version(database, agent, status, second)


def _text_in_code(agent: str, status: str) -> tuple[str, str]:
    """Return the text that the code declares, with a label."""
    declared = registry.agents.get(normalized(agent))
    key = declared.keys.find(status) if declared is not None else None
    if declared is not None and key is not None:
        return declared.prompts[key].text, f"{agent}/{key} in code"
    known = declared.prompts if declared is not None else registry.agents
    name = status if declared is not None else agent
    close = closest(name, known)
    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Declared are: {', '.join(sorted(known))}."
    if not known:
        hint = "No prompt modules were found: name one with --module."
    raise PromptNotFoundError(
        f"The code declares no prompt for {agent}/{status}. {hint}", agent=agent, status_key=status
    )


def _label(agent: str, prompt: Prompt) -> str:
    return f"{agent}/{prompt.status_key} version {prompt.version}{' (active)' if prompt.is_active else ''}"
