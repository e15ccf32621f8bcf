"""Routes about what runs: the fleet, to how many runs versions were sent, and how this process fares."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from automagik_prompts.api.door import Who
from automagik_prompts.api.models.running import FleetView, HealthView, UsageView
from automagik_prompts.api.segments import AgentName
from automagik_prompts.domain.policy import Operation

router = APIRouter()


@router.get("/fleet", operation_id="getFleet", tags=["running"])
async def fleet(who: Who) -> FleetView:
    """List the processes that follow the database, and how far; for whoever may look at all agents."""
    return FleetView.of(await who.service.fleet())


@router.get("/agents/{agent}/usage", operation_id="getUsage", tags=["running"])
async def usage(
    who: Who,
    agent: AgentName,
    status_key: Annotated[str | None, Query(description="Only this status.", max_length=255)] = None,
) -> UsageView:
    """Return to how many runs each version of an agent was sent."""
    return UsageView.of(await who.service.usage(agent, status_key))


@router.get("/health", operation_id="getHealth", tags=["running"])
async def health(who: Who) -> HealthView:
    """Return how this process fares."""
    await who.service.authorize(Operation.VIEW)  # it names agents
    return HealthView.of(who.door.plugin.health())
