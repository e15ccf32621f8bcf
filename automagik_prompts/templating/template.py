"""Compiling, checking and filling texts; the allow-list that keeps secrets out of reach.

Parsing and rendering are `pydantic-handlebars`. What is ours is the question which values a template can reach. Each
variable that a template uses has a path such as `name`, `contact.name` or `items[].price`. Before rendering, exactly
these values are fetched, reduced by `values`, and given to the engine; nothing else of `deps` exists for a template,
whatever its syntax. The engine's syntax tree is not a public interface, so this is the only module that touches it.

The names that an agent's code exposes are written the same way, with two additions: `contact.*` exposes everything
below `contact`, and `vip?` may be tested by `{{#if vip}}` but not printed. The keys of a mapping that a loop goes over
are data too: `{{@key}}` in a loop over `prices` is the variable `prices[].@key`; `{{@index}}` is always there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile

from pydantic_handlebars import (
    HandlebarsError,
    HandlebarsParseError,
    HandlebarsRuntimeError,
    HelperFunc,
    HelperOptions,
)
from pydantic_handlebars._ast_nodes import (
    BlockStatement,
    CommentStatement,
    ContentStatement,
    Expression,
    MustacheStatement,
    PathExpression,
    Program,
    Statement,
    SubExpression,
)
from pydantic_handlebars._compiler import Compiler, Scope
from pydantic_handlebars._helpers import get_extra_helpers, get_standard_helpers
from pydantic_handlebars._parser import parse
from pydantic_handlebars._utils import to_string

from automagik_prompts.domain.served import MissingMode, Renderable
from automagik_prompts.domain.validation import Format
from automagik_prompts.exceptions import InvalidPromptError, RenderError, UnexposedVariableError
from automagik_prompts.templating.values import ABSENT, BUILTINS, MARKER, Fields, Items, Missing, Node, used

MAX_OUTPUT_LENGTH = 4_000_000
"""The longest filled text, in characters: nested `each` blocks multiply, so what comes out is capped."""

MAX_BLOCKS = 200_000
"""How often the blocks of one text may be entered while it is filled: loops multiply even where nothing comes out."""

_BLOCKS = frozenset({"if", "unless", "each", "with"})
# One by one: a helper that comes with a new release of the engine is not allowed by itself.
_INLINE = frozenset(
    {
        *("and", "default", "eq", "gt", "gte", "join", "json", "lowercase", "lt", "lte", "ne", "not", "or"),
        *("trim", "truncate", "uppercase"),
    }
)
_RESERVED = frozenset(get_standard_helpers()) | frozenset(get_extra_helpers()) | _INLINE
_WORDS = _RESERVED | {"as", "else", "false", "null", "this", "true", "undefined"}
_KEY = "@key"
_SEGMENT = re.compile(r"[^\W_][\w-]*")
# A tag that only names a variable; an escape or a third brace would belong to it.
_TAG = re.compile(r"(?<![{\\])\{\{[ \t]*([^\W\d_][\w-]*)[ \t]*\}\}(?!\})")
_NAMED = Node(printed=True)
_NOTHING = (ABSENT, None)
_EXPOSABLE = re.compile(r"[^\W_][\w-]*(\[\])*(\.[^\W_][\w-]*(\[\])*)*(\.\*|\?|(?<=\])\.@key)?")

Path = tuple[str, ...]


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
                `MAX_OUTPUT_LENGTH` characters, or the engine refuses a value.
        """
        if not self._tree and self._program is None:
            return self._pieces[0]
        context: dict[str, object] = {}
        for name, node in self._tree.items():
            value = lookup(name)
            # The common case without a call: a name that is printed and whose value is a string.
            context[name] = value if node is _NAMED and type(value) is str else used(value, name, node, missing)
        try:
            if self._program is None:
                text = self._joined(context)
            else:
                text = _Engine(helpers=_HELPERS, max_output_size=MAX_OUTPUT_LENGTH).render(self._program, context)
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
        if len(text) > MAX_OUTPUT_LENGTH:
            raise HandlebarsRuntimeError(f"Output size exceeds maximum of {MAX_OUTPUT_LENGTH} bytes")
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


def _split(text: str) -> Template | None:
    """Take a text apart whose tags only name variables, as most do; `None` for a text that needs the parser."""
    pieces = _TAG.split(text)
    names = frozenset(pieces[1::2])
    if not names.isdisjoint(_WORDS) or any("{{" in literal for literal in pieces[::2]):
        return None
    return Template(names, tuple(pieces), None, dict.fromkeys(pieces[1::2], _NAMED))


@lru_cache(maxsize=128)
def _compile(text: str) -> Template:
    """Parse a text and find out which variables it uses."""
    try:
        program = parse(text)
    except HandlebarsParseError as error:
        raise InvalidPromptError(f"is not a valid template: {error}.") from error
    except RecursionError as error:
        raise InvalidPromptError("is not a valid template: its blocks are nested too deeply.") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # The engine takes what looks like a number for one, such as {{-²}} or one of 5000 digits; one text that it
        # cannot read must be a problem of that text alone.
        raise InvalidPromptError(
            "is not a valid template: something in it looks like a number or a name and is none."
        ) from error
    uses = frozenset(_Walker().walk(program))
    if not uses and not any(_says_something(statement) for statement in program.body):
        raise InvalidPromptError("has nothing but comments and blanks. Write at least one visible character.")
    tree: dict[str, Node] = {}
    for path, printed in uses:
        node = tree.setdefault(path[0], Node())
        for part in takewhile(lambda part: part != _KEY, path[1:]):
            node = node.children.setdefault(part, Node())
        if _KEY not in path:
            node.printed |= printed
            node.tested |= not printed
    values = {_written(path) for path, printed in uses if printed}
    tests = {f"{_written(path)}?" for path, printed in uses if not printed}
    variables = frozenset(values | {name for name in tests if name[:-1] not in values})
    return Template(variables, (text,), program, tree)


def _says_something(statement: Statement) -> bool:
    """Say whether a part of a text could show; what a variable shows is not known here."""
    if isinstance(statement, ContentStatement):
        return bool(statement.value.strip())
    return not isinstance(statement, CommentStatement)


@dataclass(frozen=True, slots=True)
class _Scope:
    """A block's view, the way the engine has it: every block opens one, `each` and `with` change the context."""

    context: Path
    parent: _Scope | None = None
    block_params: Mapping[str, Path] = field(default_factory=dict)

    def bound(self, name: str) -> Path | None:
        """Look a block parameter up, as the engine does: in this scope, then outwards."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.block_params:
                return scope.block_params[name]
            scope = scope.parent
        return None

    def loops(self) -> Iterator[Path]:
        """Yield the path of the items of each loop around this scope, whichever of them `@key` means."""
        scope: _Scope | None = self
        while scope is not None:
            if scope.context[-1:] == ("[]",):
                yield scope.context
            scope = scope.parent


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
            # Names beyond these the engine leaves unbound: they mean what they mean outside the block.
            given = (context, (*context, _KEY)) if name == "each" else (context,)
            inner = _Scope(context, scope, dict(zip(statement.block_params, given, strict=False)))
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
            name = expression.path.original
            self._helper(name, block=False)
            # In a condition these tell only whether something is there.
            printed = name != "not" and (printed or name not in {"and", "or"})
            for argument in [*expression.params, *expression.hash_pairs.values()]:
                yield from self._expression(argument, scope, printed=printed)
        elif isinstance(expression, PathExpression) and expression.data and expression.parts[:1] == ["key"]:
            for loop in scope.loops():
                yield (*loop, _KEY), True
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
            bound = scope.bound(parts[0])
            if bound is not None:
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
    return json.dumps(_plain(arguments[0]))


def _plain(value: object) -> object:
    if isinstance(value, Fields):
        return _plain(value.whole)
    if isinstance(value, Items):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Missing) else value


_HELPERS: dict[str, HelperFunc] = {
    **{name: _block_helper(name, helper) for name, helper in get_standard_helpers().items() if name in _BLOCKS},
    **{name: _inline_helper(helper) for name, helper in get_extra_helpers().items() if name in _INLINE},
    "json": _json,
}
