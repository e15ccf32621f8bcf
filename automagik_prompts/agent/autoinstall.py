"""Giving agents their prompt when they are built or named: here this library reaches into Pydantic AI."""

from __future__ import annotations

import functools
import gc
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability, CombinedCapability

from automagik_prompts.agent import overrides
from automagik_prompts.agent.capability import ActivePrompt, InstalledPrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.protocols import PromptSource
from automagik_prompts.domain.validation import normalized
from automagik_prompts.exceptions import ConfigurationError

HOOKS = ("__init__", "name", "override")
"""What is replaced on `Agent`: its construction, the setter of its name, and `override`, which may name it."""


@dataclass(frozen=True, slots=True)
class _Installation:
    """What is installed.

    Attributes:
        plugin: What the agents' `ActivePrompt` reads from.
        registry: The declarations that say which agents get one.
        late: The names of agents that existed already, which have no prompt.
    """

    plugin: PromptSource
    registry: Registry
    late: tuple[str, ...] = ()


_lock = threading.Lock()
_installed: _Installation | None = None
_originals: dict[str, Any] = {}
_hooks: dict[str, Any] = {}


def install(plugin: PromptSource, registry: Registry) -> None:
    """Hook the construction and the naming of agents; a second call does nothing.

    Args:
        plugin: What their `ActivePrompt` reads from.
        registry: The declarations that say which agents get one.

    Raises:
        ConfigurationError: Another plugin is installed.
    """
    global _installed
    with _lock:
        if _installed is not None and _installed.plugin is not plugin:
            if overrides.stand_in(_installed.plugin) is plugin:
                return  # a test's plugin: agents get the installed one's prompts, and these are the test's
            raise ConfigurationError("Another plugin is installed. Uninstall it first; one gives agents their prompt.")
        if _installed is None:
            _installed = _Installation(plugin, registry, _existing(registry))
        if not _is_hooked():
            _originals.update({name: Agent.__dict__[name] for name in HOOKS})
            _hooks["__init__"] = _hooked_init(_originals["__init__"])
            _hooks["name"] = _originals["name"].setter(_hooked_setter(_originals["name"].fset))
            _hooks["override"] = _hooked_override(_originals["override"])
            for name, hook in _hooks.items():
                setattr(Agent, name, hook)


def uninstall(plugin: PromptSource) -> None:
    """Put the construction of agents back as it was; does nothing for a plugin that is not installed."""
    global _installed
    with _lock:
        if _installed is None or _installed.plugin is not plugin:
            return
        _installed = None
        # Where somebody has hooked one again after us, ours stays in the chain and does nothing.
        if Agent.__init__ is _hooks.get("__init__"):
            for name in HOOKS:
                if Agent.__dict__[name] is _hooks[name]:
                    setattr(Agent, name, _originals[name])
            _hooks.clear()
            _originals.clear()


def late_agents(plugin: PromptSource) -> tuple[str, ...]:
    """Return the names of the agents that existed when a plugin was installed, and that so have no prompt."""
    installed = _installed
    return installed.late if installed is not None and installed.plugin is plugin else ()


def _existing(registry: Registry) -> tuple[str, ...]:
    """Return the declared names of agents that exist already without their prompt, and say so."""
    found: set[str] = set()
    for one in gc.get_objects():
        # Not by `isinstance`, which asks whatever a proxy stands for.
        if issubclass(type(one), Agent):
            name: object = getattr(one, "_name", None)
            if (
                isinstance(name, str)
                and normalized(name) in registry.agents
                and not _is_given(one.root_capability.capabilities, name)
            ):
                found.add(normalized(name))
    for name in sorted(found):
        logger.warning(
            "The agent %r was built before install(), so it is not given its prompt. Call install() before it is "
            "built, or pass it ActivePrompt(%r).",
            name,
            name,
        )
    return tuple(sorted(found))


def _is_hooked() -> bool:
    """Return whether the construction of agents comes by our hook: whoever hooked it later may have taken it away."""
    hook, function = _hooks.get("__init__"), Agent.__dict__["__init__"]
    while function is not None and function is not hook:
        function = getattr(function, "__wrapped__", None)
    return function is not None


def _hooked_init(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def construct(self: Agent[Any, Any], *args: Any, **kwargs: Any) -> None:
        name = kwargs.get("name")
        if isinstance(name, str) and (prompt := _prompt_for(name)) is not None:
            capabilities = list(kwargs.get("capabilities") or ())
            if not _is_given(capabilities, name):
                capabilities.append(prompt)
            kwargs["capabilities"] = capabilities
        original(self, *args, **kwargs)

    return construct


def _hooked_setter(original: Callable[[Any, str | None], None]) -> Callable[[Any, str | None], None]:
    def set_name(self: Agent[Any, Any], value: str | None) -> None:
        """Set the name, and with it the prompt: also where Pydantic AI finds it out in the first run."""
        original(self, value)
        known: Mapping[str, Any] = vars(self)
        if isinstance(value, str) and "_root_capability" in known:
            _give(self, value)

    return set_name


def _hooked_override(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    @contextmanager
    def override(self: Agent[Any, Any], **kwargs: Any) -> Generator[None]:
        name = kwargs.get("name")
        with original(self, **kwargs):
            prompt = _prompt_for(name) if isinstance(name, str) else None
            variable = getattr(self, "_override_root_capability", None)
            if prompt is None or variable is None:
                yield
                return
            token = variable.get()
            root = token.value if token is not None else self.root_capability
            if _is_given(root.capabilities, prompt.name):
                yield
                return
            others = [one for one in root.capabilities if not isinstance(one, InstalledPrompt)]
            option: Any = type(self._override_name.get())
            reset = variable.set(option(CombinedCapability([*others, prompt])))
            try:
                yield
            finally:
                variable.reset(reset)

    return override


def _give(agent: Agent[Any, Any], name: str) -> None:
    """Give an agent that is there already the prompt of its name, in the place of one that it had by another name."""
    root, name = agent.root_capability, normalized(name)
    kept = [one for one in root.capabilities if not (isinstance(one, InstalledPrompt) and one.agent != name)]
    prompt = _prompt_for(name)
    if prompt is not None and not _is_given(kept, name):
        vars(agent)["_root_capability"] = CombinedCapability([*kept, prompt])
        vars(agent)["_root_capability"] = CombinedCapability([*kept, prompt.for_agent(agent)])
    elif len(kept) != len(root.capabilities):
        vars(agent)["_root_capability"] = CombinedCapability(kept)


def _prompt_for(name: str) -> ActivePrompt[Any] | None:
    """Return the prompt that an agent of a name is given, if one is installed and has that name's prompts."""
    installed, name = _installed, normalized(name)
    if installed is None or name not in installed.registry.agents:
        return None
    return InstalledPrompt(name, plugin=installed.plugin)


def _is_given(capabilities: Iterable[object], name: str) -> bool:
    """Return whether an agent was given an `ActivePrompt` for a name, also inside another capability."""
    found: list[AbstractCapability[Any]] = []
    for capability in capabilities:
        if isinstance(capability, AbstractCapability):
            capability.apply(found.append)
    names = {None, normalized(name)}
    return any(isinstance(capability, ActivePrompt) and capability.agent in names for capability in found)
