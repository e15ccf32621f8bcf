"""Compiling texts, and refusing those that could not be served."""

from __future__ import annotations

import re
from functools import lru_cache

from automagik_prompts.domain.validation import Format
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.templating.access import written
from automagik_prompts.templating.analysis import analyse
from automagik_prompts.templating.engine import RESERVED
from automagik_prompts.templating.limits import BUDGET
from automagik_prompts.templating.template import NAMED, Template, tree_of
from automagik_prompts.templating.work import ASSUMED_ITEMS

_WORDS = RESERVED | {"as", "else", "false", "null", "this", "true", "undefined"}
# A tag that only names a variable; an escape or a third brace would belong to it.
_TAG = re.compile(r"(?<![{\\])\{\{[ \t]*([^\W\d_][\w-]*)[ \t]*\}\}(?!\})")

VERBATIM = "To serve a text verbatim, with its braces, use the format 'text'."
"""What helps where a text is no template."""


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
            f"at most {BUDGET} are allowed. Take loops out of loops, or text, tags and helpers out of loops.",
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
    return Template(names, tuple(pieces), None, dict.fromkeys(pieces[1::2], NAMED))


@lru_cache(maxsize=128)
def _compile(text: str) -> Template:
    """Parse a text, and remember which parts of which values it uses."""
    found = analyse(text)
    uses = found.uses
    tree = tree_of(uses)
    values = {written(path) for path, printed in uses if printed}
    tests = {f"{written(path)}?" for path, printed in uses if not printed}
    variables = frozenset(values | {name for name in tests if name[:-1] not in values})
    return Template(variables, (text,), found.program, tree, found.work)
