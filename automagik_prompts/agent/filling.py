"""Filling the text that was chosen; the code's text where that cannot be done. It needs no Pydantic AI."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from automagik_prompts.domain.protocols import PromptReader
from automagik_prompts.domain.served import UNLIMITED, Gap, Selection, ServedPrompt, Source
from automagik_prompts.exceptions import RenderError
from automagik_prompts.templating.limits import ValueLimitError


def fill_text(
    reader: PromptReader,
    selection: Selection,
    lookup: Callable[[str], object],
    available: Callable[[], Iterable[str]] | None = None,
    exposed: Collection[str] | None = None,
) -> tuple[str, ServedPrompt]:
    """Return the filled text, and the prompt whose text it is.

    Args:
        reader: Says what a missing value becomes and how large values may be, and takes note of what goes wrong.
        selection: What was chosen.
        lookup: Returns the value of a top-level name.
        available: Returns the names that have a value, if variables without one are to be noted.
        exposed: For an agent that the code does not declare, the only names that may be reached.

    Raises:
        RenderError: The text cannot be filled, and the code has no other.
    """
    prompt, code = selection.prompt, selection.code
    is_noted = prompt.source is not Source.OVERRIDE
    gaps: list[Gap] | None = [] if available is not None and is_noted else None
    template = prompt.template if exposed is None else prompt.template.restricted(exposed)
    try:
        text = template.render(lookup, missing=reader.missing, gaps=gaps, limits=reader.limits)
        if gaps and available is not None:
            reader.report_gaps(prompt, gaps, available)
        return text, prompt
    except ValueLimitError as error:
        # The value is this run's own, so nothing is remembered of it, and the version is not to blame.
        reader.report_large_value(prompt, error.name, error.message)
        if code is None:
            return template.render(lookup, missing=reader.missing, limits=reader.limits, lenient=True), prompt
        if (code.text, code.format) == (prompt.text, prompt.format):
            code = prompt  # the same text, with its version
    except RenderError as error:
        if is_noted:
            reader.report_render_failure(prompt, error)
        if code is None or (code.text, code.format) == (prompt.text, prompt.format):
            raise _located(error, prompt) from error
    try:
        return code.template.render(lookup, missing=reader.missing, limits=UNLIMITED), code
    except RenderError as error:
        raise _located(error, code) from error


def names_of(values: Mapping[str, object]) -> set[str]:
    """Return what code exposes by giving values: each name, and all of what is a mapping or a list."""
    names = set(map(str, values))
    return names | {f"{name}.*" for name in names if isinstance(values.get(name), Mapping | list | tuple)}


def _located(error: RenderError, prompt: ServedPrompt) -> RenderError:
    which = f"version {prompt.version}" if prompt.version is not None else f"the text from {prompt.source.value}"
    where = f"{prompt.agent}/{prompt.status_key}, {which}"
    return RenderError(f"{where}: {error.message}", agent=prompt.agent, status_key=prompt.status_key)
