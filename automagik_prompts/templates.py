"""Compiling, checking and filling texts; the allow-list that keeps secrets out of reach.

Parsing and rendering are `pydantic-handlebars`. What is ours is the question which values a template can reach. Each
variable that a template uses has a path such as `name`, `contact.name` or `items[].price`. Before rendering, exactly
these values are fetched, reduced to scalars, and given to the engine; nothing else of `deps` exists for a template,
whatever its syntax. The engine's syntax tree is not a public interface, so this is the only module that touches it.

The names that an agent's code exposes are written the same way, with two additions: `contact.*` exposes everything
below `contact`, and `vip?` may be tested by `{{#if vip}}` but not printed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from inspect import isclass, ismodule, isroutine
from typing import cast
from uuid import UUID

from pydantic import BaseModel
from pydantic_handlebars import HandlebarsError, HandlebarsParseError
from pydantic_handlebars._ast_nodes import (
    BlockStatement,
    Expression,
    MustacheStatement,
    PathExpression,
    Program,
    SubExpression,
)
from pydantic_handlebars._compiler import Compiler
from pydantic_handlebars._helpers import get_extra_helpers, get_standard_helpers
from pydantic_handlebars._parser import parse

from automagik_prompts.exceptions import InvalidPromptError, RenderError, UnexposedVariableError
from automagik_prompts.types import Format, MissingMode, Renderable

logger = logging.getLogger("automagik_prompts")

BUILTINS = frozenset({"agent_name", "status_key", "run_id", "today"})
"""Variables that every template may use."""

MAX_OUTPUT_LENGTH = 4_000_000
"""The longest filled text, in characters: nested `each` blocks multiply, so what comes out is capped."""

ABSENT: object = object()
"""What a lookup returns for a name that has no value."""

_BLOCKS = frozenset({"if", "unless", "each", "with"})
_INLINE = get_extra_helpers()
_HELPERS = {name: helper for name, helper in get_standard_helpers().items() if name in _BLOCKS} | _INLINE
_RESERVED = frozenset(get_standard_helpers()) | frozenset(_INLINE)
_SEGMENT = re.compile(r"[^\W_][\w-]*")
_EXPOSABLE = re.compile(r"[^\W_][\w-]*(\[\])*(\.[^\W_][\w-]*(\[\])*)*(\.\*|\?)?")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text.

    Attributes:
        variables: The variables that it uses, in the notation of this module.
    """

    variables: frozenset[str]
    _text: str = field(repr=False)
    _program: Program | None = field(repr=False, default=None)
    _tree: Mapping[str, _Node] = field(repr=False, default_factory=dict)

    def render(self, lookup: Callable[[str], object], *, missing: MissingMode = "marker") -> str:
        """Fill the text with values.

        Args:
            lookup: Returns the value of a top-level name, or `ABSENT`.
            missing: What a missing value becomes: `"marker"` (`[No data for name]`), `"empty"` or `"error"`.

        Raises:
            RenderError: A value is missing in mode `"error"`, the result would have more than
                `MAX_OUTPUT_LENGTH` characters, or the engine refuses a value.
        """
        if self._program is None:
            return self._text
        context = {name: _prune(lookup(name), node, name, missing) for name, node in self._tree.items()}
        try:
            return Compiler(helpers=_HELPERS, max_output_size=MAX_OUTPUT_LENGTH).render(self._program, context)
        except HandlebarsError as error:
            raise RenderError(f"The prompt could not be rendered: {error}.") from error
        except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
            # A helper given a value of the wrong kind, such as {{truncate name "x"}}; the value is not repeated here.
            raise RenderError(f"The prompt could not be rendered: a helper failed ({type(error).__name__}).") from error


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
        return Template(frozenset(), text)
    try:
        return _compile(text)
    except InvalidPromptError as error:
        where = f"The prompt for {agent}/{status_key}" if agent else "The prompt"
        message = f"{where} {error.message} To serve a text verbatim, with its braces, use format='text'."
        raise InvalidPromptError(message, agent=agent, status_key=status_key) from error.__cause__


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
    if not template.variables:
        return
    refused = tuple(sorted(name for name in template.variables if not _is_exposed(name, exposed)))
    if not refused:
        return
    where = f"The prompt for {agent}/{status_key}" if agent else "The prompt"
    known = ", ".join(sorted({*exposed, *BUILTINS}))
    names = ", ".join(name.rstrip("?") for name in refused)
    raise UnexposedVariableError(
        f"{where} uses {names}, which the agent's code does not expose. Exposed are: {known}. Use one of these, or "
        "expose the name in code with variables=[...].",
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


@lru_cache(maxsize=128)
def _compile(text: str) -> Template:
    """Parse a text and find out which variables it uses."""
    try:
        program = parse(text)
    except HandlebarsParseError as error:
        raise InvalidPromptError(f"is not a valid template: {error}.") from error
    except RecursionError as error:
        raise InvalidPromptError("is not a valid template: its blocks are nested too deeply.") from error
    uses = frozenset(_Walker().walk(program))
    tree: dict[str, _Node] = {}
    for path, printed in uses:
        node = tree.setdefault(path[0], _Node())
        for part in path[1:]:
            node = node.children.setdefault(part, _Node())
        node.printed |= printed
        node.tested |= not printed
    values = {_written(path) for path, printed in uses if printed}
    tests = {f"{_written(path)}?" for path, printed in uses if not printed}
    return Template(frozenset(values | {name for name in tests if name[:-1] not in values}), text, program, tree)


@dataclass(slots=True)
class _Node:
    """How a template uses one part of a path: printed, tested, or only passed through."""

    printed: bool = False
    tested: bool = False
    children: dict[str, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Scope:
    """A block's view, the way the engine has it: every block opens one, `each` and `with` change the context."""

    context: Path
    parent: _Scope | None = None
    block_params: Mapping[str, Path | None] = field(default_factory=dict)

    def bound(self, name: str) -> tuple[bool, Path | None]:
        """Look a block parameter up, as the engine does: in this scope, then outwards."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.block_params:
                return True, scope.block_params[name]
            scope = scope.parent
        return False, None


class _Walker:
    """Yields (path, is printed) for each variable in a syntax tree, and refuses what could not be bounded."""

    def walk(self, program: Program) -> Iterator[tuple[Path, bool]]:
        yield from self._program(program, _Scope(()))

    def _program(self, program: Program, scope: _Scope) -> Iterator[tuple[Path, bool]]:
        for statement in program.body:
            if isinstance(statement, MustacheStatement):
                yield from self._mustache(statement, scope)
            elif isinstance(statement, BlockStatement):
                yield from self._block(statement, scope)

    def _mustache(self, statement: MustacheStatement, scope: _Scope) -> Iterator[tuple[Path, bool]]:
        path = statement.path
        arguments = [*statement.params, *statement.hash_pairs.values()]
        if not isinstance(path, PathExpression):
            yield from self._expression(path, scope)
        elif arguments:
            self._helper(path.original, block=False)
        else:
            if path.original in _RESERVED:
                raise InvalidPromptError(f"uses {{{{{path.original}}}}} as a variable, but it is a helper's name.")
            yield from self._expression(path, scope)
        for argument in arguments:
            yield from self._expression(argument, scope)

    def _block(self, statement: BlockStatement, scope: _Scope) -> Iterator[tuple[Path, bool]]:
        name = statement.path.original if isinstance(statement.path, PathExpression) else ""
        self._helper(name, block=True)
        if len(statement.params) != 1 or statement.hash_pairs:
            raise InvalidPromptError(f"has a block {{{{#{name}}}}} that does not have exactly one argument.")
        argument = statement.params[0]
        inner = _Scope(scope.context, scope)
        if name in {"if", "unless"}:
            yield from self._expression(argument, scope, printed=False)
        else:
            if not isinstance(argument, PathExpression):
                raise InvalidPromptError(f"has a block {{{{#{name}}}}} whose argument is not a variable.")
            path = self._resolve(argument, scope)
            if path is None:
                raise InvalidPromptError(f"has a block {{{{#{name} {argument.original}}}}} over no variable.")
            yield path, False
            context = (*path, "[]") if name == "each" else path
            bound = dict(zip(statement.block_params, (context, None), strict=False))
            inner = _Scope(context, scope, bound)
        yield from self._program(statement.body, inner)
        if statement.inverse is not None:
            first = next(iter(statement.inverse.body), None)
            chained = isinstance(first, BlockStatement) and first.chained
            # The engine renders `{{else if}}` in the scope of the block itself.
            yield from self._program(statement.inverse, scope if chained else _Scope(scope.context, scope))

    def _expression(
        self, expression: Expression, scope: _Scope, *, printed: bool = True
    ) -> Iterator[tuple[Path, bool]]:
        if isinstance(expression, SubExpression):
            self._helper(expression.path.original, block=False)
            for argument in [*expression.params, *expression.hash_pairs.values()]:
                yield from self._expression(argument, scope)
        elif isinstance(expression, PathExpression) and (path := self._resolve(expression, scope)) is not None:
            yield path, printed

    def _helper(self, name: str, *, block: bool) -> None:
        if name in (_BLOCKS if block else _INLINE):
            return
        if block:
            raise InvalidPromptError(
                f"has a block {{{{#{name}}}}}, which is not one of {', '.join(sorted(_BLOCKS))}; "
                f"write {{{{#if {name}}}}} or {{{{#each {name}}}}}."
            )
        raise InvalidPromptError(
            f"calls {{{{{name} ...}}}}, which is not one of the helpers {', '.join(sorted(_INLINE))}."
        )

    def _resolve(self, expression: PathExpression, scope: _Scope) -> Path | None:
        """Return the path from the root that an expression means, `None` for loop data such as `@index`."""
        base, parts = self._base(expression, scope)
        if base is None:
            return None
        for part in parts:
            if not _SEGMENT.fullmatch(part):
                raise InvalidPromptError(
                    f"uses the name {part!r}. A name has letters, digits, hyphens and underscores and does not "
                    "begin with an underscore."
                )
        path = (*base, *parts)
        if not path:
            raise InvalidPromptError(f"uses {{{{{expression.original}}}}} outside a block; name a variable instead.")
        return path

    def _base(self, expression: PathExpression, scope: _Scope) -> tuple[Path | None, Path]:
        """Return the path where an expression starts, and its parts from there, the way the engine resolves it."""
        parts = tuple(expression.parts)
        if expression.data:
            return ((), parts[1:]) if parts[:1] == ("root",) else (None, ())
        if expression.depth:
            outer: _Scope | None = scope
            for _ in range(expression.depth):
                outer = outer.parent if outer is not None else None
            if outer is None:
                raise InvalidPromptError(f"uses {{{{{expression.original}}}}}, which leads out of the template.")
            return outer.context, parts
        if parts and not expression.is_this:
            found, bound = scope.bound(parts[0])
            if found:
                return bound, parts[1:]
        return scope.context, parts


def _written(path: Path) -> str:
    """Write a path in the notation of this module."""
    return ".".join(path).replace(".[]", "[]")


def _is_exposed(name: str, exposed: Collection[str]) -> bool:
    """Say whether a variable that a template uses is covered by the exposed names."""
    path = name.removesuffix("?")
    if path in exposed or path in BUILTINS:
        return True
    for known in exposed:
        if known.endswith(".*") and path.startswith((known[:-1], f"{known[:-2]}[]")):
            return True
        # What may be printed or looked into may be tested: a test tells only whether it is there.
        if name.endswith("?") and (known.startswith((f"{path}.", f"{path}[")) or known.removesuffix("?") == path):
            return True
    return False


class _Missing(str):
    """The text of a missing value: prints as the marker, and counts as empty in a condition."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == ""

    def __ne__(self, other: object) -> bool:
        return other != ""

    __hash__ = str.__hash__


class _MissingIsError(_Missing):
    """A missing value that may be tested but not printed."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RenderError(f"The prompt could not be rendered: there is no data for {str.__str__(self)}.")


class _Fields(dict[str, object]):
    """The used parts of an object; printed whole it counts as missing, so that nothing prints as a repr."""

    __slots__ = ("whole",)

    def __init__(self, fields: Mapping[str, object], whole: str) -> None:
        super().__init__(fields)
        self.whole = whole

    def __str__(self) -> str:
        return str(self.whole)


class _Items(list[object]):
    """A list that prints as its items, separated by commas."""

    __slots__ = ()

    def __str__(self) -> str:
        return ", ".join(str(item) for item in self)


def _absent(path: str, mode: MissingMode) -> str:
    """Return what stands in for a missing value."""
    if mode == "empty":
        return ""
    return _Missing(f"[No data for {path}]") if mode == "marker" else _MissingIsError(path)


def _prune(value: object, node: _Node, path: str, mode: MissingMode) -> object:
    """Reduce a value to what the template uses of it."""
    if node.children:
        return _prune_container(value, node, path, mode)
    # The common case first: a name that is printed and whose value is a string.
    if type(value) is str:
        return value
    scalar = _scalar(value)
    if scalar is not ABSENT:
        return scalar
    if node.tested and not node.printed:
        return value is not ABSENT and value is not None and (not isinstance(value, Collection) or len(value) > 0)
    return _absent(path, mode)


def _prune_container(value: object, node: _Node, path: str, mode: MissingMode) -> object:
    every = node.children.get("[]")
    if isinstance(value, Mapping) and every is not None:
        fields = {str(key): _prune(item, every, f"{path}[]", mode) for key, item in value.items()}
        return _Fields(fields, _absent(path, mode))
    if isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping):
        return _Items(
            _prune(item, child, f"{path}[]", mode)
            if (child := every or node.children.get(str(index))) is not None
            else ""
            for index, item in enumerate(value)
        )
    if (value is ABSENT or value is None) and (node.tested or every is not None):
        return _absent(path, mode)
    fields = {name: _prune(get(value, name), child, f"{path}.{name}", mode) for name, child in node.children.items()}
    return _Fields(fields, _absent(path, mode))


def get(container: object, name: str) -> object:
    """Return one named value of a mapping or an object, or `ABSENT`.

    Methods, classes and names that begin with an underscore are never returned. A property that raises counts as
    absent, so that a text which somebody edits cannot make a run fail.
    """
    if container is None or container is ABSENT or name.startswith("_"):
        return ABSENT
    if isinstance(container, Mapping):
        return cast("Mapping[str, object]", container).get(name, ABSENT)
    try:
        value = getattr(container, name, ABSENT)
    except Exception as error:  # noqa: BLE001  # the host's property may raise anything; it is reported
        _report_unreadable(container, name, error)
        return ABSENT
    return ABSENT if isroutine(value) or isclass(value) or ismodule(value) else value


def builtin_value(name: str, agent: str, status_key: str, run_id: str | None) -> object:
    """Return the value of a built-in variable, or `ABSENT`; `today` is the local date as in 2025-05-13."""
    if name == "today":
        return date.today().isoformat()
    return {"agent_name": agent, "status_key": status_key, "run_id": run_id}.get(name, ABSENT)


def _scalar(value: object) -> object:
    """Return a value that prints as people expect it, or `ABSENT` for one that would print as an object's repr."""
    if value is None or value is ABSENT:
        return ABSENT
    if isinstance(value, Enum):
        return _scalar(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, date | time | timedelta | Decimal | UUID):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return _Items(item for item in map(_scalar, value) if item is not ABSENT)
    if isinstance(value, bytes | bytearray | memoryview | Mapping | BaseModel | BaseException):
        return ABSENT
    if isroutine(value) or isclass(value) or ismodule(value) or type(value).__str__ is object.__str__:
        return ABSENT
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # as above
        _report_unreadable(value, "__str__", error)
        return ABSENT


def _report_unreadable(value: object, name: str, error: Exception) -> None:
    """Tell that the host's own object raised while a value was read; its message may hold data, so only its type."""
    logger.warning(
        "Reading %r of %s raised %s; the variable counts as missing. Look at that property.",
        name,
        type(value).__name__,
        type(error).__name__,
    )
