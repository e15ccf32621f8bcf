"""Prompts as files: one Markdown file for each, with a YAML front matter, stable and made for git.

The front matter is a small, strict part of YAML: one `key: value` on each line, values as JSON or as plain words. The
file is the front matter, an empty line, the text byte for byte, and one line feed. So every text, with or without a
line break in the end, has one form only, and no editor that ends files with a line feed can change it.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath

from automagik_prompts.declaring.front_matter import FENCE, WORDS, value_of
from automagik_prompts.domain.keys import PromptKey, folded
from automagik_prompts.domain.validation import MAX_TEXT_LENGTH, Format, check_format, check_name, check_optional
from automagik_prompts.exceptions import InvalidPromptError

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*(?: [A-Za-z0-9_.-]+)*")
"""Values that are written without quotes."""

_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
"""Characters that JSON leaves as they are and YAML does not allow."""

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*%]|^[.~]|[. ]$')
"""Characters that some file system does not keep in a name."""

_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))})
_SUFFIXES = frozenset({".md", ".markdown", ".txt", ".hbs"})
"""What prompts may be kept in; only Markdown with a front matter is imported, the rest is told."""

_MAX_BYTES = MAX_TEXT_LENGTH * 4 + 100_000
"""The largest file that a prompt can need."""

_MAX_NAME = 120
"""Bytes of a file's name, at most, before its suffix."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a file says.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        text: The text.
        format: How it is read.
        name: A name for people.
        primary: Whether the status is the agent's primary one.
        variables: The names that the agent's code exposes, in the file of the primary status.
        version: The version that the file was made from, if it was exported.
        hash: The SHA-256 of that version's text.
        first_line: The line of the file in which the text begins.
    """

    agent: str
    status_key: str
    text: str = field(repr=False)
    format: Format = "handlebars"
    name: str | None = None
    primary: bool = False
    variables: tuple[str, ...] = ()
    version: int | None = None
    hash: str | None = None
    first_line: int = field(default=1, compare=False)

    @property
    def key(self) -> PromptKey:
        """Whose text it is."""
        return PromptKey(self.agent, self.status_key)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was read.

    Attributes:
        path: Where it is.
        prompt: What it says.
    """

    path: Path
    prompt: PromptFile


def write_file(prompt: PromptFile) -> bytes:
    """Return the content of the file for a prompt."""
    lines = [f"agent: {_written(prompt.agent)}", f"status: {_written(prompt.status_key)}"]
    if prompt.primary:
        lines.append("primary: true")
    lines.append(f"format: {prompt.format}")
    if prompt.name is not None:
        lines.append(f"name: {_written(prompt.name)}")
    if prompt.variables:
        lines.append(f"variables: [{', '.join(_quoted(name) for name in prompt.variables)}]")
    if prompt.version is not None and prompt.hash is not None:
        lines += [f"version: {prompt.version}", f"hash: {_quoted(prompt.hash)}"]
    front = "".join(f"{line}\n" for line in lines)
    return f"{FENCE}{front}{FENCE}\n{prompt.text}\n".encode()


def read_file(content: bytes, where: str) -> PromptFile:
    """Return what a file says.

    Args:
        content: The file's bytes.
        where: Its path, for messages.

    Raises:
        InvalidPromptError: It is not UTF-8, or its front matter is not right; the message names file and line.
    """
    try:
        whole = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise InvalidPromptError(
            f"{where} is not UTF-8: {error.reason} at byte {error.start}. Save it as UTF-8."
        ) from (error)
    if whole.startswith("---\r\n"):
        raise InvalidPromptError(
            f"{where} has Windows line ends, so its text is not the exported one any more. Keep git from converting "
            "them: put '*.md -text' into .gitattributes, and check the files out again."
        )
    if not whole.startswith(FENCE):
        raise InvalidPromptError(f"{where}, line 1: a front matter must begin here, with a line of three dashes (---).")
    front, fence, rest = whole[len(FENCE) :].partition(f"\n{FENCE}")
    if not fence:
        raise InvalidPromptError(f"{where}: the front matter has no end. End it with a line of three dashes (---).")
    lines = front.split("\n")
    facts = _facts(lines, where)
    body = rest.removeprefix("\n")
    prompt = PromptFile(
        agent=_text(facts, "agent", where),
        status_key=_text(facts, "status", where),
        text=body.removesuffix("\n"),
        format=_format(facts, where),
        name=_text(facts, "name", where) if facts.get("name") is not None else None,
        primary=_flag(facts, "primary", where),
        variables=_names(facts, where),
        version=_number(facts, "version", where),
        hash=_text(facts, "hash", where) if facts.get("hash") is not None else None,
        first_line=len(lines) + 3 + (len(rest) - len(body)),
    )
    try:
        check_name(prompt.agent, "agent name")
        check_name(prompt.status_key, "status key")
        check_optional(prompt.name, "prompt name")
    except InvalidPromptError as error:
        raise InvalidPromptError(f"{where}: {error.message}") from error
    return prompt


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
    """Return the Markdown files in a folder and below, sorted; hidden folders are passed over.

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


def _written(value: str) -> str:
    plain = _PLAIN.fullmatch(value) is not None and value.lower() not in WORDS
    return value if plain else _quoted(value)


def _quoted(value: str) -> str:
    """Write a JSON string that is a YAML string too."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(value, ensure_ascii=False))


def _facts(lines: list[str], where: str) -> dict[str, object]:
    facts: dict[str, object] = {}
    known = ("agent", "status", "primary", "format", "name", "variables", "version", "hash")
    for number, line in enumerate(lines, start=2):
        if not line.strip() or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        if not colon or key not in known or (value and not value.startswith(" ")):
            raise InvalidPromptError(
                f"{where}, line {number}: expected `key: value`, where the key is one of {', '.join(known)}."
            )
        if key in facts:
            raise InvalidPromptError(f"{where}, line {number}: the key {key!r} is there twice. Keep one.")
        facts[key] = value_of(value.strip(), f"{where}, line {number}")
    return facts


def _text(facts: dict[str, object], key: str, where: str) -> str:
    value = facts.get(key)
    if not isinstance(value, str):
        raise InvalidPromptError(f"{where}: the front matter needs the key {key!r} with a text.")
    return value


def _number(facts: dict[str, object], key: str, where: str) -> int | None:
    value = facts.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise InvalidPromptError(f"{where}: the key {key!r} must be the number of a version.")
    return value


def _flag(facts: dict[str, object], key: str, where: str) -> bool:
    value = facts.get(key, False)
    if not isinstance(value, bool):
        raise InvalidPromptError(f"{where}: the key {key!r} must be true or false.")
    return value


def _format(facts: dict[str, object], where: str) -> Format:
    value = facts.get("format", "handlebars")
    try:
        return check_format(value if isinstance(value, str) else repr(value))
    except InvalidPromptError as error:
        raise InvalidPromptError(f"{where}: {error.message}") from error


def _names(facts: dict[str, object], where: str) -> tuple[str, ...]:
    value = facts.get("variables")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InvalidPromptError(f'{where}: the key "variables" must be a list of names, such as ["name", "today"].')
    return tuple(value)


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
