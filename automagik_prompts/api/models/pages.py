"""Parts of what was asked for, as models: each says where the next one begins."""

from __future__ import annotations

from pydantic import Field

from automagik_prompts.api.models.base import View
from automagik_prompts.api.models.texts import MatchView
from automagik_prompts.api.models.views import AgentView, DraftView, EventView, RequestView, StatusView, VersionView


class Paged(View):
    """A part of what was asked for."""

    next: str | None = Field(None, description="What to give as `after` for what comes next.")


class AgentPage(Paged):
    """Agents."""

    items: list[AgentView]


class StatusPage(Paged):
    """Statuses."""

    items: list[StatusView]


class VersionPage(Paged):
    """Versions."""

    items: list[VersionView]


class RequestPage(Paged):
    """Requests for approval."""

    items: list[RequestView]


class EventPage(Paged):
    """Events."""

    items: list[EventView]


class MatchPage(Paged):
    """Matches."""

    items: list[MatchView]


class DraftList(View):
    """One's own drafts."""

    items: list[DraftView]
