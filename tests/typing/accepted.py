"""What must type-check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pydantic_ai import Agent, RunContext

from automagik_prompts import (
    ActivePrompt,
    EditResult,
    Health,
    Prompt,
    PromptPlugin,
    ServedPrompt,
    Snapshot,
    SyncResult,
    prompt,
    prompts,
    repository,
)


class Status(Enum):
    """The statuses of a contact."""

    NEW = "NEW"
    APPROVED = "APPROVED"


@dataclass
class Contact:
    """The dependencies of a run."""

    name: str
    status: Status


@prompts("stan", status=lambda ctx: ctx.deps.status)
class Stan:
    """The prompts of an agent."""

    NEW = "Hello {{name}}."
    APPROVED = "Welcome back, {{name}}."


GREETING: str = prompt("Hello.", agent="greeter")


def status_of(ctx: RunContext[Contact]) -> Status:
    """Return a member."""
    return ctx.deps.status


async def key_of(ctx: RunContext[Contact]) -> str | None:
    """Return a string, or nothing for the primary status."""
    return ctx.deps.status.value


def values_of(ctx: RunContext[Contact]) -> dict[str, object]:
    """Return values."""
    return {"name": ctx.deps.name}


Agent("test", deps_type=Contact, capabilities=[ActivePrompt("stan")])
Agent("test", deps_type=Contact, capabilities=[ActivePrompt("stan", "NEW")])
Agent("test", deps_type=Contact, capabilities=[ActivePrompt("stan", Status.NEW)])
Agent("test", deps_type=Contact, capabilities=[ActivePrompt("stan", status_of)])
Agent("test", deps_type=Contact, capabilities=[ActivePrompt("stan", status=key_of, variables=values_of)])
Agent("test", deps_type=Contact, capabilities=[ActivePrompt[Contact]("stan", status=lambda ctx: ctx.deps.status)])
Agent("test", deps_type=Contact, capabilities=[ActivePrompt("stan", variables={"name": "Ada"})])
Agent("test", capabilities=[ActivePrompt("stan", plugin=PromptPlugin("sqlite://:memory:"))])

inferred: ActivePrompt[Contact] = ActivePrompt("stan", status=status_of)


async def edit(plugin: PromptPlugin) -> None:
    """Use what the verbs return."""
    result: EditResult = await plugin.create("stan", Status.NEW, "Hello.", activate=True)
    written: Prompt | None = result.prompt
    synced: tuple[SyncResult, ...] = await plugin.sync()
    snapshot: Snapshot = await plugin.ready()
    served: ServedPrompt = plugin.resolve("stan", "NEW")
    health: Health = plugin.health()
    async with plugin.connection() as db:
        active: Prompt | None = await repository.get_active_prompt(db, result.agent.id, "NEW")
    print(written, synced, snapshot, served, health, active)  # so that each is used
