"""The command `explain`: which version a process would serve, from where, and why."""

from __future__ import annotations

from automagik_prompts.cli.live import following, wait_until_settled
from automagik_prompts.cli.options import Agent, Modules, OptionalStatus
from automagik_prompts.cli.output.served import Explained
from automagik_prompts.cli.output.text import print_json, print_line
from automagik_prompts.cli.session import Session, command, looking, try_modules


@command
@looking
def explain(session: Session, agent: Agent, status: OptionalStatus = None, module: Modules = None) -> None:
    """Show which version is served, from where and why.

    It is what a process with the installed prompt modules would serve now, also while the database is down.
    """
    modules = try_modules(session, module)
    with following(session) as plugin:
        wait_until_settled(plugin)
        explanation = plugin.explain(agent, status)
    if session.json:
        print_json(Explained.of(explanation, modules.problems))
        return
    print_line(str(explanation))
    for problem in modules.problems:
        print_line(f"  note: {problem}")
