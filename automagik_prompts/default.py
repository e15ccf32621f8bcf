"""The default plugin: the one of this process for whoever names no other."""

from __future__ import annotations

from typing import Any, cast

from automagik_prompts.agent import plugins
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.protocols import Values
from automagik_prompts.domain.served import ServedPrompt
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.plugin import PromptPlugin


def default_plugin() -> PromptPlugin:
    """Return the process' default plugin.

    That is the first one that was started, entered, installed or used as a lifespan; where there is none, one is made
    of the `AUTOMAGIK_PROMPTS_*` variables.

    Raises:
        ConfigurationError: A variable has a value that cannot work.
    """
    return cast("PromptPlugin", plugins.get())


def install(**settings: Any) -> PromptPlugin:
    """Install the default plugin; calling it twice is one installation.

    Args:
        settings: As for `PromptPlugin`, the first time.

    Raises:
        ConfigurationError: The default plugin exists already with other settings, or another plugin is installed.
        DeclarationError: A prompt module cannot be imported or has an invalid declaration.
    """
    given = PromptPlugin(**settings) if settings else None
    if given is not None and plugins.current() is None:
        return given.install()
    plugin = default_plugin()
    if given is not None and given.settings != plugin.settings:
        raise ConfigurationError(
            "The default plugin exists already with other settings. Call install() with settings once, before "
            "anything else uses it, or make a PromptPlugin of your own."
        )
    return plugin.install()


def uninstall() -> None:
    """Undo `install` and close the default plugin; the next use makes a new one."""
    plugin = plugins.current()
    plugins.forget()
    if isinstance(plugin, PromptPlugin):
        plugin.uninstall()
        plugin.close()


def resolve(agent: str, status_key: Status | None = None) -> ServedPrompt:
    """Return the version that the default plugin serves; see `PromptPlugin.resolve`."""
    return cast("PromptPlugin", plugins.read()).resolve(agent, status_key)


def render(agent: str, status_key: Status | None = None, values: Values | None = None) -> str:
    """Return the filled text that the default plugin serves; see `PromptPlugin.render`."""
    return cast("PromptPlugin", plugins.read()).render(agent, status_key, values)
