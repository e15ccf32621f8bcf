"""Finding the prompts that other packages bring, by entry point and by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from automagik_prompts.exceptions import DeclarationError

GROUP = "automagik_prompts"
"""The entry point group in which a package names its prompt modules, as in `stan = "stan.prompts"`."""


@dataclass(frozen=True, slots=True)
class PromptModule:
    """A module that declares prompts.

    Attributes:
        name: The entry point's name, or the module's own where it was named directly.
        module: The module's name.
        distribution: The package that brings it, or `None` where it was named directly.
    """

    name: str
    module: str
    distribution: str | None = None


def find_prompt_modules(modules: Iterable[str] = ()) -> tuple[PromptModule, ...]:
    """Return the prompt modules of all installed packages and the ones that are named, without importing any.

    Args:
        modules: Names of modules besides the installed ones.
    """
    found = [_described(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)]
    return (*found, *(PromptModule(name, name) for name in modules))


def import_prompt_modules(modules: Iterable[str] = ()) -> tuple[PromptModule, ...]:
    """Import the prompt modules, which declares their prompts.

    Args:
        modules: Names of modules besides the installed ones.

    Raises:
        DeclarationError: A module cannot be imported, or has an invalid declaration. This happens when
            an application starts, where it is better seen than an agent without its prompt.
    """
    found = find_prompt_modules(modules)
    for module in found:
        import_prompt_module(module)
    return found


def import_prompt_module(module: PromptModule) -> None:
    """Import one prompt module, which declares its prompts.

    Raises:
        DeclarationError: It cannot be imported, or has an invalid declaration.
    """
    try:
        import_module(module.module)
    except DeclarationError:
        raise
    except (Exception, SystemExit) as error:  # a module that is a script ends whoever imports it
        origin = f" of the package {module.distribution}" if module.distribution else ""
        raise DeclarationError(
            f"The prompt module {module.module!r}{origin} cannot be imported: {type(error).__name__}: {error}. "
            "Repair it, or remove its entry point."
        ) from error


def _described(entry: EntryPoint) -> PromptModule:
    return PromptModule(entry.name, entry.module, entry.dist.name if entry.dist is not None else None)
