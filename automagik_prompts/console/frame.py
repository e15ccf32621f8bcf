"""What stands around every page: where one can go, who one is, how old it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.requests import Request

from automagik_prompts._version import __version__
from automagik_prompts.console.words import zone
from automagik_prompts.domain.policy import Actor
from automagik_prompts.editing.service import EditService

THEME = "prompts-theme"
"""The cookie that says which colours somebody has chosen."""

THEMES = ("light", "dark")

MOST_COUNTED = 99
"""Requests that are counted in the navigation, at most."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a page.

    Attributes:
        label: What it is the console of.
        who: The name of who looks; `None` where nobody is known.
        roles: Their roles.
        theme: The colours that they have chosen; `None` for the system's.
        waiting: How many requests wait for approval; `None` where that was not looked at.
        has_fleet: Whether they may see which processes run.
        zone: The zone of all times.
        can_leave: Whether the console has let them in itself, so that they can sign out.
        release: The library's version.
    """

    label: str | None
    who: str | None = None
    roles: tuple[str, ...] = ()
    theme: str | None = None
    waiting: int | None = None
    has_fleet: bool = False
    zone: str = ""
    can_leave: bool = False
    release: str = __version__


def bare_frame(request: Request, label: str | None, actor: Actor | None, *, can_leave: bool = False) -> Frame:
    """Return the frame of a page for which nothing is looked up.

    Args:
        request: What was asked for.
        label: What it is the console of.
        actor: Who looks, if that is known.
        can_leave: Whether the console has let them in itself.
    """
    theme = request.cookies.get(THEME)
    return Frame(
        label,
        str(actor) if actor is not None else None,
        actor.roles if actor is not None else (),
        theme if theme in THEMES else None,
        zone=zone(),
        can_leave=can_leave,
    )


async def frame_of(service: EditService, bare: Frame) -> Frame:
    """Return the frame of a page, with what waits.

    Args:
        service: Does what the actor may do.
        bare: The frame without that.
    """
    waiting = await service.requests(waiting=True, limit=MOST_COUNTED)
    return replace(bare, waiting=len(waiting.items), has_fleet=await service.may_see(""))
