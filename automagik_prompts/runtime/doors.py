"""What a plugin offers over the network, each as an ASGI application that the application mounts where it likes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

from automagik_prompts.domain.policy import Identity
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.later import Later
from automagik_prompts.runtime.edits import PluginEdits

# It is an extra: most processes have no use for it.
_api = Later("automagik_prompts.api.app")

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""

Identify = Callable[[Any], Identity | Awaitable[Identity | None] | None]
"""Tells who sends a request, from Starlette's `Request`; `None` where nobody is known."""


class PluginDoors(PluginEdits):
    """The doors of a plugin."""

    def api(self, *, identify: Identify) -> Application:
        """Return the REST API, for `app.mount("/prompts", plugin.api(identify=...))`; it is under `/api/v1` there.

        It works while the plugin does, and takes nothing else of the application: no lifespan, no middleware.

        Args:
            identify: Says who sends a request, as an `Identity`; `None` lets nobody in. Sync or async.

        Raises:
            ConfigurationError: FastAPI is not installed.
        """
        if find_spec("fastapi") is None:
            raise ConfigurationError('The API needs FastAPI. Install it: pip install "automagik-prompts[api]"')
        made: Application = _api.create_api(self, identify)
        return made
