"""The command `explain`: which version a process would serve, from where, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from automagik_prompts.cli.live import following, wait_until_settled
from automagik_prompts.cli.options import Agent, Modules, OptionalStatus
from automagik_prompts.cli.output.running import print_unknown
from automagik_prompts.cli.output.served import Explained
from automagik_prompts.cli.output.text import print_json, print_line
from automagik_prompts.cli.session import Session, command, looking, try_modules


@command
@looking
def explain(
    session: Session,
    agent: Agent,
    status: OptionalStatus = None,
    fleet: Annotated[
        bool, typer.Option("--fleet", help="Show as well what each living process serves, as far as it has said.")
    ] = False,
    module: Modules = None,
) -> None:
    """Show which version is served, from where and why.

    It is what a process with the installed prompt modules would serve now, also while the database is down.
    """
    modules = try_modules(session, module)
    with following(session) as plugin:
        wait_until_settled(plugin)
        explanation = plugin.explain(agent, status)
    followers = None
    if fleet:
        key = explanation.agent, explanation.status_key
        followers = session.run(lambda database: session.edits(database).followers(*key))
    if session.json:
        print_json(Explained.of(explanation, modules.problems, followers))
        return
    print_line(str(explanation))
    for problem in modules.problems:
        print_line(f"  note: {problem}")
    if followers is not None:
        which = f"version {followers.version} is" if followers.version is not None else "no version is"
        print_line(f"  fleet: {which} active")
        for one in followers.processes:
            print_line(f"    {one}")
        print_unknown(followers.unknown)
