"""Giving agents their prompt when they are built: the one place where this library reaches into Pydantic AI."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability

from automagik_prompts.agent import overrides
from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.protocols import PromptReader
from automagik_prompts.exceptions import ConfigurationError

_lock = threading.Lock()
_installed: tuple[PromptReader, Registry] | None = None
_hook: Callable[..., None] | None = None
_original: Callable[..., None] | None = None


def install(plugin: PromptReader, registry: Registry) -> None:
    """Hook the construction of agents; a second call does nothing.

    Args:
        plugin: What their `ActivePrompt` reads from.
        registry: The declarations that say which agents get one.

    Raises:
        ConfigurationError: Another plugin is installed.
    """
    global _installed, _hook, _original
    with _lock:
        if _installed is not None and _installed[0] is not plugin:
            if overrides.stand_in(_installed[0]) is plugin:
                return  # a test's plugin: agents get the installed one's prompts, and these are the test's
            raise ConfigurationError("Another plugin is installed. Uninstall it first; one gives agents their prompt.")
        _installed = (plugin, registry)
        if _hook is None or not _is_hooked(_hook):
            _original = Agent.__init__
            _hook = _hooked(_original)
            setattr(Agent, "__init__", _hook)  # noqa: B010  # the one way to see each agent being built


def uninstall(plugin: PromptReader) -> None:
    """Put the construction of agents back as it was; does nothing for a plugin that is not installed."""
    global _installed, _hook, _original
    with _lock:
        if _installed is None or _installed[0] is not plugin:
            return
        _installed = None
        # Where somebody has hooked it again after us, ours stays in the chain and does nothing.
        if _original is not None and Agent.__init__ is _hook:
            setattr(Agent, "__init__", _original)  # noqa: B010  # puts back what was there
            _hook = _original = None


def _is_hooked(hook: Callable[..., None]) -> bool:
    """Say whether the construction of agents comes by a hook: whoever hooked it later may have taken it away."""
    function: object = Agent.__init__
    while function is not None and function is not hook:
        function = getattr(function, "__wrapped__", None)
    return function is hook


def _hooked(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def construct(self: Agent[Any, Any], *args: Any, **kwargs: Any) -> None:
        installed, name = _installed, kwargs.get("name")
        if installed is not None and isinstance(name, str):
            plugin, registry = installed
            if name in registry.agents:
                capabilities = list(kwargs.get("capabilities") or ())
                if not _is_given(capabilities, name):
                    capabilities.append(ActivePrompt(name, plugin=plugin, automatic=True))
                kwargs["capabilities"] = capabilities
        original(self, *args, **kwargs)

    return construct


def _is_given(capabilities: Iterable[object], name: str) -> bool:
    """Say whether an agent was given its `ActivePrompt` explicitly, also inside another capability."""
    found: list[AbstractCapability[Any]] = []
    for capability in capabilities:
        if isinstance(capability, AbstractCapability):
            capability.apply(found.append)
    return any(isinstance(capability, ActivePrompt) and capability.agent in {None, name} for capability in found)
