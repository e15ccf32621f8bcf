"""Finding out which variables a template can reach, whatever its syntax."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from pydantic_handlebars import HandlebarsParseError
from pydantic_handlebars._ast_nodes import (
    BlockStatement,
    CommentStatement,
    ContentStatement,
    Expression,
    MustacheStatement,
    PathExpression,
    Program,
    Statement,
    StringLiteral,
    SubExpression,
)
from pydantic_handlebars._parser import parse

from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.templating.access import Path
from automagik_prompts.templating.engine import BLOCKS, INLINE, RESERVED
from automagik_prompts.templating.limits import UNIT_LENGTH
from automagik_prompts.templating.work import Work

KEY = "@key"
MAX_DEPTH = 8
"""How deep helpers may stand within helpers: what they return may grow with each."""

_SEGMENT = re.compile(r"[^\W_][\w-]*")


def _says_something(statement: Statement) -> bool:
    """Return whether a part of a text could show; what a variable shows is not known here."""
    if isinstance(statement, ContentStatement):
        return bool(statement.value.strip())
    return not isinstance(statement, CommentStatement)


@dataclass(frozen=True, slots=True)
class _Scope:
    """A block's view, the way the engine has it: every block opens one, `each` and `with` change the context."""

    context: Path
    parent: _Scope | None = None
    block_params: Mapping[str, Path] = field(default_factory=dict)

    def outwards(self) -> Iterator[_Scope]:
        """Yield this scope and those around it."""
        scope: _Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is known of a text before any value is.

    Attributes:
        program: Its syntax tree.
        uses: (path, is printed) for each variable that it uses.
        work: How much work it is to fill.
    """

    program: Program
    uses: frozenset[tuple[Path, bool]]
    work: Work


def analyse(text: str) -> Analysis:
    """Parse a text and find out what it uses.

    Raises:
        InvalidPromptError: It is no template, or it uses what could not be bounded.
    """
    try:
        program = parse(text)
    except HandlebarsParseError as error:
        raise InvalidPromptError(f"is not a valid template: {_explained(str(error))}.") from error
    except RecursionError as error:
        raise InvalidPromptError("is not a valid template: its blocks are nested too deeply.") from error
    except Exception as error:
        # The engine takes what looks like a number for one, such as {{-²}} or one of 5000 digits; one text that it
        # cannot read must be a problem of that text alone.
        raise InvalidPromptError(
            "is not a valid template: something in it looks like a number or a name and is none."
        ) from error
    walker = _Walker()
    uses = frozenset(walker.program(program, _Scope(())))
    if not uses and not any(_says_something(statement) for statement in program.body):
        raise InvalidPromptError("has nothing but comments and blanks. Write at least one visible character.")
    return Analysis(program, uses, walker.work)


def _explained(words: str) -> str:
    """Return a message of the parser in the words of somebody who writes texts; the place stays."""
    what, at, place = words.rpartition(" at line ")
    found = re.match(r"Expected (.+), got (\w+)", what)
    if found is None:
        return words
    expected, got = found.groups()
    if expected == "CLOSE":
        what = "a tag is not closed by }}" if got == "EOF" else "something in a tag is in the wrong place"
    elif expected == "CLOSE_UNESCAPED":
        what = "a tag that is opened by {{{ is not closed by }}}"
    elif got in {"CLOSE", "EOF", "CLOSE_UNESCAPED"}:
        what = "a tag has no name in it"
    else:
        what = "a tag has something else where a name should be"
    return f"{what}{at}{place}"


class _Walker:
    """Yields (path, is printed) for each variable in a syntax tree, and refuses what could not be bounded.

    Attributes:
        work: How much work it is; the loop in which the walk is at present.
    """

    def __init__(self) -> None:
        self.work = Work()

    def program(self, program: Program, scope: _Scope) -> Iterator[tuple[Path, bool]]:
        for statement in program.body:
            self.work.units += 1
            if isinstance(statement, ContentStatement):
                self.work.units += len(statement.value) // UNIT_LENGTH
            elif isinstance(statement, MustacheStatement):
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
            if path.original in RESERVED:
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
            given = (context, (*context, KEY)) if name == "each" else (context,)
            inner = _Scope(context, scope, dict(zip(statement.block_params, given, strict=False)))
        outside = self.work
        if name == "each":
            self.work = Work(inner.context[:-1])
            outside.inner.append(self.work)
        yield from self.program(statement.body, inner)
        self.work = outside
        if statement.inverse is not None:
            first = next(iter(statement.inverse.body), None)
            chained = isinstance(first, BlockStatement) and first.chained
            # The engine renders `{{else if}}` in the scope of the block itself.
            yield from self.program(statement.inverse, scope if chained else _Scope(scope.context, scope))

    def _expression(
        self, expression: Expression, scope: _Scope, *, printed: bool = True, depth: int = 1
    ) -> Iterator[tuple[Path, bool]]:
        if isinstance(expression, SubExpression):
            name = expression.path.original
            self._helper(name, block=False)
            if depth > MAX_DEPTH:
                raise InvalidPromptError(f"has helpers within helpers more than {MAX_DEPTH} deep. Use fewer.")
            # In a condition these tell only whether something is there.
            printed = name != "not" and (printed or name not in {"and", "or"})
            for argument in [*expression.params, *expression.hash_pairs.values()]:
                yield from self._expression(argument, scope, printed=printed, depth=depth + 1)
        elif isinstance(expression, StringLiteral):
            self.work.units += len(expression.value) // UNIT_LENGTH
        elif isinstance(expression, PathExpression) and expression.data and expression.parts[:1] == ["key"]:
            # Whichever of the loops around it is meant.
            for around in scope.outwards():
                if around.context[-1:] == ("[]",):
                    yield (*around.context, KEY), True
        elif isinstance(expression, PathExpression) and (path := self._resolve(expression, scope)) is not None:
            yield path, printed

    def _helper(self, name: str, *, block: bool) -> None:
        self.work.units += 1
        if name in (BLOCKS if block else INLINE):
            return
        if block:
            raise InvalidPromptError(
                f"has a block {{{{#{name}}}}}, which is not one of {', '.join(sorted(BLOCKS))}; "
                f"write {{{{#if {name}}}}} or {{{{#each {name}}}}}."
            )
        raise InvalidPromptError(
            f"calls {{{{{name} ...}}}}, which is not one of the helpers {', '.join(sorted(INLINE))}."
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
            outer = next(islice(scope.outwards(), expression.depth, None), None)
            if outer is None:
                raise InvalidPromptError(f"uses {{{{{expression.original}}}}}, which leads out of the template.")
            return outer.context, parts
        if parts and not expression.is_this:
            for around in scope.outwards():
                if parts[0] in around.block_params:
                    return around.block_params[parts[0]], parts[1:]
        return scope.context, parts
