"""What a text comes to while it is written: its problems, its sample values, and what the model would be told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from automagik_prompts.console.pages.editing.problems import Problem, compiled, problems_of
from automagik_prompts.console.pages.editing.samples import Samples, samples_of, samples_sent
from automagik_prompts.console.pages.filled import Filled, around, bare_names, parts_of, says_the_same
from automagik_prompts.domain.served import Gap
from automagik_prompts.editing.previewing import tokens
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating.access import ABSENT, builtin_value
from automagik_prompts.templating.exposure import is_exposed
from automagik_prompts.templating.template import Template


@dataclass(frozen=True, slots=True)
class Look:
    """What a text comes to.

    Attributes:
        problems: What is wrong with it.
        samples: The values that it was filled with.
        filled: What the model would be told.
        unknown: How many names are not exposed.
        characters: How long the text is.
        lines: How many lines it has.
    """

    problems: tuple[Problem, ...]
    samples: Samples
    filled: Filled
    unknown: int
    characters: int
    lines: int

    @property
    def errors(self) -> int:
        """How many problems must be corrected."""
        return sum(one.level == "error" for one in self.problems)

    @property
    def has_invisible(self) -> bool:
        """Whether it has characters that nobody would see, which are told of."""
        return any(one.title.startswith("An invisible") for one in self.problems)


def look(
    text: str,
    format: str,
    *,
    agent: str,
    status: str,
    exposed: Collection[str],
    before: Collection[str],
    values: Mapping[str, str],
    ticks: Mapping[str, bool],
) -> Look:
    """Return what a text comes to; nothing but the text and the sample values is read.

    Args:
        text: The text.
        format: How it is read.
        agent: The agent's name.
        status: The status.
        exposed: The variables that it may use.
        before: The variables that the active version uses.
        values: What stands in the fields of sample values.
        ticks: Which conditions were shown, and whether they were ticked.
    """
    template = compiled(text, format)
    problems = problems_of(text, format, template, exposed, before)
    lines = text.removesuffix("\n").count("\n") + 1
    if isinstance(template, InvalidPromptError):
        samples = samples_sent(values, ticks)
        filled, unknown = Filled((), fault="It is filled once it can be read: see the problems."), 0
    else:
        # A name may be exposed with its braces alone, as in texts of the format `simple`.
        template = template.opened(exposed) if format != "handlebars" else template
        wrong = {name for name in template.variables if not is_exposed(name, exposed)}
        known = template.variables - wrong
        samples = samples_of(text, known, values, ticks)
        filled = _filled(template, agent, status, samples.values, wrong, known)
        unknown = len(wrong)
    return Look(problems, samples, filled, unknown, len(text), lines)


def _filled(
    template: Template,
    agent: str,
    status: str,
    values: Mapping[str, object],
    wrong: Collection[str],
    known: Iterable[str],
) -> Filled:
    def rendered(given: Mapping[str, object], gaps: list[Gap]) -> str:
        def lookup(name: str) -> object:
            value = given.get(name, ABSENT)
            return value if value is not ABSENT else builtin_value(name, agent, status, "preview")

        return template.render(lookup, gaps=gaps)

    gaps: list[Gap] = []
    try:
        plain = rendered(values, gaps)
        marked = rendered(around(values), [])
    except RenderError as error:
        return Filled((), fault=error.message)
    missing = tuple(name for name in dict.fromkeys(gap.name for gap in gaps) if name not in wrong)
    parts = tuple(parts_of(marked if says_the_same(marked, plain) else plain, missing, wrong))
    return Filled(parts, len(plain), tokens(plain), missing, bare_names(known))
