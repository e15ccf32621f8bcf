"""The allow-list: which variables a template may use, as the code exposes them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from automagik_prompts.domain.served import Renderable
from automagik_prompts.domain.text import closest
from automagik_prompts.exceptions import InvalidPromptError, UnexposedVariableError
from automagik_prompts.templating.access import BUILTINS, Path, written
from automagik_prompts.templating.values import Node

_EXPOSABLE = re.compile(r"[^\W_][\w-]*(\[\])*(\.[^\W_][\w-]*(\[\])*)*(\.\*|\?|(?<=\])\.@key)?")


def check_exposed(
    template: Renderable, exposed: Collection[str], *, agent: str | None = None, status_key: str | None = None
) -> None:
    """Refuse a template that uses a variable which the agent's code does not expose.

    Args:
        template: The compiled text.
        exposed: The names that the code exposes.
        agent: The agent it is for, for the message.
        status_key: The status it is for, for the message.

    Raises:
        UnexposedVariableError: It uses another name; the message lists the names that may be used.
    """
    refused = tuple(sorted(name for name in template.variables if not is_exposed(name, exposed)))
    if not refused:
        return
    where = f"The prompt for {agent}/{status_key}" if agent else "The prompt"
    known = ", ".join(sorted({*exposed, *BUILTINS}))
    names = ", ".join(name.rstrip("?") for name in refused)
    near = sorted({one for name in refused for one in closest(name.rstrip("?"), {*exposed, *BUILTINS})[:1]})
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UnexposedVariableError(
        f"{where} uses {names}, which the agent's code does not expose. Exposed are: {known}. {hint}Use one of these, "
        "or expose the name in code with variables=[...].",
        names=refused,
        agent=agent,
        status_key=status_key,
    )


def check_variable_name(name: object) -> str:
    """Return a name that code wants to expose, or refuse it.

    Raises:
        InvalidPromptError: It is not written in the notation of this module; names that begin with an underscore
            can never be exposed.
    """
    if not isinstance(name, str) or not _EXPOSABLE.fullmatch(name):
        raise InvalidPromptError(
            f"{name!r} cannot be exposed as a variable. Write a name such as 'name', 'contact.name', 'items[].price' "
            "or 'contact.*'; a part may not begin with an underscore."
        )
    return name


def opened_tree(
    tree: Mapping[str, Node], exposed: Collection[str], *, withhold: bool = False, above: Path = ()
) -> dict[str, Node]:
    """Return what a template uses of some values, as the names that code exposes let it be read.

    Args:
        tree: What it uses, by name.
        exposed: The names that code exposes.
        withhold: Whether what is not exposed counts as missing; elsewhere it was refused before.
        above: The path of what the values are parts of.
    """
    named = {known.removesuffix("?") for known in exposed if not known.endswith(".*")}
    opened: dict[str, Node] = {}
    for key, node in tree.items():
        name = written(path := (*above, key))
        opened[key] = Node(
            node.printed,
            node.tested,
            is_open=_is_opened(name, exposed),
            is_named=any(known == name or known.startswith((f"{name}.", f"{name}[")) for known in named),
            is_withheld=withhold and not is_exposed(name if node.printed else f"{name}?", exposed),
            children=opened_tree(node.children, exposed, withhold=withhold, above=path),
        )
    return opened


def _is_opened(name: str, exposed: Collection[str]) -> bool:
    """Return whether code opens something as a whole (`contact.*`), or what it is a part of."""
    opened = [known[:-2] for known in exposed if known.endswith(".*")]
    return any(name == known or name.startswith((f"{known}.", f"{known}[]")) for known in opened)


def is_exposed(name: str, exposed: Collection[str]) -> bool:
    """Return whether a variable that a template uses is covered by the exposed names."""
    path = name.removesuffix("?")
    if path in exposed or path in BUILTINS or _is_opened(path, exposed):
        return True
    # What may be printed or looked into may be tested: a test tells only whether it is there.
    return name.endswith("?") and any(
        known.startswith((f"{path}.", f"{path}[")) or known.removesuffix("?") == path for known in exposed
    )
