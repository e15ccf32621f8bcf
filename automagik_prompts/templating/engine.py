"""The Handlebars engine, with its helpers bounded; only this and `analysis` touch its private parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

from pydantic_handlebars import HandlebarsRuntimeError, HelperFunc, HelperOptions
from pydantic_handlebars._ast_nodes import PathExpression
from pydantic_handlebars._ast_nodes import Program as Program
from pydantic_handlebars._compiler import Compiler, Scope
from pydantic_handlebars._helpers import get_extra_helpers, get_standard_helpers
from pydantic_handlebars._utils import to_string as to_string

from automagik_prompts.templating.limits import UNIT_LENGTH, Meter
from automagik_prompts.templating.plain import Items, Json
from automagik_prompts.templating.values import Fields, Missing

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

_CHOOSING = frozenset({"and", "default", "not", "or"})
"""Helpers that choose among their arguments and go through none."""

_COMPARING = frozenset({"eq", "gt", "gte", "lt", "lte", "ne"})


class OutputError(HandlebarsRuntimeError):
    """What comes out, or is gone through for it, is beyond measure: the values make it so."""


class _Engine(Compiler):
    """The engine, with an end to what need not print: loops within loops, helpers, and lists that are gone through."""

    def __init__(self, meter: Meter, *, max_output_size: int) -> None:
        metered = {name: partial(_call, name, helper, meter) for name, helper in _INLINE_HELPERS.items()}
        super().__init__({**_BLOCK_HELPERS, **metered}, max_output_size=max_output_size)
        self._meter = meter
        self._blocks_left = MAX_BLOCKS

    def _render_program(self, program: Program, scope: Scope) -> str:
        self._blocks_left -= 1
        if self._blocks_left < 0:
            raise OutputError(f"its loops go round more than {MAX_BLOCKS} times")
        return super()._render_program(program, scope)

    def _resolve_path(self, path: PathExpression, scope: Scope) -> object:
        found: object = super()._resolve_path(path, scope)
        if type(found) is not str:
            items = found.whole if isinstance(found, Fields) else found
            if isinstance(items, list):  # each is printed or compared
                _spend(self._meter, len(items) * UNIT_LENGTH)
        return found


def _spend(meter: Meter, characters: int) -> None:
    if not meter.take(characters):
        raise OutputError(f"filling it takes more than {meter.limits.units} units of work")


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


def _call(name: str, helper: HelperFunc, meter: Meter, *arguments: object, options: HelperOptions) -> object:
    """Call a helper that compares or prints, which sees an object as what it prints, and count what it goes through.

    Helpers within helpers would make a text ever longer, so no result may be too long.
    """
    seen = [value.whole if isinstance(value, Fields) else value for value in arguments]
    if name in _COMPARING:
        _spend(meter, min((len(value) for value in seen if isinstance(value, str)), default=0))
    result: object = helper(*seen, options=options)
    if isinstance(result, str) and name not in _CHOOSING:
        if len(result) > MAX_RESULT_LENGTH:
            raise OutputError(f"a helper's result has more than {MAX_RESULT_LENGTH} characters")
        _spend(meter, len(result))
    return result


def _json(*arguments: object, options: HelperOptions) -> str:  # noqa: ARG001  # the engine passes it
    """Write a value as JSON; the engine's own would write what has no value without a word."""
    value = arguments[0]
    return value if isinstance(value, Json) else json.dumps(_plain(value))


def _plain(value: object) -> object:
    if isinstance(value, Fields):
        return _plain(value.whole)
    if isinstance(value, Items):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Missing) else value


_BLOCK_HELPERS = {
    name: _block_helper(name, helper) for name, helper in get_standard_helpers().items() if name in BLOCKS
}
_INLINE_HELPERS: dict[str, HelperFunc] = {
    **{name: helper for name, helper in get_extra_helpers().items() if name in INLINE},
    "json": _json,
}


def render_program(program: Program, context: Mapping[str, object], cap: int, meter: Meter) -> str:
    """Fill a parsed text with what it uses, up to so many characters.

    Raises:
        OutputError: The text goes beyond its limits.
        HandlebarsError: The engine refuses a value.
    """
    try:
        return _Engine(meter, max_output_size=cap).render(program, dict(context))
    except HandlebarsRuntimeError as error:
        if str(error).startswith("Output size exceeds"):
            raise too_long(cap) from error
        raise


def too_long(cap: int) -> OutputError:
    """Return the error for a text that would have too many characters."""
    return OutputError(f"it would have more than {cap} characters")
