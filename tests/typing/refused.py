"""What must not type-check: each marked line, and no other."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_ai import Agent, RunContext

from automagik_prompts import ActivePrompt, PromptPlugin, repository


@dataclass
class Contact:
    """The dependencies of a run."""

    name: str


@dataclass
class Order:
    """Others."""

    number: int


def status_of(ctx: RunContext[Contact]) -> str:
    """Return a string."""
    return ctx.deps.name


def number_of(ctx: RunContext[Contact]) -> int:
    """Return what is no status."""
    return len(ctx.deps.name)


def text_of(ctx: RunContext[Contact]) -> str:
    """Return what are no values."""
    return ctx.deps.name


stan: ActivePrompt[Contact] = ActivePrompt("stan", status=status_of)
Agent("test", deps_type=Order, capabilities=[stan])  # refused
ActivePrompt("stan", status=1)  # refused
ActivePrompt("stan", status=number_of)  # refused
ActivePrompt("stan", variables=text_of)  # refused
ActivePrompt("stan", inject="system")  # refused
ActivePrompt("stan", plugin="sqlite://prompts.db")  # refused
ActivePrompt("stan", automatic=True)  # refused


async def edit(plugin: PromptPlugin) -> None:
    """Call what is not there, or with what cannot be."""
    await plugin.create("stan", "NEW", 1)  # refused
    await plugin.activate("stan", "NEW", "2")  # refused
    await plugin.create("stan", "NEW", "text", format="jinja")  # refused
    plugin.recall("stan", "NEW", 1, "hash")  # refused
    plugin.prepare_fork(1.0)  # refused
    async with plugin.connection() as db:
        await repository.get_active_prompt(db, "stan", "NEW")  # refused
