"""The front matter of a prompt in a Markdown file: a small, strict part of YAML, one `key: value` on each line."""

from __future__ import annotations

import json

from automagik_prompts.exceptions import InvalidPromptError

FENCE = "---\n"

WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Plain words that YAML does not take for text."""

DETAILS = frozenset({"name", "note", "format"})
"""What a declared prompt can say of itself."""


def split_details(text: str, where: str) -> tuple[dict[str, str], str] | None:
    """Return the details that a text begins with, and the text itself; `None` where it begins with none.

    Three dashes may also be the text's own beginning: they are a front matter only if every key is known.

    Args:
        text: What the file holds.
        where: The file, for messages.

    Raises:
        InvalidPromptError: The value of a known key cannot be read.
    """
    if not text.startswith(FENCE):
        return None
    front, fence, rest = text[len(FENCE) :].partition(f"\n{FENCE}")
    pairs = [line.partition(":") for line in front.split("\n") if line.strip() and not line.startswith("#")]
    if not fence or not pairs or any(not colon or key not in DETAILS for key, colon, _ in pairs):
        return None
    details: dict[str, str] = {}
    for key, _, written in pairs:
        value = value_of(written.strip(), f"{where}, {key}")
        if not isinstance(value, str):
            raise InvalidPromptError(f"{where}: the value of {key!r} must be a text.")
        details[key] = value
    return details, rest.removeprefix("\n")


def value_of(written: str, where: str) -> object:
    """Read one value: JSON, a number, a string in single quotes, or plain words.

    Raises:
        InvalidPromptError: It cannot be read, or YAML would read something else.
    """
    if written.startswith("'"):
        inner = written[1:-1].replace("''", "")
        if len(written) < 2 or not written.endswith("'") or "'" in inner:
            raise InvalidPromptError(f"{where}: a string in single quotes must end with one; write one inside as ''.")
        return written[1:-1].replace("''", "'")
    if written[:1] in {'"', "[", "{"} or written in {"true", "false", "null"}:
        try:
            return json.loads(written)
        except ValueError as error:
            raise InvalidPromptError(f"{where}: this value is not valid JSON ({error}). Correct it.") from error
    if written in {"", "~"}:
        return None
    if written.isdecimal() and written.isascii() and len(written) < 10:
        return int(written)
    if written[0] in "&*!|>%@`#,]}-?" or ": " in written or " #" in written or written.lower() in WORDS:
        raise InvalidPromptError(f"{where}: put this value into double quotes; as it is, YAML reads it as another one.")
    return written
