"""Who looks at a page, and what does for them what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import RedirectResponse, Response

from automagik_prompts.api.admission import admitted
from automagik_prompts.api.limits import Limiter
from automagik_prompts.console.entrance import Entrance
from automagik_prompts.console.frame import Frame, bare_frame, frame_of
from automagik_prompts.console.links import Links, Query
from automagik_prompts.console.rendering import edition, filled
from automagik_prompts.domain.policy import Actor, Operation, TextState
from automagik_prompts.editing.overall.overview import Counts
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import NotAllowedError, PromptNotFoundError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.doors import Identify


@dataclass(frozen=True, slots=True)
class Console:
    """One console in one process.

    Attributes:
        plugin: Whose prompts it shows.
        identify: Tells who asks.
        limiter: How much each may ask.
        label: What it is the console of, such as `Production`.
        entrance: What lets people in, where the console stands alone.
        counts: What counts statuses.
    """

    plugin: PromptPlugin
    identify: Identify
    limiter: Limiter
    label: str | None = None
    entrance: Entrance | None = None
    counts: Counts = field(default_factory=Counts)

    def frame(self, request: Request, actor: Actor | None) -> Frame:
        """Return the frame of a page for which nothing is looked up.

        Args:
            request: What was asked for.
            actor: Who looks, if that is known.
        """
        return bare_frame(request, self.label, actor, can_leave=self.entrance is not None and actor is not None)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page.

    Attributes:
        actor: Who they are.
        service: Does what they may do.
        console: Where they look.
        request: What they have asked for.
        link: Makes the addresses of pages.
    """

    actor: Actor
    service: EditService
    console: Console
    request: Request
    link: Links

    async def may(
        self, operation: Operation, agent: str = "", status_key: str = "", after: TextState | None = None
    ) -> bool:
        """Return whether the policy lets them do something, at once or once it is approved.

        Args:
            operation: What.
            agent: For which agent; `""` for all of them.
            status_key: For which status; `""` for no single one.
            after: The text that would be written or active.
        """
        try:
            await self.service.authorize(operation, agent, status_key, after)
        except (NotAllowedError, PromptNotFoundError):
            return False
        return True

    async def page(self, template: str, *, status: int = 200, at: str = "", **facts: Any) -> Response:
        """Return a page.

        Args:
            template: The template's name.
            status: The status code.
            at: Which part of the navigation it belongs to: `agents`, `requests`, `fleet` or `history`.
            facts: What the template shows.
        """
        frame = await frame_of(self.service, self.console.frame(self.request, self.actor))
        return show(self.request, frame, template, status, {"at": at, "visitor": self, **facts})

    def go(self, *parts: str | int, **query: Query) -> Response:
        """Lead to another page, after a form.

        Args:
            parts: The parts of its path.
            query: What stands behind the question mark.
        """
        return RedirectResponse(self.link(*parts, **query), 303)


def show(request: Request, frame: Frame, template: str, status: int, facts: dict[str, Any]) -> Response:
    """Return a page in its frame.

    Args:
        request: What was asked for.
        frame: What stands around it.
        template: The template's name.
        status: The status code.
        facts: What the template shows.
    """
    link = Links(request)
    return filled(
        template,
        {
            "frame": frame,
            "link": link,
            "asset": lambda name: link("static", edition(), *name.split("/")),
            "nonce": request.state.nonce,
            **facts,
        },
        status,
    )


async def visitor(request: Request) -> Visitor:
    """Return who looks at a page.

    Raises:
        ProblemError: Nobody is known, or they ask too much.
    """
    console: Console = request.app.state.console
    actor = await admitted(request, console.identify, console.limiter)
    found = Visitor(actor, console.plugin.acting_as(actor), console, request, Links(request))
    request.state.visitor = found
    return found


Who = Annotated[Visitor, Depends(visitor)]
