"""What a plugin offers to those who come over the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.domain.served import Health
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.later import Later
from automagik_prompts.runtime.edits import PluginEdits
from automagik_prompts.runtime.probing import HealthApp
from automagik_prompts.runtime.reader import Reader
from automagik_prompts.runtime.tokens import TokenDoor

# They are extras: most processes have no use for them.
_api = Later("automagik_prompts.api.app")
_console = Later("automagik_prompts.console.app")

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""

Identify = Callable[[Any], Identity | Awaitable[Identity | None] | None]
"""Tells who sends a request, from Starlette's `Request`; `None` where nobody is known."""


class Doors(PluginEdits):
    """The ASGI applications of a plugin, and whom it lets in."""

    reader: Reader
    _tokens: TokenDoor | None = None

    @abstractmethod
    def health(self) -> Health:
        """Return how the plugin fares."""

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

    def console(self, *, identify: Identify, label: str | None = None) -> Application:
        """Return the web console, for `app.mount("/prompts", plugin.console(identify=...))`.

        It works while the plugin does, and takes nothing else of the application: no lifespan, no middleware. All its
        links are relative, so that it works at any mount and behind a proxy that strips it.

        Args:
            identify: Says who sends a request, as an `Identity`; `None` lets nobody in. Sync or async.
            label: What it is the console of, such as `"Production"`; shown on each page.

        Raises:
            ConfigurationError: FastAPI or Jinja2 is not installed.
        """
        if missing := [
            name for name, module in (("FastAPI", "fastapi"), ("Jinja2", "jinja2")) if not find_spec(module)
        ]:
            raise ConfigurationError(
                f'The console needs {" and ".join(missing)}. Install it: pip install "automagik-prompts[console]"'
            )
        made: Application = _console.create_console(self, identify, label)
        return made

    def health_app(self, *, details: bool = False) -> HealthApp:
        """Return an ASGI application for probes, as in `app.add_route("/health", plugin.health_app())`.

        It can be mounted at any path. It answers 200 where prompts are served, also while the database is out, and 503
        where none can be served yet; with `?live` it answers 200 as long as it answers.

        Args:
            details: Whether to name agents, errors and the process as well, for a route that only operators reach.
        """
        return HealthApp(self._life, self.reader, self.health, details=details)

    async def token_actor(self, authorization: str | None) -> Actor | None:
        """Return who is let in by a token; `None` for nobody.

        Args:
            authorization: The header `Authorization` of a request, such as `Bearer amp_...`.

        Raises:
            ConfigurationError: The plugin has no policy, so that everybody could do everything.
            DatabaseUnavailableError: The database cannot be asked now, so nobody can be let in.
        """
        self.require_policy()
        if self._tokens is None:
            self._tokens = TokenDoor(self._life, self._read)
        return await self._tokens.actor(authorization)

    def require_policy(self) -> None:
        """Make sure that something decides who may do what, before anybody is let in over the network.

        Raises:
            ConfigurationError: Nothing does, so that everybody could do everything.
        """
        if self.policy is None:
            raise ConfigurationError(
                "Without a policy a token's roles mean nothing: whoever has one could do everything. Give the plugin "
                "one, such as PromptPlugin(policy=Roles())."
            )
