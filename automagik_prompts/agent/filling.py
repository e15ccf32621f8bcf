"""Filling the text that was chosen; the code's text where that cannot be done. It needs no Pydantic AI."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress

from automagik_prompts.domain.protocols import PromptReader
from automagik_prompts.domain.served import UNLIMITED, Gap, Renderable, Selection, ServedPrompt, Source
from automagik_prompts.exceptions import RenderError
from automagik_prompts.templating.access import ABSENT
from automagik_prompts.templating.limits import HelperError, ValueLimitError


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
    gaps: list[Gap] | None = [] if available is not None and prompt.source is not Source.OVERRIDE else None
    template = prompt.template if exposed is None else prompt.template.restricted(exposed)
    try:
        text = template.render(lookup, missing=reader.missing, gaps=gaps, limits=reader.limits)
        if gaps and available is not None:
            reader.report_gaps(prompt, gaps, available)
        return text, prompt
    except RenderError as error:
        if selection.is_code_withdrawn and (instead := _with_gaps(reader, prompt, error, template, lookup)) is not None:
            return instead, prompt
        if (instead := _without(reader, prompt, code, error, template, lookup)) is not None:
            return instead, prompt
        if code is None or (code.text, code.format) == (prompt.text, prompt.format):
            if code is None or not isinstance(error, ValueLimitError):
                raise _located(error, prompt) from error
            code = prompt  # the same text, with its version
    try:
        return code.template.render(lookup, missing=reader.missing, limits=UNLIMITED), code
    except RenderError as error:
        raise _located(error, code) from error


def _with_gaps(
    reader: PromptReader,
    prompt: ServedPrompt,
    error: RenderError,
    template: Renderable,
    lookup: Callable[[str], object],
) -> str | None:
    """Fill a text as far as it goes, where the code's text is withdrawn, so that anything else is better; take note."""
    for values in (lookup, lambda _name: ABSENT):
        with suppress(RenderError):
            text = template.render(values, limits=reader.limits, lenient=True)
            reader.report_bad_value(prompt, error.message)
            return text
    return None


def _without(
    reader: PromptReader,
    prompt: ServedPrompt,
    code: ServedPrompt | None,
    error: RenderError,
    template: Renderable,
    lookup: Callable[[str], object],
) -> str | None:
    """Take note of why a text could not be filled; return it without the value that is to blame, if code has no other.

    A value is a run's own: nothing is remembered of it, and no version is to blame.
    """
    if isinstance(error, ValueLimitError):
        reader.report_bad_value(prompt, error.message, error.name)
        if code is None:
            return template.render(lookup, missing=reader.missing, limits=reader.limits, lenient=True)
    elif isinstance(error, HelperError) and _works_otherwise(template):
        reader.report_bad_value(prompt, f"{error.message} It works with other values.")
        if code is None:
            return template.render(lambda _name: ABSENT)
    elif prompt.source is not Source.OVERRIDE:
        reader.report_render_failure(prompt, error)
    return None


def names_of(values: Mapping[str, object]) -> set[str]:
    """Return what code exposes by giving values: each name, and all of what is a mapping or a list."""
    names = set(map(str, values))
    return names | {f"{name}.*" for name in names if isinstance(values.get(name), Mapping | list | tuple)}


def _works_otherwise(template: Renderable) -> bool:
    """Return whether a text can be filled with other values, or with none; then a value is to blame."""
    for value in (ABSENT, 1, "1"):
        with suppress(RenderError):
            template.render(lambda _name, value=value: value)  # type: ignore[misc]  # a value of its own for each
            return True
    return False


def _located(error: RenderError, prompt: ServedPrompt) -> RenderError:
    which = f"version {prompt.version}" if prompt.version is not None else f"the text from {prompt.source.value}"
    where = f"{prompt.agent}/{prompt.status_key}, {which}"
    return RenderError(f"{where}: {error.message}", agent=prompt.agent, status_key=prompt.status_key)
