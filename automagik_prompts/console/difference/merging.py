"""One text made of two that began from the same one; where both changed the same place, somebody has to decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import NamedTuple

from automagik_prompts.domain.text import text_lines

_MOST_LINES = 20_000
"""Lines of one text that are compared, at most; beyond that all that differs is one place."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A text that has the changes of both.

    Attributes:
        text: The text; where both changed the same place it has what the first of them made of it.
        undecided: The lines of the text, from 1, at which somebody has to decide.
    """

    text: str = field(repr=False)
    undecided: tuple[int, ...]


class _Change(NamedTuple):
    """What one of the two has put in place of some lines of the base."""

    begin: int
    end: int
    lines: Sequence[str]
    is_theirs: bool


def merged(base: str, theirs: str, mine: str) -> Merged:
    """Return a text that has the changes of both.

    Args:
        base: What both began from.
        theirs: What one has made of it, which stays where both changed the same place.
        mine: What the other has made of it.
    """
    before = text_lines(_ended(base))
    changes = sorted([*_changes(before, theirs, is_theirs=True), *_changes(before, mine, is_theirs=False)])
    made: list[str] = []
    undecided: list[int] = []
    done = 0
    for group in _groups(changes):
        begin, end = group[0].begin, max(change.end for change in group)
        made += before[done:begin]
        one, other = (
            _made(before[begin:end], begin, [one for one in group if one.is_theirs is side]) for side in (True, False)
        )
        is_by_both = len({change.is_theirs for change in group}) > 1
        if is_by_both and one != other:
            undecided.append(len(made) + 1)
        made += one if is_by_both or group[0].is_theirs else other
        done = end
    made += before[done:]
    text = "".join(made)
    # Whether there is a line break at the end is theirs to say, unless they left it as it was.
    last = theirs if theirs.endswith("\n") != base.endswith("\n") else mine
    return Merged(text if last.endswith("\n") else text.removesuffix("\n"), tuple(undecided))


def _ended(text: str) -> str:
    return f"{text}\n" if text and not text.endswith("\n") else text


def _changes(before: Sequence[str], text: str, *, is_theirs: bool) -> Iterator[_Change]:
    after = text_lines(_ended(text))
    if before == after:
        return
    if max(len(before), len(after)) > _MOST_LINES:
        yield _Change(0, len(before), after, is_theirs)
        return
    matcher = SequenceMatcher(None, before, after, autojunk=max(len(before), len(after)) > 2_000)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "replace" and i2 - i1 == j2 - j1:
            # Line by line, so that one who changed two lines and one who changed the second clash there alone.
            yield from (_Change(i1 + n, i1 + n + 1, after[j1 + n : j1 + n + 1], is_theirs) for n in range(i2 - i1))
        elif tag != "equal":
            yield _Change(i1, i2, after[j1:j2], is_theirs)


def _groups(changes: Sequence[_Change]) -> Iterator[list[_Change]]:
    """Yield changes that are about the same place together: they overlap, or put lines in at the same point."""
    group: list[_Change] = []
    end = -1
    for change in changes:
        is_inside = change.begin < end or (change.begin == end and (change.begin == change.end or _is_point(group)))
        if group and not is_inside:
            yield group
            group = []
        group.append(change)
        end = max(change.end, end) if is_inside else change.end
    if group:
        yield group


def _is_point(group: Sequence[_Change]) -> bool:
    return all(change.begin == change.end for change in group)


def _made(lines: Sequence[str], begin: int, changes: Sequence[_Change]) -> list[str]:
    """Return what one of the two has made of some lines."""
    made: list[str] = []
    done = 0
    for change in changes:
        made += [*lines[done : change.begin - begin], *change.lines]
        done = change.end - begin
    return [*made, *lines[done:]]
