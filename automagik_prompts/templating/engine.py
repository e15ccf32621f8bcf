"""The Handlebars engine, with its helpers bounded; only this and `analysis` touch its private parts."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic_handlebars import HandlebarsRuntimeError, HelperFunc, HelperOptions
from pydantic_handlebars._ast_nodes import Program
from pydantic_handlebars._compiler import Compiler, Scope
from pydantic_handlebars._helpers import get_extra_helpers, get_standard_helpers
from pydantic_handlebars._utils import to_string

from automagik_prompts.templating.plain import Items, Json
from automagik_prompts.templating.values import Fields, Missing

__all__ = ["BLOCKS", "INLINE", "MAX_BLOCKS", "MAX_OUTPUT_LENGTH", "RESERVED", "Program", "render_program", "to_string"]

MAX_OUTPUT_LENGTH = 4_000_000
"""The longest filled text, in characters: nested `each` blocks multiply, so what comes out is capped."""

MAX_RESULT_LENGTH = 1_000_000
"""The longest result of a helper, in characters."""

MAX_BLOCKS = 200_000
"""How often the blocks of one text may be entered while it is filled: loops multiply even where nothing comes out."""

BLOCKS = frozenset({"if", "unless", "each", "with"})

# One by one: a helper that comes with a new release of the engine is not allowed by itself.
INLINE = frozenset(
    {
        *("and", "default", "eq", "gt", "gte", "join", "json", "lowercase", "lt", "lte", "ne", "not", "or"),
        *("trim", "truncate", "uppercase"),
    }
)

RESERVED = frozenset(get_standard_helpers()) | frozenset(get_extra_helpers()) | INLINE


class _Engine(Compiler):
    """The engine, with an end to loops within loops that print nothing."""

    def __init__(self, helpers: dict[str, HelperFunc], *, max_output_size: int) -> None:
        super().__init__(helpers, max_output_size=max_output_size)
        self._blocks_left = MAX_BLOCKS

    def _render_program(self, program: Program, scope: Scope) -> str:
        self._blocks_left -= 1
        if self._blocks_left < 0:
            raise HandlebarsRuntimeError(f"its loops go round more than {MAX_BLOCKS} times")
        return super()._render_program(program, scope)


def _block_helper(name: str, helper: HelperFunc) -> HelperFunc:
    """Let a loop go over the items of what is taken apart, and a condition see what is not there as nothing."""

    def seen(value: object) -> object:
        if not isinstance(value, Fields):
            return value
        if name == "each":
            return value.loop
        return value.whole if value.is_absent else value

    def called(*arguments: object, options: HelperOptions) -> object:
        context, *values = arguments  # the block's surroundings come first
        return helper(context, *map(seen, values), options=options)

    return called


def _inline_helper(helper: HelperFunc) -> HelperFunc:
    """Let a helper that compares or prints see an object as what it prints."""

    def called(*arguments: object, options: HelperOptions) -> object:
        seen = (value.whole if isinstance(value, Fields) else value for value in arguments)
        return helper(*seen, options=options)

    return called


def _json(*arguments: object, options: HelperOptions) -> str:  # noqa: ARG001  # the engine passes it
    """Write a value as JSON; the engine's own would write what has no value without a word."""
    value = arguments[0].whole if isinstance(arguments[0], Fields) else arguments[0]
    return value if isinstance(value, Json) else json.dumps(_plain(value))


def _plain(value: object) -> object:
    if isinstance(value, Fields):
        return _plain(value.whole)
    if isinstance(value, Items):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Missing) else value


def _bounded(helper: HelperFunc) -> HelperFunc:
    """Refuse a result that is too long: helpers within helpers would make it ever longer."""

    def called(*arguments: object, options: HelperOptions) -> object:
        result = helper(*arguments, options=options)
        if isinstance(result, str) and len(result) > MAX_RESULT_LENGTH:
            raise HandlebarsRuntimeError(f"a helper's result has more than {MAX_RESULT_LENGTH} characters")
        return result

    return called


_HELPERS: dict[str, HelperFunc] = {
    **{name: _block_helper(name, helper) for name, helper in get_standard_helpers().items() if name in BLOCKS},
    **{name: _bounded(_inline_helper(helper)) for name, helper in get_extra_helpers().items() if name in INLINE},
    "json": _bounded(_json),
}


def render_program(program: Program, context: Mapping[str, object], cap: int) -> str:
    """Fill a parsed text with what it uses, up to so many characters.

    Raises:
        HandlebarsError: The engine refuses a value, or the text goes beyond its limits.
    """
    return _Engine(_HELPERS, max_output_size=cap).render(program, dict(context))
