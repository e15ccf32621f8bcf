"""Prompts as files in a folder: one Markdown file for each, with a YAML front matter, stable and made for git.

The front matter is a small, strict part of YAML: one `key: value` on each line, values as JSON or as plain words. The
file is the front matter, an empty line, the text byte for byte, and one line feed. So every text, with or without a
line break in the end, has one form only, and no editor that ends files with a line feed can change it.
"""

from __future__ import annotations

import codecs
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from automagik_prompts.domain.keys import PromptKey, folded
from automagik_prompts.domain.validation import MAX_TEXT_LENGTH
from automagik_prompts.editing.files.text import PromptFile, read_file
from automagik_prompts.exceptions import InvalidPromptError

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*%]|^[.~]|[. ]$')
"""Characters that some file system does not keep in a name."""

_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))})
_SUFFIXES = frozenset({".md", ".markdown", ".txt", ".hbs"})
"""What prompts may be kept in; only Markdown with a front matter is imported, the rest is reported."""

_MAX_BYTES = MAX_TEXT_LENGTH * 4 + 100_000
"""The largest file that a prompt can need."""

_MAX_NAME = 120
"""Bytes of a file's name, at most, before its suffix."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was read.

    Attributes:
        path: Where it is.
        prompt: What it says.
    """

    path: Path
    prompt: PromptFile


def file_paths(keys: Iterable[PromptKey]) -> dict[PromptKey, PurePosixPath]:
    """Return where each prompt's file goes, as `agent/status.md`.

    Names that a file system would not keep apart, such as `default` and `DEFAULT`, get a piece of their hash.
    """
    wanted = sorted(set(keys))
    agents = _file_names({agent for agent, _ in wanted})
    by_agent: dict[str, set[str]] = {}
    for agent, status_key in wanted:
        by_agent.setdefault(agent, set()).add(status_key)
    statuses = {agent: _file_names(names) for agent, names in by_agent.items()}
    return {
        PromptKey(agent, status_key): PurePosixPath(agents[agent]) / f"{statuses[agent][status_key]}.md"
        for agent, status_key in wanted
    }


def read_folder(folder: Path) -> tuple[list[FoundFile], list[Path]]:
    """Read all prompt files in a folder and below.

    Args:
        folder: The folder.

    Returns:
        The prompts, sorted by agent and status; and the files that were passed over, as they have no front matter.

    Raises:
        InvalidPromptError: A file cannot be read, or two files are for the same prompt.
    """
    found: list[FoundFile] = []
    passed_over: list[Path] = []
    seen: dict[PromptKey, Path] = {}
    for path in find_files(folder):
        content = read_bytes(path)
        if not is_prompt(path, content):
            passed_over.append(path)
            continue
        prompt = read_file(content, str(path))
        if (other := seen.get(prompt.key)) is not None:
            raise InvalidPromptError(
                f"{prompt.agent}/{prompt.status_key} has two files: {other} and {path}. Keep one.",
                agent=prompt.agent,
                status_key=prompt.status_key,
            )
        seen[prompt.key] = path
        found.append(FoundFile(path, prompt))
    return sorted(found, key=lambda file: file.prompt.key), passed_over


def find_files(folder: Path) -> list[Path]:
    """Return the files of prompts in a folder and below, sorted; hidden folders are passed over.

    Raises:
        InvalidPromptError: There is no such folder.
    """
    if not folder.is_dir():
        raise InvalidPromptError(f"There is no folder {folder}. Name the one that `automagik-prompts export` wrote.")
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES
        and path.is_file()
        and path.stem.partition(".")[0].lower() != "readme"
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def is_prompt(path: Path, content: bytes) -> bool:
    """Return whether a file can be a prompt's: Markdown that begins with a front matter."""
    return path.suffix.lower() == ".md" and content.removeprefix(codecs.BOM_UTF8).startswith(b"---")


def read_bytes(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        InvalidPromptError: It is larger than any prompt.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InvalidPromptError(
            f"{path} is larger than {_MAX_BYTES} bytes, so it is no prompt. Take it out of the folder."
        )
    return content


def replace_file(path: Path, content: bytes) -> None:
    """Write a file in one step, and never through a link: one that stands in its place is replaced, not followed.

    Raises:
        InvalidPromptError: The folder in which it belongs is a link.
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.is_symlink():
        raise InvalidPromptError(f"The folder {path.parent} is a link, and nothing is written through one. Remove it.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _file_names(names: set[str]) -> dict[str, str]:
    """Return a file name for each name, without its suffix; no two are the same on any file system."""
    plain = {name: _file_name(name) for name in names}
    # What a file system may take for the same name: it may fold case, and keep accents in one form.
    alike = Counter(map(folded, plain.values()))
    return {
        name: f"{shown}~{sha256(name.encode()).hexdigest()[:8]}" if alike[folded(shown)] > 1 else shown
        for name, shown in plain.items()
    }


def _file_name(name: str) -> str:
    shown = _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found.group().encode()), name)
    if shown.lower().partition(".")[0] in _DEVICES or shown.lower() == "readme":
        shown = f"%{ord(shown[0]):02X}{shown[1:]}"
    if len(shown.encode()) > _MAX_NAME:
        cut = shown.encode()[: _MAX_NAME - 9].decode(errors="ignore")
        shown = f"{cut}~{sha256(name.encode()).hexdigest()[:8]}"
    return shown
