"""Going back to a moment: which versions were active then, and making them active again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import EditResult, Intent, RestorePlan, RestoreStep
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import AgentInfo
from automagik_prompts.domain.text import word
from automagik_prompts.editing.finding import find_agent
from automagik_prompts.editing.recording import check_servable, check_unchanged, lock_agent, withdrawn_error
from automagik_prompts.editing.review.switching import switch
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database


def shown(moment: datetime) -> str:
    """Write a moment to the second, as events and messages have it."""
    return moment.isoformat(" ", "seconds")


async def plan_restore(
    database: Database, as_of: datetime, agent: str | None, declared: Mapping[str, DeclaredAgent]
) -> RestorePlan:
    """Compare what is active with what was active at a moment; `EditService.plan_restore` describes it."""
    if as_of.tzinfo is None:
        raise InvalidPromptError(f"{as_of.isoformat()} is no moment without a zone. Say which: as_of.astimezone().")
    if as_of > datetime.now(UTC):
        raise InvalidPromptError(f"{shown(as_of)} is yet to come. Name a moment that has been.")
    one = await find_agent(database, agent) if agent is not None else None
    agents = [one] if one is not None else await database.run(repository.get_agents)

    async def compare(db: Client) -> RestorePlan:
        only = one.id if one is not None else None
        later = await repository.get_agents_added_since(db, as_of)
        if one is not None and one.id in later:
            raise PromptNotFoundError(
                f"The agent {one.name!r} was not there yet at {shown(as_of)}. See: "
                f"automagik-prompts events {word(one.name)}",
                agent=one.name,
            )
        was = await repository.get_active_at(db, as_of, only)
        now = await repository.get_active_numbers(db, only)
        withdrawn = await repository.get_withdrawn(db, [info.id for info in agents])
        steps: list[RestoreStep] = []
        for info in agents:
            mine = sorted(status for number, status in was if number == info.id and info.id not in later)
            for status in mine:
                key = info.id, status
                if was[key] != now.get(key):
                    step = RestoreStep(info.name, status, now.get(key), was[key], info.revision)
                    code = declared.get(info.name)
                    exposed = code.exposed if code is not None else None
                    steps.append(replace(step, blocker=await _blocker(db, info, step, exposed, withdrawn)))
        added = tuple(info.name for info in agents if info.id in later)
        return RestorePlan(as_of, tuple(steps), added)

    return await database.run(compare)


async def _blocker(
    db: Client, agent: AgentInfo, step: RestoreStep, exposed: Collection[str] | None, withdrawn: Collection[int]
) -> str | None:
    """Return why a version cannot come back, if it cannot."""
    if step.version is None:
        return None
    wanted = await repository.get_version(db, agent.id, step.status_key, step.version)
    if wanted is None:
        return f"Version {step.version} of {agent.name}/{step.status_key} was deleted."
    if wanted.id in withdrawn:
        return withdrawn_error(agent.name, wanted).message
    try:
        check_servable(wanted, agent, exposed)
    except InvalidPromptError as error:
        return error.message
    return None


async def restore_agent(
    database: Database,
    steps: Sequence[tuple[RestoreStep, Intent]],
    exposed: Collection[str] | None,
) -> list[EditResult]:
    """Carry out what was planned for one agent, in one transaction."""
    known = await find_agent(database, steps[0][0].agent)

    async def write(db: Client) -> list[EditResult]:
        first, intent = steps[0]
        locked = await lock_agent(db, known, intent, first.status_key)
        for step, intent in steps[1:]:
            await check_unchanged(db, locked, step.status_key, intent)
        done: list[EditResult] = []
        for step, intent in steps:
            operation = Operation.DEACTIVATE if step.version is None else Operation.ACTIVATE
            wanted = None
            if step.version is not None:
                wanted = await repository.get_version(db, locked.id, step.status_key, step.version)
                if wanted is None:
                    raise PromptNotFoundError(
                        f"Version {step.version} of {step.key} was deleted meanwhile.",
                        agent=step.agent,
                        status_key=step.status_key,
                    )
                check_servable(wanted, locked, exposed)
            done.append(await switch(db, locked, step.status_key, operation, wanted, intent))
        return done

    return await database.transaction(write)
