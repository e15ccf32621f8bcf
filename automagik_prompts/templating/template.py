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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import takewhile

from pydantic_handlebars import HandlebarsError, HandlebarsRuntimeError

from automagik_prompts.domain.served import DEFAULT_LIMITS, UNLIMITED, Gap, GapKind, Limits, MissingMode
from automagik_prompts.domain.validation import Format
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating import engine
from automagik_prompts.templating.access import ABSENT
from automagik_prompts.templating.analysis import KEY, Path, analyse, written
from automagik_prompts.templating.engine import RESERVED, Program, to_string
from automagik_prompts.templating.exposure import is_exposed, opened_node
from automagik_prompts.templating.limits import BUDGET, HelperError, ValueLimitError
from automagik_prompts.templating.plain import SURROGATES
from automagik_prompts.templating.values import MARKER, NO_TEXT, Node, Rules, used
from automagik_prompts.templating.work import ASSUMED_ITEMS, Work, check_work

_WORDS = RESERVED | {"as", "else", "false", "null", "this", "true", "undefined"}
# A tag that only names a variable; an escape or a third brace would belong to it.
_TAG = re.compile(r"(?<![{\\])\{\{[ \t]*([^\W\d_][\w-]*)[ \t]*\}\}(?!\})")
# A tag of a text that is simple: a name, and what is below it.
_SIMPLE_TAG = re.compile(r"\{\{[ \t]*([^\W\d_][\w-]*(?:\.[\w-]+)*)[ \t]*\}\}")
_NAMED = Node(printed=True)
_TOP = re.compile(r"[^.\[]+")

VERBATIM = "To serve a text verbatim, with its braces, use the format 'text'."
"""What helps where a text is no template."""


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
    _work: Work = field(repr=False, default_factory=Work)
    _opened: frozenset[str] = field(repr=False, default=frozenset())
    _withheld: frozenset[str] = field(repr=False, default=frozenset())
    _source: str | None = field(repr=False, default=None)
    """The text, if it is simple: which of its tags are filled depends on what is exposed."""

    @property
    def estimate(self) -> int:
        """The units of work that filling it takes, with so many items in each loop as `work` assumes."""
        return self._work.estimate()

    def opened(self, exposed: Collection[str]) -> Template:
        """Return the template as it reads values of an agent whose code exposes these names.

        What code opens as a whole (`contact.*`) prints as JSON where it is data.
        """
        if self._source is not None:
            return self._bound(self._source, exposed)
        names = frozenset(name for name in exposed if name.endswith(".*")) if self._tree else frozenset()
        if names == self._opened:
            return self
        tree = {name: opened_node(node, (name,), exposed) for name, node in self._tree.items()}
        return replace(self, _tree=tree, _opened=names)

    def _bound(self, source: str, exposed: Collection[str]) -> Template:
        """Return a simple text with the tags of exposed names to be filled, and every other character as it is."""
        names = frozenset(name for name, _ in tags_of(source) if is_exposed(name, exposed))
        opened = frozenset(name for name in exposed if name.endswith(".*"))
        if (names, opened) == (self.variables, self._opened):
            return self
        pieces, last = [], 0
        for found in _SIMPLE_TAG.finditer(source):
            if found[1] in names:
                pieces += [source[last : found.start()], found[1]]
                last = found.end()
        tree = {name: opened_node(node, (name,), exposed) for name, node in _tree_of((n, True) for n in names).items()}
        return Template(names, (*pieces, source[last:]), None, tree, _opened=opened, _source=source)

    def restricted(self, exposed: Collection[str]) -> Template:
        """Return the template as it reads values where nothing but the built-ins and these names may be reached.

        For an agent that the code does not declare: what its texts use beyond that counts as missing.
        """
        if self._source is not None:
            return self._bound(self._source, exposed)
        withheld = frozenset(name for name in self.variables if not is_exposed(name, exposed))
        if not withheld:
            return self.opened(exposed)
        tree = {name: opened_node(node, (name,), exposed, withhold=True) for name, node in self._tree.items()}
        return replace(self, _tree=tree, _withheld=withheld)

    def render(
        self,
        lookup: Callable[[str], object],
        *,
        missing: MissingMode = "marker",
        gaps: list[Gap] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        lenient: bool = False,
    ) -> str:
        """Fill the text with values.

        Args:
            lookup: Returns the value of a top-level name, or `ABSENT`.
            missing: What a missing value becomes: `"marker"` (`[No data for name]`), `"empty"` or `"error"`.
            gaps: Takes the variables that were to be printed or gone over and could not be.
            limits: How large the values may be.
            lenient: Whether a value that is too large counts as missing.

        Raises:
            ValueLimitError: A value is too large, or makes too much work.
            RenderError: A value is missing in mode `"error"`, the result would have more than
                `engine.MAX_OUTPUT_LENGTH` characters, or the engine refuses a value.
        """
        if not self._tree and self._program is None:
            return self._pieces[0]
        values = {
            name: lookup(name) if not node.is_withheld or node.children else ABSENT for name, node in self._tree.items()
        }
        while True:
            try:
                return self._filled(values, Rules(missing, limits), gaps)
            except ValueLimitError as error:
                name = _TOP.match(error.name)
                if not lenient or name is None or values[name.group()] is ABSENT:
                    raise
                values[name.group()] = ABSENT

    def _filled(self, values: Mapping[str, object], rules: Rules, gaps: list[Gap] | None) -> str:
        no_lists: list[str] = []
        try:
            if self._work.inner:
                check_work(self._work, values, rules.limits, no_lists)
            context = self._context(values, rules)
            text = self._text(context, rules)
            # The common case in one look at the whole: if it is short and plain, so is each value in it.
            is_plain = len(text) <= rules.limits.value_length and (text.isascii() or not SURROGATES.search(text))
            if self._program is None and not is_plain:
                context = {name: used(values[name], name, node, rules) for name, node in self._tree.items()}
                text = self._text(context, rules)
            if len(text) > (cap := _cap(rules)):
                raise HandlebarsRuntimeError(f"Output size exceeds maximum of {cap} bytes")
        except RenderError:
            raise
        except HandlebarsError as error:
            words = re.sub(
                r"^Output size exceeds maximum of (\d+) bytes", r"it would have more than \1 characters", str(error)
            )
            raise RenderError(f"The prompt could not be rendered: {words}.") from error
        except (ArithmeticError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
            # A helper given a value of the wrong kind, such as {{truncate name "x"}}; the value is not repeated here.
            raise HelperError(f"The prompt could not be rendered: a helper failed ({type(error).__name__}).") from error
        if gaps is not None:
            if no_lists:
                gaps += [Gap(name, GapKind.NO_LIST) for name in no_lists]
            gaps += self._gaps(text, values, context, rules.missing)
        return text

    def _context(self, values: Mapping[str, object], rules: Rules) -> dict[str, object]:
        context: dict[str, object] = {}
        for name, node in self._tree.items():
            value = values[name]
            # The common case without a call: a name that is printed and whose value is a string.
            context[name] = value if node is _NAMED and type(value) is str else used(value, name, node, rules)
        return context

    def _text(self, context: Mapping[str, object], rules: Rules) -> str:
        if self._program is None:
            return self._joined(context)
        return engine.render_program(self._program, context, _cap(rules))

    def _gaps(
        self, text: str, values: Mapping[str, object], context: Mapping[str, object], missing: MissingMode
    ) -> Iterator[Gap]:
        """Yield what stands in the text in place of a value."""
        if self._withheld:
            yield from (Gap(name, GapKind.UNEXPOSED) for name in sorted(self._withheld))
        if missing == "marker":
            if MARKER in text:
                yield from (
                    Gap(name, GapKind.MISSING) for name in self.variables - self._withheld if f"{MARKER}{name}]" in text
                )
            if NO_TEXT in text:
                yield from (Gap(name, GapKind.NO_TEXT) for name in self.variables if f"[{name}{NO_TEXT}" in text)
        elif missing == "empty":
            for name, value in context.items():
                if value == "" and name not in self._withheld and values[name] != "":
                    is_missing = values[name] is None or values[name] is ABSENT
                    yield Gap(name, GapKind.MISSING if is_missing else GapKind.NO_TEXT)

    def _joined(self, values: Mapping[str, object]) -> str:
        """Put the values between the pieces of literal text, as the engine would, in a fraction of its time."""
        pieces = list(self._pieces)
        found = map(values.__getitem__ if self._source is None else partial(_part_of, values), pieces[1::2])
        # By its exact type: what stands in for a missing value is a string too, which may refuse to be printed.
        pieces[1::2] = [value if type(value) is str else to_string(value) for value in found]
        return "".join(pieces)


def _cap(rules: Rules) -> int:
    """Return the longest filled text, in characters."""
    return engine.MAX_OUTPUT_LENGTH if rules.limits is not UNLIMITED else UNLIMITED.value_length


def compile_template(
    text: str, format: Format, *, agent: str | None = None, status_key: str | None = None, bounded: bool = True
) -> Template:
    """Compile a text.

    Args:
        text: The text.
        format: `"handlebars"`, `"simple"` for a text in which nothing but the tags of exposed names is filled, or
            `"text"` for one that is served verbatim.
        agent: The agent it is for, for messages.
        status_key: The status it is for, for messages.
        bounded: Whether a text is refused that would take too much work to fill; the code's own is not.

    Raises:
        InvalidPromptError: The text is no template that could be served; the message gives line and column where the
            parser does.
    """
    if format == "simple":
        return Template(frozenset(), (text,), _source=text)
    # The engine needs 0.6 s for a megabyte even without a tag.
    if format == "text" or "{{" not in text:
        return Template(frozenset(), (text,))
    where = f"The prompt for {agent}/{status_key}" if agent else "The prompt"
    try:
        template = _split(text) or _compile(text)
    except InvalidPromptError as error:
        message = f"{where} {error.message} {VERBATIM}"
        raise InvalidPromptError(message, agent=agent, status_key=status_key) from error.__cause__
    if bounded and template.estimate > BUDGET:
        raise InvalidPromptError(
            f"{where} would take {template.estimate} units of work to fill, with {ASSUMED_ITEMS} items in each loop; "
            f"at most {BUDGET} are allowed. Take loops out of loops, or tags and helpers out of loops.",
            agent=agent,
            status_key=status_key,
        )
    return template


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
    found = analyse(text)
    uses = found.uses
    tree = _tree_of(uses)
    values = {written(path) for path, printed in uses if printed}
    tests = {f"{written(path)}?" for path, printed in uses if not printed}
    variables = frozenset(values | {name for name in tests if name[:-1] not in values})
    return Template(variables, (text,), found.program, tree, found.work)


def _tree_of(uses: Iterable[tuple[Path | str, bool]]) -> dict[str, Node]:
    """Return which parts of which values are used, by (path, is printed)."""
    tree: dict[str, Node] = {}
    for used_path, printed in uses:
        path = tuple(used_path.split(".")) if isinstance(used_path, str) else used_path
        node = tree.setdefault(path[0], Node())
        for part in takewhile(lambda part: part != KEY, path[1:]):
            node = node.children.setdefault(part, Node())
        if KEY not in path:
            node.printed |= printed
            node.tested |= not printed
    return tree


def tags_of(text: str) -> Iterator[tuple[str, int]]:
    """Yield the name in each tag of a simple text, and where the tag begins."""
    return ((found[1], found.start()) for found in _SIMPLE_TAG.finditer(text))


def _part_of(values: Mapping[str, object], name: str) -> object:
    """Return what is found under a name with points in it."""
    first, *rest = name.split(".")
    value = values[first]
    for part in rest:
        value = value[part] if isinstance(value, Mapping) else value
    return value
