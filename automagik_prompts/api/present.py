"""How a thing stands now, for those who were too late."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from automagik_prompts.api.conditions import status_tag
from automagik_prompts.api.models.views import StatusView
from automagik_prompts.api.segments import named
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import PromptsError


async def present_state(request: Request) -> tuple[dict[str, Any] | None, str | None]:
    """Return how the status stands that a request is about, with its tag; nothing where there is none."""
    agent, status = (request.path_params.get(name) for name in ("agent", "status"))
    if agent is None or status is None:
        return None, None
    service = request.app.state.door.plugin
    try:
        key, revision = await service.look(lambda db: queries.status_revision(db, named(agent), named(status)))
        found = await service.look(lambda db: queries.summaries(db, key.agent))
    except PromptsError:
        return None, None  # gone, or not readable now: the conflict is said all the same
    one = next(one for one in found if one.status_key == key.status_key)
    return StatusView.of(one).model_dump(mode="json"), status_tag(revision)
