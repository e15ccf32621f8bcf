"""Who is on the other side of a request: the application says so, and nobody is let in otherwise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automagik_prompts.domain.policy import Actor

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a request is from, as the application vouches for it.

    Attributes:
        actor: Who acts, with which rights.
    """

    actor: Actor


Identify = Callable[["Request"], "Identity | None | Awaitable[Identity | None]"]
"""Tells whom a request is from, sync or async, by its headers and cookies; `None` lets nobody in (401).

The body is not read yet and cannot be.
"""
