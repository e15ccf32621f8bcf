"""Where in code a text is declared, for messages that point there."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path

from automagik_prompts.declaring.declared import DeclaredPrompt
from automagik_prompts.domain.validation import normalized


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file.

    Attributes:
        path: The file.
        line: The line, from 1.
    """

    path: Path
    line: int = 1


def place_of(prompt: DeclaredPrompt | None) -> Place | None:
    """Return where a text is declared, as well as that can be told."""
    if prompt is None:
        return None
    path, _, line = prompt.where.rpartition(":")
    if path and line.isdigit():
        return Place(Path(path), int(line))
    name = prompt.where
    rest: list[str] = []
    while name and name not in sys.modules:
        name, _, last = name.rpartition(".")
        rest.insert(0, last)
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return None
    if not rest:
        return Place(_file_in_package(Path(file), prompt.status_key))
    try:
        found: object = module
        for part in rest:
            found = getattr(found, part)
        return Place(Path(file), inspect.getsourcelines(found)[1])  # type: ignore[arg-type]  # it raises on the rest
    except (AttributeError, OSError, TypeError):
        return Place(Path(file))


def _file_in_package(init: Path, status_key: str) -> Path:
    """Return the file of a status in a package that was read by `prompts_from_package`."""
    for path in sorted(init.parent.iterdir()):
        if normalized(path.stem.upper()) == status_key and path.suffix in {".py", ".md", ".txt", ".hbs"}:
            return path
    return init
