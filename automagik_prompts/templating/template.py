"""Compiling, checking and filling texts; the allow-list that keeps secrets out of reach.

Parsing and rendering are `pydantic-handlebars`. What is ours is the question which values a template can reach. Each
variable that a template uses has a path such as `name`, `contact.name` or `items[].price`. Before rendering, exactly
these values are fetched, reduced by `values`, and given to the engine; nothing else of `deps` exists for a template,
whatever its syntax. The rooms behind it: `analysis` finds the paths, `exposure` compares them with what the code
exposes, `values` reads, and `engine` renders; only `analysis` and `engine` know the engine's private parts.

The names that an agent's code exposes are written the same way, with two additions: `contact.*` exposes everything
below `contact`, and `vip?` may be tested by `{{#if vip}}` but not printed. The keys of a mapping that a loop goes over
are data too: `{{@key}}` in a loop over `prices` is the variable `prices[].@key`; `{{@index}}` is always there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile

from pydantic_handlebars import (
    HandlebarsError,
    HandlebarsRuntimeError,
)

from automagik_prompts.domain.served import MissingMode
from automagik_prompts.domain.validation import Format
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating import engine
from automagik_prompts.templating.analysis import KEY, analyse, written
from automagik_prompts.templating.engine import RESERVED, Program, to_string
from automagik_prompts.templating.values import ABSENT, MARKER, Node, used

_WORDS = RESERVED | {"as", "else", "false", "null", "this", "true", "undefined"}
# A tag that only names a variable; an escape or a third brace would belong to it.
_TAG = re.compile(r"(?<![{\\])\{\{[ \t]*([^\W\d_][\w-]*)[ \t]*\}\}(?!\})")
_NAMED = Node(printed=True)
_NOTHING = (ABSENT, None)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text.

    Attributes:
        variables: The variables that it uses, in the notation of this module.
    """

    variables: frozenset[str]
    _pieces: tuple[str, ...] = field(repr=False)
    """The whole text, or, where its tags only name variables, literal text and names in turn."""
    _program: Program | None = field(repr=False, default=None)
    _tree: Mapping[str, Node] = field(repr=False, default_factory=dict)

    def render(
        self,
        lookup: Callable[[str], object],
        *,
        missing: MissingMode = "marker",
        absent: list[str] | None = None,
    ) -> str:
        """Fill the text with values.

        Args:
            lookup: Returns the value of a top-level name, or `ABSENT`.
            missing: What a missing value becomes: `"marker"` (`[No data for name]`), `"empty"` or `"error"`.
            absent: Takes the variables that were to be printed and had no value.

        Raises:
            RenderError: A value is missing in mode `"error"`, the result would have more than
                `engine.MAX_OUTPUT_LENGTH` characters, or the engine refuses a value.
        """
        if not self._tree and self._program is None:
            return self._pieces[0]
        context: dict[str, object] = {}
        for name, node in self._tree.items():
            value = lookup(name)
            # The common case without a call: a name that is printed and whose value is a string.
            context[name] = value if node is _NAMED and type(value) is str else used(value, name, node, missing)
        try:
            program = self._program
            text = self._joined(context) if program is None else engine.render_program(program, context)
            if absent is not None:
                if missing == "marker" and MARKER in text:
                    absent += [name for name in self.variables if f"{MARKER}{name}]" in text]
                elif missing == "empty":
                    absent += [name for name, value in context.items() if value == "" and lookup(name) in _NOTHING]
            return text
        except HandlebarsError as error:
            raise RenderError(f"The prompt could not be rendered: {error}.") from error
        except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
            # A helper given a value of the wrong kind, such as {{truncate name "x"}}; the value is not repeated here.
            raise RenderError(f"The prompt could not be rendered: a helper failed ({type(error).__name__}).") from error

    def _joined(self, values: Mapping[str, object]) -> str:
        """Put the values between the pieces of literal text, as the engine would, in a fraction of its time."""
        pieces = list(self._pieces)
        found = map(values.__getitem__, pieces[1::2])
        # By its exact type: what stands in for a missing value is a string too, which may refuse to be printed.
        pieces[1::2] = [value if type(value) is str else to_string(value) for value in found]
        text = "".join(pieces)
        if len(text) > engine.MAX_OUTPUT_LENGTH:
            raise HandlebarsRuntimeError(f"Output size exceeds maximum of {engine.MAX_OUTPUT_LENGTH} bytes")
        return text


def compile_template(text: str, format: Format, *, agent: str | None = None, status_key: str | None = None) -> Template:
    """Compile a text.

    Args:
        text: The text.
        format: `"handlebars"`, or `"text"` for a text that is served verbatim.
        agent: The agent it is for, for messages.
        status_key: The status it is for, for messages.

    Raises:
        InvalidPromptError: The text is no template that could be served; the message gives line and column where the
            parser does.
    """
    # The engine needs 0.6 s for a megabyte even without a tag.
    if format == "text" or "{{" not in text:
        return Template(frozenset(), (text,))
    if (simple := _split(text)) is not None:
        return simple
    try:
        return _compile(text)
    except InvalidPromptError as error:
        where = f"The prompt for {agent}/{status_key}" if agent else "The prompt"
        message = f"{where} {error.message} To serve a text verbatim, with its braces, use format='text'."
        raise InvalidPromptError(message, agent=agent, status_key=status_key) from error.__cause__


def _split(text: str) -> Template | None:
    """Take a text apart whose tags only name variables, as most do; `None` for a text that needs the parser."""
    pieces = _TAG.split(text)
    names = frozenset(pieces[1::2])
    if not names.isdisjoint(_WORDS) or any("{{" in literal for literal in pieces[::2]):
        return None
    return Template(names, tuple(pieces), None, dict.fromkeys(pieces[1::2], _NAMED))


@lru_cache(maxsize=128)
def _compile(text: str) -> Template:
    """Parse a text, and remember which parts of which values it uses."""
    program, uses = analyse(text)
    tree: dict[str, Node] = {}
    for path, printed in uses:
        node = tree.setdefault(path[0], Node())
        for part in takewhile(lambda part: part != KEY, path[1:]):
            node = node.children.setdefault(part, Node())
        if KEY not in path:
            node.printed |= printed
            node.tested |= not printed
    values = {written(path) for path, printed in uses if printed}
    tests = {f"{written(path)}?" for path, printed in uses if not printed}
    variables = frozenset(values | {name for name in tests if name[:-1] not in values})
    return Template(variables, (text,), program, tree)
