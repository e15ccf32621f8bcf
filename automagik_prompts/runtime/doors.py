"""What a plugin offers to those who come over the network."""

from __future__ import annotations

from abc import abstractmethod

from automagik_prompts.domain.served import Health
from automagik_prompts.runtime.edits import PluginEdits
from automagik_prompts.runtime.probing import HealthApp
from automagik_prompts.runtime.reader import Reader


class Doors(PluginEdits):
    """The ASGI applications of a plugin."""

    reader: Reader

    @abstractmethod
    def health(self) -> Health:
        """Return how the plugin fares."""

    def health_app(self, *, details: bool = False) -> HealthApp:
        """Return an ASGI application for probes, as in `app.add_route("/health", plugin.health_app())`.

        It can be mounted at any path. It answers 200 where prompts are served, also while the database is out, and 503
        where none can be served yet; with `?live` it answers 200 as long as it answers.

        Args:
            details: Whether to name agents, errors and the process as well, for a route that only operators reach.
        """
        return HealthApp(self._life, self.reader, self.health, details=details)
