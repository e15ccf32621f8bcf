"""What the model is told: a text filled with sample values, which are marked where they stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from automagik_prompts.console.difference.pieces import Piece, pieces_of
from automagik_prompts.domain.records import Prompt
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating.access import BUILTINS

_BEGIN, _END = "\ue000", "\ue001"
"""Stand around a value while its text is filled; they are of nobody's alphabet."""

_MARKED = re.compile(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")
_SPECIAL = re.compile(_MARKED.pattern + r"|\[No data for ((?:[^\[\]]|\[\])+)\]")

PartKind = Literal["plain", "value", "missing", "wrong"]


@dataclass(frozen=True, slots=True)
class Part:
    """Some characters of a filled text.

    Attributes:
        pieces: What is shown.
        kind: Whether they are the text's own, a value or a part of one, what stands in for a missing value, or a name
            that is not exposed.
    """

    pieces: tuple[Piece, ...]
    kind: PartKind = "plain"


@dataclass(frozen=True, slots=True)
class Filled:
    """A text filled with sample values.

    Attributes:
        parts: The filled text.
        characters: How long it is.
        tokens: How many tokens that is, as a rule of thumb says.
        missing: The variables that had no value.
        variables: The variables that the text uses.
        fault: Why it could not be filled; then there is no text.
    """

    parts: tuple[Part, ...] = field(repr=False)
    characters: int = 0
    tokens: int = 0
    missing: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    fault: str | None = None


async def filled(service: EditService, agent: str, prompt: Prompt, values: Mapping[str, object]) -> Filled:
    """Return a version filled with values.

    Args:
        service: Does what somebody may do.
        agent: The agent's name.
        prompt: The version.
        values: The sample values, by name.

    Raises:
        PromptNotFoundError: The version is gone.
        NotAllowedError: The policy does not show the agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    try:
        plain = await service.preview(agent, prompt.status_key, values, version=prompt.version)
    except (InvalidPromptError, RenderError) as error:
        return Filled((), fault=error.message)
    try:
        marked = (await service.preview(agent, prompt.status_key, around(values), version=prompt.version)).text
    except (InvalidPromptError, RenderError):
        marked = plain.text  # too long with its marks: it is shown without them
    parts = tuple(parts_of(marked if says_the_same(marked, plain.text) else plain.text))
    return Filled(parts, len(plain.text), plain.tokens, plain.missing, bare_names(plain.variables))


def named_values(variables: Iterable[str]) -> dict[str, object]:
    """Return a value for each variable that says what it is: `Customer name` for `customer_name`.

    Args:
        variables: The variables as code exposes them, such as `contact.name` and `items[].price`.
    """
    values: dict[str, object] = {}
    for variable in sorted({*variables} - BUILTINS):
        _put(values, variable.removesuffix("?").removesuffix(".*").split("."))
    return values


def bare_names(variables: Iterable[str]) -> tuple[str, ...]:
    """Return variables as people write them: what a text only asks for, as `vip?`, is `vip`."""
    return tuple(sorted({name.removesuffix("?") for name in variables}))


def _put(values: dict[str, object], steps: list[str]) -> None:
    first, rest = steps[0], steps[1:]
    name = first.removesuffix("[]")
    is_list = first != name
    words = name.replace("_", " ").capitalize()
    if not rest:
        # What is exposed below it says more than the name alone.
        values.setdefault(name, [words] if is_list else words)
        return
    inner: dict[str, object] = {}
    there = values.get(name)
    if isinstance(there, dict):
        inner = there
    elif isinstance(there, list) and there and isinstance(there[0], dict):
        inner = there[0]
    else:
        values[name] = [inner] if is_list else inner
    _put(inner, rest)


def says_the_same(marked: str, plain: str) -> bool:
    """Return whether a text says the same with marks: one that compares its values does not."""
    return _MARKED.sub(r"\1", marked) == plain


def around(value: object) -> dict[str, object]:
    """Return values with a mark around each text."""
    assert isinstance(value, Mapping)  # noqa: S101  # what is given
    return {name: _marked(one) for name, one in value.items()}


def _marked(value: object) -> object:
    if isinstance(value, str):
        return f"{_BEGIN}{value}{_END}" if value else value
    if isinstance(value, Mapping):
        return around(value)
    if isinstance(value, list):
        return [_marked(one) for one in value]
    return value


def parts_of(text: str, missing: Collection[str] = (), wrong: Collection[str] = ()) -> Iterable[Part]:
    """Yield the parts of a text that was filled with marked values.

    Args:
        text: The filled text.
        missing: The variables that had no value.
        wrong: The names that are not exposed.
    """
    end = 0
    for found in _SPECIAL.finditer(text):
        value, name = found.groups()
        kind: PartKind = "value" if name is None else "wrong" if name in wrong else "missing"
        if kind == "missing" and name not in missing:
            continue  # the text's own words
        if found.start() > end:
            yield Part(pieces_of(text[end : found.start()], "text"))
        shown = value if name is None else f"{{{{{name}}}}}" if kind == "wrong" else found.group()
        yield Part(pieces_of(shown, "text"), kind)
        end = found.end()
    if end < len(text):
        yield Part(pieces_of(text[end:], "text"))
