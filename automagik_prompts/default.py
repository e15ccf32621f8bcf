"""The default plugin: the one of this process for whoever names no other."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from automagik_prompts.domain.protocols import Values
from automagik_prompts.domain.served import ServedPrompt
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.plugin import PromptPlugin

_default: PromptPlugin | None = None
_default_lock = threading.Lock()


def default_plugin() -> PromptPlugin:
    """Return the process' default plugin, configured by `AUTOMAGIK_PROMPTS_*` variables and made when first asked for.

    Raises:
        ConfigurationError: A variable has a value that cannot work.
    """
    global _default
    if (made := _default) is not None:
        return made  # every agent run that was given no plugin comes here, and waits for no lock
    with _default_lock:
        if _default is None:
            _default = PromptPlugin()
        return _default


def install(**settings: Any) -> PromptPlugin:
    """Install the default plugin; calling it twice is one installation.

    Args:
        settings: As for `PromptPlugin`, the first time.

    Raises:
        ConfigurationError: The default plugin exists already with other settings, or another plugin is installed.
        DeclarationError: A prompt module cannot be imported or declares something that cannot be right.
    """
    global _default
    with _default_lock:
        if _default is None:
            _default = PromptPlugin(**settings)
        elif settings and PromptPlugin(**settings).settings != _default.settings:
            raise ConfigurationError(
                "The default plugin exists already with other settings. Call install() with settings once, before "
                "anything else uses it, or make a PromptPlugin of your own."
            )
        plugin = _default
    return plugin.install()


def uninstall() -> None:
    """Undo `install` and close the default plugin; the next use makes a new one."""
    global _default
    with _default_lock:
        plugin, _default = _default, None
    if plugin is not None:
        plugin.uninstall()
        plugin.close()


@contextmanager
def default_replaced(plugin: PromptPlugin) -> Iterator[PromptPlugin | None]:
    """Have another default plugin for a while, as tests do, and give the one that it replaces, if there is one."""
    global _default
    with _default_lock:
        replaced, _default = _default, plugin
    try:
        yield replaced
    finally:
        with _default_lock:
            _default = replaced


def resolve(agent: str, status_key: str | None = None) -> ServedPrompt:
    """Return the version that the default plugin serves; see `PromptPlugin.resolve`."""
    return default_plugin().resolve(agent, status_key)


def render(agent: str, status_key: str | None = None, values: Values | None = None) -> str:
    """Return the filled text that the default plugin serves; see `PromptPlugin.render`."""
    return default_plugin().render(agent, status_key, values)


def _after_fork_in_child() -> None:
    """Take a lock of one's own: another thread of the parent may have held it."""
    global _default_lock
    _default_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
