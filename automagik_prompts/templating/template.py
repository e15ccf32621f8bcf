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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from pydantic_handlebars import HandlebarsError

from automagik_prompts.domain.served import DEFAULT_LIMITS, UNLIMITED, Gap, GapKind, Limits, MissingMode
from automagik_prompts.exceptions import RenderError
from automagik_prompts.templating import engine, simple
from automagik_prompts.templating.access import ABSENT, BUILTINS, Path
from automagik_prompts.templating.analysis import KEY
from automagik_prompts.templating.engine import OutputError, Program, to_string
from automagik_prompts.templating.exposure import is_exposed, opened_tree
from automagik_prompts.templating.limits import HelperError, Meter, ValueLimitError
from automagik_prompts.templating.values import MARKER, NO_TEXT, Node, Rules, size, used
from automagik_prompts.templating.work import Work, check_work

NAMED = Node(printed=True)
"""What is known of a name that is printed as a whole."""

_TOP = re.compile(r"[^.\[]+")
# What stands in the text for a value; a name may hold `[]`.
_NAME = r"((?:[^\[\]]|\[\])+)"
_MARKED = re.compile(f"{re.escape(MARKER)}{_NAME}\\]")
_NO_TEXT = re.compile(f"\\[{_NAME}{re.escape(NO_TEXT)}")


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
        return replace(self, _tree=opened_tree(self._tree, exposed), _opened=names)

    def _bound(self, source: str, exposed: Collection[str]) -> Template:
        """Return a simple text with the tags of exposed names to be filled, and every other character as it is."""
        names = frozenset(name for name, _ in simple.tags_of(source) if is_exposed(name, exposed))
        opened = frozenset(name for name in exposed if name.endswith(".*"))
        if (names, opened) == (self.variables, self._opened):
            return self
        tree = opened_tree(tree_of((tuple(name.split(".")), True) for name in names), exposed)
        return Template(names, simple.split(source, names), None, tree, _opened=opened, _source=source)

    def restricted(self, exposed: Collection[str]) -> Template:
        """Return the template as it reads values where nothing but the built-ins and these names may be reached.

        For an agent that the code does not declare: what its texts use beyond that counts as missing.
        """
        if self._source is not None:
            return self._bound(self._source, exposed)
        withheld = frozenset(name for name in self.variables if not is_exposed(name, exposed))
        if not withheld:
            return self.opened(exposed)
        return replace(self, _tree=opened_tree(self._tree, exposed, withhold=True), _withheld=withheld)

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
        if self._program is None and self._source is None:
            pieces = list(self._pieces)
            pieces[1::2] = [values[name] for name in pieces[1::2]]  # type: ignore[misc]  # which is looked at
            if (text := _plain(pieces, limits)) is not None:
                return text
        while True:
            try:
                return self._filled(values, Rules(missing, Meter(limits)), gaps)
            except ValueLimitError as error:
                name = _TOP.match(error.name)
                if not lenient or name is None or values[name.group()] is ABSENT:
                    raise
                values[name.group()] = ABSENT

    def joined(self, values: object, limits: Limits) -> str | None:
        """Return the text as it mostly is, filled with attributes: tags that only name variables, short plain strings.

        Args:
            values: The object, or dictionary, that has all the values.
            limits: How large the values may be.

        Returns:
            The text; `None` if it is not as it mostly is, which `render` can deal with.
        """
        if self._program is not None or self._source is not None or self._withheld:
            return None
        if not self.variables.isdisjoint(BUILTINS):
            return None
        pieces, is_dict = list(self._pieces), type(values) is dict
        if not is_dict and isinstance(values, Mapping):
            return None
        try:
            pieces[1::2] = [
                values[name] if is_dict else getattr(values, name)  # type: ignore[index]  # it is a dictionary
                for name in pieces[1::2]
            ]
        except Exception:  # noqa: BLE001  # the application's property may raise anything; `render` reports it
            return None
        return _plain(pieces, limits)

    def _filled(self, values: Mapping[str, object], rules: Rules, gaps: list[Gap] | None) -> str:
        limits, no_lists = rules.meter.limits, list[str]()
        context: dict[str, object] = {}
        try:
            if self._work.inner:
                check_work(self._work, values, limits, no_lists)
            context = self._context(values, rules)
            cap = engine.MAX_OUTPUT_LENGTH if limits is not UNLIMITED else UNLIMITED.value_length
            if self._program is not None:
                text = engine.render_program(self._program, context, cap, rules.meter)
            else:
                text = self._joined(values, context, rules, cap)
        except HandlebarsError as error:
            raise _refusal(error, context) from error
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
            context[name] = value if node is NAMED and type(value) is str else used(value, name, node, rules)
        return context

    def _gaps(
        self, text: str, values: Mapping[str, object], context: Mapping[str, object], missing: MissingMode
    ) -> Iterator[Gap]:
        """Yield what stands in the text in place of a value."""
        if self._withheld:
            yield from (Gap(name, GapKind.UNEXPOSED) for name in sorted(self._withheld))
        if missing == "marker":
            # The text is gone through once, however many variables there are.
            if MARKER in text:
                missed = self.variables.intersection(_MARKED.findall(text)) - self._withheld
                yield from (Gap(name, GapKind.MISSING) for name in missed)
            if NO_TEXT in text:
                no_text = self.variables.intersection(_NO_TEXT.findall(text))
                yield from (Gap(name, GapKind.NO_TEXT) for name in no_text)
        elif missing == "empty":
            for name, value in context.items():
                if value == "" and name not in self._withheld and values[name] != "":
                    is_missing = values[name] is None or values[name] is ABSENT
                    yield Gap(name, GapKind.MISSING if is_missing else GapKind.NO_TEXT)

    def _joined(self, values: Mapping[str, object], context: Mapping[str, object], rules: Rules, cap: int) -> str:
        """Put the values between the pieces of literal text, as the engine would, in a fraction of its time.

        Raises:
            OutputError: There would be more characters than `cap`; values that are too many are not put together.
            ValueLimitError: A value is too large.
        """
        cleaned = {
            name: used(values[name], name, node, rules) if type(values[name]) is str else context[name]
            for name, node in self._tree.items()
        }
        pieces = self._pieces_with(cleaned)
        if sum(map(len, pieces)) > cap:
            raise engine.too_long(cap)
        return "".join(pieces)

    def _pieces_with(self, context: Mapping[str, object]) -> list[str]:
        """Return literal text and values in turn; a value is printed once, however many tags name it."""
        printed: dict[str, str] = {}
        for name in self.variables:
            value = context[name] if self._source is None else simple.part_of(context, name)
            # By its exact type: what stands in for a missing value is a string too, which may refuse to be printed.
            printed[name] = value if type(value) is str else to_string(value)
        pieces = list(self._pieces)
        pieces[1::2] = [printed[name] for name in pieces[1::2]]
        return pieces


def _plain(pieces: Sequence[str], limits: Limits) -> str | None:
    """Return literal text and values as one text, if they are short plain strings."""
    if {*map(type, pieces)} != {str} or sum(map(len, pieces)) > min(limits.value_length, engine.MAX_OUTPUT_LENGTH):
        return None
    text = "".join(pieces)
    return text if text.isascii() else None


def _refusal(error: HandlebarsError, context: Mapping[str, object]) -> RenderError:
    """Return why the engine filled no text; what is too much is so because of a value, and the largest is named."""
    if isinstance(error, OutputError) and context:
        return ValueLimitError(max(context, key=lambda name: size(context[name])), f"is too large here: {error}")
    return RenderError(f"The prompt could not be rendered: {error}.")


def tree_of(uses: Iterable[tuple[Path, bool]]) -> dict[str, Node]:
    """Return which parts of which values are used, by (path, is printed)."""
    tree: dict[str, Node] = {}
    for path, printed in uses:
        node = tree.setdefault(path[0], Node())
        for part in takewhile(lambda part: part != KEY, path[1:]):
            node = node.children.setdefault(part, Node())
        if KEY not in path:
            node.printed |= printed
            node.tested |= not printed
    return tree
