"""The difference between two texts, as people read it: for the terminal, for REST, for a page.

Lines come first. A line that stands elsewhere unchanged has moved. The other lines are paired by likeness, and inside a
pair changes that stand close together are one change, so that single words never alternate. Both texts can be put
together again from what is returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from automagik_prompts.domain.text import text_lines

_ALIKE = 0.4
"""The share of equal words from which on two lines are one line that was changed."""

_APART = 3
"""Equal words between two changes of one line from which on they are two."""

_MOST_PAIRS = 40_000
"""Pairs of lines of one place that are compared word by word, at most; beyond that none of them is a changed line."""

_MOST_WORK = 200_000_000
"""Words of one place before, times those after, at most, likewise: a text that was written anew takes no seconds."""

_MOST_WORDS = 4_000
"""Words of one line that are compared, at most; beyond that the line is taken away and put in as a whole."""

_MOST_LINES = 20_000
"""Lines of one text that are compared with any other line, at most; beyond that what differs is one place."""

_WORD = re.compile(r"\{\{.*?\}\}|\w+|[^\S\n]+|\n|[^\w\s]", re.DOTALL)
"""A variable is one word."""

Kind = Literal["same", "changed", "removed", "added", "moved_away", "moved_here"]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a line.

    Attributes:
        text: The characters.
        is_changed: Whether the other text has something else in its place.
    """

    text: str
    is_changed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a difference, in the order of reading.

    Attributes:
        kind: `same`; `changed`, where both sides have it and differ; `removed` and `added`; `moved_away` where a line
            stood that stands elsewhere now, and `moved_here` where it stands.
        old: The parts of the old line, with its line feed.
        new: The parts of the new line, likewise.
        old_number: Its number in the old text, from 1; of `moved_here` where it came from.
        new_number: Its number in the new text, from 1; of `moved_away` where it went.
    """

    kind: Kind
    old: tuple[Span, ...] = ()
    new: tuple[Span, ...] = ()
    old_number: int | None = None
    new_number: int | None = None


def compare(old: str, new: str) -> tuple[Line, ...]:
    """Return how two texts differ, line by line.

    Args:
        old: The text before.
        new: The text after.
    """
    before, after = text_lines(old), text_lines(new)
    blocks = list(_blocks(before, after))
    moves = _moves(before, after, blocks)
    moved_to, moved_from = dict(moves), {here: there for there, here in moves}
    lines: list[Line] = []
    for tag, i1, i2, j1, j2 in blocks:
        if tag == "equal":
            lines += [
                Line("same", _whole(before[i]), _whole(after[j]), i + 1, j + 1)
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True)
            ]
            continue
        gone = [i for i in range(i1, i2) if i not in moved_to]
        come = [j for j in range(j1, j2) if j not in moved_from]
        pairs = _pairs(before, after, gone, come)
        lines += _ordered(before, after, range(i1, i2), range(j1, j2), pairs, moved_to, moved_from)
    return tuple(lines)


def old_text(lines: Iterable[Line]) -> str:
    """Put the text before together again."""
    return "".join(span.text for line in lines if line.kind != "moved_here" for span in line.old)


def new_text(lines: Iterable[Line]) -> str:
    """Put the text after together again."""
    return "".join(span.text for line in lines if line.kind != "moved_away" for span in line.new)


def folded(lines: Sequence[Line], context: int = 3) -> Iterator[tuple[Line, ...]]:
    """Yield the places that differ, each with the equal lines around it.

    Args:
        lines: A difference.
        context: How many equal lines to keep on each side.
    """
    wanted = [False] * len(lines)
    for place, line in enumerate(lines):
        if line.kind != "same":
            first, last = max(0, place - context), min(len(lines), place + context + 1)
            wanted[first:last] = [True] * (last - first)
    group: list[Line] = []
    for line, is_wanted in zip(lines, wanted, strict=True):
        if is_wanted:
            group.append(line)
        elif group:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


Block = tuple[str, int, int, int, int]


def _blocks(before: Sequence[str], after: Sequence[str]) -> Iterator[Block]:
    """Yield the places that are equal and those that differ, as `SequenceMatcher` does."""
    start, end = 0, 0
    shorter = min(len(before), len(after))
    while start < shorter and before[start] == after[start]:
        start += 1
    while end < shorter - start and before[-1 - end] == after[-1 - end]:
        end += 1
    if start:
        yield "equal", 0, start, 0, start
    i2, j2 = len(before) - end, len(after) - end
    if max(i2, j2) - start > _MOST_LINES:
        yield "replace", start, i2, start, j2
    elif i2 > start or j2 > start:
        # Its shortcut for frequent lines is wanted where there are many.
        matcher = SequenceMatcher(None, before[start:i2], after[start:j2], autojunk=max(i2, j2) - start > 2_000)
        for tag, a1, a2, b1, b2 in matcher.get_opcodes():
            yield tag, a1 + start, a2 + start, b1 + start, b2 + start
    if end:
        yield "equal", i2, len(before), j2, len(after)


def _moves(before: Sequence[str], after: Sequence[str], blocks: Iterable[Block]) -> list[tuple[int, int]]:
    """Return which lines stand elsewhere unchanged: pairs of places, each line once."""
    gone: list[int] = []
    come: dict[str, list[int]] = {}
    for tag, i1, i2, j1, j2 in blocks:
        if tag != "equal":
            gone += range(i1, i2)
            for j in range(j1, j2):
                come.setdefault(after[j], []).append(j)
    moved: dict[int, int] = {}
    for i in gone:
        places = come.get(before[i], [])
        if before[i].strip() and places:
            following = moved.get(i - 1, -2) + 1
            moved[i] = following if following in places else places[0]
            places.remove(moved[i])
    for i in gone:
        if not before[i].strip():
            # The empty line beside it goes with it.
            beside = [moved[place] for place in (i - 1, i + 1) if before[place : place + 1] and place in moved]
            near = [j for place in beside for j in (place + 1, place - 1)]
            found = next((j for j in near if j in come.get(before[i], ())), None)
            if found is not None:
                moved[i] = found
                come[before[i]].remove(found)
    return sorted(moved.items())


def _pairs(
    before: Sequence[str], after: Sequence[str], gone: Sequence[int], come: Sequence[int]
) -> list[tuple[int, int]]:
    """Return which lines of one place are one line that was changed: the likeliest pairs that keep the order."""
    if not gone or not come or len(gone) * len(come) > _MOST_PAIRS:
        return []
    words = {text: _WORD.findall(text) for text in {*(before[i] for i in gone), *(after[j] for j in come)}}
    if sum(len(words[before[i]]) for i in gone) * sum(len(words[after[j]]) for j in come) > _MOST_WORK:
        return []
    likeness = [[_likeness(words[before[i]], words[after[j]]) for j in come] for i in gone]
    # The best sum of likenesses, as in any alignment of two sequences.
    best = [[0.0] * (len(come) + 1) for _ in range(len(gone) + 1)]
    for i in reversed(range(len(gone))):
        for j in reversed(range(len(come))):
            pair = likeness[i][j] + best[i + 1][j + 1] if likeness[i][j] >= _ALIKE else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], pair)
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(gone) and j < len(come):
        alike = likeness[i][j]
        if alike >= _ALIKE and best[i][j] == alike + best[i + 1][j + 1]:
            found.append((gone[i], come[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def _likeness(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the share of words that two lines have in common, blanks left out."""
    first, second = [word for word in one if not word.isspace()], [word for word in other if not word.isspace()]
    if not first or not second or max(len(first), len(second)) > _MOST_WORDS:
        return 0.0
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:
        return 0.0
    return matcher.ratio()


def _ordered(
    before: Sequence[str],
    after: Sequence[str],
    gone: range,
    come: range,
    pairs: Sequence[tuple[int, int]],
    moved_to: dict[int, int],
    moved_from: dict[int, int],
) -> Iterator[Line]:
    """Yield the lines of one place that differs: what was taken away before what was put in, pairs in their order."""
    i, j = gone.start, come.start
    for i_pair, j_pair in (*pairs, (gone.stop, come.stop)):
        for place in range(i, i_pair):
            if place in moved_to:
                yield Line("moved_away", _whole(before[place]), (), place + 1, moved_to[place] + 1)
            else:
                yield Line("removed", (Span(before[place], True),), (), place + 1)
        for place in range(j, j_pair):
            if place in moved_from:
                yield Line("moved_here", (), _whole(after[place]), moved_from[place] + 1, place + 1)
            else:
                yield Line("added", (), (Span(after[place], True),), None, place + 1)
        if i_pair < gone.stop:
            old, new = _spans(before[i_pair], after[j_pair])
            yield Line("changed", old, new, i_pair + 1, j_pair + 1)
        i, j = i_pair + 1, j_pair + 1


def _spans(old: str, new: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the parts of two lines that are alike, changes that stand close together as one."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    opcodes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    left: list[Span] = []
    right: list[Span] = []
    for place, (tag, i1, i2, j1, j2) in enumerate(opcodes):
        words = sum(not word.isspace() for word in before[i1:i2])
        is_inside = 0 < place < len(opcodes) - 1
        is_changed = tag != "equal" or (is_inside and words < _APART)
        _append(left, "".join(before[i1:i2]), is_changed)
        _append(right, "".join(after[j1:j2]), is_changed)
    return tuple(left), tuple(right)


def _append(spans: list[Span], text: str, is_changed: bool) -> None:
    if spans and spans[-1].is_changed == is_changed:
        spans[-1] = Span(spans[-1].text + text, is_changed)
    elif text:
        spans.append(Span(text, is_changed))


def _whole(text: str) -> tuple[Span, ...]:
    return (Span(text),)
