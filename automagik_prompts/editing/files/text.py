"""A prompt as the text of a file: front matter, and the prompt itself byte for byte."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass, field

from automagik_prompts.declaring.front_matter import FENCE, WORDS, value_of
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.validation import Format, check_format, check_name, check_optional
from automagik_prompts.exceptions import InvalidPromptError

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*(?: [A-Za-z0-9_.-]+)*")
"""Values that are written without quotes."""


_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
"""Characters that JSON leaves as they are and YAML does not allow."""


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
