"""Letting programs in by the token that they send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from automagik_prompts.domain.policy import Identity
from automagik_prompts.plugin import PromptPlugin

if TYPE_CHECKING:
    from starlette.requests import Request


def by_token(plugin: PromptPlugin) -> Callable[[Request], Awaitable[Identity | None]]:
    """Return an `identify` that lets in whoever sends a usable token: `plugin.api(identify=by_token(plugin))`.

    An application that lets people in as well asks `plugin.token_actor` in its own `identify`.

    Args:
        plugin: The plugin whose database has the tokens.

    Raises:
        ConfigurationError: It has no policy, so that a token's roles would mean nothing.
    """
    plugin.require_policy()

    async def identify(request: Request) -> Identity | None:
        actor = await plugin.token_actor(request.headers.get("Authorization"))
        return Identity(actor) if actor is not None else None

    return identify
