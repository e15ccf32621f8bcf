"""Versioned, status-keyed system prompts for Pydantic AI agents, live from your own database.

Declaring costs little: what needs the database is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from automagik_prompts import capability as _capability
from automagik_prompts._version import __version__ as __version__
from automagik_prompts.capability import ActivePrompt
from automagik_prompts.constants import prompt, prompts, prompts_from_package
from automagik_prompts.exceptions import (
    ConfigurationError,
    ConflictError,
    DatabaseUnavailableError,
    DeclarationError,
    InvalidPromptError,
    NoActivePromptError,
    PromptNotFoundError,
    PromptsError,
    RenderError,
    SchemaError,
    UnexposedVariableError,
)
from automagik_prompts.types import Explanation, Prompt, ServedPrompt, Source, State

if TYPE_CHECKING:
    from automagik_prompts.plugin import PromptPlugin, default_plugin, install, render, resolve, uninstall
    from automagik_prompts.types import PromptReader

__all__ = [
    "ActivePrompt",
    "ConfigurationError",
    "ConflictError",
    "DatabaseUnavailableError",
    "DeclarationError",
    "Explanation",
    "InvalidPromptError",
    "NoActivePromptError",
    "Prompt",
    "PromptNotFoundError",
    "PromptPlugin",
    "PromptsError",
    "RenderError",
    "SchemaError",
    "ServedPrompt",
    "Source",
    "State",
    "UnexposedVariableError",
    "default_plugin",
    "install",
    "prompt",
    "prompts",
    "prompts_from_package",
    "render",
    "resolve",
    "uninstall",
]

_LAZY = frozenset({"PromptPlugin", "default_plugin", "install", "render", "resolve", "uninstall"})


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module("automagik_prompts.plugin"), name)
    return value


def __dir__() -> list[str]:
    return __all__


def _the_default_plugin() -> PromptReader:
    from automagik_prompts.plugin import default_plugin  # not before the first use: it imports the database library

    return default_plugin()


_capability.set_default_plugin(_the_default_plugin)
