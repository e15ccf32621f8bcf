"""The rows of a difference, in one column and side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from automagik_prompts.console.difference.pieces import Run, runs_of
from automagik_prompts.domain.differences import Line, Span, compare
from automagik_prompts.domain.validation import Format

Mark = Literal["same", "put_in", "taken_away", "moved"]

CONTEXT = 3
"""Equal lines that are shown beside a change; those further away fold."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of one text.

    Attributes:
        mark: What became of it.
        runs: Its parts.
        number: Its number, from 1.
        where: Where it stands in the other text, if it has moved and is not empty.
    """

    mark: Mark
    runs: tuple[Run, ...]
    number: int
    where: str = ""


@dataclass(frozen=True, slots=True)
class Unified:
    """One row of one column: a line of either text, or of both.

    Attributes:
        cell: The line.
        old: Its number in the old text, if it stands there.
        new: Its number in the new text, likewise.
    """

    cell: Cell
    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class Beside:
    """One row of two columns; a side is `None` where it has nothing to show."""

    old: Cell | None
    new: Cell | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Equal lines that are not shown.

    Attributes:
        lines: How many.
    """

    lines: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How two texts differ, as a page shows it.

    Attributes:
        unified: The rows of one column.
        beside: The rows of two columns.
        moved: How many lines moved, empty ones left out.
        changed: How many were changed.
        put_in: How many came in.
        taken_away: How many went.
        same: How many lines are the same.
        ending: What became of the line break at the end, if anything did.
        old_format: How the old text is read.
        new_format: How the new text is read.
    """

    unified: tuple[Unified | Gap, ...] = field(repr=False)
    beside: tuple[Beside | Gap, ...] = field(repr=False)
    moved: int
    changed: int
    put_in: int
    taken_away: int
    same: int
    ending: str
    old_format: Format
    new_format: Format

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs at all."""
        return not (self.moved or self.changed or self.put_in or self.taken_away or self.ending) and (
            self.old_format == self.new_format
        )

    @property
    def headline(self) -> str:
        """What differs, in words: `1 line moved, 2 lines changed`."""
        counts = (
            (self.moved, "moved"),
            (self.changed, "changed"),
            (self.put_in, "put in"),
            (self.taken_away, "taken away"),
        )
        found = [f"{lines(count)} {what}" for count, what in counts if count]
        if self.ending:
            found.append(self.ending)
        if self.old_format != self.new_format:
            found.append(f"format {self.old_format} becomes {self.new_format}")
        return ", ".join(found) if found else "The texts are the same"

    @property
    def is_folded(self) -> bool:
        """Whether some equal lines are not shown."""
        return any(isinstance(row, Gap) for row in self.unified)


def lines(count: int) -> str:
    """Return a number of lines in words."""
    return "1 line" if count == 1 else f"{count} lines"


def difference(
    old: str,
    new: str,
    old_format: Format = "handlebars",
    new_format: Format = "handlebars",
    *,
    context: int | None = CONTEXT,
) -> Difference:
    """Return how two texts differ.

    Args:
        old: The text before.
        new: The text after.
        old_format: How the old text is read.
        new_format: How the new text is read.
        context: Equal lines to show beside a change; `None` for all of them.
    """
    # A last line without a line break is a line like any other: whether there is one is said in words.
    found = compare(_ended(old), _ended(new))
    unified: list[Unified | Gap] = []
    beside: list[Beside | Gap] = []
    for line in _folded(found, context):
        if isinstance(line, Gap):
            unified.append(line)
            beside.append(line)
            continue
        pair = _pair(line, old_format, new_format)
        unified += _below(pair)
        beside.append(pair)
    return Difference(
        unified=tuple(unified),
        beside=tuple(beside),
        moved=sum(line.kind == "moved_here" and bool(_text(line.new).strip()) for line in found),
        changed=_count(found, "changed"),
        put_in=_count(found, "added"),
        taken_away=_count(found, "removed"),
        same=_count(found, "same"),
        ending=_ending(old, new),
        old_format=old_format,
        new_format=new_format,
    )


def _ended(text: str) -> str:
    return f"{text}\n" if text and not text.endswith("\n") else text


def _ending(old: str, new: str) -> str:
    if not old or not new or old.endswith("\n") == new.endswith("\n"):
        return ""
    return "the line break at the end taken away" if old.endswith("\n") else "a line break put in at the end"


def _count(found: Iterable[Line], kind: str) -> int:
    return sum(line.kind == kind for line in found)


def _text(spans: Iterable[Span]) -> str:
    return "".join(span.text for span in spans)


def _where(spans: Iterable[Span], words: str) -> str:
    """Return where a line has moved; of an empty one, which goes with the line beside it, that need not be said."""
    return words if _text(spans).strip() else ""


def _old(line: Line, format: Format) -> Cell:
    """Return the old side of a line."""
    number = line.old_number or 0
    if line.kind == "moved_away":
        there = line.new_number or 0
        direction = "up" if there < number else "down"
        return Cell(
            "moved",
            runs_of(line.old, format),
            number,
            _where(line.old, f"moved {direction} to line {there}, unchanged"),
        )
    mark: Mark = "same" if line.kind == "same" else "taken_away"
    return Cell(mark, runs_of(line.old, format, whole=line.kind == "removed"), number)


def _new(line: Line, format: Format) -> Cell:
    """Return the new side of a line."""
    number = line.new_number or 0
    if line.kind == "moved_here":
        return Cell(
            "moved", runs_of(line.new, format), number, _where(line.new, f"moved here from line {line.old_number}")
        )
    mark: Mark = "same" if line.kind == "same" else "put_in"
    return Cell(mark, runs_of(line.new, format, whole=line.kind == "added"), number)


def _pair(line: Line, old_format: Format, new_format: Format) -> Beside:
    """Return both sides of a line."""
    has_old = line.kind in {"same", "changed", "removed", "moved_away"}
    has_new = line.kind in {"same", "changed", "added", "moved_here"}
    return Beside(_old(line, old_format) if has_old else None, _new(line, new_format) if has_new else None)


def _below(pair: Beside) -> Iterator[Unified]:
    """Yield the sides of a line one below the other; an equal one is one row."""
    old, new = pair.old, pair.new
    if old is not None and new is not None and new.mark == "same":
        yield Unified(new, old.number, new.number)
        return
    if old is not None:
        yield Unified(old, old.number, None)
    if new is not None:
        yield Unified(new, None, new.number)


def _folded(found: Sequence[Line], context: int | None) -> Iterator[Line | Gap]:
    """Yield lines, with a gap in place of equal ones far from any change; one line alone is shown."""
    if context is None or all(line.kind == "same" for line in found):
        yield from found
        return
    wanted = [False] * len(found)
    for place, line in enumerate(found):
        if line.kind != "same":
            first, last = max(0, place - context), min(len(found), place + context + 1)
            wanted[first:last] = [True] * (last - first)
    hidden: list[Line] = []
    for line, is_wanted in zip(found, wanted, strict=True):
        if not is_wanted:
            hidden.append(line)
            continue
        yield from _gap(hidden)
        hidden = []
        yield line
    yield from _gap(hidden)


def _gap(hidden: Sequence[Line]) -> Iterator[Line | Gap]:
    if len(hidden) > 1:
        yield Gap(len(hidden))
    else:
        yield from hidden
