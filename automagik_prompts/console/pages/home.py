"""What the first page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from automagik_prompts.domain.summaries import StatusSummary
from automagik_prompts.editing.service import EditService


@dataclass(frozen=True, slots=True)
class AgentRows:
    """The statuses of one agent.

    Attributes:
        agent: The agent's name.
        rows: Where each status stands.
    """

    agent: str
    rows: Sequence[StatusSummary]


@dataclass(frozen=True, slots=True)
class HomePage:
    """What all agents say now.

    Attributes:
        groups: The statuses, by agent.
    """

    groups: Sequence[AgentRows]


async def home_page(service: EditService) -> HomePage:
    """Return what the first page shows."""
    found = await service.statuses(limit=100)
    return HomePage(tuple(AgentRows(agent, tuple(rows)) for agent, rows in groupby(found.items, lambda one: one.agent)))
