"""The command `explain`: which version a process that starts now would serve, from where, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from automagik_prompts.cli.live import following, wait_until_settled
from automagik_prompts.cli.options import Agent, Modules, OptionalStatus
from automagik_prompts.cli.output.running import print_unknown
from automagik_prompts.cli.output.served import Explained
from automagik_prompts.cli.output.text import print_json, print_line
from automagik_prompts.cli.session import Session, command, looking, try_modules
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.served import Explanation, State
from automagik_prompts.domain.validation import normalized
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import NoActivePromptError, SchemaError
from automagik_prompts.following.memory.snapshot import nothing_served
from automagik_prompts.plugin import PromptPlugin

_FORESEEN = {
    "created": "and serves it",
    "drift": "and serves what is active, as a person decided otherwise",
    "requested": "and asks for approval",
    "withdrawn": "and does not activate it, as its text is withdrawn",
}


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

    It is what a process with the installed prompt modules would serve that starts now, also while the database is down;
    one that runs may have read it earlier, and says so by plugin.explain().
    """
    modules = try_modules(session, module)
    with following(session, [agent]) as plugin:
        wait_until_settled(plugin)
        explanation = _explained(session, plugin, agent, status)
    followers = None
    if fleet:
        key = explanation.agent, explanation.status_key
        followers = session.run(lambda database: session.edits(database).followers(*key))
    notes = (*_foreseen(session, explanation), *modules.problems)
    if session.json:
        print_json(Explained.of(explanation, notes, followers))
        return
    print_line(str(explanation))
    for note in notes:
        print_line(f"  note: {note}")
    print_line("  process: one that starts now; one that runs says it by plugin.explain()")
    if followers is not None:
        which = f"version {followers.version} is" if followers.version is not None else "no version is"
        print_line(f"  fleet: {which} active")
        for one in followers.processes:
            print_line(f"    {one}")
        print_unknown(followers.unknown)


def _explained(session: Session, plugin: PromptPlugin, agent: str, status: str | None) -> Explanation:
    try:
        return plugin.explain(agent, status)
    except NoActivePromptError as error:
        snapshot = plugin.snapshot()
        if plugin.state is not State.LIVE or snapshot is None or snapshot.knows(normalized(agent)) or snapshot.only:
            raise
        # Only now: nothing was read of the other agents.
        names = {info.name for info in session.run(queries.agents)} | registry.agents.keys()
        raise nothing_served(normalized(agent), error.status_key, names) from None


def _foreseen(session: Session, explanation: Explanation) -> Iterator[str]:
    """Yield what the process writes before it serves."""
    declared = registry.agents.get(explanation.agent)
    if declared is None or explanation.state is not State.LIVE or not session.settings.seed:
        return
    try:
        foreseen = session.run(lambda database: queries.foresee(database, declared))
    except SchemaError as error:
        yield error.message  # what is active can be read all the same
        return
    for one in foreseen:
        if one.status_key in {explanation.status_key, explanation.served_status_key}:
            yield (
                f"the code's text of {one.status_key} is not in the database: a process that starts writes it, "
                f"{_FORESEEN[one.outcome]}"
            )
