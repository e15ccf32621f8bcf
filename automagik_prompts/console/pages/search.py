"""What the search shows: agents and statuses of that name, and the lines that say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from automagik_prompts.console.words import plural
from automagik_prompts.domain.summaries import Match, StatusPlace
from automagik_prompts.editing.overall import overview
from automagik_prompts.editing.service import EditService

ROWS = 50
"""Lines of one page, at most."""

NAMES = 10
"""Agents and statuses that are named, at most."""


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Where a text stands.

    Attributes:
        text: What was looked for.
        every_version: Whether in all versions.
        match_case: Whether capitals are told from small letters.
        found: What was found, in a sentence.
        names: Statuses that are called so.
        matches: The lines.
        next: Where the next page begins.
        is_first: Whether there is no page before.
    """

    text: str
    every_version: bool
    match_case: bool
    found: str
    names: Sequence[StatusPlace]
    matches: Sequence[Match]
    next: str | None
    is_first: bool


async def search_page(
    service: EditService, text: str, *, every_version: bool, match_case: bool, after: str | None
) -> SearchPage:
    """Return where a text stands.

    Args:
        service: Does what the actor may do.
        text: What is looked for.
        every_version: Whether in all versions, instead of the active ones.
        match_case: Whether capitals are told from small letters.
        after: Where the page begins.
    """
    found = await service.search(text, every_version=every_version, match_case=match_case, after=after, limit=ROWS)
    return SearchPage(
        text,
        every_version,
        match_case,
        _sentence(text, found.items, every_version=every_version, goes_on=found.next is not None),
        await _names(service, text) if after is None else (),
        found.items,
        found.next,
        after is None,
    )


def _sentence(text: str, matches: Sequence[Match], *, every_version: bool, goes_on: bool) -> str:
    kind = "version" if every_version else "active version"
    said = f"“{text}”"
    if not matches:
        return f"No {kind} says {said}."
    if goes_on:
        return f"The first {plural(len(matches), 'line')} that say {said}."
    versions = len({one.prompt.id for one in matches})
    return (
        f"{plural(len(matches), 'line')} in {plural(versions, kind)} {'says' if len(matches) == 1 else 'say'} {said}."
    )


async def _names(service: EditService, text: str) -> Sequence[StatusPlace]:
    found = await service.look(lambda database: overview.named(database, text))
    shown: list[StatusPlace] = []
    for one in found:
        if len(shown) < NAMES and await service.may_see(one.agent):
            shown.append(one)
    return shown
